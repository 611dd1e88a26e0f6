"""Hold what cannot be billed, with the reason; release what has become billable."""

import datetime as dt
from collections.abc import Iterator
from functools import cache, partial
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from cdrs.models import Cdr, CdrQuerySet, Finding, Period
from cdrs.periods import period_for
from parties.models import Party
from settlement import accounting
from settlement.calendar import last_day
from settlement.models import LegalEntity, SelfBillingAgreement, VatRule
from settlement.models.validity import in_force

ENTITY_MISSING = "legal_entity_missing"
AGREEMENT_MISSING = "self_billing_agreement_missing"
RULE_MISSING = "vat_rule_missing"
RATE_MISSING = "exchange_rate_missing"
STRAY_CREDIT = "credit_without_original"
CODES = (ENTITY_MISSING, AGREEMENT_MISSING, RULE_MISSING, RATE_MISSING, STRAY_CREDIT)
CONTESTED = "contested"
NOT_CONTRACTED = "agreement_missing"  # the rule of cdrs, which also releases what it holds
BILLED = (
    *(Period.State.ISSUING, Period.State.ISSUED),
    *(Period.State.SETTLING, Period.State.CLOSED),
)

TRADES = """
SELECT DISTINCT owner_id, emsp_id, month, country, currency FROM settlement_day
ORDER BY 1, 2, 3, 4, 5
"""
# Where cdr_terms(...) would be NULL; but asked of each party and day, as pairs are many.
UNCONTRACTED_DAYS = """
WITH party AS (
    SELECT owner_id AS id, 'cpo' AS kind, currency, day FROM settlement_day WHERE NOT credit
    UNION
    SELECT emsp_id, 'emsp', currency, day FROM settlement_day WHERE NOT credit
), lacking AS MATERIALIZED (
    SELECT * FROM party WHERE NOT EXISTS (
        SELECT FROM settlement_agreement a
        WHERE (a.party_id, a.kind) = (party.id, party.kind) AND a.currency IN ('', party.currency)
            AND a.valid_from <= party.day AND (a.valid_to IS NULL OR a.valid_to > party.day))
)
SELECT d.owner_id, d.emsp_id, d.currency, d.day FROM settlement_day d JOIN lacking l
    ON (l.id, l.kind, l.currency, l.day) = (d.owner_id, 'cpo', d.currency, d.day)
WHERE NOT d.credit
UNION
SELECT d.owner_id, d.emsp_id, d.currency, d.day FROM settlement_day d JOIN lacking l
    ON (l.id, l.kind, l.currency, l.day) = (d.emsp_id, 'emsp', d.currency, d.day)
WHERE NOT d.credit
"""
UNCONTRACTED = """
WITH uncontracted AS ({days})
SELECT c.id FROM cdrs_cdr c JOIN uncontracted d
    ON (c.owner_id, c.emsp_id, c.currency) = (d.owner_id, d.emsp_id, d.currency)
    AND (c.started_at AT TIME ZONE %(zone)s)::date = d.day
WHERE c.period_id = %(period)s AND c.credit_of_id IS NULL
"""
SHARED = "SELECT * FROM cdrs_period WHERE id = ANY(%s) ORDER BY id FOR SHARE"
HOLD = """
WITH moved AS (
    UPDATE cdrs_cdr SET state = 'held', period_id = NULL WHERE id = ANY(%(ids)s) RETURNING id
), noted AS (
    INSERT INTO cdrs_finding (cdr_id, code, severity, text, found_at)
    SELECT moved.id, reason.code, 'hold', left(reason.text, 255), %(now)s
    FROM moved, unnest(%(codes)s::text[], %(texts)s::text[]) AS reason (code, text)
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM moved
"""


class Trade(NamedTuple):
    """What decides whether CDRs can be billed: who sold what to whom, in which month."""

    owner_id: int
    emsp_id: int
    month: dt.date
    country: str
    currency: str


