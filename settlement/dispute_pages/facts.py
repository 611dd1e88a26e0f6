"""What the pages of a dispute say of it, as one of its sides sees it."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from cdrs.explorer import last_verdicts
from cdrs.models import Cdr
from parties.models import Party
from parties.people.shell import Seat
from settlement.dispute_pages import words
from settlement.disputes import telling
from settlement.models import Dispute, DisputeCdr, Evidence
from settlement.models.disputes import Effect


def dispute_of(seat: Seat, reference: str) -> Dispute:
    """Fetch a dispute through what the party may see; raises Http404."""
    rows = Dispute.objects.visible_to(seat.party).select_related("claimant", "respondent")
    return get_object_or_404(rows, reference=reference)


def facts(found: Dispute, party: Party) -> dict[str, Any]:
    """Return what every page about a dispute says of it."""
    return {
        "dispute": found,
        "partner": found.other(party),
        "ours": found.claimant_id == party.pk,
        "status": words.status_of(found, party),
        "our_turn": found.turn == party,
        "who_acts": words.whose_turn(found, party),
        "until": words.until(found),
        "consequence": telling.consequence(found),
        "money_now": telling.money_now(found),
        "held": found.effect == Effect.HOLD and not found.is_over,
    }


def items_of(shown: Iterable[DisputeCdr]) -> list[dict[str, Any]]:
    """Return disputed CDRs, each claimed beside computed, with what came of them."""
    rows = list(shown)
    of = {key for row in rows for key in (row.cdr_id, row.credit_id, row.replacement_id) if key}
    told = Cdr.objects.defer("body", "raw").select_related("owner", "emsp", "period").in_bulk(of)
    verdicts = last_verdicts([row.cdr_id for row in rows])
    return [
        {
            "item": row,
            "cdr": told[row.cdr_id],
            "verdict": verdicts.get(row.cdr_id),
            "credit": told.get(row.credit_id or 0),
            "replacement": told.get(row.replacement_id or 0),
        }
        for row in rows
    ]


def events_of(found: Dispute, reader: Party | None) -> list[words.Told]:
    """Return what happened, the latest first; to staff where there is no reader."""
    rows = found.events.select_related("party", "person").order_by("-pk")
    return [words.told(event, found, reader) for event in rows]


def evidence_of(found: Dispute, party: Party) -> list[Evidence]:
    """Return the evidence that a party may know of, without the contents."""
    rows: QuerySet[Evidence] = Evidence.objects.visible_to(party).filter(dispute=found)
    return list(rows.select_related("party", "cdr").defer("content", "cdr__body", "cdr__raw"))
