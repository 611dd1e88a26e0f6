"""VAT in the currency of the state that gets it (Directive 2006/112/EC, Article 230; BT-6, BT-111).

The rate is the last one up to the day of issue that was published, if that is not long ago.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

from babel.numbers import get_territory_currencies

from hub.money import rounded
from settlement.models import FxRate

OLDEST = dt.timedelta(days=10)


class Accounting(NamedTuple):
    """What one unit of a document's currency is in that of the state, and who says so."""

    currency: str
    rate: Decimal
    on: dt.date
    source: str

    def said(self, tax: Decimal) -> dict[str, str]:
        """Return what a snapshot says of an amount of VAT."""
        return {
            "currency": self.currency,
            "tax": f"{rounded(tax * self.rate, self.currency):f}",
            "rate": f"{self.rate.normalize():f}",
            "on": self.on.isoformat(),
            "source": self.source,
        }


def national(country: str, on: dt.date) -> str:
    """Return the currency of a country on a day; nothing for a country that is not known."""
    found = get_territory_currencies(country, on, on)
    return str(found[0]) if found else ""


def obstacle(country: str, currency: str, *, on: dt.date) -> str:
    """Return why VAT owed in a country cannot be told in its currency; empty if it can."""
    own = national(country, on)
    if own in ("", currency) or _rate(currency, own, on):
        return ""
    since = on - OLDEST
    return f"no exchange rate from {currency} to {own} of {since} to {on}, for the VAT in {country}"


def of(country: str, currency: str, on: dt.date) -> Accounting | None:
    """Return how VAT owed in a country is told; None if it is in the document's own currency.

    Raises LookupError without a rate.
    """
    own = national(country, on)
    if own in ("", currency):
        return None
    rate = _rate(currency, own, on)
    if rate is None:
        raise LookupError(obstacle(country, currency, on=on))
    return Accounting(own, rate.rate, rate.on, rate.source)


def again(said: dict[str, Any]) -> Accounting:
    """Return the accounting that an earlier snapshot has, for what takes back from it."""
    on = dt.date.fromisoformat(said["on"])
    return Accounting(said["currency"], Decimal(said["rate"]), on, said["source"])


def _rate(base: str, quote: str, on: dt.date) -> FxRate | None:
    rates = FxRate.objects.filter(base=base, quote=quote, on__range=(on - OLDEST, on))
    return rates.order_by("-on").first()
