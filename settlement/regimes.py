"""Under what law a document stands, and what that forbids."""

import datetime as dt
from collections.abc import Iterable

from hub.money import minor_unit
from settlement.models import LegalChannel, VatRule
from settlement.models.documents import Regime

CHANNEL = LegalChannel.Channel
FINEST = 2  # decimals that an amount of EN 16931 may have (BR-DEC)


def channel_of(country: str, day: dt.date) -> str:
    """Return how invoices of suppliers in a country must travel on a day."""
    rows = LegalChannel.objects.filter(country=country, valid_from__lte=day)
    row = rows.order_by("-valid_from").first()
    return row.channel if row else CHANNEL.PDF_OK


def regime_of(channel: str, categories: Iterable[str]) -> Regime:
    """Return the regime of a document from its supplier's channel and its VAT categories."""
    if channel == CHANNEL.CLEARANCE:
        return Regime.PRO_FORMA
    outside = set(categories) == {VatRule.Category.OUTSIDE.value}
    return Regime.US_STATEMENT if outside else Regime.EU_VAT


def has_einvoice(regime: str, categories: Iterable[str], currency: str) -> bool:
    """Tell whether EN 16931 can say what the document says.

    It has no words for what is outside VAT beside what is taxed (BR-O-11 to 14), nor for amounts
    with more than 2 decimals.
    """
    if regime != Regime.EU_VAT or VatRule.Category.OUTSIDE.value in categories:
        return False
    return -minor_unit(currency).adjusted() <= FINEST
