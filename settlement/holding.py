"""Hold what cannot be billed, with the reason; release what has become billable."""

import datetime as dt
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from cdrs.models import Cdr, CdrQuerySet, Finding, Period
from parties.models import Party
from settlement.calendar import last_day
from settlement.models import LegalEntity, SelfBillingAgreement, VatRule
from settlement.models.agreements import in_force

ENTITY_MISSING = "legal_entity_missing"
AGREEMENT_MISSING = "self_billing_agreement_missing"
RULE_MISSING = "vat_rule_missing"
STRAY_CREDIT = "credit_without_original"
CODES = (ENTITY_MISSING, AGREEMENT_MISSING, RULE_MISSING, STRAY_CREDIT)

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
    """What decides whether CDRs can be billed: who sold to whom, in which month."""

    owner_id: int
    emsp_id: int
    month: dt.date


class Terms:
    """The agreements, companies and VAT rules that documents of one day of issue go by.

    What is looked up is kept: queries are per pair of countries and month, not per CDR.
    """

    def __init__(self, issued_on: dt.date) -> None:
        agreements = SelfBillingAgreement.objects.filter(in_force(issued_on))
        self._agreed = set(agreements.values_list("supplier__party_id", flat=True))
        self._entities = {entity.party_id: entity for entity in LegalEntity.objects.complete()}
        self._names = {None: "the hub"} | {party.pk: str(party) for party in Party.objects.all()}
        self.rule = cache(VatRule.objects.applying)

    def obstacles(self, trade: Trade) -> dict[str, str]:
        """Return why a trade cannot be billed, as codes with words; empty if it can."""
        found = {
            ENTITY_MISSING: "; ".join(self._without_entity(trade)),
            AGREEMENT_MISSING: self._without_agreement(trade),
            RULE_MISSING: "; ".join(self._without_rule(trade)),
        }
        return {code: text for code, text in found.items() if text}

    def _without_entity(self, trade: Trade) -> Iterator[str]:
        for party in (trade.owner_id, trade.emsp_id, None):
            if party not in self._entities:
                yield f"{self._names[party]} has no complete legal entity"

    def _without_agreement(self, trade: Trade) -> str:
        if trade.owner_id in self._agreed:
            return ""
        return f"{self._names[trade.owner_id]} has no self-billing agreement in force"

    def _without_rule(self, trade: Trade) -> Iterator[str]:
        for ends in ((trade.owner_id, None), (None, trade.emsp_id)):
            supplier, customer = (self._entities.get(end) for end in ends)
            if supplier and customer:
                countries = supplier.country, customer.country
                if not self.rule(*countries, last_day(trade.month)):
                    yield "no VAT rule from {} to {}".format(*countries)


def hold_and_release(period: Period, *, issued_on: dt.date) -> tuple[int, int]:
    """Move CDRs out of an open period or into it, and return how many went each way.

    Call in the transaction that holds the period's row, so that no writer comes in between.
    """
    terms = Terms(issued_on)
    released = _release(period, terms, Q(credit_of=None))
    released += _release(period, terms, original_in(period))
    return _hold_trades(period, terms) + _hold_stray_credits(period), released


def _hold_trades(period: Period, terms: Terms) -> int:
    billable = Cdr.objects.billable(period)
    held = 0
    for trade in _trades(billable):
        if reasons := terms.obstacles(trade):
            held += _hold(billable.filter(**trade._asdict()), reasons)
    return held


def _hold_stray_credits(period: Period) -> int:
    """Hold credits whose original is not settled beside them: those need a credit note."""
    stray = Cdr.objects.billable(period).exclude(Q(credit_of=None) | original_in(period))
    return _hold(stray, {STRAY_CREDIT: "the CDR it credits is not settled in the same month"})


def _hold(cdrs: CdrQuerySet, reasons: dict[str, str]) -> int:
    facts: dict[str, Any] = {
        "ids": list(cdrs.values_list("pk", flat=True)),
        "codes": list(reasons),
        "texts": list(reasons.values()),
        "now": timezone.now(),
    }
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
    """Keep held CDRs that only we stand in the way of, and whose own month is not open any more."""
    holding = Finding.objects.filter(
        cdr=OuterRef("pk"), severity=Finding.Severity.HOLD, cleared_at=None
    )
    still_open = Period.objects.filter(month=OuterRef("month"), state=Period.State.OPEN)
    return Cdr.objects.held_up_to(period.month).filter(
        Exists(holding.filter(code__in=CODES)),
        ~Exists(holding.exclude(code__in=CODES)),
        ~Exists(still_open.exclude(pk=period.pk)),
        emsp__isnull=False,
    )


def original_in(period: Period) -> Q:
    """Keep credits whose original is settled in the cell beside theirs.

    Credits then never exceed supplies, not even by rounding, and no document can be negative.
    """
    same = {name: OuterRef(name) for name in ("emsp", "currency", "country", "month")}
    return Q(Exists(Cdr.objects.billable(period).filter(pk=OuterRef("credit_of"), **same)))


def _trades(cdrs: CdrQuerySet) -> list[Trade]:
    columns = cdrs.order_by("owner_id", "emsp_id", "month").values_list(*Trade._fields)
    return [Trade(*row) for row in columns.distinct()]
