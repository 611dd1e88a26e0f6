"""A CDR comes in: once, judged at once, owed to the eMSP that pays for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from cdrs import judging, rules, storing
from cdrs.evidence import Candidate
from cdrs.facts import Facts
from cdrs.models import BARE_CONTRACT, Token
from hub import metrics
from hub.ocpi import json, times, types
from hub.ocpi.errors import Invalid
from parties import crawling, owned, waking
from parties.models import Party, Role


@dataclass(frozen=True)
class Claim:
    """A CDR as a CPO presents it: the body as valid 2.2.1, what was sent, what is lacking.

    `payer` is the role in which its eMSP pays, if that is in the network.
    """

    owner: Party
    body: Mapping[str, Any]
    raw: Any = None
    lacking: tuple[str, ...] = ()
    payer: Role | None = None

    @property
    def sent(self) -> Any:
        """Return what the CPO sent."""
        return self.body if self.raw is None else self.raw


@dataclass(frozen=True)
class Receipt:
    """The id under which a CDR is stored, and whether it is new."""

    uid: str
    created: bool


@transaction.atomic
def receive(claim: Claim, *, now: datetime) -> Receipt:
    """Take a CDR in.

    The same CDR again is answered with the stored one. Raises Invalid when another CDR has the
    same id; nothing is changed then. Three statements in one transaction; a credit takes a fourth.
    """
    facts = Facts(claim.body)
    known = judging.one_at_a_time(claim.owner, facts)
    if known:
        return _replay(known, claim)
    judgement = _judgement(claim, facts, now)
    arrival = _arrival(claim, facts, judgement, now)
    cdr_id = storing.store(arrival)
    if arrival.receiver:
        owned.wake([arrival.receiver.platform_id])
    if judgement.later:
        transaction.on_commit(partial(waking.start, "cdrs.judge", cdr_id))
    return Receipt(facts.text("id"), created=True)


def take(owner: Role, body: Mapping[str, Any]) -> owned.Change:
    """Take in a CDR that the hub has read from its CPO's list."""
    mended = crawling.readable(types.CDR, owner, body)
    payer = judging.payer_of(Facts(mended.body))
    claim = Claim(owner.party, mended.body, mended.sent if mended.made else None, payer=payer)
    receipt = receive(claim, now=times.now())
    return owned.Change.CREATED if receipt.created else owned.Change.UNCHANGED


def _judgement(claim: Claim, facts: Facts, now: datetime) -> judging.Judgement:
    """Judge a CDR that is not stored yet; raises Invalid when it is not even to be kept."""
    candidate = Candidate(
        owner=claim.owner,
        emsp_id=claim.payer.party_id if claim.payer else None,
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


def _replay(known: judging.Known, claim: Claim) -> Receipt:
    body = json.kept(known.body)
    stored = body if known.raw is None else json.kept(known.raw)
    if stored != claim.sent and body != claim.body:
        raise Invalid(f"CDR {known.uid} exists with other content; a CDR cannot be changed")
    metrics.DUP_CDR.inc()
    return Receipt(known.uid, created=False)


def _arrival(
    claim: Claim, facts: Facts, judgement: judging.Judgement, now: datetime
) -> storing.Arrival:
    return storing.Arrival(
        owner=claim.owner,
        facts=facts,
        raw=claim.raw,
        complete=not claim.lacking,
        payer=claim.payer,
        receiver=None if claim.lacking else claim.payer,
        credit_of=judging.taken_back(claim.owner, facts, judgement),
        judgement=judgement,
        now=now,
    )
