"""When a month may be closed, in the settlement time zone."""

import datetime as dt
from zoneinfo import ZoneInfo

from django.conf import settings

from cdrs.models import Period
from cdrs.periods import next_month

CLOSING_DAY = 6


class NotAMonth(ValueError):
    """The text does not name a month."""


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
    day = next_month(month).replace(day=CLOSING_DAY)
    return dt.datetime.combine(day, dt.time(), ZoneInfo(settings.TIME_ZONE))


def due_at(period: Period) -> dt.datetime:
    """Return when a period closes by itself: the first day 6 after its end and its opening."""
    month = period.month
    while closable_from(month) <= period.opened_at:
        month = next_month(month)
    return closable_from(month)
