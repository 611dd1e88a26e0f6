"""Book documents when they are issued: the ledger, and what is to be paid for them."""

from django.db.models import Exists, OuterRef

from settlement.banking import allocating, payouts
from settlement.ledger import posting
from settlement.ledger.turns import in_turn
from settlement.models import Account, Document, Entry, Receipt, Receivable


@in_turn
def post_document(document: Document) -> bool:
    """Book a document and open what is to be paid for it; tell whether there was anything to do.

    Belongs into the transaction that issues the document. A second time changes nothing.
    """
    entry = posting.post_document(document)
    if entry is None:
        return False
    owing = sum(
        side.amount for side in posting.sides_of(document) if side.kind == Account.Kind.RECEIVABLE
    )
    if owing > 0:
        _open(document)
    elif owing < 0:
        _credit(document)
    _replan(document)
    return True


def post_missing() -> int:
    """Book every document that is not, and return how many; for those issued by older versions."""
    booked = Entry.objects.filter(document=OuterRef("pk"), cause=Entry.Cause.DOCUMENT)
    lacking = Document.objects.exclude(Exists(booked)).select_related("party").defer("snapshot")
    return sum(post_document(document) for document in lacking.order_by("pk"))


def _open(document: Document) -> None:
    Receivable.objects.create(
        document=document,
        party=document.party,
        currency=document.currency,
        amount=document.gross,
        due_on=document.due_on,
    )
    allocating.allocate_credit(document.party, document.currency)


def _replan(document: Document) -> None:
    """Plan again for a party that is owed less by now."""
    if any(
        side.kind == Account.Kind.PAYABLE and side.amount > 0 for side in posting.sides_of(document)
    ):
        payouts.replan(document.party, document.currency)


def _credit(document: Document) -> None:
    """Let a credit note settle what its party owes, first what it takes back from."""
    receipt = Receipt.objects.create(
        cause=Receipt.Cause.CREDIT_NOTE,
        party=document.party,
        currency=document.currency,
        amount=document.gross,
        received_on=document.issued_on,
        credit_note=document,
    )
    allocating.allocate(receipt, Receivable.objects.filter(document=document.corrected))
    allocating.allocate(receipt)
