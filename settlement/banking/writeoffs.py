"""Give money up: proposed by one person, approved by another, exactly as proposed."""

from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from hub.money import rounded
from parties.models import User
from settlement.banking import allocating
from settlement.ledger.posting import Side, post
from settlement.ledger.turns import in_turn
from settlement.models import Account, BankLine, Entry, Receipt, Receivable, WriteOff

Kind = Account.Kind
State = WriteOff.State


class CannotWriteOff(Exception):
    """This cannot be given up like this; the message says why, and nothing was changed."""


@transaction.atomic
def propose_receivable(receivable: Receivable, amount: Decimal, reason: str, by: User) -> WriteOff:
    """Propose to give up an open amount. Raises CannotWriteOff."""
    receivable = Receivable.objects.select_for_update().get(pk=receivable.pk)
    if not 0 < amount <= receivable.settled.open:
        raise CannotWriteOff(f"only {receivable.settled.open.normalize():f} is open")
    if amount != rounded(amount, receivable.currency):
        raise CannotWriteOff(f"{amount} is not an amount of {receivable.currency}")
    _check(reason, receivable.write_offs.filter(state=State.PROPOSED).exists())
    return WriteOff.objects.create(
        receivable=receivable, amount=amount, reason=reason.strip()[:500], created_by=by
    )


@transaction.atomic
def propose_line(line: BankLine, reason: str, by: User) -> WriteOff:
    """Propose to book a bank line that is nobody's as a charge or a gain. Raises CannotWriteOff."""
    line = BankLine.objects.select_for_update().get(pk=line.pk)
    if line.state != BankLine.State.OPEN:
        raise CannotWriteOff("this line is matched already")
    _check(reason, line.write_offs.filter(state=State.PROPOSED).exists())
    return WriteOff.objects.create(
        bank_line=line, amount=abs(line.amount), reason=reason.strip()[:500], created_by=by
    )


def _check(reason: str, proposed: bool) -> None:
    if not reason.strip():
        raise CannotWriteOff("say why")
    if proposed:
        raise CannotWriteOff("this is proposed already")


def digest(write_off: WriteOff) -> str:
    """Return the digest of what is proposed, computed by the database."""
    values = [
        write_off.receivable_id,
        write_off.bank_line_id,
        write_off.amount,
        write_off.reason,
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT settlement_writeoff_digest(%s, %s, %s::numeric(18, 4), %s)", values)
        return str(cursor.fetchone()[0])


@in_turn
def approve(write_off: WriteOff, by: User, seen: str) -> WriteOff:
    """Approve what was seen, by its digest, and book it. Raises CannotWriteOff."""
    write_off = _decide(write_off, by, State.APPROVED, seen)
    if write_off.receivable:
        _give_up(write_off, write_off.receivable)
    elif write_off.bank_line:
        _charge(write_off, write_off.bank_line)
    return write_off


@transaction.atomic
def refuse(write_off: WriteOff, by: User) -> WriteOff:
    """Refuse a proposal. Raises CannotWriteOff."""
    return _decide(write_off, by, State.REFUSED, digest(write_off))


def _decide(write_off: WriteOff, by: User, state: str, seen: str) -> WriteOff:
    write_off = WriteOff.objects.select_for_update().get(pk=write_off.pk)
    if write_off.state != State.PROPOSED:
        raise CannotWriteOff("this was decided about already")
    if write_off.created_by_id == by.pk:
        raise CannotWriteOff("whoever proposed a write-off cannot decide about it")
    if digest(write_off) != seen:
        raise CannotWriteOff("the proposal is not what you looked at: look at it once more")
    return write_off.move_to(
        state, approved_by=by, approved_at=timezone.now(), approved_sha256=seen
    )


def _give_up(write_off: WriteOff, receivable: Receivable) -> None:
    locked = Receivable.objects.select_for_update().get(pk=receivable.pk)
    if write_off.amount > locked.settled.open:
        raise CannotWriteOff(f"only {locked.settled.open.normalize():f} is open by now")
    sides = [
        Side(Kind.BAD_DEBT, write_off.amount),
        Side(Kind.RECEIVABLE, -write_off.amount, receivable.party),
    ]
    _post(write_off, receivable.currency, sides)
    receipt = Receipt.objects.create(
        cause=Receipt.Cause.WRITE_OFF,
        party=receivable.party,
        currency=receivable.currency,
        amount=write_off.amount,
        received_on=timezone.localdate(),
        write_off=write_off,
    )
    allocating.allocate(receipt, [receivable])


def _charge(write_off: WriteOff, line: BankLine) -> None:
    locked = BankLine.objects.select_for_update().get(pk=line.pk)
    if locked.state != BankLine.State.OPEN:
        raise CannotWriteOff("this line is matched by now")
    sides = [Side(Kind.UNIDENTIFIED, line.amount), Side(Kind.BANK_CHARGES, -line.amount)]
    _post(write_off, line.currency, sides)
    locked.move_to(BankLine.State.MATCHED)


def _post(write_off: WriteOff, currency: str, sides: list[Side]) -> None:
    key, today = f"write_off:{write_off.pk}", timezone.localdate()
    post(key, Entry.Cause.WRITE_OFF, currency, today, sides, text=write_off.reason)
