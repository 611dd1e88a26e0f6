"""Close a month: freeze, add up, have it approved, issue, render, settle.

The state of the period says what is next. Each step is one transaction, or a loop over them that
skips what is done, so a close may be killed anywhere: whoever goes on gets the documents, numbers
and dates that an undisturbed close would have given. Beat goes on by the calendar; by hand a month
is closed to the end at once, and silence then approves what nobody has answered.
"""

import datetime as dt
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error, IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from cdrs.models import Cdr, Period
from cdrs.periods import month_of
from hub.states import WrongState
from settlement import (
    aggregating,
    freezing,
    holding,
    issuing,
    rendering,
    settling,
    statements,
)
from settlement.banking import payouts
from settlement.calendar import closable_from, schedule
from settlement.models import CloseRun, Document, DocumentLine, Statement
from settlement.pdf import render_pdf
from settlement.snapshot import code_of

logger = logging.getLogger(__name__)

LOCK_CLASS = 0x434C  # of pg_advisory_lock(class, period)
State = Period.State


class CannotClose(Exception):
    """The month cannot be closed now; the message says why, and nothing was changed."""


def close(month: dt.date, *, now: dt.datetime, force: bool = False) -> Period:
    """Close a month to the end, or finish what an earlier close has left, and return its period.

    Silence approves what nobody has answered by then. Raises CannotClose before the calendar allows
    it (unless forced) and when a document would be negative, CannotIssue when one lacks what it
    legally needs.
    """
    period = _closable(month, now, force)
    settle(period, now=now)
    rendering.render_period(period)
    finish(period, now=now)
    period.refresh_from_db()
    return period


def preview(month: dt.date, *, now: dt.datetime) -> dict[str, Any]:
    """Return the report that a close would give, without numbers; nothing is kept.

    Does the work in a transaction and rolls it back, so CDRs of that month wait for it.
    """
    with _tried(month, now) as period:
        found = report(period)
    return found | {"documents": [paper | {"number": None} for paper in found["documents"]]}


def sample(month: dt.date, codes: Collection[str], *, now: dt.datetime) -> dict[str, bytes]:
    """Return draft PDFs of the documents that some parties (CC-PID) would get; nothing is kept."""
    with _tried(month, now) as period:
        documents = period.documents.select_related("party").order_by("pk")
        drafts = [paper for paper in documents if code_of(paper.party) in codes]
    return {f"DRAFT-{n}-{code_of(d.party)}.pdf": draft(d) for n, d in enumerate(drafts, start=1)}


def draft(document: Document) -> bytes:
    """Return the PDF of a document that has no number and binds nobody."""
    return render_pdf(document.snapshot | {"number": "DRAFT"})


def report(period: Period) -> dict[str, Any]:
    """Say what came of a month: its state, its documents, and what was left out.

    `status` is closed when the close has come to its end, `state` is exactly where the month is.
    """
    period.refresh_from_db()
    run = CloseRun.objects.filter(period=period).first()
    documents = period.documents.select_related("party").order_by("pk")
    return {
        "period": str(period),
        "status": State.CLOSED if period.state == State.SETTLING else period.state,
        "state": period.state,
        "cdrs": Cdr.objects.billable(period).count(),
        "documents": [_in_short(document) for document in documents.defer("snapshot")],
        "held": Cdr.objects.held_up_to(period.month).count(),
        "rolled": run.rolled if run else 0,
        "statements": answers(period),
    }


def answers(period: Period) -> dict[str, int]:
    """Count the statements of a month by what was said to them."""
    counted = {state: 0 for state in Statement.State.values if state != "superseded"}
    for state in period.statements.exclude(state="superseded").values_list("state", flat=True):
        counted[state] += 1
    return counted


def due(now: dt.datetime) -> list[Period]:
    """Return the months for which the calendar has a step, or of which one was left unfinished."""
    unfinished = Period.objects.exclude(state__in=[State.SETTLING, State.CLOSED]).order_by("month")
    return [period for period in unfinished if _next_at(period) <= now]


def settle(period: Period, *, now: dt.datetime) -> None:
    """Go on until documents are issued: the part of a close that binds money, all of it now."""
    with _alone(period):
        while _advance(period, now, by_hand=True):
            pass


def go_on(period: Period, *, now: dt.datetime) -> None:
    """Go on as far as the calendar allows; what waits for its day, waits."""
    with _alone(period):
        while _advance(period, now, by_hand=False):
            pass


def step(period: Period, *, now: dt.datetime) -> None:
    """Take the next step, whatever the calendar says; see NEXT for which that is."""
    with _alone(period):
        _advance(period, now, by_hand=True)


@transaction.atomic
def finish(period: Period, *, now: dt.datetime) -> None:
    """Let a month whose documents all have their files be settled, and close it when it is.

    While this waits for its turn to plan, those whose turn it is may still refer to the month.
    """
    locked = Period.objects.select_for_update(no_key=True).get(pk=period.pk)
    if locked.state == State.ISSUED and not locked.documents.unfinished().exists():
        locked.move_to(State.SETTLING)
        CloseRun.objects.get(period=locked).reached(CloseRun.Step.DONE)
        payouts.plan(now)
    if locked.state == State.SETTLING and not settling.is_owed(locked):
        locked.move_to(State.CLOSED, closed_at=now)
        logger.info("%s closed", locked)


