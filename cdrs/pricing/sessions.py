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
    volumes: dict[str, Decimal]
    measurements: dict[str, Decimal]

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
    try:
        return _session(cdr)
    except (AttributeError, KeyError, TypeError) as error:
        raise Refused("malformed", f"the CDR cannot be read: {error!r}") from error


def _session(cdr: Mapping[str, Any]) -> Session:
    old = "cdr_location" not in cdr and ("location" in cdr or "stop_date_time" in cdr)
    place = cdr.get("location" if old else "cdr_location") or {}
    end = "end_date_time" if "end_date_time" in cdr else "stop_date_time"
    session = Session(
        started_at=_instant(cdr, "start_date_time"),
        ended_at=_instant(cdr, end),
        currency=str(cdr.get("currency") or ""),
        country=str(place.get("country") or ""),
        time_zone=str(place.get("time_zone") or ""),
        taxes_told=not old,
        periods=[],
    )
    _read_periods(session, cdr.get("charging_periods"))
    return session


def _instant(raw: Mapping[str, Any], name: str) -> datetime:
    """Read an instant of the session; those of a tariff may be as far off as they like."""
    moment = instant(raw.get(name), name)
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise Refused("out_of_range", f"{name}: {raw[name]} is beyond what a session can have")
    return moment


def _read_periods(session: Session, raw: Any) -> None:
    if not raw:
        raise Refused("no_charging_period", "the CDR has no charging periods")
    starts = [_instant(item, "start_date_time") for item in raw]
    ends = [*starts[1:], session.ended_at]
    for number_, (item, start, end) in enumerate(zip(raw, starts, ends, strict=True), 1):
        period = Period(number_, start, end, str(item.get("tariff_id") or ""), {}, {})
        _read_dimensions(session, period, item["dimensions"])
        session.periods.append(period)
    _check_order(session, starts)


def _read_dimensions(session: Session, period: Period, dimensions: Any) -> None:
    volumes: dict[str, Decimal] = {}
    for dimension in dimensions:
        kind = dimension["type"]
        if kind in VOLUMES:
            value = number(dimension["volume"], kind)
            if kind in volumes:
                _remark(session, period, "duplicate_dimension", f"{kind} comes twice; summed")
                value += volumes[kind]
            volumes[kind] = value
        elif kind in MEASUREMENTS:
            _measure(session, period, kind, number(dimension["volume"], kind))
        elif kind != FLAT or session.taxes_told:
            _remark(session, period, "ignored_dimension", f"{kind} is not priced")
    period.volumes = {kind: value for kind, value in volumes.items() if value}


def _measure(session: Session, period: Period, kind: str, value: Decimal) -> None:
    known = period.measurements.get(kind)
    if known is not None:
        extreme = min if kind.startswith("MIN") else max
        _remark(session, period, "duplicate_dimension", f"{kind} comes twice; the extreme counts")
        value = extreme(value, known)
    period.measurements[kind] = value


def _check_order(session: Session, starts: list[datetime]) -> None:
    if starts[0] != session.started_at:
        session.remarks.append(
            Remark(
                "periods_outside_start_end_date_time",
                1,
                f"the first period starts at {starts[0]:%Y-%m-%dT%H:%M:%SZ}, "
                f"the session at {session.started_at:%Y-%m-%dT%H:%M:%SZ}",
            )
        )
    for place, (earlier, later) in enumerate(pairwise(starts), 2):
        if later <= earlier:
            text = "it does not start after the period before it"
            session.remarks.append(Remark("periods_out_of_order", place, text))


def _remark(session: Session, period: Period, code: str, text: str) -> None:
    session.remarks.append(Remark(code, period.number, text))
