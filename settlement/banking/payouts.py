"""Work out what each CPO is to be paid: what it is owed, of that what has been collected, net.

All of a party's plans wait for each other on the row of its ledger account.
"""

import datetime as dt
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import QuerySet, Sum
from django.utils import timezone

from hub.money import ZERO, minor_unit
from parties.models import Party
from settlement.banking import allocating
from settlement.banking.accounts import account_of
from settlement.banking.terms import Terms, minimum_on, terms_of
from settlement.ledger.balances import owed_to
from settlement.ledger.posting import Side, post
from settlement.ledger.turns import in_turn
from settlement.models import (
    Account,
    BankAccount,
    Entry,
    Payout,
    PayoutLine,
    Receipt,
    Receivable,
    SetOff,
)

State = Payout.State

# Of each invoice of a CPO that is not entirely paid out, less its credit notes: what its eMSPs have
# paid of its cells. What an eMSP's own invoice was credited with is neither owed nor paid by it.
COLLECTED = """
WITH claim AS (
    SELECT d.id, d.due_on, d.gross - coalesce(sum(n.gross), 0) AS gross,
        d.net - coalesce(sum(n.net), 0) AS net
    FROM settlement_document d LEFT JOIN settlement_document n ON n.corrected_id = d.id
    WHERE d.party_id = %(party)s AND d.currency = %(currency)s
        AND d.kind = 'self_billing_invoice' AND d.gross > 0
    GROUP BY d.id
), part AS (
    SELECT coalesce(d.corrected_id, d.id) AS claim_id, coalesce(m.corrected_id, m.id) AS theirs_id,
        sum(CASE WHEN d.corrected_id IS NULL THEN l.net ELSE -l.net END) AS net
    FROM settlement_document d
    JOIN settlement_documentline l ON l.document_id = d.id
    JOIN settlement_documentline mirror ON mirror.cell_id = l.cell_id AND mirror.side = 'AR'
    JOIN settlement_document m ON m.id = mirror.document_id
    WHERE d.id IN (SELECT id FROM claim) OR d.corrected_id IN (SELECT id FROM claim)
    GROUP BY 1, 2
), theirs AS (
    SELECT t.id, CASE WHEN t.gross = 0 OR r.amount = taken.back THEN 1
        ELSE coalesce((o.collected - taken.back) / (r.amount - taken.back), 0) END AS paid
    FROM settlement_document t
    LEFT JOIN settlement_receivable r ON r.document_id = t.id
    LEFT JOIN settlement_openamount o ON o.receivable_id = r.id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(x.amount), 0) AS back
        FROM settlement_allocation x JOIN settlement_receipt c ON c.id = x.receipt_id
        JOIN settlement_document n ON n.id = c.credit_note_id
        WHERE x.receivable_id = r.id AND n.corrected_id = t.id
    ) taken
    WHERE t.id IN (SELECT theirs_id FROM part)
)
SELECT claim.id, claim.gross, claim.due_on, claim.net, coalesce((
        SELECT sum(part.net * theirs.paid) FROM part JOIN theirs ON theirs.id = part.theirs_id
        WHERE part.claim_id = claim.id), 0),
    coalesce((SELECT sum(x.amount) FROM settlement_payoutline x
        JOIN settlement_payout p ON p.id = x.payout_id
        WHERE x.document_id = claim.id AND p.state = ANY(%(live)s)
            AND p.id <> ALL(%(without)s)), 0) AS covered
FROM claim ORDER BY claim.due_on, claim.id
"""


class Claim(NamedTuple):
    """An invoice of a CPO, less its credit notes: what of it may be paid out, and what was."""

    document: int
    due_on: dt.date
    gross: Decimal
    released: Decimal
    covered: Decimal

    @property
    def increment(self) -> Decimal:
        """Return what may be paid of it and was not."""
        return self.released - self.covered