def blockers(period: Period, now: dt.datetime) -> list[str]:
    """Say in words what keeps the next step from being taken now, as far as that is known."""
    if period.state == State.STATEMENT:
        run = CloseRun.objects.get(period=period)
        return [*map(str, aggregating.negative(period)), *_not_billable(period, run.issued_on)]
    if period.state == State.ISSUED:
        missing = period.documents.unfinished().count()
        return [f"{missing} documents have not got all their files yet"] if missing else []
    return []


# The steps


def _advance(period: Period, now: dt.datetime, *, by_hand: bool) -> bool:
    """Take the next step if its time has come, or by hand; tell whether there may be another."""
    period.refresh_from_db()
    take = STEPS.get(State(period.state))
    return take is not None and take(period, now, by_hand)


def _begin_grace(period: Period, now: dt.datetime, by_hand: bool) -> bool:
    """Let the month be over; or freeze it, if it is time for that, too."""
    days = schedule(period)
    if by_hand or now >= days.freeze_at:
        return _freeze(period, now, by_hand)
    if now >= days.grace_from:
        with transaction.atomic():
            locked = Period.objects.select_for_update().get(pk=period.pk)
            if locked.state == State.OPEN:
                locked.move_to(State.GRACE, grace_until=days.grace_until)
    return False


def _freeze(period: Period, now: dt.datetime, by_hand: bool) -> bool:
    days = schedule(period)
    if not by_hand and now < days.freeze_at:
        return False
    planned = timezone.localdate(now if by_hand else max(now, days.issue_by))
    try:
        freezing.freeze(period, now, issue_on=planned)
    except freezing.CannotFreeze as error:
        raise CannotClose(str(error)) from error
    return True


def _publish(period: Period, now: dt.datetime, by_hand: bool) -> bool:
    statements.publish(period, now)
    return True


def _end_statements(period: Period, now: dt.datetime, by_hand: bool) -> bool:
    """Take silence for approval where its time has come; then the documents may be issued."""
    statements.lapse(period, now, early=by_hand)
    if period.statements.unanswered().exists():
        return False
    _begin_issuing(period, now)
    return True


def _begin_issuing(period: Period, now: dt.datetime) -> None:
    """Let the database compare the cells with the CDRs once more. Raises CannotClose."""
    try:
        _fix_day(period, now)
    except IntegrityError as error:
        raise CannotClose(f"{period}: {str(error).splitlines()[0]}") from error


@transaction.atomic
def _fix_day(period: Period, now: dt.datetime) -> None:
    """Fix the day of issue; from here nothing is revised any more. Raises CannotClose."""
    locked = Period.objects.select_for_update().get(pk=period.pk)
    if locked.state != State.STATEMENT:
        return
    run = CloseRun.objects.get(period=locked)
    run.issued_on = timezone.localdate(now)
    if problems := [*map(str, aggregating.negative(locked)), *_not_billable(locked, run.issued_on)]:
        raise CannotClose("; ".join(problems))
    run.save(update_fields=["issued_on"])
    run.reached(CloseRun.Step.ISSUING)
    locked.move_to(State.ISSUING)


def _not_billable(period: Period, issued_on: dt.date) -> list[str]:
    return holding.obstacles(period, issued_on=issued_on)


def _issue(period: Period, now: dt.datetime, by_hand: bool) -> bool:
    run = CloseRun.objects.select_related("period").get(period=period)
    issuing.issue_month(run)
    if _unbilled(period):
        raise CannotClose(f"cells of {period} are on no document")
    with suppress(WrongState):
        period.move_to(State.ISSUED)
    logger.info("documents of %s issued", period)
    return False


STEPS: Mapping[str, Callable[[Period, dt.datetime, bool], bool]] = {
    State.OPEN: _begin_grace,
    State.GRACE: _freeze,
    State.FROZEN: _publish,
    State.STATEMENT: _end_statements,
    State.ISSUING: _issue,
}


def _next_at(period: Period) -> dt.datetime:
    """Return from when on the calendar has a step for a period."""
    days = schedule(period)
    if period.state == State.OPEN:
        return days.grace_from
    if period.state == State.GRACE:
        return days.freeze_at
    if period.state == State.STATEMENT:
        unanswered = period.statements.unanswered().order_by("respond_by")
        return unanswered.values_list("respond_by", flat=True).last() or days.grace_from
    return dt.datetime.min.replace(tzinfo=dt.UTC)


# Around them


def _closable(month: dt.date, now: dt.datetime, force: bool) -> Period:
    """Return the period of a month that may be closed now, or whose close has begun."""
    if month > month_of(now):
        raise CannotClose(f"{month:%Y-%m} has not begun")
    period = Period.objects.filter(month=month).first()
    begun = period is not None and not period.thawed
    if not (force or begun) and now < closable_from(month):
        raise CannotClose(
            f"{month:%Y-%m} may be closed from {closable_from(month):%Y-%m-%d %H:%M %Z};"
            " --force closes it now"
        )
    return period or Period.objects.get_or_create(month=month)[0]


@contextmanager
def _tried(month: dt.date, now: dt.datetime) -> Iterator[Period]:
    """Have the documents of a month issued, until the block ends and all of it is undone."""
    with transaction.atomic():
        period = _closable(month, now, force=True)
        settle(period, now=now)
        connection.check_constraints()
        yield period
        transaction.set_rollback(True)


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


def _unbilled(period: Period) -> bool:
    """Tell whether a cell still lacks its line on either side, or a fee its own."""
    sides = DocumentLine.Side.values
    lines = DocumentLine.objects.filter(cell=OuterRef("pk"))
    cells = any(period.cells.exclude(Exists(lines.filter(side=side))).exists() for side in sides)
    return cells or period.fees.filter(line=None).exists()


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
