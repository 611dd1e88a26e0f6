"""Where it was: location, EVSE, country."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from cdrs.facts import Facts
from cdrs.rules.context import Context
from cdrs.rules.engine import FLAG, HOLD, rule
from hub.countries import alpha_2

NEW = "2026-12"
NOT_TOLD = frozenset({"", "#NA"})
FAR = Decimal("0.02")  # degrees: some two kilometres
OUT_OF_SERVICE = frozenset({"INOPERATIVE", "OUTOFORDER", "PLANNED", "REMOVED"})
Point = tuple[Decimal, Decimal]


@rule(FLAG)
def location_unknown(facts: Facts, context: Context) -> str | None:
    """The location should have been published."""
    if context.location_known:
        return None
    return f"location {facts.text('cdr_location', 'id')} has not been published"


@rule(HOLD, since=NEW, retried=True)
def location_required(facts: Facts, context: Context) -> str | None:
    """An agreement may ask for published locations (`location_required`)."""
    if context.location_known or not context.parameters.location_required:
        return None
    return "the agreement asks for a published location"


@rule(FLAG, since=NEW)
def evse_unknown(facts: Facts, context: Context) -> str | None:
    """EVSE and connector should be those of the location."""
    evse, connector = (facts.text("cdr_location", name) for name in ("evse_uid", "connector_id"))
    if context.place is None or evse in NOT_TOLD:
        return None
    if not context.place.evse_known:
        return f"location {facts.text('cdr_location', 'id')} has no EVSE {evse}"
    if context.place.connector is None and connector not in NOT_TOLD:
        return f"EVSE {evse} has no connector {connector}"
    return None


@rule(FLAG, since=NEW, timed=True)
def evse_out_of_service(facts: Facts, context: Context) -> str | None:
    """An EVSE that was out of service since before the session cannot have charged."""
    place = context.place
    if place is None or place.evse_status not in OUT_OF_SERVICE or place.evse_updated is None:
        return None
    if place.evse_updated > facts.started_at:
        return None
    return f"the EVSE is {place.evse_status} since {place.evse_updated:%Y-%m-%d %H:%M}"


@rule(FLAG, since=NEW)
def evse_of_another_operator(facts: Facts, context: Context) -> str | None:
    """An EVSE id begins with country and party of its operator."""
    told = facts.text("cdr_location", "evse_id")
    bare = told.upper().replace("*", "").replace("-", "")
    owner = (facts.text("country_code") + facts.text("party_id")).upper()
    if told in NOT_TOLD or bare.startswith(owner):
        return None
    return f"EVSE {told} does not begin with {owner}"


@rule(HOLD, since=NEW)
def country_unknown(facts: Facts, context: Context) -> str | None:
    """The country of supply decides about tax: it is one of ISO 3166."""
    told = facts.text("cdr_location", "country")
    return f"{told} is not a country" if told and not alpha_2(told) else None


@rule(HOLD, since=NEW, retried=True)
def country_not_agreed(facts: Facts, context: Context) -> str | None:
    """The country of supply is one that the agreement covers (`countries`)."""
    country = alpha_2(facts.text("cdr_location", "country"))
    agreed = context.parameters.countries
    if not agreed or not country or country in agreed:
        return None
    return f"the agreement covers {', '.join(agreed)}, not {country}"


@rule(FLAG, since=NEW)
def country_differs(facts: Facts, context: Context) -> str | None:
    """The country is that of the location as it was published."""
    told = facts.text("cdr_location", "country")
    if context.place and told and context.place.country.upper() not in {"", told.upper()}:
        return f"the location is in {context.place.country}, the CDR says {told}"
    return None


@rule(FLAG, since=NEW)
def coordinates_implausible(facts: Facts, context: Context) -> str | None:
    """Coordinates lie on land where the location was published."""
    told = _point(
        facts.text("cdr_location", "coordinates", "latitude"),
        facts.text("cdr_location", "coordinates", "longitude"),
    )
    return None if told is None else next(_doubts(told, context), None)


def _doubts(told: Point, context: Context) -> Iterator[str]:
    if not any(told):
        yield "the coordinates are 0, 0"
    if abs(told[0]) > 90 or abs(told[1]) > 180:
        yield f"there is no place at {told[0]}, {told[1]}"
    known = _point(context.place.latitude, context.place.longitude) if context.place else None
    if known is None or _near(told, known):
        return
    if _near((told[1], told[0]), known):
        yield "latitude and longitude are swapped"
    yield f"the location was published at {known[0]}, {known[1]}, not {told[0]}, {told[1]}"


def _point(latitude: str, longitude: str) -> Point | None:
    try:
        return Decimal(latitude), Decimal(longitude)
    except InvalidOperation:
        return None


def _near(one: Point, other: Point) -> bool:
    return abs(one[0] - other[0]) <= FAR and abs(one[1] - other[1]) <= FAR
