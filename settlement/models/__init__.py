"""The nouns of the clearing house."""

from settlement.models.agreements import Agreement, SelfBillingAgreement
from settlement.models.banking import BankAccount, BankLine, BankStatement
from settlement.models.cells import Cell
from settlement.models.closing import CloseRun
from settlement.models.companies import LegalEntity, TaxRegistration
from settlement.models.disputes import (
    Dispute,
    DisputeCdr,
    DisputeEvent,
    DisputeQuerySet,
    InternalNote,
)
from settlement.models.documents import (
    Document,
    DocumentFile,
    DocumentLine,
    DocumentTax,
    LegalChannel,
    Series,
)
from settlement.models.drafts import Draft, DraftFile
from settlement.models.evidence import Evidence, Ruling
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
from settlement.models.vat import VatRule

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
    "Dispute",
    "DisputeCdr",
    "DisputeEvent",
    "DisputeQuerySet",
    "Document",
    "DocumentFile",
    "DocumentLine",
    "DocumentTax",
    "Draft",
    "DraftFile",
    "Entry",
    "Evidence",
    "Fee",
    "FxRate",
    "InternalNote",
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
    "Ruling",
    "SelfBillingAgreement",
    "Series",
    "SetOff",
    "Statement",
    "StatementLine",
    "TaxRegistration",
    "VatRule",
    "WriteOff",
]
