"""On what terms a party pays and is paid."""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from django.utils import timezone

from parties.models import Party
from settlement.models import Agreement


class Terms(NamedTuple):
    """The money terms of one party in one currency.

    `guaranteed`: the hub pays whether or not the eMSPs have; else only what was collected.
    """

    minimum_payout: Decimal
    set_off: bool
    guaranteed: bool


LAST_MONTH = 12


def terms_of(party: Party, currency: str) -> Terms:
    """Return the terms of a party in a currency: of its agreement as a CPO, else as an eMSP.

    An agreement for the currency comes before one for any; without one the defaults hold.
    """
    today, known = timezone.localdate(), Agreement.objects
    cpo, emsp = Agreement.Kind.CPO, Agreement.Kind.EMSP
    agreed = known.of(party, cpo, currency, today) or known.terms(party, emsp, currency, today)
    return Terms(Decimal(agreed.minimum_payout), agreed.set_off, agreed.guarantee)


def minimum_on(terms: Terms, day: dt.date) -> Decimal:
    """Return the least that is paid out on a day; in December every balance is."""
    return Decimal() if day.month == LAST_MONTH else terms.minimum_payout
