"""Take back a match that was wrong: nothing is erased, everything has its counterpart."""

import datetime as dt

from django.utils import timezone

from parties.models import Party, User
from settlement.banking import allocating, payouts
from settlement.banking.receivables import step_at
from settlement.banking.statements import CannotMatch
from settlement.ledger.posting import Side, post
from settlement.ledger.turns import in_turn
from settlement.models import Account, Allocation, BankLine, Document, Entry, Receipt, Receivable
from settlement.models.documents import Kind


def receipt_of(line: BankLine) -> Receipt | None:
    """Return what a line is matched with now, if that is a payment of invoices."""
    found: Receipt | None = line.receipts.filter(reverses=None, reversal=None).first()
    return found


@in_turn
def undo(line: BankLine, reason: str, by: User) -> Receipt:
    """Take back that a line pays invoices, and return the receipt that says so.

    The line waits to be matched again, the invoices are owed again, and payouts that nobody has
    taken up are planned anew. Raises CannotMatch.
    """
    line = BankLine.objects.select_for_update().get(pk=line.pk)
    receipt = receipt_of(line)
    if receipt is None:
        raise CannotMatch("this line is not matched with invoices")
    if not reason.strip():
        raise CannotMatch("say why")
    today = timezone.localdate()
    settled = _lock(receipt)
    undone = _reversal(receipt, reason.strip()[:200], by, today)
    for receivable in settled:
        _reopen(receivable, today)
    line.move_to(BankLine.State.OPEN)
    allocating.allocate_credit(receipt.party, receipt.currency)
    for seller in _sellers(settled):
        payouts.replan(seller, receipt.currency)
    return undone


def _lock(receipt: Receipt) -> list[Receivable]:
    """Lock what a receipt settles, in the order of all who settle."""
    settled = Receivable.objects.filter(allocations__receipt=receipt).values("pk")
    locked = Receivable.objects.filter(pk__in=settled).select_for_update()
    return list(locked.order_by("due_on", "pk"))


def _reversal(receipt: Receipt, reason: str, by: User, today: dt.date) -> Receipt:
    sides = [
        Side(Account.Kind.RECEIVABLE, receipt.amount, receipt.party),
        Side(Account.Kind.UNIDENTIFIED, -receipt.amount),
    ]
    key = f"unmatch:{receipt.pk}"
    post(key, Entry.Cause.UNDONE, receipt.currency, today, sides, text=reason)
    undone = Receipt.objects.create(
        cause=receipt.cause,
        party=receipt.party,
        currency=receipt.currency,
        amount=-receipt.amount,
        received_on=today,
        bank_line=receipt.bank_line,
        reverses=receipt,
        reason=reason,
        person=by,
    )
    for part in receipt.allocations.order_by("pk"):
        Allocation.objects.create(
            receipt=receipt, receivable=part.receivable, amount=-part.amount, reverses=part
        )
    return undone


def _reopen(receivable: Receivable, today: dt.date) -> None:
    """Put what was settled where it would be on the ladder by now."""
    if receivable.state in Receivable.SETTLED:
        receivable.move_to(step_at(receivable.due_on, today))


def _sellers(settled: list[Receivable]) -> list[Party]:
    """Return the CPOs whose payouts rest on what was settled."""
    documents = Document.objects.filter(
        kind=Kind.SELF_BILLING, lines__cell__lines__document__receivable__in=settled
    )
    sellers = Party.objects.filter(pk__in=documents.values("party"))
    return list(sellers.order_by("country_code", "party_id"))
