"""Payouts: only what was collected, by two people, in a file that the bank understands."""

import datetime as dt
import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sepaxml
from django.db import Error, connection, transaction
from lxml import etree

from cdrs.models import Period
from hub.states import WrongState
from parties.models import Party
from settlement import clearing
from settlement.banking import accounts, batches, pain, payouts, returns, terms
from settlement.banking.accounts import NotVerified
from settlement.banking.batches import CannotBatch
from settlement.banking.exchange import convert
from settlement.banking.terms import Terms
from settlement.invariants import breaches
from settlement.ledger.balances import balance_of, owed_to
from settlement.ledger.posting import NotPosted
from settlement.models import (
    Agreement,
    BankAccount,
    FxRate,
    LegalEntity,
    Payout,
    PayoutBatch,
    SetOff,
)
from tests.racing import at_once
from tests.settlement import factory, money
from tests.settlement.factory import MONTH
from tests.settlement.money import Booking

pytestmark = pytest.mark.django_db
D = Decimal
DUE = dt.date(2024, 4, 24)  # documents are of 6 April; CPOs are paid 14 and 3 bank days later


def agreed(**more: object) -> None:
    """Let every CPO have other terms from May on."""
    for party in Party.objects.filter(roles__role="CPO"):
        Agreement.objects.create(party=party, kind="cpo", valid_from=dt.date(2024, 5, 1), **more)


def collected(total: str = "100.0000") -> Party:
    """Have a CPO be owed what its eMSP has paid."""
    money.closed(total)
    money.pay()
    return money.party_of("FR-ABC")


# Planning


def test_what_was_not_collected_is_not_paid_out() -> None:
    money.closed()
    assert money.plan() == []
    assert owed_to(money.party_of("FR-ABC"), "EUR") == D(100)


def test_what_was_collected_is_paid_when_it_is_due() -> None:
    party = collected()
    (payout,) = [
        plan.payout for plan in payouts.plan(dt.datetime(2024, 4, 10, tzinfo=dt.UTC)) if plan.payout
    ]
    assert (payout.party, payout.amount, payout.state) == (party, D(100), "planned")
    assert payout.execute_on == DUE
    assert [(str(line.document), line.amount) for line in payout.lines.all()] == [
        ("OCN-FRABC-2024-000001", D(100))
    ]
    assert breaches() == []


def test_planning_again_changes_nothing() -> None:
    collected()
    assert money.plan() == money.plan()
    assert Payout.objects.count() == 1


def test_a_guaranteed_cpo_is_paid_whoever_has_paid() -> None:
    money.closed()
    agreed(guarantee=True)
    (payout,) = money.plan()
    assert payout.amount == D(100)


def test_a_part_payment_is_shared_by_what_each_cell_is_worth() -> None:
    money.traded("90.0000", "NL-AAA", "DE-EMP")  # with 21 % VAT on the hub's purchase
    money.traded("10.0000", "FR-ABC", "DE-EMP")
    money.closed("50.0000", "NL-AAA", "BE-OTH")
    agreed(minimum_payout=D(0))
    money.pay("DE-EMP", "33.33")
    paid = {str(payout.party): payout.amount for payout in money.plan()}
    # NL*AAA: 169.40 gross of 140 net; a third of 90 is collected. FR*ABC: a third of 10.
    assert paid == {"FR*ABC": D("3.33"), "NL*AAA": D("36.29")}
    money.pay("DE-EMP", "66.67")
    money.pay("BE-OTH")
    paid = {str(payout.party): payout.amount for payout in money.plan()}
    assert paid == {"FR*ABC": D("10.00"), "NL*AAA": D("169.40")}
    assert breaches() == []


@pytest.mark.parametrize(
    ("gross", "net", "paid", "expected"),
    [
        ("121.00", "100.00", "100.00", "121.00"),
        ("121.00", "100.00", "33.33", "40.32"),
        ("0.10", "0.10", "0.0999", "0.09"),
        ("121.00", "100.00", "-5", "0.00"),
        ("121.00", "100.00", "105", "121.00"),
    ],
)
def test_the_released_part_never_exceeds_what_was_collected(
    gross: str, net: str, paid: str, expected: str
) -> None:
    assert payouts.released(D(gross), D(net), D(paid), "EUR") == D(expected)


