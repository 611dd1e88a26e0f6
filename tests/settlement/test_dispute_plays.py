"""Disputes in any order of deeds, by anybody, at any time: they end, and the money adds up.

Chance plays both sides, the staff, the clock and the close, by a seed; what must hold is looked at
after each deed.
"""

import datetime as dt
import os
from contextlib import suppress
from decimal import Decimal as D
from random import Random
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from cdrs import judging
from cdrs.models import Cdr, Period, Verdict
from cdrs.periods import next_month
from settlement import clearing
from settlement.dispute_invariants import CHECKS
from settlement.disputes import answering, effects, proposing, ruling, timers
from settlement.disputes.moving import CannotDispute
from settlement.invariants import breaches
from settlement.models import Dispute
from settlement.verify import differences
from tests.settlement import factory
from tests.settlement.claims import NOW, claim, sent, staff, take
from tests.settlement.factory import MONTH

pytestmark = pytest.mark.django_db
OURS = {"no_object_is_from_the_future", "disputes_go_on"}  # here the clock is the test's
CDRS = 10
DEEDS = 40


class Play:
    """Two parties with ten CDRs, half of which are billed, and two of the hub's staff."""

    def __init__(self, seed: int) -> None:
        self.at = Random(seed)  # noqa: S311
        self.now, self.month = NOW, MONTH
        self.cpo, self.emsp = factory.cpo("NL-CPO"), factory.emsp()
        self.cdrs = [self._charge(number) for number in range(CDRS // 2)]
        self._close()
        self.now += dt.timedelta(days=9)
        self.cdrs += [self._charge(number) for number in range(CDRS // 2, CDRS)]
        self.judges = [staff("first"), staff("second")]

    def go_on(self) -> None:
        """Do one thing, as chance has it, and look whether all is well."""
        deeds = {self._claims: 8, self._answers: 12, self._sends: 4, self._waits: 6, self._close: 1}
        [deed] = self.at.choices(list(deeds), list(deeds.values()))
        deed()
        connection.check_constraints()
        assert [list(found()) for found in CHECKS if found.__name__ not in OURS] == [[]] * 3

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
            now=self.now,
            id=f"C{number}",
            session_id=f"S{number}",
            start_date_time=spelled[0],
            end_date_time=spelled[1],
            last_updated=spelled[1],
            charging_periods=[period],
            total_time=D(1),
        )

    # What anybody may try

    def _claims(self) -> None:
        at = self.at
        half = at.choice([self.cdrs[: CDRS // 2], self.cdrs[CDRS // 2 :]])
        chosen = at.sample(half, at.choice([1, 1, 2]))
        by = self.cpo if at.random() < 0.2 else self.emsp
        asked = {"ask": at.choice(["full", "full", "full", "explanation"])}
        if at.random() < 0.5:
            asked = {"amount": f"{at.uniform(0.0001, 9):.4f}"}
        self._try(lambda: claim(chosen, by, now=self.now, **asked))

    def _answers(self) -> None:
        if live := list(Dispute.objects.live().order_by("pk")):
            dispute = self.at.choice(live)
            self._try(self.at.choice(list(self._acts(dispute).values())))

    def _acts(self, dispute: Dispute) -> dict[str, Any]:
        """Return what may be tried: mostly what is possible now."""
        one, two, judge = dispute.respondent, dispute.claimant, self.judges[0]
        told = (None, self.now)
        acts = {
            "accept": lambda: answering.accept(dispute, one, *told),
            "reject": lambda: answering.reject(dispute, one, "No.", *told),
            "counter": lambda: answering.counter(dispute, one, D("0.9999"), "Some.", *told),
            "offer": lambda: answering.accept_offer(dispute, two, *told),
            "escalate": lambda: answering.escalate(dispute, two, "Yes.", *told),
            "withdraw": lambda: answering.withdraw(dispute, two, *told),
            "full": lambda: ruling.rule(dispute, "full", None, "So.", judge, self.now),
            "partial": lambda: ruling.rule(dispute, "partial", D("0.5"), "So.", judge, self.now),
            "none": lambda: ruling.rule(dispute, "none", None, "So.", judge, self.now),
        }
        usual = {
            "open": ["accept", "reject", "reject", "counter", "withdraw"],
            "countered": ["offer", "escalate"],
            "rejected": ["escalate", "escalate", "accept", "withdraw"],
            "escalated": ["full", "partial", "none", "none"],
        }.get(dispute.state)
        return {name: acts[name] for name in usual} if usual else acts

    def _sends(self) -> None:
        """The CPO sends what is proposed, or only the credit, or something dearer."""
        decided = list(Dispute.objects.exclude(granted=None).order_by("pk"))
        for proposal in proposing.proposals(self.at.choice(decided), self.now) if decided else []:
            how = self.at.random()
            bodies = [proposal.credit] if how < 0.3 else [proposal.credit, proposal.replacement]
            for body in filter(None, bodies):
                cheat = {"total_cost": {"excl_vat": D(99)}} if how > 0.7 else {}
                fresh = {} if body.get("credit") else {"id": f"N{Cdr.objects.count()}", **cheat}
                take(self.cpo, body | fresh, self.now)

    def _waits(self, hours: int = 0) -> None:
        self.now += dt.timedelta(hours=hours or self.at.choice([1, 1, 30, 150]))
        timers.look_after(self.now)
        effects.watch(self.now)

    def _close(self) -> None:
        self.now = max(self.now, clearing.closable_from(self.month) + dt.timedelta(hours=9))
        period, _ = Period.objects.get_or_create(month=self.month)
        clearing.close(period.month, now=self.now)
        self.month = next_month(self.month)
        list(
            judging.rejudge(Cdr.objects.values_list("pk", flat=True), Verdict.Cause.RETRY, self.now)
        )

    def _try(self, act: Any) -> None:
        with suppress(CannotDispute), transaction.atomic():
            act()

    def ends_well(self) -> None:
        """Let time go on: every dispute ends, and each CDR comes to what was agreed."""
        for _step in range(4):
            self._waits(300)
        for dispute in Dispute.objects.with_hub():
            ruling.rule(dispute, "none", None, "So.", self.judges[1], self.now)
        self._close()
        self._close()
        assert not Dispute.objects.live().exists()
        assert [found for found in breaches() if found.check not in OURS] == []
        for cdr in self.cdrs:
            cdr.refresh_from_db()
            assert cdr.state != "held"
            assert self._billed(cdr) in self._allowed(cdr)
        for period in Period.objects.all():
            assert differences(period) == []

    def _billed(self, cdr: Cdr) -> D:
        """Return what documents come to for a session."""
        rows = Cdr.objects.filter(session_uid=cdr.session_uid, period__isnull=False)
        return D(rows.aggregate(sum=Sum("total_excl_vat", default=D()))["sum"])

    def _allowed(self, cdr: Cdr) -> set[D]:
        """Return what a session may come to: what was agreed last, or nothing where that waits."""
        items = cdr.disputed.exclude(agreed=None).exclude(dispute__ask="explanation").order_by("pk")
        agreed = list(items.values_list("agreed", flat=True))
        held = Cdr.objects.filter(session_uid=cdr.session_uid, state="held").exists()
        return {agreed[-1] if agreed else cdr.total_excl_vat, *([D(0)] if held else [])}


@pytest.mark.parametrize("seed", range(int(os.environ.get("PLAYS", "4"))))
def test_disputes_end_well_whatever_happens(seed: int) -> None:
    play = Play(seed)
    for _deed in range(DEEDS):
        play.go_on()
    play.ends_well()
