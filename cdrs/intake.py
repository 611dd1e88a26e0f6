"""A CDR comes in: once, judged at once, owed to the eMSP that pays for it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from cdrs import judging, rules
from cdrs.evidence import Candidate
from cdrs.facts import Facts
from cdrs.models import BARE_CONTRACT, Cdr, Token, Verdict
from cdrs.periods import month_of, period_for
from hub import metrics
from hub.countries import alpha_2
from hub.ocpi import json, times, types
from hub.ocpi.errors import Invalid
from parties import crawling, owned, routing, waking
from parties.models import Party, Role


@dataclass(frozen=True)
class Claim:
    """A CDR as a CPO presents it: the body as valid 2.2.1, what was sent, what is lacking."""

    owner: Party
    body: Mapping[str, Any]
    raw: Any = None
    lacking: tuple[str, ...] = ()

    @property
    def sent(self) -> Any:
        """Return what the CPO sent."""
        return self.body if self.raw is None else self.raw


@transaction.atomic
def receive(claim: Claim, *, now: datetime) -> tuple[Cdr, bool]:
    """Take a CDR in and return it, and whether it is new.

    The same CDR again is answered with the stored one. Raises Invalid when another CDR has the
    same id; nothing is changed then.
    """
    facts = Facts(claim.body)
    judging.one_at_a_time(claim.owner, facts)
    known = Cdr.objects.filter(owner=claim.owner, uid__iexact=facts.text("id")).first()
    if known:
        return _replay(known, claim), False
    payer = routing.emsp_role(facts.payer) if facts.payer else None
    judgement = _judgement(claim, facts, payer, now)
    cdr = _store(claim, facts, payer, judgement, now)
    if payer and not claim.lacking:
        owned.owe(cdr, Role.objects.filter(pk=payer.pk))
    return cdr, True


def take(owner: Role, body: Mapping[str, Any]) -> owned.Change:
    """Take in a CDR that the hub has read from its CPO's list."""
    mended = crawling.readable(types.CDR, owner, body)
    claim = Claim(owner.party, mended.body, mended.sent if mended.made else None)
    _, created = receive(claim, now=times.now())
    return owned.Change.CREATED if created else owned.Change.UNCHANGED


def _judgement(claim: Claim, facts: Facts, payer: Role | None, now: datetime) -> judging.Judgement:
    """Judge a CDR that is not stored yet; raises Invalid when it is not even to be kept."""
    candidate = Candidate(
        owner=claim.owner,
        emsp_id=payer.party_id if payer else None,
        facts=facts,
        now=now,
        lacking=claim.lacking,
        place_told=bool(claim.sent.get("cdr_location")),
    )
    [judgement] = judging.judge([candidate])
    if refused := judgement.of(rules.REJECT):
        raise Invalid("; ".join(finding.text for finding in refused))
    return judgement


def find_token(reference: str) -> Token | None:
    """Return the only token with a contract id, else with a uid; case and separators do not count.

    None, too, when the two readings of the reference lead to different eMSPs.
    """
    if not reference:
        return None
    bare = reference.upper().replace("-", "").replace("*", "")
    tokens = Token.objects.select_related("owner")
    contracts: list[Token] = list(tokens.alias(bare=BARE_CONTRACT).filter(bare=bare)[:2])
    found = contracts or list(tokens.filter(uid__iexact=reference)[:2])
    if (
        len(found) != 1
        or tokens.filter(uid__iexact=reference).exclude(owner=found[0].owner).exists()
    ):
        return None
    return found[0]


def _replay(known: Cdr, claim: Claim) -> Cdr:
    stored = known.body if known.raw is None else known.raw
    if stored != claim.sent and known.body != claim.body:
        raise Invalid(f"CDR {known.uid} exists with other content; a CDR cannot be changed")
    metrics.DUP_CDR.inc()
    return known


def _store(
    claim: Claim, facts: Facts, payer: Role | None, judgement: judging.Judgement, now: datetime
) -> Cdr:
    held = judgement.held
    cdr = Cdr.objects.create(
        owner=claim.owner,
        emsp=payer.party if payer else None,
        state=Cdr.State.HELD if held else Cdr.State.ACCEPTED,
        period=None if held else period_for(month_of(facts.ended_at), now=now),
        credit_of=judging.taken_back(claim.owner, facts, judgement),
        body=claim.body,
        raw=claim.raw,
        complete=not claim.lacking,
        digest=hashlib.sha256(json.dumps(claim.sent)).hexdigest(),
        rules=rules.VERSION,
        received_at=now,
        **_columns(facts),
    )
    judging.note(cdr, judgement.findings)
    judging.record(cdr, judgement, Verdict.Cause.INTAKE, now)
    if judgement.later:
        transaction.on_commit(partial(waking.start, "cdrs.judge", cdr.pk))
    return cdr


def _columns(facts: Facts) -> dict[str, Any]:
    return {
        "uid": facts.text("id"),
        "last_updated": facts.last_updated,
        "started_at": facts.started_at,
        "ended_at": facts.ended_at,
        "month": month_of(facts.ended_at),
        "session_uid": facts.text("session_id"),
        "token_uid": facts.text("cdr_token", "uid"),
        "evse_uid": facts.text("cdr_location", "evse_uid"),
        "country": alpha_2(facts.text("cdr_location", "country")),
        "currency": facts.text("currency"),
        "energy_kwh": facts.energy_kwh,
        "total_excl_vat": facts.excl_vat,
        "total_incl_vat": facts.incl_vat,
    }
