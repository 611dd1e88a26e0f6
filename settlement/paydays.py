"""By when documents are to be paid: by the agreement in force on the day of issue."""

import datetime as dt
from collections.abc import Iterator

from parties.models import Party
from settlement.ledger.posting import is_paid_out
from settlement.models import Agreement
from settlement.models.documents import Kind

SATURDAY = 5


def due_on(kind: Kind, party: Party, currency: str, issued_on: dt.date) -> dt.date:
    """Return the day by which a document is to be paid.

    What the hub pays is due some bank days after what it is paid, so that the money can be there;
    a CPO with a guarantee need not wait for that.
    """
    bought = kind.self_billed or (kind == Kind.FEE and is_paid_out(party))
    role = Agreement.Kind.CPO if bought else Agreement.Kind.EMSP
    terms = Agreement.objects.terms(party, role, currency, issued_on)
    due = issued_on + dt.timedelta(days=terms.due_days)
    waits = kind.self_billed and not terms.guarantee
    return bank_days_after(due, terms.payout_days) if waits else due


def bank_days_after(day: dt.date, count: int) -> dt.date:
    """Return the bank day that comes so many after a day, by the calendar of the euro (TARGET)."""
    while count:
        day += dt.timedelta(days=1)
        count -= day.weekday() < SATURDAY and day not in _holidays(day.year)
    return day


def bank_day_from(day: dt.date) -> dt.date:
    """Return a day if it is a bank day, else the first one after it."""
    return bank_days_after(day - dt.timedelta(days=1), 1)


def _holidays(year: int) -> Iterator[dt.date]:
    easter = _easter(year)
    yield from (easter - dt.timedelta(days=2), easter + dt.timedelta(days=1))
    yield from (dt.date(year, *day) for day in ((1, 1), (5, 1), (12, 25), (12, 26)))


def _easter(year: int) -> dt.date:
    """Return Easter Sunday (the Gregorian rule as Gauss and Butcher have it)."""
    century, rest = divmod(year, 100)
    golden = year % 19
    leap, few = divmod(century, 4)
    shift = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + century - leap - shift + 15) % 30
    sunday = (32 + 2 * few + 2 * (rest // 4) - moon - rest % 4) % 7
    late = (golden + 11 * moon + 22 * sunday) // 451
    month, day = divmod(moon + sunday - 7 * late + 114, 31)
    return dt.date(year, month, day + 1)
