"""Judge CDRs: when they come in, again when more is known, and when a person decides.

Whoever changes what becomes of a CDR takes its locks in one order: those of its session, token,
EVSE and id, then its month, then its row. The freeze of a month takes the month before the rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from django.db import IntegrityError, transaction

from cdrs import evidence, repricing, rules
from cdrs.evidence import Candidate
from cdrs.facts import Facts
from cdrs.models import Cdr, Decision, Finding, Period, Verdict
from cdrs.periods import period_for
from hub import statements
from parties import owned, routing
from parties.models import Party, Role, User

CHUNK = 200
SAME = "unchanged"
NO_CREDIT = frozenset({"credit_reference_unknown", "credit_not_exact", "credited_twice"})
FOR_PEOPLE = frozenset({"contested"})  # what no rule finds, but people
_ALONE = "SELECT uid, body, raw FROM cdr_alone(%s::text[], %s::bigint, %s)"


class CannotDecide(Exception):
    """What a person wants cannot be done with this CDR; the message says why."""


@dataclass(frozen=True)
class Judgement:
    """What the rules say of a CDR, and all that they were told; `tariffs` are those of the hub."""

    context: rules.Context
    findings: tuple[rules.Finding, ...]
    tariffs: list[Any] | None = None

    def of(self, severity: str) -> list[rules.Finding]:
        """Return the findings of a severity."""
        return [finding for finding in self.findings if finding.severity == severity]

    @property
    def told(self) -> bytes:
        """Return what the rules were told, as JSON."""
        return msgspec.json.encode(self.context)

    @property
    def held(self) -> bool:
        """Tell whether the CDR may not be settled."""
        return bool(self.of(rules.HOLD))

    @property
    def later(self) -> bool:
        """Tell whether it has yet to be priced."""
        return self.context.priced is not None and self.context.priced.later


def judge(candidates: Sequence[Candidate], *, patiently: bool = False) -> list[Judgement]:
    """Judge CDRs by what is known now; what would take long to price waits unless `patiently`."""
    known = evidence.gather(candidates)
    return [
        judged(candidate, told, patiently=patiently)
        for candidate, told in zip(candidates, known, strict=True)
    ]


def judged(candidate: Candidate, told: rules.Evidence, *, patiently: bool = False) -> Judgement:
    """Judge a CDR by what the database has told of it."""
    repriced = repricing.reprice(candidate, told, patiently=patiently)
    context = _context(candidate, told, repriced)
    return Judgement(context, tuple(rules.judge(candidate.facts, context)), repriced.tariffs)


def _context(
    candidate: Candidate, told: rules.Evidence, repriced: repricing.Repriced
) -> rules.Context:
    known = {name: getattr(told, name) for name in rules.Context.__struct_fields__}
    return rules.Context(
        **known
        | {
            "parameters": evidence.parameters(told.agreed),
            "lacking": candidate.lacking,
            "place": told.place if candidate.place_told else None,
            "priced": repriced.priced,
            "tariffs": repriced.known,
        }
    )


def record(cdr: Cdr, judgement: Judgement, cause: Verdict.Cause, now: datetime) -> Verdict:
    """Keep a verdict with all that it was based on."""
    values = verdict_of(judgement, cdr.total_excl_vat, cause, now)
    context = msgspec.to_builtins(judgement.context)
    return Verdict.objects.create(cdr=cdr, context=context, **values)


def verdict_of(
    judgement: Judgement, claimed: Decimal, cause: Verdict.Cause, now: datetime
) -> dict[str, Any]:
    """Return what is kept of a judgement, but for the CDR and the context."""
    priced = judgement.context.priced or rules.Priced()
    return {
        "at": now,
        "cause": cause,
        "rules": rules.VERSION,
        "engine": priced.engine,
        "held": judgement.held,
        "cost_verdict": priced.cost_verdict,
        "reading": priced.reading,
        "computed_excl_vat": priced.excl_vat,
        "computed_incl_vat": priced.incl_vat,
        "difference": None if priced.excl_vat is None else claimed - priced.excl_vat,
        "findings": [[item.code, item.severity, item.text] for item in judgement.findings],
        "tariffs": judgement.tariffs,
    }


def replay(verdict: Verdict) -> list[rules.Finding]:
    """Judge once more by the rules and the knowledge of a verdict's day."""
    context = msgspec.convert(verdict.context, rules.Context, strict=False)
    return rules.judge(Facts(verdict.cdr.body), context, verdict.rules)


class Known(NamedTuple):
    """A CDR as it is stored: its id, and as JSON its body, and what was sent if that differs."""

    uid: str
    body: str
    raw: str | None


