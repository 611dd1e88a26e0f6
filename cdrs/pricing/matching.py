"""Which component prices which volume: the lines of an account, before any rounding.

A period is never divided: it is priced whole, by what applied when it began.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from cdrs.pricing.accounts import RESERVATION_FLAT, Account, Asked, Line, Lookup, Stage
from cdrs.pricing.moments import INSTANT, Measured, Moment
from cdrs.pricing.numbers import ZERO
from cdrs.pricing.readings import Reading
from cdrs.pricing.sessions import ENERGY, FLAT, RESERVATION_TIME, TIME, Session
from cdrs.pricing.tariffs import EXPIRES, NO_OFFERS, RESERVATION, Offer, Tariff

NOT_MEASURED = Measured()
UNRESERVED = (None,)


def stages(
    session: Session, tariffs: Sequence[Tariff], zone: ZoneInfo, reading: Reading
) -> Iterator[Stage]:
    """Tell the state of the session at the start of each period."""
    energy, first = ZERO, session.periods[0].started_at
    for period, tariff in zip(session.periods, tariffs, strict=True):
        start = Moment(
            local=period.started_at.astimezone(zone),
            energy=(energy, 0),
            duration=(period.started_at - first, 0),
            current=_measured(period.measurements, "CURRENT", reading),
            power=_measured(period.measurements, "POWER", reading),
            lenient=reading.own_measurement_only,
        )
        yield Stage(period, tariff, start)
        energy += period.volumes.get(ENERGY, ZERO)


def match(account: Account) -> None:
    """Find the price of every volume, and the fees per session; what is free is remarked."""
    reserved: Asked = (EXPIRES, RESERVATION) if account.session.expired else (RESERVATION,)
    fees: dict[str, Asked] = {FLAT: UNRESERVED, RESERVATION_FLAT: reserved}
    for stage in account.stages:
        for kind, volume in stage.period.volumes.items():
            asked = reserved if kind == RESERVATION_TIME else UNRESERVED
            _price(account, stage, kind, volume, asked)
        for kind in _due(stage, fees):
            if _look_up(account, Lookup(kind, stage, fees[kind], Decimal(1), None)):
                del fees[kind]


def find(stage: Stage, kind: str, asked: Asked, at: Moment) -> tuple[Offer | None, bool]:
    """Return the first offer that applies, and whether a missing measurement kept one out."""
    missing = False
    for reservation in asked:
        for offer in stage.tariff.offers.get((reservation, kind), NO_OFFERS).listed:
            applies = offer.element.applies(at)
            if applies:
                return offer, missing
            missing = missing or applies is None
    return None, missing


def priced_as(kind: str) -> str:
    """Return the dimension of the component that prices a volume or fee."""
    return {RESERVATION_TIME: TIME, RESERVATION_FLAT: FLAT}.get(kind, kind)


def _price(account: Account, stage: Stage, kind: str, volume: Decimal, asked: Asked) -> None:
    if not _look_up(account, Lookup(kind, stage, asked, volume, None)):
        account.remark("no_price_component", stage.period, f"nothing prices its {kind}")
    if _changes(account.lookups[-1], account.zone):
        text = f"the price of its {kind} is another when it ends"
        account.remark("period_spans_price_change", stage.period, text)


def _look_up(account: Account, search: Lookup) -> bool:
    """Find an offer, keep the search and its result, and tell whether there is one.

    A volume below 0 (energy back to the grid) has no price.
    """
    kind, stage, asked, volume, _ = search
    offer, missing = None, False
    if volume > 0:
        offer, missing = find(stage, priced_as(kind), asked, stage.start)
    account.lookups.append(search._replace(offer=offer))
    if offer:
        account.lines.append(Line(kind, stage, offer, volume))
    if missing:
        text = f"a price of {kind} depends on current or power, which was not measured"
        account.remark("restriction_data_missing", stage.period, text)
    return offer is not None


def _due(stage: Stage, fees: Mapping[str, Asked]) -> list[str]:
    """Return the fees that may fall due in a period."""
    due = {FLAT: stage.period.charging, RESERVATION_FLAT: RESERVATION_TIME in stage.period.volumes}
    return [kind for kind in fees if due[kind]]


def _changes(search: Lookup, zone: ZoneInfo) -> bool:
    """Tell whether the price is another one at the end of the period."""
    kind, stage, asked, volume, offer = search
    dimension = priced_as(kind)
    offers = (stage.tariff.offers.get((reservation, dimension)) for reservation in asked)
    if not any(item and item.moving for item in offers):
        return False
    if volume < 0 or stage.period.ended_at <= stage.period.started_at:
        return False
    later, _ = find(stage, dimension, asked, _just_before_the_end(stage, zone))
    return (later and later.component) != (offer and offer.component)


def _just_before_the_end(stage: Stage, zone: ZoneInfo) -> Moment:
    """Return the state to which the session comes infinitely close while the period lasts."""
    period, start = stage.period, stage.start
    gained = period.volumes.get(ENERGY, ZERO)
    return start._replace(
        local=(period.ended_at - INSTANT).astimezone(zone),
        energy=(start.energy[0] + gained, -1 if gained > 0 else 1 if gained < 0 else 0),
        duration=(start.duration[0] + (period.ended_at - period.started_at), -1),
    )


def _measured(found: Mapping[str, Decimal], what: str, reading: Reading) -> Measured:
    """Return what a minimum and a maximum look at: MAX_ and MIN_, each else the other."""
    if not found:
        return NOT_MEASURED
    low, high = found.get(f"MIN_{what}"), found.get(f"MAX_{what}")
    if reading.own_measurement_only:
        return Measured(for_least=low, for_below=high)
    return Measured(low if high is None else high, high if low is None else low)