def test_small_balances_are_carried_and_paid_in_december() -> None:
    collected("24.9900")
    (plan,) = payouts.plan(money.NOW)
    assert (plan.payout, plan.amount) == (None, D("24.99"))
    assert "carried forward" in plan.why
    (plan,) = payouts.plan(dt.datetime(2024, 12, 2, tzinfo=dt.UTC))
    assert plan.payout
    assert plan.payout.amount == D("24.99")


def test_a_second_month_is_paid_when_it_is_due_and_not_with_the_first() -> None:
    party = collected()
    (first,) = money.plan()
    may = dt.date(2024, 4, 1)
    factory.cdr(party, money.party_of("DE-EMP"), "60.0000", month=may)
    from settlement import clearing

    clearing.close(may, now=dt.datetime(2024, 5, 6, 9, tzinfo=dt.UTC))
    number = money.party_of("DE-EMP").receivables.last().document.number
    money.received(Booking("60.00", number))
    (replanned,) = money.plan()
    assert replanned.amount == first.amount == D(100)
    (both,) = [
        plan.payout
        for plan in payouts.plan(dt.datetime(2024, 5, 27, 9, tzinfo=dt.UTC))
        if plan.payout
    ]
    assert both.amount == D(160)
    replanned.refresh_from_db()
    assert replanned.state == "cancelled"


def test_debt_and_credit_of_one_company_are_set_off_where_agreed() -> None:
    both = money.party_of("FR-ABC", "CPO", "EMSP")
    other = money.party_of("DE-EMP", "CPO", "EMSP")
    factory.cdr(both, other, "100.0000")
    factory.cdr(other, both, "30.0000")
    money.close()
    agreed(set_off=True)
    money.pay("DE-EMP")
    plans = {str(plan.party): plan for plan in payouts.plan(money.NOW)}
    assert plans["FR*ABC"].set_off == D(30)
    assert plans["FR*ABC"].payout
    assert plans["FR*ABC"].payout.amount == D(70)
    done = SetOff.objects.get()
    assert (done.number, done.amount) == ("SO-FRABC-EUR-000001", D(30))
    assert money.owed_by("FR-ABC").state == "paid"
    assert [line.amount for line in plans["FR*ABC"].payout.lines.all()] == [D(100), D(-30)]
    plans = {str(plan.party): plan for plan in payouts.plan(money.NOW)}
    assert plans["DE*EMP"].amount == D(30)  # the set-off counts as collected
    assert breaches() == []


def test_without_an_agreement_nothing_is_set_off() -> None:
    both, other = money.party_of("FR-ABC", "CPO", "EMSP"), money.party_of("DE-EMP", "CPO", "EMSP")
    factory.cdr(both, other, "100.0000")
    factory.cdr(other, both, "30.0000")
    money.close()
    money.pay("DE-EMP")
    assert [payout.amount for payout in money.plan()] == [D(100)]
    assert not SetOff.objects.exists()
    assert terms.terms_of(both, "EUR") == Terms(D("25.00"), False, False)


def test_without_a_verified_account_nothing_is_planned(settings: Any) -> None:
    party = collected()
    BankAccount.objects.filter(party=party).update(ended_at=money.NOW + dt.timedelta(days=3000))
    settings.SANDBOX = False
    (plan,) = payouts.plan(money.NOW)
    assert (plan.payout, plan.why) == (None, "no verified bank account")


def test_only_what_may_be_paid_is_converted_and_the_plan_follows() -> None:
    money.closed()
    party = money.party_of("FR-ABC")
    FxRate.objects.create(on=MONTH, base="EUR", quote="USD", rate=D("1.1"))
    change = {"base": "EUR", "quote": "USD", "on": money.TODAY}
    with pytest.raises(NotPosted, match="cannot be paid"):
        convert(party, D("0.01"), **change, key="not collected")
    money.pay()
    money.plan()
    convert(party, D(40), **change, key="planned")
    assert [payout.amount for payout in Payout.objects.filter(state="planned")] == [D(60)]
    money.approved()
    with pytest.raises(NotPosted, match="cannot be paid"):
        convert(party, D("0.01"), **change, key="in a batch")
    assert (owed_to(party, "EUR"), owed_to(party, "USD")) == (D(60), D(44))
    assert breaches() == []


