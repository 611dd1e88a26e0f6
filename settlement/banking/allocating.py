"""Let what a party has paid settle what it owes: named invoices first, else the oldest."""

from collections.abc import Iterable
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum

from hub.money import ZERO
from parties.models import Party
from settlement.models import Allocation, Receipt, Receivable

State = Receivable.State


def credit_of(party: Party, currency: str) -> Decimal:
    """Return what a party has paid beyond what it was owing, or was not allocated yet."""
    received = Receipt.objects.filter(party=party, currency=currency)
    used = Allocation.objects.filter(receipt__party=party, receipt__currency=currency)
    total = received.aggregate(sum=Sum("amount", default=ZERO))["sum"]
    return total - used.aggregate(sum=Sum("amount", default=ZERO))["sum"]  # type: ignore[no-any-return]


@transaction.atomic
def allocate(receipt: Receipt, named: Iterable[Receivable] = ()) -> Decimal:
    """Let what is left of a receipt settle receivables of its party; return what is left then.

    Locks the party's unpaid receivables in the order of their age, so two receipts of a party wait
    for each other. With `named` only those are settled; the rest stays to the party's credit.
    """
    receipt = Receipt.objects.select_for_update().get(pk=receipt.pk)
    left = receipt.amount - _used(receipt)
    for receivable in _unpaid(receipt, [row.pk for row in named]):
        amount = min(left, receivable.settled.open)
        if amount > 0:
            Allocation.objects.create(receipt=receipt, receivable=receivable, amount=amount)
            left -= amount
            if amount == receivable.settled.open:
                _settle(receivable)
    return left


def allocate_credit(party: Party, currency: str) -> None:
    """Let all that is left of a party's receipts settle what it owes by now."""
    receipts = Receipt.objects.filter(party=party, currency=currency, amount__gt=0, reversal=None)
    for receipt in receipts.order_by("received_on", "pk"):
        if _used(receipt) < receipt.amount:
            allocate(receipt)


def _used(receipt: Receipt) -> Decimal:
    return receipt.allocations.aggregate(sum=Sum("amount", default=ZERO))["sum"]  # type: ignore[no-any-return]


def _unpaid(receipt: Receipt, named: list[int]) -> Iterable[Receivable]:
    """Lock, then read what is open: what others have allocated while we waited is seen."""
    rows = Receivable.objects.filter(
        party=receipt.party_id, currency=receipt.currency, state__in=Receivable.UNPAID
    )
    if named:
        rows = rows.filter(pk__in=named)
    locked = list(rows.select_for_update().order_by("due_on", "pk").values_list("pk", flat=True))
    opened = Receivable.objects.filter(pk__in=locked).select_related("settled")
    return opened.order_by("due_on", "pk")


def _settle(receivable: Receivable) -> None:
    written_off = receivable.allocations.filter(receipt__cause=Receipt.Cause.WRITE_OFF).exists()
    receivable.move_to(State.WRITTEN_OFF if written_off else State.PAID)
