"""What a CDR says of its session, in one shape for OCPI 2.1.1, 2.2.1 and 2.3.0."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from cdrs.pricing.moments import instant
from cdrs.pricing.numbers import ZERO, number
from cdrs.pricing.refusals import Refused

ENERGY, TIME, PARKING_TIME = "ENERGY", "TIME", "PARKING_TIME"
RESERVATION_TIME, FLAT = "RESERVATION_TIME", "FLAT"
CHARGING = (ENERGY, TIME, PARKING_TIME)
VOLUMES = frozenset({*CHARGING, RESERVATION_TIME})
FIRST_YEAR, LAST_YEAR = 1970, 2199  # 1970 is OCPI's agreed sentinel
MEASUREMENTS = frozenset({"MIN_CURRENT", "MAX_CURRENT", "MIN_POWER", "MAX_POWER"})


class Remark(NamedTuple):
    """A warning: something odd that changes no figure. `period` counts from 1, None is all."""

    code: str
    period: int | None
    text: str


@dataclass(slots=True)
class Period:
    """A charging period; volumes of 0 are left out. `number` counts from 1."""

    number: int
    started_at: datetime
    ended_at: datetime
    tariff_uid: str
    volumes: dict[str, Decimal] = field(default_factory=dict)
    measurements: dict[str, Decimal] = field(default_factory=dict)

    @property
    def charging(self) -> bool:
        """Whether a session fee may fall due in it: all but pure reservation."""
        return self.volumes.keys() != {RESERVATION_TIME}


@dataclass(slots=True)
class Session:
    """A session. Without `taxes_told` it comes from OCPI 2.1.1, where no tax is ever told."""

    started_at: datetime
    ended_at: datetime
    currency: str
    country: str
    time_zone: str
    taxes_told: bool
    periods: list[Period]
    remarks: list[Remark] = field(default_factory=list)

    def volume(self, kind: str) -> Decimal:
        """Return the sum of a volume over all periods."""
        return sum((period.volumes.get(kind, ZERO) for period in self.periods), ZERO)

    @property
    def expired(self) -> bool:
        """Whether the EVSE was reserved, and nothing else happened."""
        kinds = {kind for period in self.periods for kind in period.volumes}
        return kinds == {RESERVATION_TIME}


def read(cdr: Mapping[str, Any]) -> Session:
    """Read a CDR. Its own totals are not looked at.

    Raises Refused (malformed, out_of_range, no_charging_period).
    """
    if not isinstance(cdr, Mapping):
        raise Refused("malformed", "the CDR is not an object")
    old = "cdr_location" not in cdr and ("location" in cdr or "stop_date_time" in cdr)
    place = _place(cdr, "location" if old else "cdr_location")
    session = Session(
        started_at=_instant(cdr, "start_date_time"),
        ended_at=_instant(cdr, "end_date_time" if "end_date_time" in cdr else "stop_date_time"),
        currency=str(cdr.get("currency") or ""),
        country=str(place.get("country") or ""),
        time_zone=str(place.get("time_zone") or ""),
        taxes_told=not old,
        periods=[],
    )
    if not cdr.get("charging_periods"):
        raise Refused("no_charging_period", "the CDR has no charging periods")
    _read_periods(session, _objects(cdr, "charging_periods"))
    return session


def _place(cdr: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    place = cdr.get(name) or {}
    if not isinstance(place, Mapping):
        raise Refused("malformed", f"{name} is not an object")
    return place


def _instant(raw: Mapping[str, Any], name: str) -> datetime:
    """Read an instant of the session; those of a tariff may be as far off as they like."""
    moment = instant(raw.get(name), name)
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise Refused("out_of_range", f"{name}: {raw[name]} is beyond what a session can have")
    return moment


def _objects(raw: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = raw.get(name)
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise Refused("malformed", f"{name} is not a list of objects")
    return found


def _read_periods(session: Session, raw: list[Mapping[str, Any]]) -> None:
    for place, item in enumerate(raw, 1):
        try:
            session.periods.append(_period(session, place, item))
        except Refused as error:
            raise Refused(error.code, f"charging period {place}: {error}") from error
    for earlier, later in pairwise(session.periods):
        earlier.ended_at = later.started_at
    _check_order(session)


def _period(session: Session, place: int, raw: Mapping[str, Any]) -> Period:
    """Read a period; when it ends only the next one tells, and for the last one the session."""
    period = Period(
        number=place,
        started_at=_instant(raw, "start_date_time"),
        ended_at=session.ended_at,
        tariff_uid=str(raw.get("tariff_id") or ""),
    )
    for dimension in _objects(raw, "dimensions"):
        _read_dimension(session, period, dimension)
    period.volumes = {kind: value for kind, value in period.volumes.items() if value}
    return period


def _read_dimension(session: Session, period: Period, raw: Mapping[str, Any]) -> None:
    kind = str(raw.get("type"))
    if kind in VOLUMES:
        value = number(raw.get("volume"), kind)
        if kind in period.volumes:
            _remark(session, period, "duplicate_dimension", f"{kind} comes twice; summed")
            value += period.volumes[kind]
        period.volumes[kind] = value
    elif kind in MEASUREMENTS:
        _measure(session, period, kind, number(raw.get("volume"), kind))
    elif kind != FLAT or session.taxes_told:
        _remark(session, period, "ignored_dimension", f"{kind} is not priced")


def _measure(session: Session, period: Period, kind: str, value: Decimal) -> None:
    known = period.measurements.get(kind)
    if known is not None:
        extreme = min if kind.startswith("MIN") else max
        _remark(session, period, "duplicate_dimension", f"{kind} comes twice; the extreme counts")
        value = extreme(value, known)
    period.measurements[kind] = value


def _check_order(session: Session) -> None:
    first = session.periods[0]
    if first.started_at != session.started_at:
        text = f"it starts at {_utc(first.started_at)}, the session at {_utc(session.started_at)}"
        _remark(session, first, "periods_outside_start_end_date_time", text)
    for earlier, later in pairwise(session.periods):
        if later.started_at <= earlier.started_at:
            text = "it does not start after the period before it"
            _remark(session, later, "periods_out_of_order", text)


def _utc(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _remark(session: Session, period: Period, code: str, text: str) -> None:
    session.remarks.append(Remark(code, period.number, text))