def one_at_a_time(owner: Party, facts: Facts) -> Known | None:
    """Serialise the CDRs of one session, token, EVSE and id, so that duplicates see each other.

    Return the CDR that is stored under the id.
    """
    names = [facts.text("id"), facts.text("session_id"), facts.text("credit_reference_id")]
    names.append(facts.text("cdr_token", "uid") + facts.started_at.isoformat())
    names.append(facts.text("cdr_location", "evse_uid").replace("#NA", ""))
    locks = sorted({f"{owner.pk}:{name.upper()}" for name in names if name})
    found = statements.rows(_ALONE, [locks, owner.pk, facts.text("id")])
    return Known(*found[0]) if found else None


# Again


class Changes(NamedTuple):
    """What a new judgement changes about a CDR."""

    cleared: frozenset[str]
    added: tuple[rules.Finding, ...]
    held: bool
    was_held: bool

    @property
    def name(self) -> str:
        """Return what becomes of the CDR, in a word."""
        if self.held != self.was_held:
            return "held" if self.held else "released"
        return "changed" if self.cleared or self.added else SAME


def rejudge(cdr_ids: Iterable[int], cause: Verdict.Cause, now: datetime) -> Iterator[str]:
    """Judge stored CDRs again and yield what became of each: released, held, changed, unchanged.

    Those of a frozen month, and those that are discarded, stay as they are. What a person has
    released is not held again for the same reason.
    """
    ids = sorted(cdr_ids)
    for begin in range(0, len(ids), CHUNK):
        for cdr, judgement in _judged_again(ids[begin : begin + CHUNK]):
            changes = _changes(cdr, judgement)
            if changes.name == SAME or _settled(cdr):
                yield SAME
            else:
                yield _apply(cdr.pk, cause, now)


def _judged_again(ids: Sequence[int]) -> Iterator[tuple[Cdr, Judgement]]:
    rows = Cdr.objects.filter(pk__in=ids).exclude(state=Cdr.State.DISCARDED)
    cdrs = list(rows.select_related("owner", "period").prefetch_related("findings").order_by("pk"))
    judgements = judge([candidate_of(cdr) for cdr in cdrs], patiently=True)
    return zip(cdrs, judgements, strict=True)


def candidate_of(cdr: Cdr) -> Candidate:
    """Return a stored CDR as it is to be judged: at the time it came, by what is known now."""
    facts = Facts(cdr.body)
    told = cdr.body if cdr.raw is None else cdr.raw
    return Candidate(
        owner=cdr.owner,
        emsp_id=cdr.emsp_id or _payer(facts),
        facts=facts,
        now=cdr.received_at,
        lacking=_lacking(cdr),
        pk=cdr.pk,
        place_told=bool(told.get("cdr_location")),
    )


def payer_of(facts: Facts) -> Role | None:
    """Return the role in which a CDR's eMSP pays, if it is in the network."""
    return routing.emsp_role(facts.payer) if facts.payer else None


def _payer(facts: Facts) -> int | None:
    role = payer_of(facts)
    return role.party_id if role else None


def _lacking(cdr: Cdr) -> tuple[str, ...]:
    """Return what a simplified CDR lacks; the body says it."""
    if cdr.complete:
        return ()
    return tuple(name for name in ("cdr_token", "cdr_location") if not cdr.body.get(name))


def _settled(cdr: Cdr) -> bool:
    return cdr.period is not None and not cdr.period.thawed


def _changes(cdr: Cdr, judgement: Judgement) -> Changes:
    """Compare with the findings as they are; those of the close of a month are not ours."""
    findings = list(cdr.findings.all())
    opened = {item.code: item for item in findings if item.cleared_at is None}
    aside = {item.code for item in findings if item.decision_id is not None}
    found = {item.code: item for item in judgement.findings if item.code not in aside}
    ours = opened.keys() & rules.codes()
    cleared = frozenset(ours - found.keys())
    added = tuple(item for code, item in found.items() if code not in opened)
    left = [item.severity for code, item in opened.items() if code not in cleared]
    held = rules.HOLD in [*left, *(item.severity for item in added)]
    return Changes(cleared, added, held, cdr.state == Cdr.State.HELD)


@transaction.atomic
def _apply(cdr_id: int, cause: Verdict.Cause, now: datetime) -> str:
    """Judge one CDR under its locks, and let the verdict take effect."""
    cdr, period = _locked(cdr_id, now)
    if cdr.state == Cdr.State.DISCARDED or _settled(cdr):
        return SAME
    candidate = candidate_of(cdr)
    [judgement] = judge([candidate], patiently=True)
    changes = _changes(cdr, judgement)
    if changes.name == SAME:
        return SAME
    _note(cdr, changes, now)
    _identify(cdr, candidate)
    _link(cdr, candidate, judgement)
    if changes.held and not changes.was_held:
        cdr.move_to(Cdr.State.HELD, period=None)
    elif changes.was_held and not changes.held:
        _accept(cdr, period)
    record(cdr, judgement, cause, now)
    return changes.name


