"""Statements of a month: published, answered or approved by silence, revised after an objection.

An objection never edits an amount. The CDRs behind the line are held and so leave the month, what
they were part of is added up again, and both sides get a new version. All of that happens in one
transaction that holds the month's row, before any number is spent.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Sum

from cdrs.models import Cdr, CdrQuerySet, Period
from hub.money import ZERO
from parties.models import Party, Role, User
from settlement import aggregating, holding
from settlement.calendar import days_after, last_day, schedule
from settlement.models import (
    Account,
    Agreement,
    CloseRun,
    Leg,
    Objection,
    Statement,
    StatementLine,
)

logger = logging.getLogger(__name__)
DAYS = 3  # to answer, where no agreement says otherwise
ROLES = {Role.Kind.CPO: ("cpo", "emsp"), Role.Kind.EMSP: ("emsp", "cpo")}

LINES = """
INSERT INTO settlement_statementline (statement_id, no, kind, counterparty_id, supply_month,
    country, corrects_id, cdrs, energy_kwh, total, net, text)
SELECT statement_id, row_number() OVER (PARTITION BY statement_id ORDER BY
        place, counterparty_id, supply_month, country, corrects_id, text),
    kind, counterparty_id, supply_month, country, corrects_id, cdrs, energy_kwh, total, net, text
