"""The nouns of the clearing house."""

from settlement.models.agreements import (
    Agreement,
    LegalEntity,
    SelfBillingAgreement,
    TaxRegistration,
    VatRule,
)
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
from settlement.models.statements import Objection, Statement, StatementLine

__all__ = [
    "Agreement",
    "Cell",
    "CloseRun",
    "Document",
    "DocumentFile",
    "DocumentLine",
    "DocumentTax",
    "Fee",
    "LegalChannel",
    "LegalEntity",
    "Objection",
    "SelfBillingAgreement",
    "Series",
    "Statement",
    "StatementLine",
    "TaxRegistration",
    "VatRule",
]
