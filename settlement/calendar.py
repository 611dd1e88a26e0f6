"""When what happens to a month, in the settlement time zone."""

import datetime as dt
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings

from cdrs.models import Period
from cdrs.periods import next_month

GRACE_ENDS = 4  # the day of the next month that begins without it
CLOSING_DAY = 6
ISSUE_DAY = 10  # at the latest


class NotAMonth(ValueError):
    """The text does not name a month."""


class Schedule(NamedTuple):
    """When a month begins to be over, stops to take late CDRs, is frozen, and is issued at last."""

    grace_from: dt.datetime
    grace_until: dt.datetime
    freeze_at: dt.datetime
    issue_by: dt.datetime


def parse_month(text: str) -> dt.date:
    """Read YYYY-MM as the first day of that month; raises NotAMonth for anything else."""
    try:
        return dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise NotAMonth(f"a month is written YYYY-MM, not {text!r}") from None


def last_day(month: dt.date) -> dt.date:
    """Return the last day of a month, the tax point of everything supplied in it."""
    return next_month(month) - dt.timedelta(days=1)


def closable_from(month: dt.date) -> dt.datetime:
    """Return the instant from which a month may be closed: day 6 of the next one, 00:00."""
    return _begin_of(next_month(month), CLOSING_DAY)


def due_at(period: Period) -> dt.datetime:
    """Return when a period is frozen by itself: the first day 6 after its end and its opening."""
    return schedule(period).freeze_at


def schedule(period: Period) -> Schedule:
    """Return the calendar of a period; one that is opened after its day 6 goes by a later month."""
    month = period.month
    while closable_from(month) <= period.opened_at:
        month = next_month(month)
    following = next_month(month)
    days = (1, GRACE_ENDS, CLOSING_DAY, ISSUE_DAY)
    return Schedule(*(_begin_of(following, day) for day in days))


def days_after(instant: dt.datetime, days: int) -> dt.datetime:
    """Return the begin of the day so many days after that of an instant."""
    day = instant.astimezone(ZoneInfo(settings.TIME_ZONE)).date() + dt.timedelta(days=days)
    return _begin_of(day, day.day)


def _begin_of(month: dt.date, day: int) -> dt.datetime:
    return dt.datetime.combine(month.replace(day=day), dt.time(), ZoneInfo(settings.TIME_ZONE))
