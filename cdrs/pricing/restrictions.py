"""When a tariff element applies: every restriction, and why it does not hold.

Every restriction of a wire object becomes one of the classes here. `holds` judges it at a moment;
None says that the period lacks the measurement. `moving` tells that the answer may change while a
period lasts. `reason` tells people why it does not hold.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Protocol, TypeVar

from cdrs.pricing.moments import Duration, Energy, Measured, Moment, seconds
from cdrs.pricing.numbers import ZERO, brief, number_or_none
from cdrs.pricing.refusals import Refused

DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
MIDNIGHT = time(0)
T = TypeVar("T")


class Restriction(Protocol):
    """One condition of a tariff element."""

    moving: ClassVar[bool]

    def holds(self, at: Moment) -> bool | None:
        """Tell whether it holds; None when it cannot be known."""

    def reason(self, at: Moment) -> str:
        """Tell what is so, and what it ought to be."""


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """start_time and end_time, in local time; the end is exclusive, 00:00 is the end of the day."""

    start: time | None
    end: time | None
    moving: ClassVar[bool] = True

    def holds(self, at: Moment) -> bool:
        """Tell whether the local time is in the window, which may span midnight."""
        clock, start, end = at.local.time(), self.start, self.end
        if start is None:
            return end is None or clock < end
        if end is None:
            return clock >= start
        if start < end:
            return start <= clock < end
        return clock >= start or clock < end

    def reason(self, at: Moment) -> str:
        """Tell the local time and the window."""
        start, end = (_clock(value) for value in (self.start or MIDNIGHT, self.end or MIDNIGHT))
        return f"local time is {_clock(at.local.time())}, not from {start} to {end}"


@dataclass(frozen=True, slots=True)
class Dates:
    """start_date, and end_date which is exclusive, in local time."""

    start: date | None
    end: date | None
    moving: ClassVar[bool] = True

    def holds(self, at: Moment) -> bool:
        """Tell whether the local date is in the window."""
        today = at.local.date()
        return (self.start is None or today >= self.start) and (
            self.end is None or today < self.end
        )

    def reason(self, at: Moment) -> str:
        """Tell the local date and the window."""
        return f"local date is {at.local.date()}, not {self._window()}"

    def _window(self) -> str:
        if self.end is None:
            return f"{self.start} or later"
        return f"before {self.end}" if self.start is None else f"from {self.start} to {self.end}"


@dataclass(frozen=True, slots=True)
class Weekdays:
    """day_of_week, in local time."""

    names: frozenset[str]
    moving: ClassVar[bool] = True

    def holds(self, at: Moment) -> bool:
        """Tell whether the local weekday is in the list."""
        return DAYS[at.local.weekday()] in self.names

    def reason(self, at: Moment) -> str:
        """Tell the weekday and those that count."""
        listed = [day for day in DAYS if day in self.names] or sorted(self.names)
        return f"it is {DAYS[at.local.weekday()]}, not {' or '.join(listed)}"


@dataclass(frozen=True, slots=True)
class EnergySoFar:
    """min_kwh, and max_kwh which is exclusive."""

    least: Energy | None
    below: Energy | None
    moving: ClassVar[bool] = True

    def holds(self, at: Moment) -> bool:
        """Tell whether the energy of the session so far is in the range."""
        return (self.least is None or at.energy >= self.least) and (
            self.below is None or at.energy < self.below
        )

    def reason(self, at: Moment) -> str:
        """Tell the energy so far and the range."""
        least, below = (None if bound is None else bound[0] for bound in (self.least, self.below))
        return f"energy so far is {brief(at.energy[0])} kWh, not {_range(least, below, ' kWh')}"


@dataclass(frozen=True, slots=True)
class DurationSoFar:
    """min_duration, and max_duration which is exclusive."""

    least: Duration | None
    below: Duration | None
    moving: ClassVar[bool] = True

    def holds(self, at: Moment) -> bool:
        """Tell whether the duration of the session so far is in the range."""
        return (self.least is None or at.duration >= self.least) and (
            self.below is None or at.duration < self.below
        )

    def reason(self, at: Moment) -> str:
        """Tell the duration so far and the range."""
        least, below = (
            None if bound is None else seconds(bound[0]) for bound in (self.least, self.below)
        )
        so_far = brief(seconds(at.duration[0]))
        return f"duration so far is {so_far} s, not {_range(least, below, ' s')}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """min_ and max_ of current (A) or power (kW); the maximum is exclusive."""

    what: str
    unit: str
    least: Decimal | None
    below: Decimal | None
    moving: ClassVar[bool] = False

    def holds(self, at: Moment) -> bool | None:
        """Tell whether what was measured is in the range."""
        measured = self._of(at)
        missing = True if at.lenient else None
        if self.least is None:
            least: bool | None = True
        else:
            found = measured.for_least
            least = missing if found is None else found >= self.least
        if self.below is None or least is False:
            return least
        found = measured.for_below
        below = missing if found is None else found < self.below
        return least if below else below

    def reason(self, at: Moment) -> str:
        """Tell what was measured and the range."""
        measured = self._of(at)
        found = measured.for_least if self.least is not None else measured.for_below
        wanted = _range(self.least, self.below, self.unit)
        if found is None:
            return f"{self.what} was not measured, and must be {wanted}"
        return f"{self.what} is {brief(found)}{self.unit}, not {wanted}"

    def _of(self, at: Moment) -> Measured:
        return at.current if self.what == "current" else at.power


def read(raw: Mapping[str, Any]) -> tuple[Restriction, ...]:
    """Read a wire object of restrictions, all but `reservation`. Unknown keys restrict nothing.

    Raises Refused (malformed, out_of_range).
    """
    found: tuple[Restriction | None, ...] = (
        _time_of_day(_clock_time(raw, "start_time"), _clock_time(raw, "end_time")),
        _dates(_date(raw, "start_date"), _date(raw, "end_date")),
        _weekdays(raw.get("day_of_week")),
        _energy_so_far(_energy(raw, "min_kwh"), _energy(raw, "max_kwh")),
        _duration_so_far(_duration(raw, "min_duration"), _duration(raw, "max_duration")),
        _measurement(raw, "current", " A"),
        _measurement(raw, "power", " kW"),
    )
    return tuple(item for item in found if item is not None)


def _time_of_day(start: time | None, end: time | None) -> TimeOfDay | None:
    """Return the window; none for a whole day, which is also what equal times mean."""
    if end == start:
        return None
    if end == MIDNIGHT:
        end = None
    return None if start is None and end is None else TimeOfDay(start, end)


def _dates(start: date | None, end: date | None) -> Dates | None:
    return None if start is None and end is None else Dates(start, end)


def _weekdays(names: Any) -> Weekdays | None:
    if not names:
        return None
    if not isinstance(names, list):
        raise Refused("malformed", "day_of_week is not a list")
    return Weekdays(frozenset(str(name) for name in names))


def _energy_so_far(least: Energy | None, below: Energy | None) -> EnergySoFar | None:
    return None if least is None and below is None else EnergySoFar(least, below)


def _duration_so_far(least: Duration | None, below: Duration | None) -> DurationSoFar | None:
    return None if least is None and below is None else DurationSoFar(least, below)


def _measurement(raw: Mapping[str, Any], what: str, unit: str) -> Measurement | None:
    least = number_or_none(raw.get(f"min_{what}"), f"min_{what}")
    below = number_or_none(raw.get(f"max_{what}"), f"max_{what}")
    return None if least is None and below is None else Measurement(what, unit, least, below)


def _clock_time(raw: Mapping[str, Any], name: str) -> time | None:
    found = _parsed(time.fromisoformat, raw, name)
    if found is not None and found.tzinfo:
        raise Refused("malformed", f"{name}: {raw[name]!r} is not a local time")
    return found


def _date(raw: Mapping[str, Any], name: str) -> date | None:
    return _parsed(date.fromisoformat, raw, name)


def _parsed(parse: Callable[[str], T], raw: Mapping[str, Any], name: str) -> T | None:
    value = raw.get(name)
    try:
        return None if value is None else parse(value)
    except (TypeError, ValueError) as error:
        raise Refused("malformed", f"{name}: {value!r} cannot be read") from error


def _energy(raw: Mapping[str, Any], name: str) -> Energy | None:
    value = number_or_none(raw.get(name), name)
    return None if value is None else (value, 0)


def _duration(raw: Mapping[str, Any], name: str) -> Duration | None:
    value = number_or_none(raw.get(name), name)
    return None if value is None else (timedelta(microseconds=int(value * 1_000_000)), 0)


def _clock(value: time) -> str:
    return value.isoformat("minutes" if not value.second and not value.microsecond else "auto")


def _range(least: Decimal | None, below: Decimal | None, unit: str) -> str:
    if below is None:
        return f"{brief(least or ZERO)}{unit} or more"
    if least is None:
        return f"below {brief(below)}{unit}"
    return f"from {brief(least)} to below {brief(below)}{unit}"
