"""Change a party's balance from one currency into another, by a rate that is kept."""

import datetime as dt
from decimal import Decimal

from django.utils import timezone

from hub.money import rounded
from parties.models import Party
from settlement.banking import payouts
from settlement.ledger.posting import NotPosted, Side, post
from settlement.ledger.turns import in_turn
from settlement.models import Account, Entry, FxRate


@in_turn
def convert(
    party: Party, amount: Decimal, *, base: str, quote: str, on: dt.date, key: str
) -> Decimal:
    """Convert what may be paid to a party by the latest rate up to a day; return what it gives.

    That is not what was not collected, nor what is in a batch: it would be paid in both currencies.
    What nobody has taken up is planned anew.

    Two entries, each balanced in its own currency, with the clearing account between them; a second
    time under the same `key` is refused. Raises NotPosted.
    """
    if not 0 < amount <= payouts.free(party, base, timezone.now()):
        raise NotPosted(f"{party} cannot be paid {amount} {base}")
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
    payouts.replan(party, base)
    return bought


def _exchange(
    key: str, currency: str, on: dt.date, party: Party, amount: Decimal, text: str
) -> None:
    sides = [
        Side(Account.Kind.PAYABLE, amount, party),
        Side(Account.Kind.FX_CLEARING, -amount),
    ]
    post(f"fx:{key}:{currency}", Entry.Cause.FX, currency, on, sides, text=text)
