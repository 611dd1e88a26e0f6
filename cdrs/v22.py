"""CDRs and sessions of the quick-start dialect, made valid 2.2.1 from what the hub knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from hub.money import four_decimals
from hub.ocpi import times
from hub.ocpi.errors import Invalid
from hub.ocpi.messages import Address
from parties.v22 import Draft, draft

PLACEHOLDER = ("FR", "FRA")  # the guide's own example means the connection's party
_CONNECTOR = ("standard", "format", "power_type")


@dataclass(frozen=True)
class Known:
    """What the hub can contribute: the token, the session, and the locations that may be meant."""

    token: Mapping[str, Any] | None = None
    session: Mapping[str, Any] | None = None
    locations: tuple[Mapping[str, Any], ...] = ()


def contract(body: Any) -> str:
    """Return the token reference of a simplified body, empty when there is none."""
    return str(body.get("auth_id") or "") if isinstance(body, dict) else ""


def begin(body: Any, owner: Address, received: datetime) -> Draft:
    """Begin a CDR: its party, id and time; the guide's FR/FRA stands for the own party."""
    uid = body.get("id") if isinstance(body, dict) else None
    if not isinstance(uid, str) or not uid:
        raise Invalid("id is required")
    if (body.get("country_code"), body.get("party_id")) == PLACEHOLDER:
        body = {name: body[name] for name in body if name not in {"country_code", "party_id"}}
    return draft(body, owner, uid, received)


def cdr(body: Any, owner: Address, received: datetime, known: Known) -> Draft:
    """Return a CDR as valid 2.2.1, as far as it can be derived."""
    found = begin(body, owner, received)
    found.rename("stop_date_time", "end_date_time")
    _token(found, known)
    if known.session:
        found.fill("session_id", known.session["id"])
    found.fill("total_time", _hours(found.body))
    _periods(found)
    _location(found, known)
    return found


def session(body: Any, owner: Address, uid: str, received: datetime, known: Known) -> Draft:
    """Return a session as valid 2.2.1, as far as it can be derived."""
    found = draft(body, owner, uid, received)
    _token(renamed(found), known)
    return found


def renamed(found: Draft) -> Draft:
    """Write the times of a session by their 2.2.1 names."""
    found.rename("start_datetime", "start_date_time")
    found.rename("end_datetime", "end_date_time")
    return found


def cdr_token(token: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a CDR says of a token."""
    names = ("country_code", "party_id", "uid", "type", "contract_id")
    return {name: token[name] for name in names}


def _token(found: Draft, known: Known) -> None:
    reference = found.body.pop("auth_id", None)
    if found.body.get("cdr_token"):
        return
    if known.token:
        found.fill("cdr_token", cdr_token(known.token))
    else:
        found.lacking.append("cdr_token")
        found.body["auth_id"] = reference


def _hours(body: Mapping[str, Any]) -> Decimal | None:
    try:
        started = times.parse(str(body["start_date_time"]))
        ended = times.parse(str(body["end_date_time"]))
    except (KeyError, ValueError):
        return None
    return four_decimals(Decimal(str((ended - started).total_seconds())) / 3600)


def _periods(found: Draft) -> None:
    """Derive one charging period from the totals."""
    body = found.body
    if body.get("charging_periods") or not {"start_date_time", "total_energy"} <= body.keys():
        return
    dimensions = [{"type": "ENERGY", "volume": body["total_energy"]}]
    if body.get("total_time") is not None:
        dimensions.append({"type": "TIME", "volume": body["total_time"]})
    period = {"start_date_time": body["start_date_time"], "dimensions": dimensions}
    found.fill("charging_periods", [period])


def _location(found: Draft, known: Known) -> None:
    """Derive the place from the session's location, or from the CPO's only one."""
    if found.body.get("cdr_location"):
        return
    place = _place(known)
    if place:
        found.fill("cdr_location", place)
    else:
        found.lacking.append("cdr_location")


def _place(known: Known) -> dict[str, Any] | None:
    if len(known.locations) != 1:
        return None
    location, session = known.locations[0], known.session or {}
    evses = _only(location.get("evses"), "uid", session.get("evse_uid"))
    connectors = [item for evse in evses for item in evse["connectors"]]
    connectors = _only(connectors, "id", session.get("connector_id"))
    kinds = {tuple(item[name] for name in _CONNECTOR) for item in connectors}
    if len(kinds) != 1:
        return None
    return {**_address(location), **_device(evses, connectors, kinds.pop())}


def _only(items: Any, key: str, wanted: Any) -> list[dict[str, Any]]:
    return [item for item in items or [] if wanted is None or item[key] == wanted]


def _address(location: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "name", "address", "city", "postal_code", "state", "country", "coordinates")
    return {name: location[name] for name in names if location.get(name) is not None}


def _device(
    evses: list[dict[str, Any]], connectors: list[dict[str, Any]], kind: tuple[str, ...]
) -> dict[str, Any]:
    """Name EVSE and connector where there is only one; otherwise they truly cannot be known."""
    evse = evses[0] if len(evses) == 1 else {}
    return {
        "evse_uid": evse.get("uid", "#NA"),
        "evse_id": evse.get("evse_id") or "#NA",
        "connector_id": connectors[0]["id"] if len(connectors) == 1 else "#NA",
        **{f"connector_{name}": value for name, value in zip(_CONNECTOR, kind, strict=True)},
    }