class Terms:
    """The agreements, companies and VAT rules that documents of one day of issue go by.

    What is looked up is kept: queries are per pair of companies, country and month, not per CDR.
    """

    def __init__(self, issued_on: dt.date) -> None:
        agreements = SelfBillingAgreement.objects.filter(in_force(issued_on))
        self._agreed = set(agreements.values_list("supplier__party_id", flat=True))
        self._entities = {entity.party_id: entity for entity in LegalEntity.objects.complete()}
        self._names = {None: "the hub"} | {party.pk: str(party) for party in Party.objects.all()}
        self._vat = VatRule.objects.all().remembered()
        self._needs = cache(partial(accounting.obstacle, on=issued_on))

    def obstacles(self, trade: Trade) -> dict[str, str]:
        """Return why a trade cannot be billed, as codes with words; empty if it can."""
        found = {
            ENTITY_MISSING: "; ".join(self._without_entity(trade)),
            AGREEMENT_MISSING: self._without_agreement(trade),
            RULE_MISSING: "; ".join(self._without_rule(trade)),
            RATE_MISSING: "; ".join(self._without_rate(trade)),
        }
        return {code: text for code, text in found.items() if text}

    def without_fee_rule(self, party: int, currency: str, month: dt.date) -> str:
        """Return why a fee of a month cannot be billed, in words; empty if it can."""
        hub, entity = self._entities.get(None), self._entities.get(party)
        if hub is None or entity is None:
            return f"{self._names[party]} or the hub has no complete legal entity"
        rule = self._vat.on_services(hub, entity, last_day(month))
        if rule is None:
            return f"no VAT rule from {hub.country} to {entity.country}"
        return self._needs(hub.country, currency) if rule.rate else ""

    def _without_entity(self, trade: Trade) -> Iterator[str]:
        for party in (trade.owner_id, trade.emsp_id, None):
            if party not in self._entities:
                yield f"{self._names[party]} has no complete legal entity"

    def _without_agreement(self, trade: Trade) -> str:
        if trade.owner_id in self._agreed:
            return ""
        return f"{self._names[trade.owner_id]} has no self-billing agreement in force"

    def _without_rule(self, trade: Trade) -> Iterator[str]:
        for supplier, customer, rule in self._rules(trade):
            if rule is None:
                yield f"no VAT rule from {supplier.country} to {customer.country}"

    def _without_rate(self, trade: Trade) -> Iterator[str]:
        for supplier, _, rule in self._rules(trade):
            if rule and rule.rate and (text := self._needs(supplier.country, trade.currency)):
                yield text

    def _rules(self, trade: Trade) -> Iterator[tuple[LegalEntity, LegalEntity, VatRule | None]]:
        """Return how each side is taxed, as far as its companies are known."""
        for ends in ((trade.owner_id, None), (None, trade.emsp_id)):
            supplier, customer = (self._entities.get(end) for end in ends)
            if supplier and customer:
                day = last_day(trade.month)
                yield supplier, customer, self._vat.between(supplier, customer, day, trade.country)


def release(period: Period, *, issued_on: dt.date) -> int:
    """Let CDRs into a period that is about to be frozen, and return how many.

    Call in the transaction that holds the period's row, so that no writer comes in between.
    """
    terms = Terms(issued_on)
    released = _release(period, terms, Q(credit_of=None))
    return released + _release(period, terms, original_settled(period))


def hold(period: Period, *, issued_on: dt.date) -> int:
    """Move what cannot be billed out of a period, and return how many CDRs that are.

    Call likewise, after its CDRs have been added up by day.
    """
    held = _hold_trades(period, Terms(issued_on)) + _hold_uncontracted(period)
    return held + hold_stray_credits(period)


def obstacles(period: Period, *, issued_on: dt.date) -> list[str]:
    """Return in words why what has been frozen cannot be billed on a day."""
    terms = Terms(issued_on)
    columns = ("cpo_id", "emsp_id", "supply_month", "country", "currency")
    rows = period.cells.order_by().values_list(*columns)
    found = [terms.obstacles(Trade(*row)) for row in rows.distinct()]
    parties = period.fees.order_by().values_list("party_id", "currency").distinct()
    fees = {terms.without_fee_rule(*row, period.month) for row in parties}
    return sorted({text for reasons in found for text in reasons.values()} | fees - {""})


def contest(cdrs: CdrQuerySet, text: str) -> int:
    """Hold CDRs that a party objects to, until people decide; return how many.

    Call in a transaction; it locks their months FOR SHARE before their rows, as the freeze does.
    """
    months = list(cdrs.order_by().values_list("period_id", flat=True).distinct())
    list(Period.objects.raw(SHARED, [months]))
    return _hold(cdrs, {CONTESTED: text})


