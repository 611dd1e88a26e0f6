"""The nouns of the clearing house."""

from settlement.models.agreements import LegalEntity, SelfBillingAgreement, VatRule
from settlement.models.closing import CloseRun
from settlement.models.documents import (
    Cell,
    Document,
    DocumentFile,
    DocumentLine,
    DocumentTax,
    Series,
)

__all__ = [
    "Cell",
    "CloseRun",
    "Document",
    "DocumentFile",
    "DocumentLine",
    "DocumentTax",
    "LegalEntity",
    "SelfBillingAgreement",
    "Series",
    "VatRule",
]
