"""Instants as OCPI writes them, and the state of a session at an instant."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from cdrs.pricing.refusals import Refused

INSTANT = timedelta(microseconds=1)

# A value and where the truth lies: -1 an infinitesimal below it, 0 at it, 1 above. They compare as
# they should: just below 10 is less than 10, and is not less than anything that 10 exceeds.
Energy = tuple[Decimal, int]
Duration = tuple[timedelta, int]


class Measured(NamedTuple):
    """A measurement of a period: what a minimum, and what a maximum, is compared with."""

    for_least: Decimal | None = None
    for_below: Decimal | None = None


class Moment(NamedTuple):
    """What restrictions are judged by."""

    local: datetime
    energy: Energy
    duration: Duration
    current: Measured
    power: Measured
    lenient: bool = False  # whether what was not measured counts as good


def instant(value: Any, name: str) -> datetime:
    """Read an instant: UTC unless it has an offset. Raises Refused (malformed)."""
    try:
        moment = _parsed(value)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused("malformed", f"{name}: {value!r} is not a date and time") from error


def seconds(length: timedelta) -> Decimal:
    """Return a length of time in seconds, exactly."""
    return Decimal(length // timedelta(microseconds=1)).scaleb(-6)


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # OCPI's sentinel 1970-1-1T00:00:00Z has one digit where two belong
        date, _, clock = text.partition("T")
        year, month, day = date.split("-")
        return datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{clock}")