def lift(cdrs: CdrQuerySet, now: dt.datetime) -> int:
    """Let go of CDRs that were contested, and have those settled that nothing else holds.

    Call in a transaction; it then holds the rows of their months FOR SHARE. Return how many are
    settled.
    """
    ids = list(cdrs.filter(state=Cdr.State.HELD).values_list("pk", flat=True))
    held = Cdr.objects.filter(pk__in=ids)
    months = held.order_by("month").values_list("month", flat=True).distinct()
    periods = {month: period_for(month, now=now) for month in list(months)}
    list(held.select_for_update().order_by("pk").values_list("pk", flat=True))
    contested = Finding.objects.filter(cdr__in=ids, code=CONTESTED, cleared_at=None)
    contested.update(cleared_at=now)
    holding = Finding.objects.filter(
        cdr=OuterRef("pk"), severity=Finding.Severity.HOLD, cleared_at=None
    )
    free = held.filter(~Exists(holding), state=Cdr.State.HELD, emsp__isnull=False)
    return sum(
        free.filter(month=month).update(state=Cdr.State.ACCEPTED, period=period)
        for month, period in periods.items()
    )


def hold_stray_credits(period: Period) -> int:
    """Hold credits whose original is neither settled beside them nor billed before."""
    stray = Cdr.objects.billable(period).exclude(Q(credit_of=None) | original_settled(period))
    return _hold(stray, {STRAY_CREDIT: "the CDR it credits is neither settled nor billed yet"})


def _hold_trades(period: Period, terms: Terms) -> int:
    billable = Cdr.objects.billable(period)
    held = 0
    for trade in _trades_added_up():
        if reasons := terms.obstacles(trade):
            held += _hold(billable.filter(**trade._asdict()), reasons)
    return held


def _trades_added_up() -> list[Trade]:
    with connection.cursor() as cursor:
        cursor.execute(TRADES)
        return [Trade(*row) for row in cursor.fetchall()]


def _hold_uncontracted(period: Period) -> int:
    """Hold what started while CPO and eMSP had no agreement with the hub."""
    with connection.cursor() as cursor:
        cursor.execute(
            UNCONTRACTED.format(days=UNCONTRACTED_DAYS),
            {"period": period.pk, "zone": settings.TIME_ZONE},
        )
        chosen = [cdr for (cdr,) in cursor.fetchall()]
    if not chosen:
        return 0
    text = "CPO and eMSP have no agreement in force for the start of the session"
    return _hold(Cdr.objects.billable(period).filter(pk__in=chosen), {NOT_CONTRACTED: text})


def _hold(cdrs: CdrQuerySet, reasons: dict[str, str]) -> int:
    facts: dict[str, Any] = {
        "ids": list(cdrs.values_list("pk", flat=True)),
        "codes": list(reasons),
        "texts": list(reasons.values()),
        "now": timezone.now(),
    }
    if not facts["ids"]:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(HOLD, facts)
        (moved,) = cursor.fetchone()
    return int(moved)


def _release(period: Period, terms: Terms, which: Q) -> int:
    ready = held_for_configuration(period).filter(which)
    trades = [trade for trade in _trades(ready) if not terms.obstacles(trade)]
    return sum(_accept(ready.filter(**trade._asdict()), period) for trade in trades)


def _accept(held: CdrQuerySet, period: Period) -> int:
    """Clear what held CDRs back, then settle them: the database wants it in this order."""
    chosen = list(held.select_for_update().values_list("pk", flat=True))
    findings = Finding.objects.filter(cdr__in=chosen, code__in=CODES, cleared_at=None)
    findings.update(cleared_at=timezone.now())
    return Cdr.objects.filter(pk__in=chosen).update(state=Cdr.State.ACCEPTED, period=period)


def held_for_configuration(period: Period) -> CdrQuerySet:
    """Keep held CDRs that only we stand in the way of, unless their own month still takes them."""
    holding = Finding.objects.filter(
        cdr=OuterRef("pk"), severity=Finding.Severity.HOLD, cleared_at=None
    )
    thawed = Period.objects.filter(month=OuterRef("month"), state__in=Period.THAWED)
    return Cdr.objects.held_up_to(period.month).filter(
        Exists(holding.filter(code__in=CODES)),
        ~Exists(holding.exclude(code__in=CODES)),
        ~Exists(thawed.exclude(pk=period.pk)),
        emsp__isnull=False,
    )


def original_settled(period: Period) -> Q:
    """Keep credits whose original is settled in the cell beside theirs, or billed before.

    Credits then never exceed supplies, not even by rounding, and no document can be negative.
    """
    same = {name: OuterRef(name) for name in ("emsp", "currency", "country", "month")}
    originals = Cdr.objects.filter(pk=OuterRef("credit_of"), **same)
    billed = originals.filter(period__state__in=BILLED, period__month__lt=period.month)
    return Q(Exists(originals.filter(period=period))) | Q(Exists(billed))


def _trades(cdrs: CdrQuerySet) -> list[Trade]:
    columns = cdrs.order_by(*Trade._fields).values_list(*Trade._fields)
    return [Trade(*row) for row in columns.distinct()]
