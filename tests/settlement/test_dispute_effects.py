"""What a dispute does to money, to the cent: before the freeze, on statements, after issue."""

import datetime as dt
from decimal import Decimal as D

import pytest

from cdrs import judging
from cdrs.explorer import Side
from cdrs.models import Cdr, Period
from hub.ocpi.errors import Invalid
from parties.models import Delivery, Party
from settlement import clearing, previewing
from settlement.disputes import answering, effects, proposing, ruling, timers
from settlement.invariants import breaches
from settlement.models import Agreement, Dispute
from settlement.verify import differences
from tests.settlement import factory
from tests.settlement.claims import NOW, claim, sent, staff, take
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.django_db
LATER = NOW + dt.timedelta(hours=1)
OVERDUE = NOW + dt.timedelta(days=7)  # the CPO had five days
APRIL = dt.date(2024, 4, 1)
NEXT = dt.datetime(2024, 5, 6, 9, 0, tzinfo=dt.UTC)
OURS = {"no_object_is_from_the_future", "disputes_go_on"}  # here the clock is the test's


@pytest.fixture
def seller() -> Party:
    return factory.cpo("NL-CPO")


@pytest.fixture
def payer() -> Party:
    return factory.emsp("DE-EMP")


@pytest.fixture
def cdr(seller: Party, payer: Party) -> Cdr:
    """A CDR of 10.00, beside another one of 20.00 that nobody disputes."""
    factory.cdr(seller, payer, "20.0000")
    return sent(seller, payer)


def net(party: Party, month: dt.date = MONTH, now: dt.datetime = NOW) -> D:
    """Return what a CPO would be paid for a month."""
    period = Period.objects.get(month=month)
    return sum((sheet.net for sheet in previewing.preview(party, Side.SOLD, period, now)), D())


def accepted(cdr: Cdr, amount: str = "") -> Dispute:
    dispute = claim(cdr, amount=amount)
    return answering.accept(dispute, dispute.respondent, None, LATER)


def of(cdr: Cdr) -> Dispute:
    return Dispute.objects.get(items__cdr=cdr)


def states() -> dict[str, tuple[str, str | None]]:
    rows = Cdr.objects.exclude(uid__startswith="CDR-").select_related("period")
    return {cdr.uid: (cdr.state, cdr.period and str(cdr.period)) for cdr in rows}


def wrong() -> list[object]:
    return [found for found in breaches() if found.check not in OURS]


def test_the_preview_changes_by_exactly_what_is_disputed(seller: Party, cdr: Cdr) -> None:
    assert net(seller) == 30
    dispute = claim(cdr)
    assert net(seller) == 20
    answering.withdraw(dispute, dispute.claimant, None, LATER)
    assert net(seller) == 30
    assert wrong() == []


def test_the_cpo_sends_the_credit_and_it_is_settled(seller: Party, cdr: Cdr) -> None:
    dispute = accepted(cdr)
    [proposal] = proposing.proposals(dispute, LATER)
    assert (proposal.replacement, proposal.problems) == (None, ())
    assert not effects.book(dispute, LATER)
    take(seller, proposal.credit, LATER)
    assert timers.look_after(LATER) == 1
    dispute.refresh_from_db()
    assert (dispute.state, states()) == (
        "settled",
        {"C1": ("discarded", None), "C1-C": ("discarded", None)},
    )
    assert (net(seller), dispute.items.get().by_hub) == (20, False)
    assert wrong() == []


def test_the_credit_repeats_all_but_the_total(cdr: Cdr) -> None:
    [proposal] = proposing.proposals(accepted(cdr), LATER)
    told = {"id", "credit", "credit_reference_id", "total_cost", "remark", "last_updated"}
    assert {name for name in proposal.credit if proposal.credit[name] != cdr.body.get(name)} == told
    assert proposal.credit["total_cost"] == {"excl_vat": D(-10)}


def test_without_it_the_hub_files_it_when_the_time_is_over(seller: Party, cdr: Cdr) -> None:
    dispute = accepted(cdr)
    assert timers.look_after(LATER) == 0
    timers.look_after(OVERDUE)
    dispute.refresh_from_db()
    assert dispute.state == "settled"
    assert dispute.items.get().by_hub
    assert net(seller) == 20
    credit = Cdr.objects.get(uid="C1-C")
    assert credit.body["remark"] == "dispute D-2024-000001"
    assert Delivery.objects.filter(module="cdrs", object_id=credit.pk).exists()
    assert wrong() == []
    timers.look_after(OVERDUE)  # twice is once
    assert Cdr.objects.filter(credit_of=cdr).count() == 1


