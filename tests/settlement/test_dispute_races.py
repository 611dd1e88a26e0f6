"""Disputes against each other, and against the freeze of the month."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal as D

from cdrs.models import Cdr, Period
from settlement import clearing
from settlement.disputes import answering, ruling, timers
from settlement.disputes.moving import CannotDispute
from settlement.invariants import breaches
from settlement.models import Dispute
from settlement.verify import differences
from tests.racing import at_once
from tests.settlement import factory
from tests.settlement.claims import NOW, claim, sent, staff, traded
from tests.settlement.factory import CLOSING, MONTH

LATER = NOW + dt.timedelta(hours=1)
OURS = {"no_object_is_from_the_future", "disputes_go_on"}


def tried(act: Callable[[], object]) -> Callable[[], str]:
    def run() -> str:
        try:
            act()
        except CannotDispute as error:
            return str(error)
        return ""

    return run


def test_the_same_claim_at_once_is_made_once(transactional_db: None) -> None:
    cdr = traded()
    answers = at_once(*[tried(lambda: claim(cdr))] * 6)
    assert sorted(bool(answer) for answer in answers) == [False, *[True] * 5]
    assert Dispute.objects.count() == 1


def test_claims_at_once_are_numbered_without_a_gap(transactional_db: None) -> None:
    first = traded()
    others = factory.cdrs(7, first.owner, first.emsp)
    assert at_once(*[tried(lambda one=one: claim(one)) for one in (first, *others)]) == [""] * 8
    assert set(Dispute.objects.values_list("no", flat=True)) == set(range(1, 9))


def test_answers_at_once_give_one_answer(transactional_db: None) -> None:
    dispute = claim(traded())
    cpo, emsp = dispute.respondent, dispute.claimant
    answers = at_once(
        tried(lambda: answering.accept(dispute, cpo, None, LATER)),
        tried(lambda: answering.reject(dispute, cpo, "No.", None, LATER)),
        tried(lambda: answering.counter(dispute, cpo, D(1), "One.", None, LATER)),
        tried(lambda: answering.withdraw(dispute, emsp, None, LATER)),
    )
    dispute.refresh_from_db()
    kinds = list(dispute.events.values_list("kind", flat=True))
    assert answers.count("") == len(kinds) - 1
    assert kinds[-1] == dispute.state
    assert [found for found in breaches() if found.check not in OURS] == []


def test_two_who_rule_at_once_make_one_ruling(transactional_db: None) -> None:
    dispute = claim(traded())
    answering.reject(dispute, dispute.respondent, "No.", None, LATER)
    answering.escalate(dispute, dispute.claimant, "Yes.", None, LATER)
    judges = [staff("first"), staff("second")]
    answers = at_once(
        *[
            tried(lambda one=one: ruling.rule(dispute, "full", None, "Yes.", one, LATER))
            for one in judges
        ]
    )
    assert sorted(bool(answer) for answer in answers) == [False, True]


def test_what_is_due_is_filed_once_by_many(transactional_db: None) -> None:
    dispute = claim(sent(factory.cpo("NL-CPO"), factory.emsp()), amount="2.5000")
    answering.accept(dispute, dispute.respondent, None, LATER)
    due = NOW + dt.timedelta(days=7)
    at_once(*[lambda: timers.look_after(due)] * 4)
    dispute.refresh_from_db()
    assert dispute.state == "settled"
    assert sorted(Cdr.objects.values_list("uid", flat=True)) == ["C1", "C1-C", "C1-R"]
    assert dispute.events.filter(kind="settled").count() == 1


def test_a_claim_comes_before_the_freeze_or_after_it_and_never_between(
    transactional_db: None,
) -> None:
    first = traded()
    cdrs = [first, *factory.cdrs(11, first.owner, first.emsp)]
    close = lambda: clearing.close(MONTH, now=CLOSING) and ""  # noqa: E731
    claims = [tried(lambda one=one: claim(one, now=CLOSING)) for one in cdrs]
    answers = at_once(close, *claims)
    busy = [answer for answer in answers if answer]
    assert all("try again" in answer for answer in busy)
    march = Period.objects.get(month=MONTH)
    held = set(Dispute.objects.filter(effect="hold").values_list("items__cdr", flat=True))
    late = set(Dispute.objects.filter(effect="credit_note").values_list("items__cdr", flat=True))
    billed = set(Cdr.objects.billable(march).values_list("pk", flat=True))
    assert not held & billed
    assert late <= billed
    assert len(held | billed) == 12
    assert differences(march) == []
    assert [found for found in breaches() if found.check not in OURS] == []
