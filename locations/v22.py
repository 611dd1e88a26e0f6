"""Locations of the quick-start dialect, made valid 2.2.1."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import tzfpy

from hub.countries import alpha_3
from hub.ocpi import times, types, validation
from hub.ocpi.errors import Invalid
from hub.ocpi.messages import Address
from parties.merging import EVSES, Level
from parties.v22 import Draft, draft

_RENAMED: dict[str, str] = {"voltage": "max_voltage", "amperage": "max_amperage"}
_PARKING_TYPES = frozenset(types.ParkingType.__args__)  # type: ignore[attr-defined]


def location(body: Any, owner: Address, uid: str, received: datetime) -> Draft:
    """Return a location as valid 2.2.1; an EVSE that cannot be completed is left out of it."""
    found = draft(body, owner, uid, received)
    found.fill("publish", True)
    _parking_type(found)
    _country(found)
    _coordinates(found)
    found.fill("time_zone", _time_zone(found.body.get("coordinates")))
    _evses(found)
    return found


def part(level: Level, body: Any, tail: str, received: datetime) -> Draft:
    """Return an EVSE or connector as 2.2.1 has it; the URL's end names it when it does not."""
    if not isinstance(body, dict):
        raise Invalid("a JSON object is expected")
    named = {level.key: tail.rpartition("/")[2], **body}
    stamp = times.render(received)
    written = _evse(named, stamp) if level is EVSES else _connector(named, stamp)
    return Draft(written, body, [level.member] if written != body else [])


def change(found: Draft) -> Draft:
    """Write the members of a change as 2.2.1 names and writes them; nothing is added."""
    _parking_type(found)
    _country(found)
    _coordinates(found)
    stamp = found.body["last_updated"]
    body = _connector(found.body, stamp)
    for member, written in (("evses", _named_evse), ("connectors", _connector)):
        if isinstance(body.get(member), list):
            body[member] = [written(item, stamp) for item in body[member]]
    if body != found.body:
        found.body = body
        found.repairs.append("names")
    return found


def tariff(body: Any, owner: Address, uid: str, received: datetime) -> Draft:
    """Return a tariff as valid 2.2.1."""
    return draft(body, owner, uid, received)


def _parking_type(found: Draft) -> None:
    """Map 2.1.1's `type`; a value that 2.2.1 does not know is left out."""
    if str(found.body.get("type")) in _PARKING_TYPES:
        found.rename("type", "parking_type")
    elif found.body.pop("type", None):
        found.repairs.append("type left out")


def _country(found: Draft) -> None:
    country = found.body.get("country")
    if isinstance(country, str) and len(country) == 2 and alpha_3(country):
        found.body["country"] = alpha_3(country)
        found.repairs.append("country in 3 letters")


def _coordinates(found: Draft) -> None:
    """Write latitude and longitude as strings of 5 to 7 decimals; out of range is refused."""
    given = found.body.get("coordinates")
    if not isinstance(given, dict) or not {"latitude", "longitude"} <= given.keys():
        return
    written = {
        **given,
        "latitude": _degrees(given["latitude"], 90),
        "longitude": _degrees(given["longitude"], 180),
    }
    if written != given:
        found.body["coordinates"] = written
        found.repairs.append("coordinates with 5 decimals")


def _degrees(value: Any, limit: int) -> str:
    try:
        degrees = Decimal(str(value))
    except InvalidOperation as error:
        raise Invalid(f"coordinates: {str(value)[:20]!r} is not a number") from error
    if not degrees.is_finite() or abs(degrees) > limit:
        raise Invalid(f"coordinates: {str(value)[:20]} is out of range")
    exponent = degrees.as_tuple().exponent
    places = min(max(-exponent if isinstance(exponent, int) else 0, 5), 7)
    return f"{degrees:.{places}f}"


def _time_zone(coordinates: Any) -> str | None:
    if not isinstance(coordinates, dict) or not {"latitude", "longitude"} <= coordinates.keys():
        return None
    found: str = tzfpy.get_tz(float(coordinates["longitude"]), float(coordinates["latitude"]))
    return found or None


def _evses(found: Draft) -> None:
    """Complete each EVSE; those that lack what cannot be derived stay in the raw body only."""
    given = found.body.get("evses")
    if not isinstance(given, list):
        return
    evses = [_evse(evse, found.body["last_updated"]) for evse in given]
    complete = [evse for evse in evses if not validation.problems(types.EVSE, evse)]
    if len(complete) < len(evses):
        found.lacking += list(_lacking(evses))
    if complete != given:
        found.body["evses"] = complete
        found.repairs.append("evses")


def _evse(evse: Any, stamp: str) -> dict[str, Any]:
    named = _named_evse(evse, stamp)
    return {"status": "UNKNOWN", "last_updated": stamp, "connectors": [], **named}


def _named_evse(evse: Any, stamp: str) -> dict[str, Any]:
    """Return an EVSE, or what is told of it, with the names of 2.2.1."""
    if not isinstance(evse, dict):
        raise Invalid("evses: a JSON object is expected")
    uid = evse.get("uid") or evse.get("id") or evse.get("evse_id")
    if not uid:
        raise Invalid("evses: uid is required, an identity is not made up")
    named = {**{name: value for name, value in evse.items() if name != "id"}, "uid": uid}
    if not named.get("connectors"):
        return {name: value for name, value in named.items() if name != "connectors"}
    if not isinstance(named["connectors"], list):
        raise Invalid("connectors: a list is expected")
    return {**named, "connectors": [_connector(item, stamp) for item in named["connectors"]]}


def _connector(connector: Any, stamp: str) -> dict[str, Any]:
    if not isinstance(connector, dict):
        raise Invalid("connectors: a JSON object is expected")
    given: dict[str, Any] = connector
    renamed = {_RENAMED.get(key, key): value for key, value in given.items()}
    tariff_id = renamed.pop("tariff_id", None)
    if tariff_id and not renamed.get("tariff_ids"):
        renamed["tariff_ids"] = [tariff_id]
    return {"last_updated": stamp, **renamed}


def _lacking(evses: list[dict[str, Any]]) -> Iterator[str]:
    for evse in evses:
        problems = validation.problems(types.EVSE, evse)
        if problems:
            yield f"EVSE {evse['uid']} ({problems[0].path} {problems[0].problem})"