def test_the_bank_is_asked_to_pay_on_a_day_when_banks_are_open() -> None:
    collected()
    money.plan()
    batch = batches.propose("EUR", dt.date(2032, 3, 26), money.person())  # Good Friday
    assert batch.execute_on == dt.date(2032, 3, 30)


# I18


def insert(**changes: Any) -> None:
    party = money.party_of("FR-ABC")
    facts = {
        "party": party,
        "currency": "EUR",
        "amount": D(100),
        "bank_account": BankAccount.objects.get(party=party, seeded=True),
        "execute_on": DUE,
    }
    with transaction.atomic():
        Payout.objects.create(**facts | changes)
        connection.check_constraints()


def test_the_database_pays_no_more_than_is_owed_and_only_to_verified_accounts() -> None:
    party = collected()
    other = BankAccount.objects.get(party=money.party_of("DE-EMP"))
    fresh = BankAccount.objects.create(
        party=party, currency="EUR", holder="X", account_number="1", created_by=money.person()
    )
    for changes, told in (
        ({"amount": D("100.01")}, "exceed what is owed"),
        ({"amount": D(-1)}, "payout_positive"),
        ({"currency": "USD", "amount": D(1)}, "exceed what is owed"),
        ({"bank_account": other}, "account of its party"),
        ({"bank_account": fresh}, "not verified"),
        ({"state": "submitted"}, "begins as planned"),
        ({}, "do not add up"),
    ):
        with pytest.raises(Error, match=told):
            insert(**changes)
    assert not Payout.objects.exists()


def test_a_second_payout_counts_the_first() -> None:
    collected()
    (payout,) = money.plan()
    batches.propose("EUR", money.TODAY, money.person())
    with pytest.raises(Error, match="payouts of 200"):
        insert()
    payout.refresh_from_db()
    assert payout.batch


def test_what_a_payout_pays_stays() -> None:
    collected()
    money.plan()
    connection.check_constraints()
    for change in ({"amount": 1}, {"currency": "USD"}, {"execute_on": DUE - dt.timedelta(days=9)}):
        with pytest.raises(Error, match="stays as it is"), transaction.atomic():
            Payout.objects.update(**change)
    for statement in ("DELETE FROM settlement_payout", "DELETE FROM settlement_payoutline"):
        with pytest.raises(Error), transaction.atomic():
            connection.cursor().execute(statement)


def test_eight_at_once_plan_one_payout(transactional_db: None) -> None:
    collected()
    at_once(*[money.plan] * 8)
    assert Payout.objects.exclude(state="cancelled").get().amount == D(100)
    assert breaches() == []


def test_eight_at_once_propose_one_batch(transactional_db: None) -> None:
    collected()
    money.plan()
    clerk = money.person()

    def propose() -> int:
        try:
            return batches.propose("EUR", money.TODAY, clerk).pk
        except CannotBatch:
            return 0

    made = [pk for pk in at_once(*[propose] * 8) if pk]
    assert len(made) == PayoutBatch.objects.count() == 1


# Four eyes


def test_nobody_approves_what_they_proposed() -> None:
    collected()
    money.plan()
    clerk = money.person("clerk")
    batch = batches.propose("EUR", money.TODAY, clerk)
    with pytest.raises(CannotBatch, match="cannot approve it"):
        batches.approve(batch, clerk, batches.digest(batch))
    facts = {"approved_at": money.NOW, "approved_sha256": batches.digest(batch)}
    connection.check_constraints()
    with pytest.raises(Error, match="second_person"), transaction.atomic():
        PayoutBatch.objects.update(state="approved", approved_by=clerk, **facts)
    with pytest.raises(Error, match="second_person"), transaction.atomic():
        PayoutBatch.objects.update(state="approved", **facts)