@pytest.mark.parametrize("by_hub", [False, True])
def test_a_part_is_replaced_whatever_the_tariff_says(seller: Party, cdr: Cdr, by_hub: bool) -> None:
    dispute = accepted(cdr, "2.5000")
    [proposal] = proposing.proposals(dispute, LATER)
    assert proposal.problems == ()
    assert proposal.replacement is not None
    assert (proposal.replacement["id"], proposal.replacement["total_cost"]) == (
        "C1-R",
        {"excl_vat": D("7.5")},
    )
    if not by_hub:
        take(seller, proposal.credit, LATER)
        take(seller, proposal.replacement, LATER)
        assert Cdr.objects.get(uid="C1-R").state == "held"  # the tariff says 10.00
    timers.look_after(OVERDUE if by_hub else LATER)
    assert states() == {
        "C1": ("discarded", None),
        "C1-C": ("discarded", None),
        "C1-R": ("accepted", "2024-03"),
    }
    assert (of(cdr).state, net(seller)) == ("settled", D("27.5"))
    clearing.close(MONTH, now=CLOSING)
    assert seller.documents.get(kind="self_billing_invoice").net == D("27.5")
    assert wrong() == []


def test_a_replacement_at_the_old_price_is_held_and_the_agreed_one_is_filed(
    seller: Party, cdr: Cdr
) -> None:
    dispute = accepted(cdr, "2.5000")
    [proposal] = proposing.proposals(dispute, LATER)
    assert proposal.replacement
    take(seller, proposal.credit, LATER)
    cheat = proposal.replacement | {"id": "C1-X", "total_cost": {"excl_vat": D(10)}}
    assert take(seller, cheat, LATER).state == "accepted"
    timers.look_after(LATER)
    assert Cdr.objects.get(uid="C1-X").state == "held"
    timers.look_after(OVERDUE)
    assert (of(cdr).state, net(seller)) == ("settled", D("27.5"))
    assert states()["C1-X"] == ("held", None)
    assert wrong() == []


def test_a_credit_that_nobody_waited_for_is_an_answer(seller: Party, cdr: Cdr) -> None:
    dispute = claim(cdr)
    [proposal] = proposing.proposals(dispute, LATER, D(10))
    take(seller, proposal.credit, LATER)
    timers.look_after(LATER)
    dispute.refresh_from_db()
    assert (dispute.state, dispute.granted, net(seller)) == ("settled", 10, 20)
    assert wrong() == []


def test_silence_accepts_and_then_the_hub_files(seller: Party, cdr: Cdr) -> None:
    dispute = claim(cdr)
    late = dispute.due_at
    assert late
    timers.look_after(late - dt.timedelta(seconds=1))
    dispute.refresh_from_db()
    assert dispute.state == "open"
    timers.look_after(late)
    dispute.refresh_from_db()
    assert (dispute.state, dispute.granted) == ("accepted", 10)
    timers.look_after(late + dt.timedelta(days=6))
    assert (of(cdr).state, net(seller)) == ("settled", 20)


def test_the_silence_of_a_claimant_lets_the_claim_lapse(seller: Party, cdr: Cdr) -> None:
    dispute = claim(cdr)
    dispute = answering.counter(dispute, dispute.respondent, D(9), "Nearly all.", None, LATER)
    assert dispute.due_at
    timers.look_after(dispute.due_at)
    assert (of(cdr).state, net(seller)) == ("lapsed", 30)
    assert wrong() == []


def test_the_silence_of_an_emsp_makes_no_price_of_a_cpos(seller: Party, cdr: Cdr) -> None:
    dispute = claim(cdr, by=seller, amount="1000")
    assert dispute.due_at
    timers.look_after(dispute.due_at)
    timers.look_after(dispute.due_at + dt.timedelta(days=6))
    assert (of(cdr).state, states()["C1-R"]) == ("settled", ("held", None))
    assert net(seller) == 20


# Over the freeze, and on statements


def test_what_is_disputed_is_not_frozen_and_comes_back_a_month_later(
    seller: Party, payer: Party, cdr: Cdr
) -> None:
    dispute = claim(cdr, now=CLOSING - dt.timedelta(days=1))
    march = clearing.close(MONTH, now=CLOSING)
    assert seller.documents.get(period=march).net == 20
    assert wrong() == []
    answering.withdraw(dispute, payer, None, CLOSING)
    april = clearing.close(APRIL, now=NEXT)
    assert seller.documents.get(period=april).net == 10
    assert differences(march) == differences(april) == []
    assert wrong() == []


def test_on_statements_both_sides_get_a_new_version(seller: Party, cdr: Cdr) -> None:
    march = Period.objects.get(month=MONTH)
    while march.state != "statement":
        clearing.step(march, now=CLOSING)
        march.refresh_from_db()
    dispute = claim(cdr, now=CLOSING)
    assert dispute.effect == "hold"
    rows = march.statements.filter(role="CPO").order_by("version")
    assert list(rows.values_list("state", "net")) == [("superseded", 30), ("published", 20)]
    clearing.close(MONTH, now=CLOSING)
    assert seller.documents.get(kind="self_billing_invoice").net == 20
    assert differences(march) == []
    assert wrong() == []


# After issue


@pytest.fixture
def billed(cdr: Cdr) -> Cdr:
    """The CDR, when its month is closed."""
    clearing.close(MONTH, now=CLOSING)
    return cdr


def settled_after(dispute: Dispute) -> None:
    """Let the time of the CPO run out."""
    dispute.refresh_from_db()
    assert dispute.due_at
    timers.look_after(dispute.due_at)
    dispute.refresh_from_db()
    assert dispute.state == "settled"


