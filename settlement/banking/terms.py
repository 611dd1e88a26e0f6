"""On what terms a party pays and is paid."""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Q
from django.utils import timezone

from parties.models import Party
from settlement.models import Agreement
from settlement.models.agreements import in_force


class Terms(NamedTuple):
    """The money terms of one party in one currency.

    `guaranteed`: the hub pays whether or not the eMSPs have; else only what was collected.
    """

    minimum_payout: Decimal = Decimal("25.00")
    set_off: bool = False
    guaranteed: bool = False


LAST_MONTH = 12


def terms_of(party: Party, currency: str) -> Terms:
    """Return the terms of a party in a currency: of its agreement as a CPO, else as an eMSP.

    An agreement for the currency comes before one for any; without one the defaults hold.
    """
    agreements = Agreement.objects.filter(
        Q(currency__in=("", currency)), in_force(timezone.localdate()), party=party
    )
    agreed = agreements.order_by("kind", "-currency").first()
    if agreed is None:
        return Terms()
    return Terms(agreed.minimum_payout, agreed.set_off, agreed.guarantee)


def minimum_on(terms: Terms, day: dt.date) -> Decimal:
    """Return the least that is paid out on a day; in December every balance is."""
    return Decimal() if day.month == LAST_MONTH else terms.minimum_payout