class Plan(NamedTuple):
    """What came of planning for a party: a payout, or why there is none."""

    party: Party
    currency: str
    amount: Decimal
    payout: Payout | None
    why: str = ""
    set_off: Decimal = ZERO


def plan(now: dt.datetime) -> list[Plan]:
    """Plan a payout for everybody who can be paid something; safe to repeat."""
    accounts = Account.objects.filter(kind=Account.Kind.PAYABLE).select_related("party")
    ordered = accounts.order_by("party__country_code", "party__party_id", "currency")
    return [plan_for(row.party, row.currency, now) for row in ordered if row.party]


@in_turn
def plan_for(
    party: Party, currency: str, now: dt.datetime, *, retry_of: Payout | None = None
) -> Plan:
    """Plan what a party can be paid in a currency, in the place of a plan that nobody took up.

    Locks the party's ledger account.
    """
    Account.objects.select_for_update().get(
        kind=Account.Kind.PAYABLE, party=party, currency=currency
    )
    terms, today = terms_of(party, currency), timezone.localdate(now)
    earlier = _planned_for(party, currency)
    claims = _claims(party, currency, terms, without=[row.pk for row in earlier])
    set_off = _set_off(party, currency, claims, earlier.first(), today) if terms.set_off else ZERO
    execute_on = _day(claims, today)
    amount = _payable(party, currency, claims, execute_on, earlier.first())
    account = account_of(party, currency)
    why = _obstacle(amount, minimum_on(terms, today), account, now)
    if why or account is None:
        _cancel(earlier.first())
        return Plan(party, currency, amount, None, why, set_off)
    payout = _planned(party, earlier.first(), account, amount, execute_on, claims, retry_of)
    return Plan(party, currency, amount, payout, "", set_off)


def free(party: Party, currency: str, now: dt.datetime) -> Decimal:
    """Return what a party may be paid, due or not, that is in no batch; never locks anything.

    Negative if more is on its way in batches than may be paid by now.
    """
    terms, today = terms_of(party, currency), timezone.localdate(now)
    waiting = Payout.objects.filter(party=party, currency=currency, state__in=Payout.WAITING)
    claims = _claims(party, currency, terms, without=[row.pk for row in waiting])
    planned = _planned_for(party, currency).first()
    return _payable(party, currency, claims, _last_due(claims, today), planned)


def replan(party: Party, currency: str) -> None:
    """Plan again what nobody has taken up yet, of a party that can be paid less by now."""
    if _planned_for(party, currency).exists():
        plan_for(party, currency, timezone.now())


def _planned_for(party: Party, currency: str) -> QuerySet[Payout]:
    """Return the plan that nobody has taken up, if there is one."""
    return Payout.objects.filter(party=party, currency=currency, state=State.PLANNED, batch=None)


def _claims(party: Party, currency: str, terms: Terms, without: list[int]) -> list[Claim]:
    parameters: dict[str, Any] = {
        "party": party.pk,
        "currency": currency,
        "live": list(Payout.LIVE),
        "without": without,
    }
    with connection.cursor() as cursor:
        cursor.execute(COLLECTED, parameters)
        rows = cursor.fetchall()
    return [
        Claim(
            document,
            due_on,
            gross,
            gross if terms.guaranteed else released(gross, net, collected, currency),
            covered,
        )
        for document, gross, due_on, net, collected, covered in rows
        if covered < gross
    ]


def released(gross: Decimal, net: Decimal, collected: Decimal, currency: str) -> Decimal:
    """Return the part of an invoice that its collected net releases, to the last whole cent."""
    if collected >= net:
        return gross
    part = (gross * max(collected, ZERO) / net).quantize(minor_unit(currency), ROUND_DOWN)
    return min(part, gross)


def _day(claims: list[Claim], today: dt.date) -> dt.date:
    """Return the day to pay on: the first due date of what can be paid, and never in the past."""
    return max(today, min((c.due_on for c in claims if c.increment > 0), default=today))


def _last_due(claims: list[Claim], today: dt.date) -> dt.date:
    return max((claim.due_on for claim in claims), default=today)