FROM (
    SELECT s.id AS statement_id, 1 AS place,
        CASE WHEN c.corrects_id IS NOT NULL THEN 'correction'
            WHEN c.credit THEN 'credit' ELSE 'supply' END AS kind,
        c.{other}_id AS counterparty_id, c.supply_month, c.country, c.corrects_id,
        c.cdr_count AS cdrs, c.energy_kwh, c.total, c.net, '' AS text
    FROM settlement_statement s JOIN settlement_cell c ON c.period_id = s.period_id
        AND c.{role}_id = s.party_id AND c.currency = s.currency
    WHERE s.id = ANY(%(statements)s) AND s.role = %(kind)s
    UNION ALL
    SELECT s.id, 2, 'fee', NULL, NULL, '', NULL, 0, 0, 0,
        CASE WHEN s.role = 'CPO' THEN -f.net ELSE f.net END, f.text
    FROM settlement_statement s JOIN settlement_fee f ON (f.period_id, f.party_id, f.role,
        f.currency) = (s.period_id, s.party_id, s.role, s.currency)
    WHERE s.id = ANY(%(statements)s) AND s.role = %(kind)s
) line
"""
NETS = """
SELECT party_id, currency, sum(net) FROM (
    SELECT {role}_id AS party_id, currency, net FROM settlement_cell WHERE period_id = %(period)s
    UNION ALL
    SELECT party_id, currency, CASE WHEN role = 'CPO' THEN -net ELSE net END
    FROM settlement_fee WHERE period_id = %(period)s AND role = %(kind)s
) part GROUP BY party_id, currency
"""


class CannotAnswer(Exception):
    """A statement cannot be answered like this; the message says why, and nothing was changed."""


@transaction.atomic
def publish(period: Period, now: dt.datetime) -> None:
    """Tell every party what it has coming, and let the month wait for their answers."""
    locked = Period.objects.select_for_update().get(pk=period.pk)
    if locked.state != Period.State.FROZEN:
        return
    _publish(locked, now)
    locked.move_to(Period.State.STATEMENT)
    CloseRun.objects.get(period=locked).reached(CloseRun.Step.STATEMENT)
    logger.info("statements of %s published", locked)


@transaction.atomic
def approve(statement: Statement, person: User | None, now: dt.datetime) -> None:
    """Approve a statement; raises CannotAnswer when it does not wait for that."""
    locked = _waiting(statement)
    if locked.state != Statement.State.PUBLISHED:
        raise CannotAnswer(f"{locked} is answered already")
    locked.move_to(Statement.State.APPROVED, answered_at=now, person=person)


@transaction.atomic
def object_to(
    lines: Sequence[StatementLine], reason: str, person: User | None, now: dt.datetime
) -> list[Statement]:
    """Object to lines of one statement, and return the versions that follow.

    The CDRs behind them are held until people decide, and leave the month; so do credits of theirs.
    Raises CannotAnswer; nothing is changed then.
    """
    if not lines:
        raise CannotAnswer("no line is chosen")
    statement = _waiting(lines[0].statement)
    _check(statement, lines, reason)
    for line in lines:
        held = holding.contest(_behind(statement, line), reason[:255])
        Objection.objects.create(line=line, reason=reason[:200], person=person, cdrs=held, at=now)
    holding.hold_stray_credits(statement.period)
    others = [line.counterparty for line in lines if line.counterparty]
    return _revise(statement, others, person, now)


@transaction.atomic
def lapse(period: Period, now: dt.datetime, *, early: bool = False) -> int:
    """Let silence approve what nobody has answered in time, or now; return how many statements."""
    Period.objects.select_for_update().get(pk=period.pk)
    silent = period.statements.unanswered()
    if not early:
        silent = silent.filter(respond_by__lte=now)
    return int(silent.update(state=Statement.State.SILENT, answered_at=now))


def take_out(period: Period, cdrs: CdrQuerySet, text: str, now: dt.datetime) -> int:
    """Hold CDRs that are disputed out of a month whose statements are out; return how many.

    Both sides get a new version. Call in the transaction that holds the month's row FOR UPDATE.
    """
    ends = cdrs.order_by().values_list("owner", "emsp").distinct()
    parties = list(Party.objects.filter(pk__in={key for pair in ends for key in pair}))
    held = holding.contest(cdrs, text)
    holding.hold_stray_credits(period)
    aggregating.revise(period, *parties)
    _supersede(period, parties, now)
    _publish(period, now, parties)
    return held


def _publish(period: Period, now: dt.datetime, parties: Sequence[Party] = ()) -> list[Statement]:
    made = []
    for kind, (role, other) in ROLES.items():
        statements = Statement.objects.bulk_create(_drafts(period, kind, role, now, parties))
        keys = [statement.pk for statement in statements]
        facts: dict[str, Any] = {"statements": keys, "kind": kind}
        with connection.cursor() as cursor:
            cursor.execute(LINES.format(role=role, other=other), facts)
        made += statements
    return made


def _drafts(
    period: Period, kind: str, role: str, now: dt.datetime, parties: Sequence[Party]
) -> Iterable[Statement]:
    """Return the statements of a role, of some parties or of all, as they are to be published."""
    only = {party.pk for party in parties}
    days, versions = _days_to_answer(period, kind), _versions(period, kind)
    balances = _balances(kind)
    latest = schedule(period).issue_by
    with connection.cursor() as cursor:
        cursor.execute(NETS.format(role=role), {"period": period.pk, "kind": kind})
        rows = cursor.fetchall()
    for party, currency, net in rows:
        if only and party not in only:
            continue
        answer_by = min(days_after(now, days.get(party, DAYS)), latest)
        yield Statement(
            period=period,
            party_id=party,
            role=kind,
            currency=currency,
            version=1 + versions.get((party, currency), 0),
            opening=(before := balances.get((party, currency), ZERO)),
            net=net,
            closing=before + net,
            published_at=now,
            respond_by=max(answer_by, now),
        )


def _balances(kind: str) -> Mapping[tuple[int, str], Decimal]:
    """Return what parties are owed in a role from before, or owe in it, by the ledger."""
    payable = kind == Role.Kind.CPO
    account = Account.Kind.PAYABLE if payable else Account.Kind.RECEIVABLE
    legs = Leg.objects.filter(account__kind=account).order_by()
    rows = legs.values_list("account__party", "account__currency").annotate(Sum("amount"))
    return {(party, currency): -owed if payable else owed for party, currency, owed in rows}


def _days_to_answer(period: Period, kind: str) -> dict[int, int]:
    agreements = Agreement.objects.filter(kind=kind.lower(), valid_from__lte=last_day(period.month))
    rows = agreements.order_by("valid_from").values_list("party_id", "statement_days")
    return {party: days for party, days in rows}  # noqa: C416 - the last one holds


def _versions(period: Period, kind: str) -> Mapping[tuple[int, str], int]:
    rows = period.statements.filter(role=kind).order_by().values_list("party", "currency")
    return {(party, currency): last for party, currency, last in rows.annotate(Max("version"))}


def _waiting(statement: Statement) -> Statement:
    """Return a statement that can be answered, its month locked; raises CannotAnswer."""
    period = Period.objects.select_for_update().get(pk=statement.period_id)
    if period.state != Period.State.STATEMENT:
        text = "the documents of {} are being issued: what is wrong is credited from now on"
        raise CannotAnswer(text.format(period))
    locked = Statement.objects.select_for_update(of=("self",)).get(pk=statement.pk)
    locked.period = period
    return locked


def _check(statement: Statement, lines: Sequence[StatementLine], reason: str) -> None:
    if statement.state not in (Statement.State.PUBLISHED, Statement.State.APPROVED):
        raise CannotAnswer(f"{statement} is not the last version, or silence has approved it")
    if not reason.strip():
        raise CannotAnswer("a reason is needed")
    for line in lines:
        if line.statement_id != statement.pk:
            raise CannotAnswer(f"{line} is a line of another statement")
        if line.kind == StatementLine.Kind.FEE:
            raise CannotAnswer(f"{line} is a fee: no CDRs are behind it alone")


def _behind(statement: Statement, line: StatementLine) -> CdrQuerySet:
    """Return the CDRs that a line adds up."""
    ends = {"owner": statement.party_id, "emsp": line.counterparty_id}
    if statement.role == Role.Kind.EMSP:
        ends = {"owner": line.counterparty_id, "emsp": statement.party_id}
    cdrs = Cdr.objects.billable(statement.period).filter(
        **ends, currency=statement.currency, month=line.supply_month, country=line.country
    )
    if line.kind == StatementLine.Kind.SUPPLY:
        return cdrs.filter(credit_of=None)
    return cdrs.filter(credit_of__period=line.corrects_id or statement.period_id)


def _revise(
    statement: Statement, others: Sequence[Party], person: User | None, now: dt.datetime
) -> list[Statement]:
    """Add up again what two sides have in common, and tell them."""
    period, parties = statement.period, [statement.party, *dict.fromkeys(others)]
    aggregating.revise(period, *parties)
    statement.move_to(Statement.State.OBJECTED, person=person, answered_at=now)
    _supersede(period, parties, now)
    logger.info("%s objected to", statement)
    return _publish(period, now, parties)


def _supersede(period: Period, parties: Sequence[Party], now: dt.datetime) -> None:
    for row in period.statements.current().filter(party__in=parties):
        row.move_to(Statement.State.SUPERSEDED, answered_at=now)
