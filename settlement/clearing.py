"""Close a month: hold, freeze, aggregate, issue, render. Safe to kill anywhere and to repeat.

Each step is one transaction or a loop over them that skips what is done, so whoever resumes gets
the documents, numbers and dates that an undisturbed close would have given.
"""

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import Count, Exists, OuterRef, Sum
from django.utils import timezone

from cdrs.models import Cdr, Period
from cdrs.periods import month_of
from hub.money import minor_unit
from settlement import holding, issuing, rendering
from settlement.calendar import closable_from, due_at
from settlement.models import Cell, CloseRun, Document, DocumentLine
from settlement.snapshot import code_of

logger = logging.getLogger(__name__)

LOCK_CLASS = 0x434C  # of pg_advisory_lock(class, period)

CELLS = """
INSERT INTO settlement_cell (period_id, supply_month, cpo_id, emsp_id, country, currency, credit,
    cdr_count, energy_kwh, total, decimals, net)
SELECT period_id, month, owner_id, emsp_id, country, currency, credit_of_id IS NOT NULL,
    count(*), sum(CASE WHEN credit_of_id IS NULL THEN energy_kwh ELSE -energy_kwh END),
    sum(total_excl_vat), decimals, round(sum(total_excl_vat), decimals)
FROM cdrs_cdr JOIN unnest(%s::text[], %s::integer[]) AS unit (currency, decimals) USING (currency)
WHERE period_id = %s AND state = 'accepted'
GROUP BY period_id, month, owner_id, emsp_id, country, currency, credit_of_id IS NOT NULL, decimals
ON CONFLICT DO NOTHING
"""


class CannotClose(Exception):
    """The month cannot be closed now; the message says why, and nothing was changed."""


def close(month: dt.date, *, now: dt.datetime, force: bool = False) -> Period:
    """Close a month to the end, or finish what an earlier close has left, and return its period.

    Raises CannotClose before the calendar allows it (unless forced) and when a document would be
    negative, CannotIssue when one lacks what it legally needs.
    """
    period = _closable(month, now, force)
    settle(period, now=now)
    rendering.render_period(period)
    finish(period)
    period.refresh_from_db()
    return period


def preview(month: dt.date, *, now: dt.datetime) -> dict[str, Any]:
    """Return the report that a close would give, without numbers; nothing is kept.

    Does the work in a transaction and rolls it back, so CDRs of that month wait for it.
    """
    with transaction.atomic():
        period = _closable(month, now, force=True)
        settle(period, now=now)
        connection.check_constraints()
        found = report(period)
        transaction.set_rollback(True)
    return found | {"documents": [paper | {"number": None} for paper in found["documents"]]}


def report(period: Period) -> dict[str, Any]:
    """Say what came of a month: its state, its documents, and what was left out."""
    period.refresh_from_db()
    run = CloseRun.objects.filter(period=period).first()
    documents = period.documents.select_related("party").order_by("pk")
    return {
        "period": str(period),
        "status": period.state,
        "cdrs": Cdr.objects.billable(period).count(),
        "documents": [_in_short(document) for document in documents.defer("snapshot")],
        "held": Cdr.objects.held_up_to(period.month).count(),
        "rolled": run.rolled if run else 0,
    }


def due(now: dt.datetime) -> list[Period]:
    """Return the open months whose day has come, and the frozen ones that were left unfinished."""
    unfinished = Period.objects.exclude(state=Period.State.CLOSED).order_by("month")
    return [
        period
        for period in unfinished
        if period.state == Period.State.FROZEN or due_at(period) <= now
    ]


def settle(period: Period, *, now: dt.datetime) -> None:
    """Freeze a month and issue its documents: the part of a close that binds money."""
    with _alone(period):
        _freeze(period, now)
        run = CloseRun.objects.select_related("period").get(period=period)
        if run.step == CloseRun.Step.FROZEN:
            issuing.issue_month(run)
            logger.info("documents of %s issued", period)


@transaction.atomic
def finish(period: Period) -> None:
    """Move a frozen month to closed once every cell is on both documents and each has its files."""
    locked = Period.objects.select_for_update().get(pk=period.pk)
    if locked.state != Period.State.FROZEN or _unbilled(locked) or _unfiled(locked):
        return
    locked.move_to(Period.State.CLOSED, closed_at=timezone.now())
    CloseRun.objects.get(period=locked).reached(CloseRun.Step.DONE)
    logger.info("%s closed", locked)


