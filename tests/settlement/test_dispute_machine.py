"""Disputes in any order of deeds, by anybody, at any time: they end, and the money adds up.

Hypothesis plays both sides, the staff, the clock and the close; what must hold is looked at after
each step.
"""

import datetime as dt
from contextlib import suppress
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from cdrs import judging
from cdrs.models import Cdr, Period, Verdict
from cdrs.periods import next_month
from settlement import clearing
from settlement.disputes import answering, effects, proposing, ruling, timers
from settlement.disputes.moving import CannotDispute
from settlement.invariants import breaches
from settlement.models import Dispute
from settlement.verify import differences
from tests.settlement import factory
from tests.settlement.claims import NOW, claim, sent, staff, take
from tests.settlement.factory import MONTH

OURS = {"no_object_is_from_the_future", "disputes_go_on"}
CDRS = 4
choice = st.integers(0, 11)


class Disputes(RuleBasedStateMachine):
    """Two parties with four CDRs, two of which are billed, and two of the hub's staff."""

    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.now = NOW
        self.month = MONTH

    @initialize()
    def parties(self) -> None:
        self.cpo, self.emsp = factory.cpo("NL-CPO"), factory.emsp()
        self.cdrs = [self._charge(number) for number in range(2)]
        self.now = clearing.closable_from(MONTH) + dt.timedelta(hours=9)
        clearing.close(MONTH, now=self.now)
        self.month = next_month(MONTH)
        self.cdrs += [self._charge(number) for number in range(2, CDRS)]
        self.judges = [staff("first"), staff("second")]

    def _charge(self, number: int) -> Cdr:
        start = dt.datetime.combine(self.month, dt.time(8), dt.UTC) + dt.timedelta(days=number)
        end = start + dt.timedelta(hours=1)
        spelled = [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (start, end)]
        period = {
            "start_date_time": spelled[0],
            "dimensions": [{"type": "ENERGY", "volume": D(20)}],
        }
        return sent(
            self.cpo,
            self.emsp,
            id=f"C{number}",
            session_id=f"S{number}",
            start_date_time=spelled[0],
            end_date_time=spelled[1],
            last_updated=spelled[1],
            charging_periods=[period],
            total_time=D(1),
        )

    # What anybody may try

    @rule(
        which=st.lists(st.integers(0, CDRS - 1), min_size=1, max_size=3), tenths=choice, by=choice
    )
    def claims(self, which: list[int], tenths: int, by: int) -> None:
        chosen = [self.cdrs[place] for place in sorted(set(which))]
        ends = {"by": self.cpo if by == 0 else self.emsp, "now": self.now}
        asked = {"ask": "full"} if tenths > 9 else {"amount": str(D(tenths) * D("1.2345"))}
        self._try(lambda: claim(chosen, **ends, **(asked if tenths else {"ask": "explanation"})))

    @rule(act=choice, of=choice, right=choice)
    def answers(self, act: int, of: int, right: int) -> None:
        if dispute := self._some(of):
            told = (None, self.now)
            one = dispute.respondent if right else dispute.claimant
            two = dispute.claimant if right else dispute.respondent
            acts = [
                lambda: answering.accept(dispute, one, *told),
                lambda: answering.reject(dispute, one, "No.", *told),
                lambda: answering.counter(dispute, one, D("1.0001"), "Some.", *told),
                lambda: answering.accept_offer(dispute, two, *told),
                lambda: answering.escalate(dispute, two, "Yes.", *told),
                lambda: answering.escalate(dispute, two, "Yes.", *told),
                lambda: answering.withdraw(dispute, two, *told),
                lambda: ruling.rule(dispute, "full", None, "So.", self.judges[0], self.now),
                lambda: ruling.rule(dispute, "partial", D(1), "So.", self.judges[0], self.now),
                lambda: ruling.rule(dispute, "none", None, "So.", self.judges[0], self.now),
            ]
            self._try(acts[act % len(acts)])

    @rule(of=choice, how=choice)
    def sends(self, of: int, how: int) -> None:
        """The CPO sends what is proposed, or only the credit, or something dearer."""
        if not (dispute := self._some(of)):
            return
        for proposal in proposing.proposals(dispute, self.now):
            bodies = [proposal.credit, proposal.replacement][: 1 + (how > 3)]
            for body in filter(None, bodies):
                cheat = {"total_cost": {"excl_vat": D(99)}} if how > 9 else {}
                fresh = {} if body.get("credit") else {"id": f"N{Cdr.objects.count()}", **cheat}
                take(self.cpo, body | fresh, self.now)

    @rule(hours=st.sampled_from([1, 30, 100, 200]))
    def waits(self, hours: int) -> None:
        self.now += dt.timedelta(hours=hours)
        timers.look_after(self.now)
        effects.watch(self.now)

    @rule()
    def closes(self) -> None:
        self.now = max(self.now, clearing.closable_from(self.month) + dt.timedelta(hours=9))
        period, _ = Period.objects.get_or_create(month=self.month)
        clearing.close(period.month, now=self.now)
        self.month = next_month(self.month)
        list(
            judging.rejudge(Cdr.objects.values_list("pk", flat=True), Verdict.Cause.RETRY, self.now)
        )

    def _some(self, of: int) -> Dispute | None:
        found = list(Dispute.objects.order_by("pk"))
        return found[of % len(found)] if found else None

    def _try(self, act: Any) -> None:
        with suppress(CannotDispute), transaction.atomic():
            act()

    # What must hold at any time

    @invariant()
    def all_is_well(self) -> None:
        if hasattr(self, "judges"):
            connection.check_constraints()
            assert [found for found in breaches() if found.check not in OURS] == []

    def teardown(self) -> None:
        try:
            if hasattr(self, "judges"):
                self._ends_well()
        finally:
            transaction.set_rollback(True)
            self.undone.__exit__(None, None, None)

    def _ends_well(self) -> None:
        """Let time go on: every dispute ends, and each CDR comes to what was agreed."""
        for _step in range(4):
            self.waits(300)
        for dispute in Dispute.objects.with_hub():
            ruling.rule(dispute, "none", None, "So.", self.judges[1], self.now)
        self.closes()
        self.closes()
        assert not Dispute.objects.live().exists()
        for cdr in self.cdrs:
            assert self._billed(cdr) in self._allowed(cdr)
        for period in Period.objects.all():
            assert differences(period) == []

    def _billed(self, cdr: Cdr) -> D:
        """Return what documents come to for a session."""
        rows = Cdr.objects.filter(session_uid=cdr.session_uid, period__isnull=False)
        return D(rows.aggregate(sum=Sum("total_excl_vat", default=D()))["sum"])

    def _allowed(self, cdr: Cdr) -> set[D]:
        """Return what a session may come to: what was agreed last, or nothing where that waits."""
        agreed = [item.agreed for item in cdr.disputed.order_by("pk") if item.agreed is not None]
        held = Cdr.objects.filter(session_uid=cdr.session_uid, state="held").exists()
        return {agreed[-1] if agreed else cdr.total_excl_vat, *([D(0)] if held else [])}


@pytest.mark.django_db
def test_disputes_end_well_whatever_happens() -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Disputes,
        settings=settings(
            max_examples=5, stateful_step_count=14, deadline=None, suppress_health_check=quiet
        ),
    )