def _locked(cdr_id: int, now: datetime) -> tuple[Cdr, Period]:
    """Lock a CDR with all that goes before it; return it with the month it would be settled in."""
    cdr = Cdr.objects.select_related("owner", "period").get(pk=cdr_id)
    one_at_a_time(cdr.owner, Facts(cdr.body))
    period = period_for(cdr.period.month if cdr.period else cdr.month, now=now)
    locked = Cdr.objects.select_for_update(of=("self",)).select_related("owner", "period")
    return locked.prefetch_related("findings").get(pk=cdr_id), period


def _note(cdr: Cdr, changes: Changes, now: datetime) -> None:
    cleared = cdr.findings.filter(code__in=changes.cleared, cleared_at=None)
    cleared.update(cleared_at=now)
    note(cdr, changes.added)


def note(cdr: Cdr, findings: Iterable[rules.Finding]) -> None:
    """Keep what the rules have found."""
    Finding.objects.bulk_create(
        Finding(cdr=cdr, code=item.code, severity=item.severity, text=item.text)
        for item in findings
    )


def _link(cdr: Cdr, candidate: Candidate, judgement: Judgement) -> None:
    """Write down what a held credit takes back, where that was not known."""
    if cdr.credit_of_id is None and cdr.state == Cdr.State.HELD:
        original = taken_back(cdr.owner, candidate.facts, judgement)
        if original is not None:
            Cdr.objects.filter(pk=cdr.pk).update(credit_of=original)


def _identify(cdr: Cdr, candidate: Candidate) -> None:
    """Write down who pays, where that was not known, and owe them the CDR."""
    if cdr.emsp_id is not None or candidate.emsp_id is None or cdr.state != Cdr.State.HELD:
        return
    Cdr.objects.filter(pk=cdr.pk).update(emsp=candidate.emsp_id)
    cdr.emsp_id = candidate.emsp_id
    if cdr.complete:
        owned.owe(cdr, Role.objects.paying(candidate.emsp_id))


def _accept(cdr: Cdr, period: Period) -> None:
    cdr.move_to(Cdr.State.ACCEPTED, period=period)


def taken_back(owner: Party, facts: Facts, judgement: Judgement) -> Cdr | None:
    """Return the CDR that a credit takes back, also one that is held; None if it takes none back.

    What is taken back no longer stands in the way of its replacement.
    """
    wrong = {item.code for item in judgement.findings} & NO_CREDIT
    if not facts.credit or wrong:
        return None
    uid = facts.text("credit_reference_id")
    return Cdr.objects.filter(owner=owner, uid__iexact=uid).first()


# People


@transaction.atomic
def release(cdr_id: int, person: User | None, reason: str, now: datetime) -> Decision:
    """Set aside what holds a CDR, and have it settled; raises CannotDecide."""
    cdr, period = _locked(cdr_id, now)
    _check(cdr, reason)
    holds = [item for item in cdr.findings.all() if _holds(item)]
    if stuck := [item.code for item in holds if not may_be_set_aside(item.code)]:
        raise CannotDecide(f"{cdr}: nobody can set aside {', '.join(stuck)}")
    decision = _decided(cdr, Decision.Action.RELEASE, person, reason, now)
    rows = Finding.objects.filter(pk__in=[item.pk for item in holds])
    rows.update(cleared_at=now, decision=decision)
    _accept(cdr, period)
    return decision


@transaction.atomic
def discard(cdr_id: int, person: User | None, reason: str, now: datetime) -> Decision:
    """Put a held CDR aside for good; raises CannotDecide."""
    cdr, _ = _locked(cdr_id, now)
    _check(cdr, reason)
    decision = _decided(cdr, Decision.Action.DISCARD, person, reason, now)
    cdr.move_to(Cdr.State.DISCARDED)
    return decision


def may_be_set_aside(code: str) -> bool:
    """Tell whether a person may release what is held for a reason."""
    found = rules.by_code().get(code)
    return code in FOR_PEOPLE or (found is not None and not found.final)


def _holds(finding: Finding) -> bool:
    return finding.cleared_at is None and finding.severity == Finding.Severity.HOLD


def _check(cdr: Cdr, reason: str) -> None:
    if not reason.strip():
        raise CannotDecide("a reason is needed")
    if cdr.state != Cdr.State.HELD:
        raise CannotDecide(f"{cdr} is not held any more")


def _decided(
    cdr: Cdr, action: Decision.Action, person: User | None, reason: str, now: datetime
) -> Decision:
    """Write a decision down; the database refuses one about what another floor decides about."""
    told = {"action": action, "person": person, "reason": reason.strip(), "at": now}
    try:
        with transaction.atomic():
            return Decision.objects.create(cdr=cdr, **told)
    except IntegrityError as error:
        raise CannotDecide(str(error).splitlines()[0]) from error
