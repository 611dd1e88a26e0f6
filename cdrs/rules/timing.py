"""When it was."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from cdrs.facts import Facts
from cdrs.rules.context import Context
from cdrs.rules.engine import FLAG, HOLD, rule
from hub.money import ZERO

SKEW = timedelta(minutes=5)


@rule(HOLD, timed=True)
def end_before_start(facts: Facts, context: Context) -> str | None:
    """A session ends after it starts."""
    if facts.ended_at < facts.started_at:
        return "it ends before it starts"
    if facts.ended_at == facts.started_at and facts.energy_kwh != 0:
        return "it has energy but no duration"
    return None


@rule(HOLD)
def in_the_future(facts: Facts, context: Context) -> str | None:
    """A CDR is about the past."""
    return "it ends in the future" if facts.ended_at > context.now + SKEW else None


@rule(HOLD)
def epoch_date(facts: Facts, context: Context) -> str | None:
    """A date before 2010 is a clock that was never set."""
    first = min(facts.started_at, facts.ended_at).year
    return "its dates are those of a clock that was never set" if first < 2010 else None


@rule(HOLD, timed=True)
def longer_than_72_hours(facts: Facts, context: Context) -> str | None:
    """Nobody charges for more than three days (`most_hours`)."""
    most = context.parameters.most_hours
    return f"it lasted {facts.duration_h:.1f} hours" if facts.duration_h > most else None


@rule(FLAG, timed=True)
def longer_than_24_hours(facts: Facts, context: Context) -> str | None:
    """A session of more than a day (`long_hours`) deserves a look."""
    limits = context.parameters
    long = limits.long_hours < facts.duration_h <= limits.most_hours
    return f"it lasted {facts.duration_h:.1f} hours" if long else None


@rule(FLAG, timed=True)
def shorter_than_a_minute(facts: Facts, context: Context) -> str | None:
    """A session of seconds that costs something deserves a look."""
    brief = 0 <= facts.duration_h < Decimal(60) / 3600
    return "it lasted less than a minute" if brief and facts.excl_vat != 0 else None


@rule(HOLD, timed=True)
def total_time_differs(facts: Facts, context: Context) -> str | None:
    """total_time is end minus start, within a minute."""
    told = Decimal(facts.body["total_time"])
    if abs(told - facts.duration_h) * 3600 > 60:
        return f"total_time is {told} h, start to end is {facts.duration_h:.4f} h"
    return None


@rule(HOLD)
def parking_longer_than_session(facts: Facts, context: Context) -> str | None:
    """Parking is part of the total time."""
    parking = facts.body.get("total_parking_time") or ZERO
    if parking > facts.body["total_time"]:
        return f"total_parking_time {parking} h exceeds total_time {facts.body['total_time']} h"
    return None


@rule(HOLD, timed=True)
def charging_periods_disordered(facts: Facts, context: Context) -> str | None:
    """Charging periods ascend from the start and begin before the end."""
    starts = [period.started_at for period in facts.periods]
    if starts[0] != facts.started_at and not facts.credit:
        return "the first charging period does not start with the session"
    if any(later <= earlier for earlier, later in pairwise(starts)):
        return "charging periods are not in ascending order"
    if len(starts) > 1 and starts[-1] >= facts.ended_at:
        return "the last charging period starts at or after the end"
    return None


@rule(FLAG, timed=True)
def delivered_late(facts: Facts, context: Context) -> str | None:
    """A CDR follows its session within three days (`late_hours`)."""
    late = context.now - facts.ended_at
    if late < timedelta(hours=float(context.parameters.late_hours)):
        return None
    return f"it came {late.days} days after the session"


@rule(HOLD, timed=True)
def delivered_too_late(facts: Facts, context: Context) -> str | None:
    """How late a CDR may come at all is for the agreement to say (`late_days`)."""
    days = context.parameters.late_days
    if days is None or context.now - facts.ended_at <= timedelta(days=days):
        return None
    return f"it came more than {days} days after the session"


@rule(FLAG, timed=True)
def updated_before_the_end(facts: Facts, context: Context) -> str | None:
    """A CDR is written after the session, and not in the future."""
    if facts.last_updated > context.now + SKEW:
        return "last_updated lies in the future"
    return "last_updated lies before the end" if facts.last_updated < facts.ended_at else None
