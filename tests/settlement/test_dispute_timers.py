"""Deadlines are announced, each once; letters say what silence means; deeds stand in the trail."""

import datetime as dt
from decimal import Decimal as D

import pytest

from parties.models import Access, Letter, TrailEntry
from parties.people.deeds import deed_in_words
from settlement import clearing
from settlement.disputes import answering, claimable, deadlines, ruling, timers
from settlement.disputes.moving import CannotDispute
from settlement.models import Agreement, Dispute, DisputeEvent
from settlement.tasks import look_after_disputes
from tests.portal.cast import person
from tests.settlement import factory
from tests.settlement.claims import NOW, claim, staff, traded
from tests.settlement.factory import CLOSING

pytestmark = pytest.mark.django_db
LATER = NOW + dt.timedelta(hours=1)


@pytest.fixture
def dispute() -> Dispute:
    """A dispute between parties with people: finance and an owner each."""
    cdr = traded()
    for party, name in ((cdr.owner, "cpo"), (cdr.emsp, "emsp")):
        for access in (Access.FINANCE, Access.OWNER, Access.VIEWER):
            person(f"{access}@{name}.example", party, access)
    return claim(cdr, person=cdr.emsp.memberships.get(access="finance").person)


def letters() -> list[tuple[str, str]]:
    """Return whom was written to about what, and forget it."""
    found = list(Letter.objects.order_by("pk").values_list("to", "subject"))
    Letter.objects.all().delete()
    return found


def at(dispute: Dispute, **before: int) -> dt.datetime:
    assert dispute.due_at
    return dispute.due_at - dt.timedelta(**before)


def test_the_respondent_hears_what_to_do_until_when_and_what_silence_means(
    dispute: Dispute,
) -> None:
    text = Letter.objects.get().text
    assert letters() == [
        (
            "finance@cpo.example",
            "[Open Charge Network][FR-ABC][Sandbox] Action needed by 27 Mar: "
            "answer dispute D-2024-000001 (10.00 EUR)",
        )
    ]
    assert "does not answer by 27 March 2024, 23:59 UTC, the claim counts as accepted" in text
    assert "/app/FR-ABC/disputes/D-2024-000001/" in text


def test_reminders_go_three_days_and_a_day_before_each_once(dispute: Dispute) -> None:
    letters()
    timers.look_after(at(dispute, days=3, seconds=1))
    assert letters() == []
    for _again in range(2):
        timers.look_after(at(dispute, days=3))
    assert [to for to, _ in letters()] == ["finance@cpo.example"]
    for _again in range(2):
        timers.look_after(at(dispute, hours=2))
    assert sorted(to for to, _ in letters()) == ["finance@cpo.example", "owner@cpo.example"]
    assert DisputeEvent.objects.filter(kind="reminder").count() == 2


def test_a_new_deadline_is_announced_anew(dispute: Dispute) -> None:
    timers.look_after(at(dispute, hours=2))
    dispute = answering.reject(dispute, dispute.respondent, "No.", None, at(dispute, hours=1))
    letters()
    timers.look_after(at(dispute, days=2))
    assert [to for to, _ in letters()] == ["finance@emsp.example"]


def test_each_deed_is_told_to_the_other_side_and_noted(dispute: Dispute) -> None:
    cpo, emsp = dispute.respondent, dispute.claimant
    finance = cpo.memberships.get(access="finance").person
    letters()
    answering.counter(dispute, cpo, D(1), "One.", finance, LATER)
    answering.say(dispute, cpo, "Think about it.", finance, LATER)
    answering.escalate(dispute, emsp, "More.", None, LATER)
    ruling.rule(dispute, "partial", D(3), "Three.", staff("judge"), LATER)
    told = [(to, subject.partition("] ")[2].partition("D-2024")[0]) for to, subject in letters()]
    assert told == [
        ("finance@emsp.example", "Action needed by 25 Mar: reply in dispute "),
        ("finance@emsp.example", "New message in dispute "),
        ("finance@cpo.example", "Dispute "),
        ("finance@cpo.example", "Dispute "),
        ("finance@emsp.example", "Dispute "),
    ]
    rows = TrailEntry.objects.filter(party=cpo, area="disputes").order_by("seq")
    assert [(entry.who, deed_in_words(entry)) for entry in rows] == [
        (finance.email, "offered a part in the dispute D-2024-000001 (10.00 EUR)"),
        (finance.email, "wrote in the dispute D-2024-000001 (10.00 EUR)"),
        ("hub", "ruled about the dispute D-2024-000001 (10.00 EUR)"),
    ]


def test_agreements_say_how_long_each_side_has() -> None:
    cdr = traded()
    for party, kind in ((cdr.owner, "cpo"), (cdr.emsp, "emsp")):
        Agreement.objects.create(
            party=party,
            kind=kind,
            valid_from=factory.MONTH,
            dispute_answer_days=2,
            dispute_reply_days=1,
            dispute_credit_days=0,
        )
    dispute = claim(cdr)
    assert dispute.due_at == dt.datetime(2024, 3, 23, tzinfo=dt.UTC)
    dispute = answering.reject(dispute, cdr.owner, "No.", None, LATER)
    assert dispute.due_at == dt.datetime(2024, 3, 22, tzinfo=dt.UTC)
    dispute = answering.accept(dispute, cdr.owner, None, LATER)
    assert dispute.due_at == dt.datetime(2024, 3, 21, tzinfo=dt.UTC)


@pytest.mark.parametrize(("day", "until"), [(18, 25), (22, 29), (23, 29), (24, 29)])
def test_the_hub_has_five_working_days(day: int, until: int) -> None:
    found = deadlines.rule_by(dt.datetime(2024, 3, day, 12, tzinfo=dt.UTC))
    assert found == dt.datetime(2024, 3, until, tzinfo=dt.UTC) + dt.timedelta(days=1)


