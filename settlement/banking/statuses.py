"""Take in what the bank says of a payment file (pain.002): once, and rejections are acted upon."""

import re
from typing import NamedTuple

from parties.models import User
from settlement.banking import pain002, returns
from settlement.banking.pain002 import REJECTED, BadReport, Report, Status
from settlement.ledger.turns import in_turn
from settlement.models import PaymentStatus, Payout, PayoutBatch

State, Batch = Payout.State, PayoutBatch.State


class Reported(NamedTuple):
    """What came of a report: payouts taken on, rejected, told of before; `late` came too late.

    Too late is a rejection of what the bank has booked by now: that is only noted.
    """

    batch: str
    report: str
    taken: int
    rejected: int
    known: int
    late: int


@in_turn
def import_file(content: bytes, by: User | None = None) -> Reported:
    """Take a file in; payouts that it rejects are planned again, with the reason.

    Raises BadReport, with everything as it was, for any fault in it.
    """
    report = pain002.read(content)
    of = _batch(report.message_id)
    counted = dict.fromkeys(("taken", "rejected", "known", "late"), 0)
    for payout, status in _told(of, report):
        counted[_note(payout, report, status, by)] += 1
    return Reported(of.message_id, report.ident, **counted)


def _batch(message_id: str) -> PayoutBatch:
    named = re.fullmatch(r"OCN-BATCH-([0-9]{8,18})", message_id)
    at_the_bank = PayoutBatch.objects.filter(state__in=[Batch.SUBMITTED, Batch.COMPLETED])
    found = at_the_bank.filter(pk=int(named[1])).first() if named else None
    if found is None:
        raise BadReport(f"{message_id} is no file that the bank has of the hub")
    return found


def _told(batch: PayoutBatch, report: Report) -> list[tuple[Payout, Status]]:
    """Return what is said of each payout of a batch; raises BadReport for those of none."""
    payouts = {row.end_to_end_id: row for row in batch.payouts.select_related("party", "batch")}
    if strange := sorted(report.payments.keys() - payouts.keys()):
        raise BadReport(f"{', '.join(strange)} is no payment of {batch.message_id}")
    said = {name: report.payments.get(name, report.whole) for name in sorted(payouts)}
    return [(payouts[name], status) for name, status in said.items() if status]


def _note(payout: Payout, report: Report, status: Status, by: User | None) -> str:
    """Keep what is said of a payout, act on it, and say how to count it."""
    facts = {"reason": status.reason, "imported_by": by}
    key = {"payout": payout, "report": report.ident, "code": status.code}
    if not PaymentStatus.objects.get_or_create(**key, defaults=facts)[1]:
        return "known"
    if status.code != REJECTED:
        return "taken"
    if payout.state != State.SUBMITTED:
        return "late"
    returns.give_up(payout, State.REJECTED, status.reason or "rejected")
    return "rejected"
