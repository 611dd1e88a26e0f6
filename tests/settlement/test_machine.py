"""A close in any order of events, crashing anywhere: nothing twice, nothing lost, and it ends.

Hypothesis plays the CPOs, the people and the kills; what must hold is looked at after each step,
and in the end every month is closed and every CDR accounted for.
"""

import datetime as dt
import itertools
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection, models, transaction
from django.db.models import Count, Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cdrs.models import Cdr, CdrQuerySet, Period
from cdrs.periods import next_month, period_for
from parties.models import User
from settlement import clearing, rendering, statements
from settlement.invariants import breaches
from settlement.models import Agreement, Cell, Document, DocumentLine, Statement, StatementLine
from settlement.verify import differences
from tests.settlement import factory
from tests.settlement.factory import MONTH

ENDS = ("settling", "closed")  # whoever owes money is not in this play
OURS = {"no_object_is_from_the_future"}  # here the clock is the test's own


class Killed(OperationalError):
    """The process is gone."""


class Close(RuleBasedStateMachine):
    """Three parties, months one after the other, and a close that is killed now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.month = MONTH
        self.written: dict[int, Decimal] = {}

    @initialize()
    def parties(self) -> None:
        self.cpos = [factory.cpo("FR-ABC"), factory.cpo("NL-AAA")]
        self.emsps = [factory.emsp("DE-EMP"), factory.emsp("NL-EMP")]
        Agreement.objects.create(
            party=self.cpos[0], kind="cpo", valid_from=MONTH, fee_percent="1.3", fee_per_cdr="0.01"
        )
        self.person = User.objects.create_user("clerk@hub.example")

    @property
    def now(self) -> dt.datetime:
        """Return day 6 after the month that is traded in."""
        return clearing.closable_from(self.month) + dt.timedelta(hours=9)

    @property
    def period(self) -> Period:
        return Period.objects.get_or_create(month=self.month)[0]

    # What parties and people do

    @rule(
        ends=st.tuples(st.integers(0, 1), st.integers(0, 1)),
        amount=st.decimals("0.0001", "99.9999", places=4),
        count=st.integers(1, 3),
    )
    def charge(self, ends: tuple[int, int], amount: Decimal, count: int) -> None:
        where = period_for(self.month, now=self.now).month
        trade = self.cpos[ends[0]], self.emsps[ends[1]]
        for cdr in factory.cdrs(count, *trade, str(amount), month=self.month, settled_in=where):
            self.written[cdr.pk] = cdr.total_excl_vat

    @rule(which=st.randoms(use_true_random=False))
    def credit(self, which: Any) -> None:
        billed = Cdr.objects.filter(state="accepted", credit_of=None, credited_by=None)
        if originals := list(billed.order_by("pk")):
            chosen = which.choice(originals)
            where = period_for(chosen.month, now=self.now).month
            made = factory.credit(chosen, settled_in=where)
            self.written[made.pk] = made.total_excl_vat

    @rule(which=st.randoms(use_true_random=False))
    def object_to(self, which: Any) -> None:
        waiting = StatementLine.objects.filter(
            statement__state__in=["published", "approved"],
            statement__period__state="statement",
            kind="supply",
        )
        lines = list(waiting.order_by("pk"))
        if lines:
            statements.object_to([which.choice(lines)], "not ours", self.person, self.now)

    @rule(which=st.randoms(use_true_random=False))
    def approve(self, which: Any) -> None:
        waiting = list(Statement.objects.unanswered().order_by("pk"))
        if waiting:
            statements.approve(which.choice(waiting), self.person, self.now)

    @rule()
    def decide(self) -> None:
        factory.release(_contested(), self.now)

    # What the close does

    @rule(by_calendar=st.booleans())
    def go_on(self, by_calendar: bool) -> None:
        (clearing.go_on if by_calendar else clearing.step)(self.period, now=self.now)

    @rule(at=st.integers(1, 60))
    def killed(self, at: int) -> None:
        self._killed(at, lambda: clearing.settle(self.period, now=self.now))

    @rule(at=st.integers(1, 12))
    def killed_while_rendering(self, at: int) -> None:
        self._killed(at, lambda: rendering.render_period(self.period))
        self._killed(at, lambda: clearing.finish(self.period, now=self.now))

    @precondition(lambda self: not self.period.thawed)
    @rule()
    def another_month_begins(self) -> None:
        self.month = next_month(self.month)

    def _killed(self, at: int, act: Callable[[], object]) -> None:
        count = itertools.count(1)

        def execute(run: Callable[..., Any], *args: Any) -> Any:
            if next(count) == at:
                raise Killed
            return run(*args)

        with suppress(Killed), connection.execute_wrapper(execute), transaction.atomic():
            act()

    # What must hold at any time

    @invariant()
    def nothing_is_lost_or_changed(self) -> None:
        assert dict(Cdr.objects.values_list("pk", "total_excl_vat")) == self.written

    @invariant()
    def nothing_is_billed_twice(self) -> None:
        lines = DocumentLine.objects.exclude(cell=None).values("cell", "side")
        lines = lines.annotate(n=Count("pk"))
        assert not lines.filter(n__gt=1).exists()

    @invariant()
    def cells_are_the_cdrs(self) -> None:
        for period in Period.objects.filter(cells__isnull=False).distinct():
            cells = period.cells.aggregate(n=Sum("cdr_count"), sum=Sum("total"))
            assert cells == period.cdrs.aggregate(n=Count("pk"), sum=Sum("total_excl_vat"))

    def teardown(self) -> None:
        try:
            if hasattr(self, "cpos"):
                self._ends_well()
        finally:
            transaction.set_rollback(True)
            self.undone.__exit__(None, None, None)

    def _ends_well(self) -> None:
        """Close everything that is left: it comes to its end, and all is accounted for."""
        while self._is_something_left():
            factory.release(_contested(), self.now)
            for period in _unfinished().order_by("month"):
                self.month = max(self.month, period.month)
                closed = clearing.close(period.month, now=self.now, force=True)
                assert closed.state in ENDS
                assert differences(closed) == []
            self.month = next_month(self.month)
        assert Cell.objects.aggregate(n=Sum("cdr_count"), sum=Sum("total")) == {
            "n": len(self.written) or None,
            "sum": sum(self.written.values(), Decimal()) if self.written else None,
        }
        assert [found for found in breaches() if found.check not in OURS] == []
        days = Document.objects.values("period").annotate(days=Count("issued_on", distinct=True))
        assert not days.order_by().filter(days__gt=1).exists()

    def _is_something_left(self) -> bool:
        held = Cdr.objects.filter(state="held").exists()
        return (held and bool(self.period)) or _unfinished().exists()


def _unfinished() -> models.QuerySet[Period]:
    return Period.objects.exclude(state__in=ENDS)


def _contested() -> CdrQuerySet:
    """Return the CDRs that nothing else holds: a credit of theirs waits until they are billed."""
    return Cdr.objects.filter(
        state="held", findings__code="contested", findings__cleared_at=None
    ).distinct()


@pytest.mark.django_db
def test_a_close_ends_well_whatever_happens() -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Close,
        settings=settings(
            max_examples=12, stateful_step_count=18, deadline=None, suppress_health_check=quiet
        ),
    )
