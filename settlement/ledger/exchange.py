"""Change a party's balance from one currency into another, by a rate that is kept."""

import datetime as dt
from decimal import Decimal

from django.db import transaction

from hub.money import rounded
from parties.models import Party
from settlement.ledger.balances import owed_to
from settlement.ledger.posting import NotPosted, Side, post
from settlement.models import Account, Entry, FxRate


@transaction.atomic
def convert(
    party: Party, amount: Decimal, *, base: str, quote: str, on: dt.date, key: str
) -> Decimal:
    """Convert what a party is owed by the latest rate up to a day; return what it gives.

    Two entries, each balanced in its own currency, with the clearing account between them; a second
    time under the same `key` is refused. Raises NotPosted.
    """
    account = Account.objects.select_for_update().filter(
        kind=Account.Kind.PAYABLE, party=party, currency=base
    )
    if not account.exists() or not 0 < amount <= owed_to(party, base):
        raise NotPosted(f"{party} is not owed {amount} {base}")
    if amount != rounded(amount, base):
        raise NotPosted(f"{amount} is not an amount of {base}")
    if Entry.objects.filter(idem_key=f"fx:{key}:{base}").exists():
        raise NotPosted(f"the exchange {key} is booked already")
    rate = FxRate.objects.filter(base=base, quote=quote, on__lte=on).order_by("-on").first()
    if rate is None:
        raise NotPosted(f"there is no rate from {base} to {quote} up to {on}")
    bought = rounded(amount * rate.rate, quote)
    _exchange(key, base, on, party, amount, str(rate))
    _exchange(key, quote, on, party, -bought, str(rate))
    return bought


def _exchange(
    key: str, currency: str, on: dt.date, party: Party, amount: Decimal, text: str
) -> None:
    sides = [
        Side(Account.Kind.PAYABLE, amount, party),
        Side(Account.Kind.FX_CLEARING, -amount),
    ]
    post(f"fx:{key}:{currency}", Entry.Cause.FX, currency, on, sides, text=text)
