"""What the bank did with payouts: paid, rejected, or returned; the last two are planned again."""

from django.utils import timezone

from hub.states import WrongState
from settlement.banking import payouts
from settlement.banking.matching import Paid
from settlement.ledger.posting import Side, post
from settlement.ledger.turns import in_turn
from settlement.models import Account, BankLine, Entry, Payout, PayoutBatch

Kind = Account.Kind
State = Payout.State


def book(line: BankLine, paid: Paid, source: str = Kind.BANK) -> None:
    """Book a bank line that is about payouts; `source` is where the line stands by now."""
    sides = [Side(source, line.amount), Side(Kind.IN_TRANSIT, -line.amount)]
    post(
        key_of(line, source),
        Entry.Cause.RETURN if line.amount > 0 else Entry.Cause.BANK,
        line.currency,
        line.booked_on,
        sides,
        text=", ".join(map(str, paid.payouts)),
    )
    for payout in paid.payouts:
        if line.amount > 0:
            give_up(payout, State.RETURNED, paid.returned or "returned")
        else:
            payout.move_to(State.BOOKED, bank_line=line)
            _complete(payout)


def key_of(line: BankLine, source: str) -> str:
    """Return the key of a line's entry: from the bank, or from what was not matched until then.

    A line whose match was undone is matched once more.
    """
    if source == Kind.BANK:
        return f"bank_line:{line.pk}"
    undone = line.receipts.exclude(reverses=None).count()
    return f"match:{line.pk}" + (f"/{undone + 1}" if undone else "")


@in_turn
def give_up(payout: Payout, state: str, reason: str) -> Payout | None:
    """Take back a payout that the bank has rejected or returned, and plan it again.

    Returns the new plan; None while it is not possible, for want of an account for instance.
    Raises WrongState.
    """
    if state not in {State.REJECTED, State.RETURNED}:
        raise WrongState(f"{state} does not take a payout back")
    payout.move_to(state, failed_because=reason[:140])
    today = timezone.localdate()
    sides = [
        Side(Kind.IN_TRANSIT, payout.amount),
        Side(Kind.PAYABLE, -payout.amount, payout.party),
    ]
    text = f"{payout}: {reason}"
    post(f"payout_back:{payout.pk}", Entry.Cause.RETURN, payout.currency, today, sides, text=text)
    _complete(payout)
    return payouts.plan_for(payout.party, payout.currency, timezone.now(), retry_of=payout).payout


def _complete(payout: Payout) -> None:
    """Note that a batch is done with once nothing of it is at the bank any more."""
    batch = payout.batch
    if batch is None or batch.payouts.filter(state=State.SUBMITTED).exists():
        return
    if batch.state == PayoutBatch.State.SUBMITTED:
        batch.move_to(PayoutBatch.State.COMPLETED)
