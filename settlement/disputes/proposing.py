"""The credit CDR and the replacement that carry a decision out, as a CPO would send them.

Source: OCPI 2.2.1, mod_cdrs, Credit CDRs: all of the original is repeated, only the total is
negative; what is to be paid instead is a new CDR.
"""

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from cdrs import judging, rules
from cdrs.evidence import Candidate
from cdrs.facts import Facts
from cdrs.models import Cdr
from cdrs.rules import duplicates, price
from hub.money import four_decimals
from hub.ocpi import times, types, validation
from settlement.disputes import sharing
from settlement.models import Dispute

USUAL_ID, CREDIT_ID = 36, 39  # characters
PARTS = tuple(f"total_{name}_cost" for name in price.PARTS)
ONLY_CREDITS = ("credit", "credit_reference_id", "invoice_reference_id")


class Proposal(NamedTuple):
    """What would be sent about a CDR; `problems` are what the hub's own rules have against it."""

    cdr: Cdr
    agreed: Decimal
    credit: dict[str, Any]
    replacement: dict[str, Any] | None
    problems: tuple[str, ...] = ()


def proposals(dispute: Dispute, now: dt.datetime, amount: Decimal | None = None) -> list[Proposal]:
    """Return what carries a decided dispute out, or what would if an amount were granted.

    CDRs that stay as they are have none.
    """
    rows = dispute.items.select_related("cdr__owner").prefetch_related("cdr__findings")
    items = list(rows.order_by("pk"))
    granted = dispute.granted if amount is None else amount
    if granted is None:
        return []
    totals = sharing.agreed([item.cdr for item in items], granted, dispute.by_cpo)
    drafts = [
        proposal(item.cdr, total, dispute.reference, now)
        for item, total in zip(items, totals, strict=True)
        if total != item.total
    ]
    return _checked(drafts, now)


def proposal(cdr: Cdr, agreed: Decimal, reference: str, now: dt.datetime) -> Proposal:
    """Write the credit of a CDR, and what is to be paid instead, if that is anything."""
    replacement = _replacement(cdr, agreed, reference, now) if agreed else None
    return Proposal(cdr, agreed, _credit(cdr, reference, now), replacement)


def _credit(cdr: Cdr, reference: str, now: dt.datetime) -> dict[str, Any]:
    told = {
        "id": _free(cdr, "C", CREDIT_ID),
        "credit": True,
        "credit_reference_id": cdr.uid,
        "total_cost": {name: -value for name, value in _amounts(cdr).items()},
        **_stamp(reference, now),
    }
    return dict(cdr.body) | told


def _replacement(cdr: Cdr, agreed: Decimal, reference: str, now: dt.datetime) -> dict[str, Any]:
    """Repeat a CDR with another total; its parts would not add up to it, and are left out."""
    without = {name: value for name, value in cdr.body.items() if name not in PARTS}
    body = {name: value for name, value in without.items() if name not in ONLY_CREDITS}
    told = {
        "id": _free(cdr, "R", USUAL_ID),
        "total_cost": _scaled(cdr, agreed),
        **_stamp(reference, now),
    }
    return body | told


def _stamp(reference: str, now: dt.datetime) -> dict[str, Any]:
    return {"remark": f"dispute {reference}", "last_updated": times.render(now)}


def _amounts(cdr: Cdr) -> dict[str, Decimal]:
    found = {"excl_vat": cdr.total_excl_vat}
    return found if cdr.total_incl_vat is None else found | {"incl_vat": cdr.total_incl_vat}


def _scaled(cdr: Cdr, agreed: Decimal) -> dict[str, Decimal]:
    """Return an amount with VAT at the rate that the CDR itself has."""
    if cdr.total_incl_vat is None or not cdr.total_excl_vat:
        return {"excl_vat": agreed}
    with_vat = four_decimals(agreed * cdr.total_incl_vat / cdr.total_excl_vat)
    return {"excl_vat": agreed, "incl_vat": with_vat}


def _free(cdr: Cdr, letter: str, longest: int) -> str:
    """Return an id beside a CDR's own that its CPO has not used."""
    taken = Cdr.objects.filter(owner=cdr.owner_id)
    some = (f"-{letter}{number}" for number in range(2, 10))
    for ending in (f"-{letter}", *some, f"-{letter}{secrets.token_hex(4)}"):
        uid = cdr.uid[: longest - len(ending)] + ending
        if not taken.filter(uid__iexact=uid).exists():
            return uid
    raise ValueError(f"no id is free beside {cdr.uid}")


# What the hub's own rules say

MENDED = frozenset(  # by the credit, by the decision, or because nobody else can say so
    {"credit_of_held", "credit_too_late"}
    | {item.code for item in rules.in_force() if item.check.__module__ == duplicates.__name__}
    | {"total_cost_differs", "part_of_cost_differs", "price_limit_ignored", "price_undecided"}
)


def _checked(drafts: Sequence[Proposal], now: dt.datetime) -> list[Proposal]:
    """Have the hub's own rules judge proposals as if they came in, all at once."""
    bodies = [
        (draft, body) for draft in drafts for body in (draft.credit, draft.replacement) if body
    ]
    problems: dict[int, list[str]] = {draft.cdr.pk: [] for draft in drafts}
    sound = []
    for draft, body in bodies:
        if wrong := validation.problems(types.CDR, body):
            problems[draft.cdr.pk] += [f"{item.path}: {item.problem}" for item in wrong]
        else:
            sound.append((draft.cdr, _candidate(draft.cdr, body, now)))
    judgements = judging.judge([candidate for _, candidate in sound], patiently=True)
    for (cdr, _), judgement in zip(sound, judgements, strict=True):
        problems[cdr.pk] += _against(cdr, judgement)
    return [draft._replace(problems=tuple(problems[draft.cdr.pk])) for draft in drafts]


def _candidate(cdr: Cdr, body: Mapping[str, Any], now: dt.datetime) -> Candidate:
    known = judging.candidate_of(cdr)
    return replace(known, facts=Facts(body), now=now, pk=None)


def _against(cdr: Cdr, judgement: judging.Judgement) -> list[str]:
    """Say what would hold a CDR, but for what its original has against it as well."""
    holds = [*judgement.of(rules.REJECT), *judgement.of(rules.HOLD)]
    told = MENDED | {item.code for item in cdr.findings.all()}
    return [f"{item.code}: {item.text}" for item in holds if item.code not in told]