def test_an_approval_is_of_what_was_seen() -> None:
    collected()
    money.plan()
    batch = batches.propose("EUR", money.TODAY, money.person("clerk"))
    approver = money.person("approver")
    with pytest.raises(CannotBatch, match="changed since you looked"):
        batches.approve(batch, approver, "0" * 64)
    connection.check_constraints()
    with pytest.raises(Error, match="not what was approved"), transaction.atomic():
        PayoutBatch.objects.update(
            state="approved", approved_by=approver, approved_at=money.NOW, approved_sha256="0" * 64
        )


@pytest.mark.parametrize("change", ["execute_on", "account", "payout"])
def test_a_change_after_the_approval_takes_it_away(change: str) -> None:
    money.closed("50.0000", "ES-XYZ", "BE-OTH")
    money.pay("BE-OTH")
    may = dt.date(2024, 4, 1)
    factory.cdr(money.party_of("FR-ABC", "CPO"), money.party_of("BE-OTH"), "50.0000", month=may)
    money.close(may)
    money.received(Booking("50.00", last_number("BE-OTH")))
    money.plan()
    batch = money.approved()
    assert batch.payouts.count() == 2
    if change == "execute_on":
        PayoutBatch.objects.update(execute_on=batch.execute_on + dt.timedelta(days=1))
    elif change == "account":
        hub = BankAccount.objects.get(party=None, currency="EUR")
        PayoutBatch.objects.update(account=accounts.seed(None, "CHF") or hub)
    else:
        batches.take_out(batch.payouts.first())
    batch.refresh_from_db()
    assert (batch.state, batch.approved_by, batch.approved_sha256) == ("draft", None, "")
    with pytest.raises(CannotBatch, match="awaiting approval"):
        batches.make_file(batch)
    assert breaches() == []


def last_number(code: str) -> str:
    return str(money.party_of(code).receivables.order_by("-pk").first())


def test_what_is_in_a_file_stays_in_it() -> None:
    collected()
    money.plan()
    batch = batches.make_file(money.approved())
    connection.check_constraints()
    for statement in (
        "UPDATE settlement_payout SET batch_id = NULL, state = 'cancelled'",
        "UPDATE settlement_payoutbatch SET execute_on = execute_on + 1",
        "UPDATE settlement_payoutbatch SET file = 'x', file_sha256 = repeat('0', 64)",
        "DELETE FROM settlement_payoutbatch",
        "TRUNCATE settlement_payoutbatch CASCADE",
    ):
        with pytest.raises(Error), transaction.atomic():
            connection.cursor().execute(statement)
    batch.refresh_from_db()
    assert batch.file_sha256 == hashlib.sha256(bytes(batch.file)).hexdigest()


def test_a_dropped_batch_says_why_and_its_payouts_are_planned_anew() -> None:
    collected()
    money.plan()
    batch = money.approved()
    with pytest.raises(CannotBatch, match="say why"):
        batches.drop(batch, " ")
    batches.drop(batch, "wrong day")
    batch.refresh_from_db()
    assert (batch.state, batch.refused_because) == ("dropped", "wrong day")
    assert sorted(Payout.objects.values_list("state", flat=True)) == ["cancelled", "planned"]
    assert breaches() == []


def test_the_approver_is_told_what_is_unusual() -> None:
    collected()
    money.plan()
    batch = batches.propose("EUR", money.TODAY, money.person())
    assert [remark.text for remark in batches.remarks(batch)] == ["the first payout to this party"]


# The file

SCHEMA = Path(sepaxml.__file__).parent / "schemas" / "pain.001.001.09.xsd"


def checked(content: bytes) -> Any:
    root = etree.fromstring(content)
    etree.XMLSchema(etree.parse(str(SCHEMA))).assertValid(root)
    return root


def texts(root: Any, name: str) -> list[str]:
    return [item.text for item in root.iter(f"{{*}}{name}")]