def _closable(month: dt.date, now: dt.datetime, force: bool) -> Period:
    """Return the period of a month that may be closed now, or whose close has begun."""
    if month > month_of(now):
        raise CannotClose(f"{month:%Y-%m} has not begun")
    period = Period.objects.filter(month=month).first()
    begun = period is not None and period.state != Period.State.OPEN
    if not (force or begun) and now < closable_from(month):
        raise CannotClose(
            f"{month:%Y-%m} may be closed from {closable_from(month):%Y-%m-%d %H:%M %Z};"
            " --force closes it now"
        )
    return period or Period.objects.get_or_create(month=month)[0]


@contextmanager
def _alone(period: Period) -> Iterator[None]:
    """Be the only close of a period; a second one waits. The lock dies with its connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK_CLASS, period.pk])
    try:
        yield
    finally:
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_CLASS, period.pk])


@transaction.atomic
def _freeze(period: Period, now: dt.datetime) -> None:
    """Fix what is billed: hold, flip the state, make the cells; all of it or nothing.

    Holds the period's row FOR UPDATE, so writers of this month's CDRs wait (about 1 s per million
    CDRs) and then find it frozen.
    """
    locked = Period.objects.select_for_update().get(pk=period.pk)
    if locked.state != Period.State.OPEN:
        return
    issued_on = timezone.localdate(now)
    rolled, released = holding.hold_and_release(locked, issued_on=issued_on)
    locked.move_to(Period.State.FROZEN, frozen_at=now)
    _aggregate(locked)
    CloseRun.objects.create(period=locked, issued_on=issued_on, rolled=rolled, released=released)
    logger.info("%s frozen, %s CDRs moved out, %s in", locked, rolled, released)


def _aggregate(period: Period) -> None:
    """Make the cells of a frozen period and compare them with its CDRs; raises CannotClose."""
    billable = Cdr.objects.billable(period)
    currencies = sorted(set(billable.order_by().values_list("currency", flat=True).distinct()))
    decimals = [-minor_unit(currency).adjusted() for currency in currencies]
    with connection.cursor() as cursor:
        cursor.execute(CELLS, [currencies, decimals, period.pk])
    expected = _sums(billable, Count("pk"), "total_excl_vat")
    found = _sums(Cell.objects.filter(period=period), Sum("cdr_count"), "total")
    if found != expected:
        raise CannotClose(f"the cells of {period} hold {found}, its CDRs {expected}")
    for role in ("cpo", "emsp"):
        _refuse_negative(period, role)


def _sums(rows: Any, count: Any, total: str) -> dict[str, tuple[Any, ...]]:
    grouped = rows.order_by().values("currency").annotate(rows=count, sum=Sum(total))
    return {row["currency"]: (row["rows"], row["sum"]) for row in grouped}


def _refuse_negative(period: Period, role: str) -> None:
    """Refuse a document on which credits exceed supplies: it would need a credit note."""
    party = (f"{role}__country_code", f"{role}__party_id")
    sums = period.cells.order_by(*party).values(*party, "currency").annotate(net=Sum("net"))
    for row in sums.filter(net__lt=0):
        code = "-".join(row[name] for name in party)
        raise CannotClose(
            f"credits of {code} exceed its supplies by {-row['net']} {row['currency']}"
        )


def _unbilled(period: Period) -> bool:
    """Tell whether a cell still lacks its line on either side, or a fee its own."""
    sides = DocumentLine.Side.values
    lines = DocumentLine.objects.filter(cell=OuterRef("pk"))
    cells = any(period.cells.exclude(Exists(lines.filter(side=side))).exists() for side in sides)
    return cells or period.fees.filter(line=None).exists()


def _unfiled(period: Period) -> bool:
    """Tell whether a document still lacks a file."""
    return Document.objects.filter(period=period).unfinished().exists()


def _in_short(document: Document) -> dict[str, Any]:
    return {
        "number": document.number,
        "kind": document.kind,
        "party": code_of(document.party),
        "currency": document.currency,
        "net": document.spelled(document.net),
        "tax": document.spelled(document.tax),
        "gross": document.spelled(document.gross),
    }
