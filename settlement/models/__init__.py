"""The nouns of the clearing house."""

from settlement.models.agreements import LegalEntity, SelfBillingAgreement, VatRule
from settlement.models.banking import BankAccount, BankLine, BankStatement
from settlement.models.closing import CloseRun
from settlement.models.documents import (
    Cell,
    Document,
    DocumentFile,
    DocumentLine,
    DocumentTax,
    Series,
)
from settlement.models.ledger import Account, Entry, FxRate, Leg
from settlement.models.payouts import Payout, PayoutBatch, PayoutLine
from settlement.models.receivables import (
    Allocation,
    BillingContact,
    OpenAmount,
    Receipt,
    Receivable,
    Reminder,
    SetOff,
    WriteOff,
)

__all__ = [
    "Account",
    "Allocation",
    "BankAccount",
    "BankLine",
    "BankStatement",
    "BillingContact",
    "Cell",
    "CloseRun",
    "Document",
    "DocumentFile",
    "DocumentLine",
    "DocumentTax",
    "Entry",
    "FxRate",
    "Leg",
    "LegalEntity",
    "OpenAmount",
    "Payout",
    "PayoutBatch",
    "PayoutLine",
    "Receipt",
    "Receivable",
    "Reminder",
    "SelfBillingAgreement",
    "Series",
    "SetOff",
    "VatRule",
    "WriteOff",
]
