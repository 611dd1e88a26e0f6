"""The nouns of the clearing house."""

from settlement.models.agreements import (
    Agreement,
    LegalEntity,
    SelfBillingAgreement,
    TaxRegistration,
    VatRule,
)
from settlement.models.banking import BankAccount, BankLine, BankStatement
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
from settlement.models.ledger import Account, Entry, FxRate, Leg
from settlement.models.payouts import PaymentStatus, Payout, PayoutBatch, PayoutLine
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
from settlement.models.statements import Objection, Statement, StatementLine

__all__ = [
    "Account",
    "Agreement",
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
    "Fee",
    "FxRate",
    "Leg",
    "LegalChannel",
    "LegalEntity",
    "Objection",
    "OpenAmount",
    "PaymentStatus",
    "Payout",
    "PayoutBatch",
    "PayoutLine",
    "Receipt",
    "Receivable",
    "Reminder",
    "SelfBillingAgreement",
    "Series",
    "SetOff",
    "Statement",
    "StatementLine",
    "TaxRegistration",
    "VatRule",
    "WriteOff",
]