def _payable(
    party: Party, currency: str, claims: list[Claim], day: dt.date, earlier: Payout | None
) -> Decimal:
    """Return what can be paid on a day: the balance without what is held back or on its way."""
    held: Decimal = sum(
        (c.gross - (c.released if c.due_on <= day else min(c.released, c.covered)) for c in claims),
        ZERO,
    )
    waiting = Payout.objects.filter(party=party, currency=currency, state__in=Payout.WAITING)
    if earlier:
        waiting = waiting.exclude(pk=earlier.pk)
    reserved: Decimal = waiting.aggregate(sum=Sum("amount", default=ZERO))["sum"]
    return owed_to(party, currency) - held - reserved


def _set_off(
    party: Party, currency: str, claims: list[Claim], earlier: Payout | None, today: dt.date
) -> Decimal:
    """Let what the party is owed by now cancel out what it owes; return how much that was."""
    receivables = Receivable.objects.filter(
        party=party, currency=currency, state__in=Receivable.UNPAID
    )
    open_amount: Decimal = receivables.aggregate(sum=Sum("settled__open", default=ZERO))["sum"]
    last = _last_due(claims, today)
    amount = min(_payable(party, currency, claims, last, earlier), open_amount)
    if amount <= 0:
        return ZERO
    _cancel(earlier)
    before = SetOff.objects.filter(party=party, currency=currency).count()
    number = f"SO-{party.country_code}{party.party_id}-{currency}-{before + 1:06}"
    done = SetOff.objects.create(
        number=number, party=party, currency=currency, amount=amount, booked_on=today
    )
    sides = [
        Side(Account.Kind.PAYABLE, amount, party),
        Side(Account.Kind.RECEIVABLE, -amount, party),
    ]
    post(f"set_off:{done.pk}", Entry.Cause.SET_OFF, currency, today, sides, text=number)
    receipt = Receipt.objects.create(
        cause=Receipt.Cause.SET_OFF,
        party=party,
        currency=currency,
        amount=amount,
        received_on=today,
        set_off=done,
    )
    allocating.allocate(receipt)
    return amount


def _obstacle(
    amount: Decimal, minimum: Decimal, account: BankAccount | None, now: dt.datetime
) -> str:
    """Return why nothing is paid; nothing if it is."""
    if amount <= 0:
        return "nothing can be paid out"
    if amount < minimum:
        return f"below the minimum of {minimum}: carried forward"
    if account is None:
        return "no verified bank account"
    if account.usable_from and account.usable_from > now:
        return f"the bank account may be used from {account.usable_from:%Y-%m-%d %H:%M}"
    return ""


def _cancel(payout: Payout | None) -> None:
    if payout and payout.state == State.PLANNED:
        payout.move_to(State.CANCELLED)


def _planned(
    party: Party,
    earlier: Payout | None,
    account: BankAccount,
    amount: Decimal,
    day: dt.date,
    claims: list[Claim],
    retry_of: Payout | None,
) -> Payout:
    """Return the earlier plan if it still is right, else a new one with its lines."""
    same = (amount, account.pk, day)
    if earlier and same == (earlier.amount, earlier.bank_account_id, earlier.execute_on):
        return earlier
    _cancel(earlier)
    payout = Payout.objects.create(
        party=party,
        currency=account.currency,
        amount=amount,
        bank_account=account,
        execute_on=day,
        retry_of=retry_of or (earlier.retry_of if earlier else None),
    )
    PayoutLine.objects.bulk_create(_lines(payout, claims, day))
    return payout


def _lines(payout: Payout, claims: list[Claim], day: dt.date) -> Iterator[PayoutLine]:
    rest = payout.amount
    for claim in claims:
        if claim.due_on <= day and claim.increment:
            rest -= claim.increment
            yield PayoutLine(payout=payout, document_id=claim.document, amount=claim.increment)
    if rest:
        yield PayoutLine(payout=payout, amount=rest)
