"""A CDR comes in: once, judged at once, owed to the eMSP that pays for it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from cdrs import rules
from cdrs.facts import Facts
from cdrs.models import BARE_CONTRACT, Cdr, Finding, Period, Token
from cdrs.periods import month_of, period_for
from hub import metrics
from hub.countries import alpha_2
from hub.ocpi import json, times, types
from hub.ocpi.errors import Invalid
from parties import crawling, owned, routing
from parties.models import Party, Role

HOLD_LACKING = not settings.SANDBOX  # there the guide's calls lead to an invoice, as they stand
LATE_HOLD = None if settings.SANDBOX else timedelta(days=30)


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
    _one_at_a_time(claim.owner, facts)
    known = Cdr.objects.filter(owner=claim.owner, uid__iexact=facts.text("id")).first()
    if known:
        return _replay(known, claim), False
    payer = routing.emsp_role(facts.payer) if facts.payer else None
    findings = rules.judge(facts, context_for(claim, facts, payer, now))
    cdr = _store(claim, facts, payer, findings, now)
    if payer and not claim.lacking:
        owned.owe(cdr, Role.objects.filter(pk=payer.pk))
    return cdr, True


def take(owner: Role, body: Mapping[str, Any]) -> owned.Change:
    """Take in a CDR that the hub has read from its CPO's list."""
    mended = crawling.readable(types.CDR, owner, body)
    claim = Claim(owner.party, mended.body, mended.sent if mended.made else None)
    _, created = receive(claim, now=times.now())
    return owned.Change.CREATED if created else owned.Change.UNCHANGED


def context_for(claim: Claim, facts: Facts, payer: Role | None, now: datetime) -> rules.Context:
    """Gather what the rules need to know about a CDR."""
    context = rules.Context(
        now=now,
        emsp_known=payer is not None,
        token=_known_token(facts, payer),
        location_known=_location_known(claim, facts),
        late_hold=LATE_HOLD,
        lacking=claim.lacking,
        hold_lacking=HOLD_LACKING,
    )
    if facts.credit:
        return replace(context, original=_original_of(claim.owner, facts, payer))
    return replace(
        context,
        same_session=_same_session(claim.owner, facts),
        same_start=_same_start(claim.owner, facts),
    )


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


def _one_at_a_time(owner: Party, facts: Facts) -> None:
    """Serialise the CDRs of one session, token and id, so that duplicates see each other."""
    names = [facts.text("id"), facts.text("session_id"), facts.text("credit_reference_id")]
    names.append(facts.text("cdr_token", "uid") + facts.started_at.isoformat())
    locks = sorted({f"{owner.pk}:{name.upper()}" for name in names if name})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended(name, 0)"
            " AS key FROM unnest(%s::text[]) AS name ORDER BY key) AS keys",
            [locks],
        )


def _replay(known: Cdr, claim: Claim) -> Cdr:
    stored = known.body if known.raw is None else known.raw
    if stored != claim.sent and known.body != claim.body:
        raise Invalid(f"CDR {known.uid} exists with other content; a CDR cannot be changed")
    metrics.DUP_CDR.inc()
    return known


def _store(
    claim: Claim, facts: Facts, payer: Role | None, findings: list[rules.Finding], now: datetime
) -> Cdr:
    held = any(finding.severity == rules.HOLD for finding in findings)
    period = None if held else period_for(month_of(facts.ended_at), now=now)
    cdr = Cdr.objects.create(
        owner=claim.owner,
        emsp=payer.party if payer else None,
        state=Cdr.State.HELD if held else Cdr.State.ACCEPTED,
        period=period,
        credit_of=None if held else _credited(claim.owner, facts),
        body=claim.body,
        raw=claim.raw,
        complete=not claim.lacking,
        digest=hashlib.sha256(json.dumps(claim.sent)).hexdigest(),
        rules=rules.VERSION,
        **_columns(facts),
    )
    Finding.objects.bulk_create(
        Finding(cdr=cdr, code=item.code, severity=item.severity, text=item.text)
        for item in findings
    )
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


def _known_token(facts: Facts, payer: Role | None) -> rules.KnownToken | None:
    token = Token.objects.filter(
        owner=payer.party if payer else None,
        uid__iexact=facts.text("cdr_token", "uid"),
        type=facts.text("cdr_token", "type"),
    ).first()
    if token is None:
        return None
    return rules.KnownToken(token.valid, token.contract_id, token.last_updated)


def _location_known(claim: Claim, facts: Facts) -> bool:
    uid = facts.text("cdr_location", "id")
    return not uid or owned.find("locations", claim.owner).filter(uid__iexact=uid).exists()


def _same_session(owner: Party, facts: Facts) -> str:
    session = facts.text("session_id")
    if not session:
        return ""
    others = Cdr.objects.filter(owner=owner, session_uid__iexact=session)
    return _uncredited(others)


def _same_start(owner: Party, facts: Facts) -> str:
    evse = facts.text("cdr_location", "evse_uid")
    if evse in {"", "#NA"}:
        return ""
    others = Cdr.objects.filter(owner=owner, evse_uid__iexact=evse, started_at=facts.started_at)
    return _uncredited(others.filter(token_uid__iexact=facts.text("cdr_token", "uid")))


def _uncredited(cdrs: QuerySet[Cdr]) -> str:
    """Return the id of one that still stands: neither a credit, nor credited, nor discarded."""
    standing = cdrs.filter(credit_of=None, credited_by=None, total_excl_vat__gte=0)
    ids = standing.exclude(state=Cdr.State.DISCARDED).values_list("uid", flat=True)
    return ids.first() or ""


def _original_of(owner: Party, facts: Facts, payer: Role | None) -> rules.Original | None:
    original = _referenced(owner, facts)
    if original is None:
        return None
    columns = _columns(facts)
    trade = (payer.party_id if payer else None, columns["country"], columns["month"])
    return rules.Original(
        excl_vat=original.total_excl_vat,
        currency=original.currency,
        credit=bool(original.body.get("credit")),
        credited=Cdr.objects.filter(credit_of=original).exists(),
        settled=original.period is not None and original.period.state != Period.State.OPEN,
        accepted=original.state == Cdr.State.ACCEPTED,
        same_trade=trade == (original.emsp_id, original.country, original.month),
    )


def _referenced(owner: Party, facts: Facts) -> Cdr | None:
    rows = Cdr.objects.filter(owner=owner, uid__iexact=facts.text("credit_reference_id"))
    return rows.select_related("period").first()


def _credited(owner: Party, facts: Facts) -> Cdr | None:
    return _referenced(owner, facts) if facts.credit else None
