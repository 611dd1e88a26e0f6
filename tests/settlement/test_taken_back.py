"""Credit notes and what is paid out: who is credited has paid nobody, and months still close."""

import datetime as dt
from decimal import Decimal as D

import pytest

from cdrs.models import Cdr, Period
from settlement import clearing, settling
from settlement.banking import batches, payouts
from settlement.invariants import breaches
from settlement.ledger.balances import owed_to
from settlement.models import Payout
from tests.settlement import factory, money
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.django_db
APRIL = dt.date(2024, 4, 1)
NEXT = dt.datetime(2024, 5, 6, 9, 0, tzinfo=dt.UTC)
LATER = dt.datetime(2024, 6, 3, 9, 0, tzinfo=dt.UTC)


def credited() -> Cdr:
    """Have one eMSP owe 200 for CDRs of two CPOs, of which those of FR-ABC are taken back."""
    money.traded("100.0000", "FR-ABC")
    money.traded("100.0000", "NL-AAA")
    money.close()
    ends = {"owner": money.party_of("FR-ABC"), "emsp": money.party_of("DE-EMP")}
    original = Cdr.objects.get(**ends)
    credit = factory.credit(original, settled_in=APRIL)
    clearing.close(APRIL, now=NEXT)
    return credit


def planned() -> dict[str, D]:
    return {str(plan.party): plan.payout.amount for plan in payouts.plan(LATER) if plan.payout}


def test_what_is_taken_back_from_one_cpo_does_not_pay_the_other() -> None:
    credited()
    assert money.owed_by().settled.open == D(100)
    assert planned() == {}


def test_when_the_rest_is_paid_the_other_cpo_is_paid_and_the_month_closes() -> None:
    credited()
    money.received(money.Booking("50.00", money.owed_by().document.number))
    assert planned() == {"NL*AAA": D("60.50")}
    money.received(money.Booking("50.00", money.owed_by().document.number))
    assert planned() == {"NL*AAA": D(121)}
    assert breaches() == []


def test_a_cpo_with_a_credit_note_is_paid_what_others_have_paid_it_for() -> None:
    money.traded("100.0000", "FR-ABC", "BE-OTH")
    credited()
    money.pay("BE-OTH")
    assert planned() == {"FR*ABC": D(100)}
    assert breaches() == []


def test_a_month_with_a_credit_note_closes_though_its_cpo_is_owed_for_another() -> None:
    original = factory.cdr(factory.cpo(), factory.emsp(), "100.0000")
    clearing.close(MONTH, now=CLOSING)
    factory.credit(original, settled_in=APRIL)
    factory.cdr(original.owner, original.emsp, "30.0000", month=APRIL)
    clearing.close(APRIL, now=NEXT)
    assert owed_to(original.owner, "EUR") == D(30)
    assert not settling.is_owed(Period.objects.get(month=MONTH))
    assert settling.is_owed(Period.objects.get(month=APRIL))


def test_what_the_bank_has_is_noted_though_a_credit_note_came_in_between() -> None:
    original = factory.cdr(factory.cpo(), factory.emsp(), "100.0000")
    clearing.close(MONTH, now=CLOSING)
    money.pay()
    money.plan()
    filed = batches.make_file(money.approved())
    factory.credit(original, settled_in=APRIL)
    clearing.close(APRIL, now=NEXT)
    batches.submit(filed, money.person())
    assert Payout.objects.get().state == "submitted"
    assert owed_to(original.owner, "EUR") == D(-100)
    assert breaches() == []


def test_two_months_at_once_and_a_credit_across_them() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    original = factory.cdr(seller, payer, "1000.0000", currency="JPY")
    small = factory.cdr(seller, payer, "10.0005", currency="BHD")
    factory.cdr(seller, payer, "5.5000", month=APRIL, currency="JPY")
    credit = factory.credit(original, settled_in=APRIL)
    march, april = Period.objects.order_by("month")
    for period in (march, april):
        clearing.step(period, now=NEXT)  # frozen
    credit.refresh_from_db()
    assert credit.state == "held"  # what it takes back is not billed yet
    for month in (APRIL, MONTH):
        clearing.close(month, now=NEXT)
    nets = march.documents.filter(kind="self_billing_invoice").values_list("currency", "net")
    assert dict(nets) == {"JPY": D(1000), "BHD": D("10.001")}
    assert [row.net for row in april.documents.filter(kind="emsp_invoice")] == [D(6)]
    may = clearing.close(dt.date(2024, 5, 1), now=LATER, force=True)
    assert [row.net for row in may.documents.order_by("pk")] == [D(1000), D(1000)]
    assert small.currency == "BHD"
    assert breaches() == []