def test_that_the_hub_is_late_is_noted_once_and_decides_nothing(dispute: Dispute) -> None:
    answering.reject(dispute, dispute.respondent, "No.", None, LATER)
    dispute = answering.escalate(dispute, dispute.claimant, "Yes.", None, LATER)
    for _again in range(2):
        timers.look_after(at(dispute, hours=-1))
    dispute.refresh_from_db()
    assert (dispute.state, dispute.events.filter(kind="late").count()) == ("escalated", 1)


def test_a_dispute_that_fails_stops_no_other(
    dispute: Dispute, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = claim(factory.cdr(dispute.respondent, dispute.claimant))
    accept = answering.accept_by_silence

    def fail(one: Dispute, now: dt.datetime) -> None:
        if one.pk == dispute.pk:
            raise RuntimeError
        accept(one, now)

    monkeypatch.setattr(answering, "accept_by_silence", fail)
    timers.look_after(at(dispute, hours=-1))
    other.refresh_from_db()
    assert other.state == "accepted"


def test_the_task_does_all_of_it(dispute: Dispute) -> None:
    look_after_disputes()  # it is long after 2024
    dispute.refresh_from_db()
    assert dispute.state == "accepted"


# What cannot be disputed


def test_only_what_can_be_claimed_is() -> None:
    cdr = traded()
    seller, payer = cdr.owner, cdr.emsp
    credited = factory.cdr(seller, payer)
    credit = factory.credit(credited)
    dropped = factory.cdr(seller, payer, state="held")
    factory.discard(type(dropped).objects.filter(pk=dropped.pk))
    foreign = factory.cdr(factory.cpo("ES-CAR"), payer)
    wrong: list[tuple[str, dict[str, object]]] = [
        ("between 1 and 500", {"cdrs": []}),
        ("does not exist", {"claimant": factory.emsp("NL-X00")}),
        ("one partner", {"cdrs": [cdr, foreign]}),
        ("it is a credit", {"cdrs": [credit]}),
        ("credited already", {"cdrs": [credited]}),
        ("discarded", {"cdrs": [dropped]}),
        ("what is wrong", {"reason": "mood"}),
        ("what is wrong", {"ask": "refund"}),
        ("above zero", {"ask": "corrected"}),
        ("above zero", {"ask": "corrected", "amount": D("NaN")}),
        ("above zero", {"ask": "corrected", "amount": D(-1)}),
        ("No more than", {"ask": "corrected", "amount": D("10.0001")}),
        ("4 decimals", {"ask": "corrected", "amount": D("1.00001")}),
        ("4 decimals", {"ask": "corrected", "amount": D("1e20")}),
        ("by a credit CDR", {"claimant": seller}),
        ("Say why", {"message": " \x00 "}),
        ("longer", {"message": "x" * 2001}),
    ]
    for why, told in wrong:
        with pytest.raises(CannotDispute, match=why):
            claim(**{"cdrs": [cdr], "by": payer, **told})
    assert Dispute.objects.count() == 0
    cdr.refresh_from_db()
    assert cdr.state == "accepted"


def test_a_claim_is_made_once() -> None:
    cdr = traded()
    dispute = claim(cdr)
    for by in (cdr.emsp, cdr.owner):
        with pytest.raises(CannotDispute, match="D-2024-000001"):
            claim(cdr, by=by, amount="1")
    answering.withdraw(dispute, cdr.emsp, None, LATER)
    with pytest.raises(CannotDispute, match="before, in D-2024-000001"):
        claim(cdr)
    assert claim(cdr, by=cdr.owner, amount="1").reference == "D-2024-000002"


def test_where_nobody_is_there_the_billing_contacts_are_told() -> None:
    claim(traded())
    assert [to for to, _ in letters()] == ["billing@fr-abc.example"]


def test_a_side_does_not_write_all_day() -> None:
    dispute = claim(traded())
    for number in range(20):
        answering.say(dispute, dispute.claimant, f"Well? {number}", None, LATER)
    with pytest.raises(CannotDispute, match="at most 20"):
        answering.say(dispute, dispute.claimant, "Well?", None, LATER)
    answering.say(dispute, dispute.respondent, "Patience.", None, LATER)
    answering.say(dispute, dispute.claimant, "Well?", None, LATER + dt.timedelta(days=1))


def test_what_costs_nothing_is_only_asked_about() -> None:
    free = traded("0.0000")
    for told in ({"ask": "full"}, {"amount": "1"}):
        with pytest.raises(CannotDispute):
            claim(free, **told)
    assert claim(free, ask="explanation").asked == 0


def test_what_was_billed_long_ago_is_not_disputed_unless_the_other_side_just_did() -> None:
    cdr = traded()
    clearing.close(factory.MONTH, now=CLOSING)
    days_60, days_61 = (CLOSING + dt.timedelta(days=days) for days in (60, 61))
    dispute = claim(cdr, by=cdr.owner, amount="1", now=days_60)
    answering.withdraw(dispute, cdr.owner, None, days_60)
    with pytest.raises(CannotDispute, match="too long ago"):
        claim(cdr, now=days_61 + claimable.AFTER_ANOTHER)
    assert claim(cdr, now=days_61).effect == "credit_note"


def test_what_is_billed_and_what_is_not_are_two_disputes() -> None:
    cdr = traded()
    clearing.close(factory.MONTH, now=CLOSING)
    fresh = factory.cdr(cdr.owner, cdr.emsp, month=dt.date(2024, 4, 1))
    with pytest.raises(CannotDispute, match="open two disputes"):
        claim([cdr, fresh], now=CLOSING)
