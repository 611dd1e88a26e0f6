"""On what terms a party pays and is paid."""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from parties.models import Party


class Terms(NamedTuple):
    """The money terms of one party in one currency.

    `guaranteed`: the hub pays whether or not the eMSPs have; else only what was collected.
    """

    minimum_payout: Decimal = Decimal("25.00")
    set_off: bool = False
    guaranteed: bool = False


LAST_MONTH = 12


def terms_of(party: Party, currency: str) -> Terms:
    """Return the terms of a party in a currency: the defaults, until an agreement says more."""
    return Terms()


def minimum_on(terms: Terms, day: dt.date) -> Decimal:
    """Return the least that is paid out on a day; in December every balance is."""
    return Decimal() if day.month == LAST_MONTH else terms.minimum_payout
