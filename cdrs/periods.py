"""Which month a CDR is settled in."""

import datetime as dt
from zoneinfo import ZoneInfo

from django.conf import settings

from cdrs.models import Period


def month_of(instant: dt.datetime) -> dt.date:
    """Return the first day of the month of an instant, in the settlement time zone."""
    return day_of(instant).replace(day=1)


def day_of(instant: dt.datetime) -> dt.date:
    """Return the day of an instant, in the settlement time zone."""
    return instant.astimezone(ZoneInfo(settings.TIME_ZONE)).date()


def next_month(month: dt.date) -> dt.date:
    """Return the first day of the following month."""
    return (month + dt.timedelta(days=32)).replace(day=1)


def period_for(month: dt.date, *, now: dt.datetime, arriving: bool = False) -> Period:
    """Return the period in which a CDR of a month is settled if it is accepted now.

    That is its own month until its freeze, for one that only arrives until its grace is over; then
    the present month or the first after it that takes it. The row is locked FOR SHARE until the
    end of the transaction, so that the freeze waits for us (call inside a transaction).
    """
    while True:
        period = _lock_shared(month)
        if period is None:
            Period.objects.bulk_create([Period(month=month)], ignore_conflicts=True)
        elif period.takes(now) if arriving else period.thawed:
            return period
        else:
            month = max(next_month(month), month_of(now))


def _lock_shared(month: dt.date) -> Period | None:
    rows = Period.objects.raw("SELECT * FROM cdrs_period WHERE month = %s FOR SHARE", [month])
    return next(iter(rows), None)
