"""Disputes move as they may, in the hands of whose turn it is; what is refused changes nothing."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal as D

import pytest
from django.db import connection

from cdrs.models import Cdr
from settlement.disputes import answering, ruling, telling
from settlement.disputes.moving import CannotDispute
from settlement.models import Dispute, DisputeEvent
from tests.settlement import factory
from tests.settlement.claims import NOW, claim, staff, traded

pytestmark = pytest.mark.django_db
LATER = NOW + dt.timedelta(hours=1)


def told(dispute: Dispute) -> list[str]:
    return list(dispute.events.values_list("kind", flat=True))


def finish() -> None:
    """Run what waits for the end of the transaction."""
    connection.check_constraints()


def test_a_claim_is_numbered_and_holds_only_its_cdrs() -> None:
    cdr = traded()
    other = factory.cdr(cdr.owner, cdr.emsp, "7.0000")
    dispute = claim(cdr)
    finish()
    assert (dispute.reference, dispute.state, dispute.effect) == ("D-2024-000001", "open", "hold")
    assert (dispute.total, dispute.asked) == (D(10), D(10))
    assert dispute.due_at == dt.datetime(2024, 3, 28, tzinfo=dt.UTC)  # the end of the 27th
    states = dict(Cdr.objects.values_list("pk", "state"))
    assert states == {cdr.pk: "held", other.pk: "accepted"}
    assert [f.code for f in cdr.findings.all()] == ["contested"]
    assert claim(other).reference == "D-2024-000002"


def test_accepted_in_full_it_waits_for_the_credit() -> None:
    dispute = claim(traded())
    dispute = answering.accept(dispute, dispute.respondent, None, LATER)
    finish()
    assert (dispute.state, dispute.granted) == ("accepted", D(10))
    assert dispute.items.get().agreed == 0
    assert told(dispute) == ["opened", "accepted"]


def test_a_part_is_offered_and_taken() -> None:
    dispute = claim(traded(), amount="4.0000")
    answering.counter(dispute, dispute.respondent, D("1.5"), "Half of it.", None, LATER)
    dispute = answering.accept_offer(dispute, dispute.claimant, None, LATER)
    finish()
    assert (dispute.state, dispute.offered, dispute.granted) == ("accepted", D("1.5"), D("1.5"))
    assert dispute.items.get().agreed == D("8.5")


def test_rejected_escalated_and_ruled_in_part() -> None:
    dispute = claim(traded())
    answering.reject(dispute, dispute.respondent, "It was charged.", None, LATER)
    dispute = answering.escalate(dispute, dispute.claimant, "It was not.", None, LATER)
    assert dispute.due_at == dt.datetime(2024, 3, 28, tzinfo=dt.UTC)  # five working days
    ruling.rule(dispute, "partial", D("2.5"), "Half an hour was idle.", staff("judge"), LATER)
    dispute.refresh_from_db()
    finish()
    assert (dispute.state, dispute.ruled, dispute.granted) == ("ruled", D("2.5"), D("2.5"))


@pytest.mark.parametrize("answer", [None, "reject", "counter", "escalate"])
def test_withdrawn_at_any_time_it_lets_the_cdrs_go(answer: str | None) -> None:
    cdr = traded()
    dispute = claim(cdr)
    if answer == "counter":
        answering.counter(dispute, dispute.respondent, D(1), "One.", None, LATER)
    elif answer:
        answering.reject(dispute, dispute.respondent, "No.", None, LATER)
    if answer == "escalate":
        answering.escalate(dispute, dispute.claimant, "Yes.", None, LATER)
    dispute = answering.withdraw(dispute, dispute.claimant, None, LATER)
    finish()
    cdr.refresh_from_db()
    assert (dispute.state, dispute.due_at) == ("withdrawn", None)
    assert (cdr.state, str(cdr.period)) == ("accepted", "2024-03")
    assert not cdr.findings.filter(cleared_at=None).exists()


def test_dismissed_it_lets_the_cdrs_go() -> None:
    cdr = traded()
    dispute = claim(cdr)
    answering.reject(dispute, dispute.respondent, "No.", None, LATER)
    answering.escalate(dispute, dispute.claimant, "Yes.", None, LATER)
    ruling.rule(dispute, "none", None, "The meter is right.", staff("judge"), LATER)
    dispute.refresh_from_db()
    cdr.refresh_from_db()
    finish()
    assert (dispute.state, dispute.granted, cdr.state) == ("settled", 0, "accepted")


def test_an_explanation_holds_nothing_and_ends_with_the_answer() -> None:
    cdr = traded()
    dispute = claim(cdr, ask="explanation")
    cdr.refresh_from_db()
    assert (dispute.effect, cdr.state) == ("none", "accepted")
    dispute = answering.accept(dispute, dispute.respondent, None, LATER, "The fee is per hour.")
    finish()
    assert (dispute.state, dispute.granted) == ("settled", 0)
    assert claim(cdr).effect == "hold"  # who knows may still claim


def test_a_cpo_claims_that_more_is_due() -> None:
    cdr = traded()
    dispute = claim(cdr, by=cdr.owner, amount="2.5")
    assert (dispute.respondent, dispute.by_cpo) == (cdr.emsp, True)
    dispute = answering.accept(dispute, cdr.emsp, None, LATER)
    assert dispute.items.get().agreed == D("12.5")


# Refusals


Act = Callable[[Dispute], object]
WRONG: dict[str, tuple[str, Act]] = {
    "the claimant accepts": ("open", lambda d: answering.accept(d, d.claimant, None, LATER)),
    "a stranger accepts": (
        "open",
        lambda d: answering.accept(d, factory.emsp("NL-X00"), None, LATER),
    ),
    "an offer of nothing": (
        "open",
        lambda d: answering.counter(d, d.respondent, D(0), "Nothing.", None, LATER),
    ),
    "an offer of all": (
        "open",
        lambda d: answering.counter(d, d.respondent, D(10), "All.", None, LATER),
    ),
    "an offer finer than OCPI": (
        "open",
        lambda d: answering.counter(d, d.respondent, D("1.00001"), "Fine.", None, LATER),
    ),
    "no reason": ("open", lambda d: answering.reject(d, d.respondent, "  ", None, LATER)),
    "a novel": ("open", lambda d: answering.reject(d, d.respondent, "x" * 2001, None, LATER)),
    "too late": (
        "open",
        lambda d: answering.reject(d, d.respondent, "No.", None, NOW + dt.timedelta(days=9)),
    ),
    "escalated at once": ("open", lambda d: answering.escalate(d, d.claimant, "!", None, LATER)),
    "no offer to take": ("open", lambda d: answering.accept_offer(d, d.claimant, None, LATER)),
    "rejected twice": ("rejected", lambda d: answering.reject(d, d.respondent, "No.", None, LATER)),
    "the respondent withdraws": (
        "rejected",
        lambda d: answering.withdraw(d, d.respondent, None, LATER),
    ),
    "the respondent escalates": (
        "rejected",
        lambda d: answering.escalate(d, d.respondent, "No.", None, LATER),
    ),
    "ruled without being asked": (
        "rejected",
        lambda d: ruling.rule(d, "full", None, "Yes.", staff("judge"), LATER),
    ),
    "accepted after escalation": (
        "escalated",
        lambda d: answering.accept(d, d.respondent, None, LATER),
    ),
    "ruled more than asked": (
        "escalated",
        lambda d: ruling.rule(d, "partial", D(11), "More.", staff("judge"), LATER),
    ),
    "ruled by nobody of the staff": (
        "escalated",
        lambda d: ruling.rule(d, "full", None, "Yes.", _customer(d), LATER),
    ),
    "ruled by a side": (
        "escalated",
        lambda d: ruling.rule(d, "full", None, "Me.", _biased(d), LATER),
    ),
    "withdrawn after all": ("accepted", lambda d: answering.withdraw(d, d.claimant, None, LATER)),
    "a word after the end": (
        "withdrawn",
        lambda d: answering.say(d, d.claimant, "One more thing.", None, LATER),
    ),
}


def _customer(dispute: Dispute) -> object:
    made = staff("customer")
    made.is_staff = False
    made.save()
    return made


def _biased(dispute: Dispute) -> object:
    made = staff("biased")
    made.memberships.create(party=dispute.respondent, access="viewer")
    return made


def brought_to(state: str) -> Dispute:
    dispute = claim(traded())
    if state in ("rejected", "escalated"):
        answering.reject(dispute, dispute.respondent, "No.", None, LATER)
    if state == "escalated":
        answering.escalate(dispute, dispute.claimant, "Yes.", None, LATER)
    if state == "accepted":
        answering.accept(dispute, dispute.respondent, None, LATER)
    if state == "withdrawn":
        answering.withdraw(dispute, dispute.claimant, None, LATER)
    dispute.refresh_from_db()
    assert dispute.state == state
    return dispute


@pytest.mark.parametrize("what", WRONG)
def test_what_is_refused_changes_nothing(what: str) -> None:
    state, act = WRONG[what]
    dispute = brought_to(state)
    before = (
        Dispute.objects.values().get(),
        DisputeEvent.objects.count(),
        Cdr.objects.values().get(),
    )
    with pytest.raises(CannotDispute) as refused:
        act(dispute)
    after = Dispute.objects.values().get(), DisputeEvent.objects.count(), Cdr.objects.values().get()
    assert str(refused.value)
    assert before == after


def test_above_the_limit_two_people_rule() -> None:
    dispute = claim(traded("1000.0001"))
    answering.reject(dispute, dispute.respondent, "No.", None, LATER)
    answering.escalate(dispute, dispute.claimant, "Yes.", None, LATER)
    first, second = staff("first"), staff("second")
    made = ruling.rule(dispute, "full", None, "Never charged.", first, LATER)
    dispute.refresh_from_db()
    assert dispute.state == "escalated"
    for act in (ruling.approve, ruling.refuse):
        with pytest.raises(CannotDispute):
            act(made, first, LATER)
    ruling.refuse(made, second, LATER)
    again = ruling.rule(dispute, "partial", D(900), "Mostly.", first, LATER)
    ruling.approve(again, second, LATER)
    dispute.refresh_from_db()
    finish()
    assert (dispute.state, dispute.granted) == ("ruled", D(900))


def test_everybody_reads_what_silence_means_and_where_the_money_is() -> None:
    dispute = claim(traded(), amount="0.5000")
    assert telling.consequence(dispute) == (
        "If FR-ABC Power does not answer by 27 March 2024, 23:59 UTC, the claim counts as accepted,"
        " and 0.50 EUR is settled in favour of DE-EMP Power."
    )
    assert telling.money_now(dispute) == (
        "10.00 EUR is held out of the month: neither billed nor paid for now."
    )


def test_tabs_tell_whose_turn_it_is() -> None:
    dispute = claim(traded())
    cpo, emsp = dispute.respondent, dispute.claimant

    def tabs() -> list[list[int]]:
        found = Dispute.objects
        return [
            [rows.count() for rows in (found.needs_answer(side), found.waiting(side))]
            for side in (cpo, emsp)
        ]

    assert tabs() == [[1, 0], [0, 1]]
    answering.reject(dispute, cpo, "No.", None, LATER)
    assert tabs() == [[0, 1], [1, 0]]
    answering.escalate(dispute, emsp, "Yes.", None, LATER)
    assert (tabs(), Dispute.objects.with_hub().count()) == ([[0, 0], [0, 0]], 1)
    answering.withdraw(dispute, emsp, None, LATER)
    assert Dispute.objects.closed().visible_to(cpo).count() == 1
    assert Dispute.objects.visible_to(factory.emsp("NL-X00")).count() == 0