def test_the_payment_file_is_valid_and_says_who_gets_what() -> None:
    collected()
    (payout,) = money.plan()
    batch = batches.make_file(money.approved())
    root = checked(bytes(batch.file))
    account = BankAccount.objects.get(party=payout.party)
    assert texts(root, "MsgId") == [f"OCN-BATCH-{batch.pk:08}"]
    assert texts(root, "PmtInfId") == [f"OCN-BATCH-{batch.pk:08}-1"]
    assert texts(root, "CtrlSum") == ["100.00", "100.00"]
    assert texts(root, "EndToEndId") == [f"OCN-PAYOUT-{payout.pk:08}"]
    assert account.iban in texts(root, "IBAN")
    assert texts(root, "InstdAmt") == ["100.00"]
    assert texts(root, "Nb") == ["OCN-FRABC-2024-000001"]
    assert "SEPA" in texts(root, "Cd")
    assert "SBIN" in texts(root, "Cd")
    assert texts(root, "ChrgBr") == ["SLEV"]


def test_the_same_batch_gives_the_same_bytes() -> None:
    collected()
    money.plan()
    batch = batches.make_file(money.approved())
    assert pain.written(batches.transfer(batch)) == bytes(batch.file)


def transfer(*payments: pain.Payment, currency: str = "EUR", **more: Any) -> pain.Transfer:
    return pain.Transfer(
        message_id="OCN-BATCH-00000001",
        created_at=money.NOW,
        execute_on=DUE,
        currency=currency,
        debtor=pain.Holder("Hub B.V.", "Amsterdam", "NL"),
        account=pain.BankAccount("NL91ABNA0417164300", "", "", ""),
        payments=payments,
        **more,
    )


def payment(**more: Any) -> pain.Payment:
    facts = {
        "end_to_end_id": "OCN-PAYOUT-00000001",
        "uetr": pain.uetr("1"),
        "amount": D("12.34"),
        "creditor": pain.Holder("Société Générale & Fils / Übersee №1", "Besançon", "FR"),
        "account": pain.BankAccount("FR1420041010050500013M02606", "", "", ""),
        "invoices": [],
    }
    return pain.Payment(**facts | more)


def test_names_are_spelled_in_letters_that_every_bank_takes() -> None:
    root = checked(pain.written(transfer(payment())))
    assert "Societe Generale + Fils / Ubersee No1" in texts(root, "Nm")
    assert "Besancon" in texts(root, "TwnNm")
    assert pain.plain("株式会社", 70) == "-"


@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_any_number_of_invoices_makes_a_valid_file(count: int) -> None:
    invoices = [pain.Invoice(f"OCN-FRABC-2024-{n:06}", DUE) for n in range(count)]
    checked(pain.written(transfer(payment(invoices=invoices))))


def test_dollars_go_to_a_routing_number_without_sepa() -> None:
    account = pain.BankAccount("", "021000021", "123456789", "CHASUS33")
    root = checked(pain.written(transfer(payment(account=account), currency="USD")))
    assert texts(root, "MmbId") == ["021000021"]
    assert texts(root, "ChrgBr") == ["SHAR"]
    assert "SEPA" not in texts(root, "Cd")


def test_an_independent_writer_agrees_on_the_facts() -> None:
    """Compare with sepaxml: what both write for one payment is the same."""
    sepa = sepaxml.SepaTransfer(
        {"name": "Hub B.V.", "IBAN": "NL91ABNA0417164300", "batch": True, "currency": "EUR"},
        schema="pain.001.001.09",
        clean=True,
    )
    sepa.add_payment(
        {
            "name": "Creditor",
            "IBAN": "FR1420041010050500013M02606",
            "amount": 1234,
            "execution_date": DUE,
            "description": "OCN-PAYOUT-00000001",
            "endtoend_id": "OCN-PAYOUT-00000001",
        }
    )
    theirs = etree.fromstring(sepa.export(validate=True))
    ours = checked(pain.written(transfer(payment(creditor=pain.Holder("Creditor", "Paris", "FR")))))
    for name in ("NbOfTxs", "CtrlSum", "PmtMtd", "InstdAmt", "IBAN", "EndToEndId", "ChrgBr"):
        assert texts(ours, name) == texts(theirs, name), name
    assert texts(theirs, "ReqdExctnDt/Dt") == texts(ours, "ReqdExctnDt/Dt")