@pytest.mark.parametrize(("amount", "left"), [("", 0), ("2.5000", D("7.5"))])
def test_what_is_billed_is_corrected_by_credit_notes(
    seller: Party, payer: Party, billed: Cdr, amount: str, left: D
) -> None:
    dispute = claim(billed, amount=amount, now=CLOSING)
    billed.refresh_from_db()
    assert (dispute.effect, billed.state) == ("credit_note", "accepted")
    answering.accept(dispute, seller, None, CLOSING)
    settled_after(dispute)
    factory.cdr(seller, payer, "100.0000", month=APRIL)
    april = clearing.close(APRIL, now=NEXT)
    told = {(paper.kind, paper.net) for paper in april.documents.all()}
    assert told == {
        ("self_billing_credit_note", 10),
        ("emsp_credit_note", 10),
        ("self_billing_invoice", 100 + left),
        ("emsp_invoice", 100 + left),
    }
    assert differences(april) == []
    assert wrong() == []


def test_dismissed_after_issue_nothing_moves(seller: Party, billed: Cdr) -> None:
    dispute = claim(billed, now=CLOSING)
    answering.reject(dispute, seller, "No.", None, CLOSING)
    answering.escalate(dispute, dispute.claimant, "Yes.", None, CLOSING)
    ruling.rule(dispute, "none", None, "The meter is right.", staff("judge"), CLOSING)
    dispute.refresh_from_db()
    assert (dispute.state, Cdr.objects.filter(credit_of=billed).count()) == ("settled", 0)
    assert wrong() == []


# At once


def test_what_the_hubs_price_proves_is_accepted_at_once_where_that_is_agreed(
    seller: Party, payer: Party
) -> None:
    Agreement.objects.create(
        party=seller, kind="cpo", valid_from=dt.date(2024, 1, 1), instant_ruling=True
    )
    factory.cdr(seller, payer, "20.0000")
    cdr = sent(seller, payer, "10.5000")
    assert cdr.state == "held"  # by the rule about the price
    dispute = claim(cdr, amount="0.5000")
    assert (dispute.state, dispute.granted) == ("accepted", D("0.5"))
    settled_after(dispute)
    assert states()["C1-R"] == ("accepted", "2024-03")
    assert net(seller) == 30
    assert wrong() == []


@pytest.mark.parametrize(("agreed", "amount"), [(False, "0.5000"), (True, "0.4999")])
def test_else_the_cpo_is_asked(seller: Party, payer: Party, agreed: bool, amount: str) -> None:
    Agreement.objects.create(
        party=seller, kind="cpo", valid_from=dt.date(2024, 1, 1), instant_ruling=agreed
    )
    assert claim(sent(seller, payer, "10.5000"), amount=amount).state == "open"


# A CPO that does not give in


def test_what_is_billed_again_in_disguise_is_held(seller: Party, cdr: Cdr) -> None:
    dispute = accepted(cdr, "2.5000")
    [proposal] = proposing.proposals(dispute, LATER)
    take(seller, proposal.credit, LATER)
    told = {"session_id": "S2", "start_date_time": "2024-03-10T08:00:01Z"}
    periods = [cdr.body["charging_periods"][0] | {"start_date_time": told["start_date_time"]}]
    disguised = cdr.body | told | {"id": "C2", "charging_periods": periods}
    assert take(seller, disguised, LATER).state == "accepted"
    timers.look_after(OVERDUE)
    assert (of(cdr).state, states()["C2"], net(seller)) == ("settled", ("held", None), D("27.5"))


def test_what_is_billed_again_afterwards_is_held_until_people_release_it(
    seller: Party, cdr: Cdr
) -> None:
    settled_after(accepted(cdr))
    again = take(seller, cdr.body | {"id": "C2"}, OVERDUE + dt.timedelta(hours=1))
    assert again.state == "accepted"
    now = OVERDUE + dt.timedelta(hours=2)
    assert effects.watch(now) == 1
    again.refresh_from_db()
    assert (again.state, net(seller)) == ("held", 20)
    judging.release(again.pk, staff("clerk"), "the driver has agreed", now)
    assert (effects.watch(now), net(seller)) == (0, 30)
    assert wrong() == []


def test_a_credit_that_slipped_in_before_the_hold_is_dropped_with_it(
    seller: Party, cdr: Cdr
) -> None:
    dispute = accepted(cdr)
    [proposal] = proposing.proposals(dispute, LATER)
    factory.credit(cdr, uid="C1-C", body=proposal.credit)  # judged before the hold
    timers.look_after(LATER)
    assert (of(cdr).state, states()["C1-C"]) == ("settled", ("discarded", None))
    assert dispute.effect == "hold"
    assert wrong() == []


def test_where_no_credit_can_be_filed_the_cdr_is_dropped_without(
    seller: Party, cdr: Cdr, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispute = accepted(cdr)

    def refuse(*told: object) -> Cdr:
        raise Invalid("no")

    monkeypatch.setattr("settlement.disputes.filing.file", refuse)
    settled_after(dispute)
    assert (states(), net(seller)) == ({"C1": ("discarded", None)}, 20)
    assert wrong() == []
