"""The nouns of the clearing house."""

from settlement.models.agreements import LegalEntity, SelfBillingAgreement, VatRule
from settlement.models.cells import Cell
from settlement.models.closing import CloseRun
from settlement.models.documents import (
    Document,
    DocumentFile,
    DocumentLine,
    DocumentTax,
    LegalChannel,
    Series,
)
from settlement.models.fees import Fee

__all__ = [
    "Cell",
    "CloseRun",
    "Document",
    "DocumentFile",
    "DocumentLine",
    "DocumentTax",
    "Fee",
    "LegalChannel",
    "LegalEntity",
    "SelfBillingAgreement",
    "Series",
    "VatRule",
]