def test_many_payments_add_up() -> None:
    many = [payment(end_to_end_id=f"OCN-PAYOUT-{n:08}", uetr=pain.uetr(str(n))) for n in range(500)]
    root = checked(pain.written(transfer(*many)))
    assert texts(root, "CtrlSum") == ["6170.00", "6170.00"]
    assert len(set(texts(root, "UETR"))) == 500


# At the bank


def test_a_payout_is_in_the_ledger_once_the_bank_has_it() -> None:
    party = collected()
    money.plan()
    batch = batches.make_file(money.approved())
    assert owed_to(party, "EUR") == D(100)
    batches.submit(batch, money.person())
    assert owed_to(party, "EUR") == D(0)
    assert balance_of("payout_in_transit", None, "EUR") == D(-100)
    assert breaches() == []


def test_the_bank_s_line_books_the_payout() -> None:
    collected()
    (payout,) = money.plan()
    batch = money.submitted()
    (line,) = money.received(Booking("-100.00", end_to_end=str(payout)))
    payout.refresh_from_db()
    batch.refresh_from_db()
    assert (line.state, payout.state, batch.state) == ("matched", "booked", "completed")
    assert payout.bank_line == line
    assert balance_of("payout_in_transit", None, "EUR") == D(0)
    assert balance_of("bank", None, "EUR") == D(0)
    assert breaches() == []


def test_a_month_is_closed_once_everybody_is_paid() -> None:
    money.closed()
    states = []

    def look() -> None:
        period = Period.objects.get(month=MONTH)
        clearing.finish(period, now=money.NOW)
        period.refresh_from_db()
        states.append(period.state)

    look()
    money.pay()
    (payout,) = money.plan()
    look()
    money.submitted()
    look()
    money.received(Booking("-100.00", end_to_end=str(payout)))
    look()
    assert states == ["settling", "settling", "settling", "closed"]


def test_one_line_for_the_whole_file_books_all_of_it() -> None:
    money.traded("60.0000", "ES-XYZ")
    collected("40.0000")
    assert len(money.plan()) == 2
    batch = money.submitted()
    (line,) = money.received(Booking("-100.00", batch=f"{batch.message_id}-1"))
    assert line.state == "matched"
    assert set(batch.payouts.values_list("state", flat=True)) == {"booked"}
    assert breaches() == []


@pytest.mark.parametrize("amount", ["-99.99", "-100.01"])
def test_another_amount_is_for_a_person(amount: str) -> None:
    collected()
    (payout,) = money.plan()
    money.submitted()
    (line,) = money.received(Booking(amount, end_to_end=str(payout)))
    payout.refresh_from_db()
    assert (line.state, payout.state) == ("open", "submitted")
    assert breaches() == []


@pytest.mark.parametrize("booked", [True, False])
def test_a_returned_payout_is_planned_again(booked: bool) -> None:
    party = collected()
    (payout,) = money.plan()
    money.submitted()
    if booked:
        money.received(Booking("-100.00", end_to_end=str(payout)))
    (line,) = money.received(Booking("100.00", end_to_end=str(payout), reason="AC04"))
    payout.refresh_from_db()
    assert (line.state, payout.state, payout.failed_because) == ("matched", "returned", "AC04")
    again = Payout.objects.get(state="planned")
    assert (again.amount, again.retry_of) == (D(100), payout)
    assert owed_to(party, "EUR") == D(100)
    assert breaches() == []
    batch = batches.propose("EUR", again.execute_on, money.person())
    assert any("AC04" in remark.text for remark in batches.remarks(batch))


def test_a_rejected_payout_is_planned_again_by_a_person_s_word() -> None:
    collected()
    (payout,) = money.plan()
    money.submitted()
    again = returns.give_up(payout, "rejected", "AC01 wrong account")
    assert again
    assert again.retry_of == payout
    with pytest.raises(WrongState):
        returns.give_up(payout, "rejected", "once more")
    assert breaches() == []


def test_eight_at_once_give_a_payout_up_once(transactional_db: None) -> None:
    party = collected()
    (payout,) = money.plan()
    money.submitted()

    def give_up() -> bool:
        try:
            returns.give_up(Payout.objects.get(pk=payout.pk), "rejected", "AC01")
        except WrongState:
            return False
        return True

    assert sum(at_once(*[give_up] * 8)) == 1
    assert owed_to(party, "EUR") == D(100)
    assert breaches() == []


