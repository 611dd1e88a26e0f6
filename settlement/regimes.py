"""Under what law a document stands, and what that forbids."""

import datetime as dt
from collections.abc import Iterable

from hub.money import minor_unit
from settlement.models import LegalChannel, LegalEntity, VatRule
from settlement.models.documents import Regime

CHANNEL = LegalChannel.Channel
FINEST = 2  # decimals that an amount of EN 16931 may have (BR-DEC)


def channel_of(country: str, day: dt.date) -> str:
    """Return how invoices of suppliers in a country must travel on a day."""
    rows = LegalChannel.objects.filter(country=country, valid_from__lte=day)
    row = rows.order_by("-valid_from").first()
    return row.channel if row else CHANNEL.PDF_OK


def regime_of(supplier: LegalEntity, channel: str, categories: Iterable[str]) -> Regime:
    """Return the regime of a document: from its supplier, its channel and its VAT categories.

    What a state clears itself, or people say is only pro forma, is that. What is wholly outside VAT
    is a statement, wherever its supplier is. VAT is charged on invoices of EU companies alone; that
    of others (`LegalEntity.document_regime`) is not made here yet.
    """
    company, of = supplier.document_regime, LegalEntity.Regime
    if channel == CHANNEL.CLEARANCE or company == of.LATAM_PROFORMA or supplier.regime == of.OTHER:
        return Regime.PRO_FORMA
    if set(categories) == {VatRule.Category.OUTSIDE.value}:
        return Regime.US_STATEMENT
    return Regime.EU_VAT if company == of.EU_VAT else Regime.PRO_FORMA


def has_einvoice(regime: str, categories: Iterable[str], currency: str) -> bool:
    """Tell whether EN 16931 can say what the document says.

    It has no words for what is outside VAT beside what is taxed (BR-O-11 to 14), nor for amounts
    with more than 2 decimals.
    """
    if regime != Regime.EU_VAT or VatRule.Category.OUTSIDE.value in categories:
        return False
    return -minor_unit(currency).adjusted() <= FINEST
