"""Payout batches: proposed by one person, approved by another, then a file for the bank."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from decimal import Decimal
from statistics import median
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Count, Prefetch, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from hub.money import ZERO
from parties.models import User
from settlement.banking import pain, payouts
from settlement.banking.accounts import account_of
from settlement.ledger.posting import Side, post
from settlement.ledger.turns import in_turn
from settlement.models import Account, Entry, LegalEntity, Payout, PayoutBatch, PayoutLine
from settlement.paydays import bank_day_from

State = PayoutBatch.State


class CannotBatch(Exception):
    """This cannot be done with the batch now; the message says why, and nothing was changed."""


class Waiting(NamedTuple):
    """Planned payouts of a currency and day that are in no batch."""

    currency: str
    execute_on: dt.date
    payouts: int
    total: Decimal


class Remark(NamedTuple):
    """What an approver should look at first."""

    payout: Payout
    text: str


def waiting() -> list[Waiting]:
    """Return what could be proposed, by currency and day."""
    rows = Payout.objects.filter(state=Payout.State.PLANNED, batch=None).order_by()
    summed = rows.values("currency", "execute_on").annotate(n=Count("pk"), total=Sum("amount"))
    return sorted(
        Waiting(row["currency"], row["execute_on"], row["n"], row["total"]) for row in summed
    )


@in_turn
def propose(currency: str, execute_on: dt.date, by: User) -> PayoutBatch:
    """Put all planned payouts of a currency up to a day into one batch. Raises CannotBatch.

    The bank is to pay them on that day, or the first bank day after it.
    """
    account = account_of(None, currency)
    if account is None:
        raise CannotBatch(f"the hub has no verified bank account in {currency}")
    rows = Payout.objects.select_for_update().filter(
        state=Payout.State.PLANNED, batch=None, currency=currency, execute_on__lte=execute_on
    )
    chosen = list(rows.order_by("pk").values_list("pk", flat=True))
    if not chosen:
        raise CannotBatch(f"no payout in {currency} waits to be paid by {execute_on}")
    batch = PayoutBatch.objects.create(
        currency=currency,
        account=account,
        execute_on=bank_day_from(max(execute_on, timezone.localdate())),
        created_by=by,
    )
    Payout.objects.filter(pk__in=chosen).update(batch=batch)
    return batch


def digest(batch: PayoutBatch) -> str:
    """Return the digest of all that the bank will be told, computed by the database."""
    values: list[Any] = [batch.pk, batch.currency, batch.account_id, batch.execute_on]
    with connection.cursor() as cursor:
        cursor.execute("SELECT settlement_batch_digest(%s, %s, %s, %s)", values)
        return str(cursor.fetchone()[0])


def total(batch: PayoutBatch) -> Decimal:
    """Return the sum of its payouts."""
    return batch.payouts.aggregate(sum=Sum("amount", default=ZERO))["sum"]  # type: ignore[no-any-return]


@in_turn
def approve(batch: PayoutBatch, by: User, seen: str) -> PayoutBatch:
    """Approve what was seen, by its digest; only somebody else than who proposed it may.

    Raises CannotBatch.
    """
    batch = _locked(batch, State.DRAFT)
    if batch.created_by_id == by.pk:
        raise CannotBatch("whoever proposed a batch cannot approve it")
    if digest(batch) != seen:
        raise CannotBatch("the batch was changed since you looked at it: look at it once more")
    if not batch.payouts.exists():
        raise CannotBatch("the batch is empty")
    batch.move_to(
        State.APPROVED,
        approved_by=by,
        approved_at=timezone.now(),
        approved_sha256=seen,
        refused_because="",
    )
    for payout in batch.payouts.order_by("pk"):
        payout.move_to(Payout.State.APPROVED)
    return batch


@in_turn
def drop(batch: PayoutBatch, reason: str) -> None:
    """Give a batch up, with the reason, and plan its payouts anew. Raises CannotBatch."""
    batch = _locked(batch, State.DRAFT, State.APPROVED)
    if not reason.strip():
        raise CannotBatch("say why the batch is dropped")
    batch.move_to(State.DROPPED, refused_because=reason[:500])
    for payout in batch.payouts.select_related("party").order_by("pk"):
        _free(payout)


@in_turn
def take_out(payout: Payout) -> None:
    """Take a payout out of its batch, which needs approval again then, and plan it anew."""
    if payout.batch is None:
        raise CannotBatch("the payout is in no batch")
    _locked(payout.batch, State.DRAFT, State.APPROVED)
    Payout.objects.filter(pk=payout.pk).update(batch=None, state=Payout.State.CANCELLED)
    payouts.plan_for(payout.party, payout.currency, timezone.now())


@in_turn
def make_file(batch: PayoutBatch) -> PayoutBatch:
    """Write the payment file of an approved batch, once. Raises CannotBatch."""
    batch = _locked(batch, State.APPROVED)
    content = pain.written(transfer(batch))
    batch.move_to(
        State.FILED,
        file=content,
        file_sha256=hashlib.sha256(content).hexdigest(),
        filed_at=timezone.now(),
    )
    for payout in batch.payouts.order_by("pk"):
        payout.move_to(Payout.State.BATCHED)
    return batch


@in_turn
def submit(batch: PayoutBatch, by: User) -> PayoutBatch:
    """Note that the bank has the file: now the payouts are in the ledger. Raises CannotBatch."""
    batch = _locked(batch, State.FILED)
    batch.move_to(State.SUBMITTED, submitted_by=by, submitted_at=timezone.now())
    for payout in batch.payouts.select_related("party").order_by("pk"):
        payout.move_to(Payout.State.SUBMITTED)
        sides = [
            Side(Account.Kind.PAYABLE, payout.amount, payout.party),
            Side(Account.Kind.IN_TRANSIT, -payout.amount),
        ]
        post(
            f"payout:{payout.pk}",
            Entry.Cause.PAYOUT,
            payout.currency,
            timezone.localdate(),
            sides,
            text=str(payout),
        )
    return batch


def remarks(batch: PayoutBatch) -> list[Remark]:
    """Return what differs from what was paid before: payees, accounts, sizes."""
    rows = batch.payouts.select_related("party", "bank_account").order_by("pk")
    return [Remark(payout, text) for payout in rows for text in _remarks(payout)]


def _remarks(payout: Payout) -> Iterator[str]:
    waits = payout.state in Payout.WAITING
    if waits and payouts.free(payout.party, payout.currency, timezone.now()) < 0:
        yield _("more than may be paid to this party by now: take it out")
    paid = Payout.objects.filter(
        party=payout.party, currency=payout.currency, state__in=Payout.PAID
    ).order_by("-pk")
    last = list(paid.select_related("bank_account")[:12])
    if not last:
        yield _("the first payout to this party")
    elif last[0].bank_account_id != payout.bank_account_id:
        yield _("another account than last time (%s)") % last[0].bank_account.masked
    if last and payout.amount > 3 * median(row.amount for row in last):
        yield _("more than three times what is usual")
    if payout.retry_of:
        yield _("again for %(payout)s: %(reason)s") % {
            "payout": payout.retry_of,
            "reason": payout.retry_of.failed_because,
        }


def _locked(batch: PayoutBatch, *states: str) -> PayoutBatch:
    batch = PayoutBatch.objects.select_for_update().get(pk=batch.pk)
    if batch.state not in states:
        raise CannotBatch(f"{batch} is {batch.get_state_display()}")
    return batch


def _free(payout: Payout) -> None:
    if payout.state == Payout.State.APPROVED:
        payout.move_to(Payout.State.PLANNED)
    payout.move_to(Payout.State.CANCELLED)
    payouts.plan_for(payout.party, payout.currency, timezone.now())


# The file


def transfer(batch: PayoutBatch) -> pain.Transfer:
    """Return what the bank is told of a batch: the same for the same batch, always."""
    lines = PayoutLine.objects.select_related("document").defer("document__snapshot")
    rows = batch.payouts.select_related("party__legal_entity", "bank_account").order_by("pk")
    rows = rows.prefetch_related(Prefetch("lines", lines.order_by("pk")))
    hub = LegalEntity.objects.get(party=None)
    return pain.Transfer(
        message_id=batch.message_id,
        created_at=batch.approved_at or batch.created_at,
        execute_on=batch.execute_on,
        currency=batch.currency,
        debtor=pain.Holder(batch.account.holder, hub.city, hub.country),
        account=_account(batch.account),
        payments=[_payment(payout) for payout in rows],
    )


def _payment(payout: Payout) -> pain.Payment:
    entity = payout.party.legal_entity
    return pain.Payment(
        end_to_end_id=payout.end_to_end_id,
        uetr=pain.uetr(f"{settings.HUB_BASE_URL} {payout.end_to_end_id}"),
        amount=payout.amount,
        creditor=pain.Holder(payout.bank_account.holder, entity.city, entity.country),
        account=_account(payout.bank_account),
        invoices=[
            pain.Invoice(line.document.number, line.document.issued_on)
            for line in payout.lines.all()
            if line.document
        ],
    )


def _account(account: object) -> pain.BankAccount:
    names = ("iban", "routing_number", "account_number", "bic")
    return pain.BankAccount(*(getattr(account, name) for name in names))
