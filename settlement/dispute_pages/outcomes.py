"""What would become of the CDRs of a dispute if an amount were granted."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from settlement.disputes import proposing, sharing
from settlement.models import Dispute

CHECKED = 10  # CDRs whose credit is shown beforehand, judged by the hub's own rules


def outcome(found: Dispute, amount: Decimal, now: dt.datetime) -> dict[str, Any]:
    """Say what each CDR would come to, and what the hub would file about it."""
    items = list(found.items.select_related("cdr__owner").order_by("pk"))
    totals = sharing.agreed([item.cdr for item in items], amount, found.by_cpo)
    proposals: Sequence[proposing.Proposal] = []
    if len(items) <= CHECKED:
        proposals = proposing.proposals(found, now, amount)
    by_cdr = {proposal.cdr.pk: proposal for proposal in proposals}
    rows: list[dict[str, Any]] = [
        {"item": item, "agreed": total, "proposal": by_cdr.get(item.cdr_id)}
        for item, total in zip(items, totals, strict=True)
    ]
    changed = [row for row in rows if row["agreed"] != row["item"].total]
    return {
        "amount": amount,
        "rows": changed[:CHECKED],
        "more": max(0, len(changed) - CHECKED),
        "after": sum(totals, Decimal()),
        "problems": [text for proposal in proposals for text in proposal.problems],
    }