def test_a_payout_is_made_once_however_often_it_is_handed_over() -> None:
    collected()
    money.plan()
    batch = money.submitted()
    for step in (
        lambda: batches.submit(batch, money.person()),
        lambda: batches.make_file(batch),
        lambda: batches.drop(batch, "x"),
    ):
        with pytest.raises(CannotBatch, match="handed to the bank"):
            step()
    assert money.plan() == []


# Bank accounts


def entered(**more: Any) -> BankAccount:
    facts = {
        "party": money.party_of("FR-ABC", "CPO"),
        "currency": "EUR",
        "holder": "New Name",
        "iban": "FR1420041010050500013M02606",
        "created_by": money.person("clerk"),
    }
    return BankAccount.objects.create(**facts | more)


def test_a_party_that_joins_the_sandbox_can_be_paid_at_once() -> None:
    party = money.party_of("US-CHG", "CPO")
    account = accounts.account_of(party, "EUR")
    assert account
    assert account.seeded
    assert account.number == LegalEntity.objects.get(party=party).iban.replace(" ", "")


def test_a_new_account_takes_the_place_of_the_old_when_a_second_person_says_so() -> None:
    new = entered()
    party = money.party_of("FR-ABC")
    assert accounts.account_of(party, "EUR") != new
    with pytest.raises(NotVerified, match="whoever entered"):
        accounts.verify(new, money.person("clerk"))
    accounts.verify(new, money.person("approver"))
    assert accounts.account_of(party, "EUR") == new
    assert BankAccount.objects.filter(party=party, ended_at=None).count() == 1
    with pytest.raises(NotVerified, match="already"):
        accounts.verify(new, money.person("approver"))


def test_in_live_an_account_cools_down_for_two_days(settings: Any) -> None:
    collected()
    settings.SANDBOX = False
    new = accounts.verify(entered(), money.person("approver"))
    assert new.usable_from - new.verified_at == dt.timedelta(hours=48)
    (plan,) = payouts.plan(new.verified_at)
    assert plan.payout is None
    assert "may be used from" in plan.why
    connection.check_constraints()
    with pytest.raises(Error, match="may not be used yet"):
        insert(bank_account=new)


def test_an_account_is_never_changed() -> None:
    new = entered()
    connection.check_constraints()
    for change in ({"iban": "NL91ABNA0417164300"}, {"holder": "Me"}, {"seeded": True}):
        with pytest.raises(Error, match="stays as it is"), transaction.atomic():
            BankAccount.objects.filter(pk=new.pk).update(**change)
    for person in (new.created_by, None):
        with pytest.raises(Error, match="second_person"), transaction.atomic():
            BankAccount.objects.filter(pk=new.pk).update(
                verified_by=person, verified_at=money.NOW, usable_from=money.NOW
            )
    accounts.verify(new, money.person("approver"))
    with pytest.raises(Error, match="verified and ended once"), transaction.atomic():
        BankAccount.objects.filter(pk=new.pk).update(usable_from=money.NOW + dt.timedelta(days=900))


def test_two_accounts_are_never_in_use_at_once() -> None:
    new = entered()
    connection.check_constraints()
    with pytest.raises(Error, match="one_bank_account_at_a_time"), transaction.atomic():
        BankAccount.objects.filter(pk=new.pk).update(
            verified_by=money.person("approver"), verified_at=money.NOW, usable_from=money.NOW
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("iban", "FR1420041010050500013M02607"),
        ("bic", "NOPE"),
        ("routing_number", "021000022"),
        ("currency", "EUX"),
    ],
)
def test_numbers_are_checked_by_their_check_digits(field: str, value: str) -> None:
    from django.core.exceptions import ValidationError

    account = BankAccount(currency="EUR", holder="X", account_number="1")
    setattr(account, field, value)
    with pytest.raises(ValidationError) as caught:
        account.full_clean()
    assert field in caught.value.message_dict
