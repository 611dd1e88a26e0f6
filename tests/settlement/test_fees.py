"""Fees: by the version that held when a session started, added up in sets, never below zero."""

import datetime as dt
from decimal import Decimal as D

import pytest

from cdrs.models import Period
from settlement import clearing
from settlement.models import Agreement, Document, Fee, Statement
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.django_db


def agree(party: object, kind: str = "cpo", begins: dt.date = MONTH, **terms: object) -> None:
    Agreement.objects.create(party=party, kind=kind, valid_from=begins, **terms)


def fees(party: object) -> dict[str, tuple[D, D, D]]:
    rows = Fee.objects.filter(party=party).values_list("basis", "quantity", "rate", "net")
    return {row[0]: tuple(row[1:]) for row in rows}


def cells_made() -> Period:
    period = Period.objects.get()
    clearing.step(period, now=CLOSING)  # frozen
    clearing.step(period, now=CLOSING)  # added up, statements out
    period.refresh_from_db()
    assert period.state == "statement"
    return period


def test_each_basis_is_charged_on_what_there_was() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    agree(seller, fee_percent="1.5", fee_per_kwh="0.001", fee_per_cdr="0.05", fee_monthly=10)
    agree(payer, kind="emsp", fee_per_cdr="0.10")
    factory.cdrs(3, seller, payer, "10.0000", energy="20.0000")
    cells_made()
    assert fees(seller) == {
        "percent": (D(30), D("1.5"), D("0.45")),
        "kwh": (D(60), D("0.001"), D("0.06")),
        "cdr": (D(3), D("0.05"), D("0.15")),
        "monthly": (D(1), D(10), D(10)),
    }
    assert fees(payer) == {"cdr": (D(3), D("0.1"), D("0.3"))}
    nets = dict(Statement.objects.values_list("role", "net"))
    assert nets == {"CPO": D(30) - D("10.66"), "EMSP": D("30.3")}


def test_the_version_of_the_day_counts() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    agree(seller, fee_percent=1)
    agree(seller, begins=dt.date(2024, 3, 10), fee_percent=3)
    factory.cdr(seller, payer, "100.0000")  # starts on the 10th
    factory.cdr(seller, payer, "50.0000", month=dt.date(2024, 2, 1), settled_in=MONTH)
    agree(seller, begins=dt.date(2024, 4, 1), fee_percent=9)
    cells_made()
    assert fees(seller) == {"percent": (D(100), D(3), D(3))}


def test_two_versions_in_a_month_make_one_fee_that_tells_both() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    agree(seller, begins=dt.date(2024, 2, 1), fee_percent=1)
    agree(seller, begins=dt.date(2024, 3, 10), fee_percent=3)
    factory.cdr(seller, payer, "100.0000")
    factory.cdr(seller, payer, "50.0000", month=dt.date(2024, 2, 1), settled_in=MONTH)
    cells_made()
    assert fees(seller) == {"percent": (D(150), D("2.333333"), D("3.5"))}
    assert "50.0000 at 1.0000, 100.0000 at 3.0000" in Fee.objects.get().text


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"fee_min": 5}, {"percent": D(1), "cdr": D(1), "monthly": D(3)}),
        ({"fee_max": "1.5"}, {"percent": D(1), "cdr": D("0.5")}),
        ({"fee_min": 1, "fee_max": 2}, {"percent": D(1), "cdr": D(1)}),
    ],
)
def test_a_months_fees_are_held_to_least_and_highest(
    limits: dict[str, object], expected: dict[str, D]
) -> None:
    seller = factory.cpo()
    agree(seller, fee_percent=1, fee_per_cdr=1, **limits)
    factory.cdr(seller, factory.emsp(), "100.0000")
    cells_made()
    assert {basis: row[2] for basis, row in fees(seller).items()} == expected


def test_a_fee_is_a_service_and_taxed_as_such() -> None:
    seller = factory.cpo()
    agree(seller, fee_percent=1)
    factory.cdr(seller, factory.emsp(), "100.0000")
    clearing.close(MONTH, now=CLOSING)
    notes = {
        paper.kind: [tax["note"] for tax in paper.snapshot["taxes"]]
        for paper in Document.objects.filter(party=seller)
    }
    law = "of Directive 2006/112/EC"
    assert notes == {
        "self_billing_invoice": [f"Reverse charge; Articles 38 and 195 {law}"],
        "fee_invoice": [f"Reverse charge; Articles 44 and 196 {law}"],
    }


def test_credits_lessen_a_fee_and_never_turn_it_around() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    agree(seller, begins=dt.date(2024, 1, 1), fee_percent=10)
    factory.credit(factory.cdrs(2, seller, payer, "10.0000")[0])
    cells_made()
    assert fees(seller)["percent"] == (D(10), D(10), D(1))


def test_an_agreement_that_has_ended_asks_no_monthly_fee_for_what_comes_late() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    february = dt.date(2024, 2, 1)
    terms = {"fee_monthly": 10, "fee_min": 20, "fee_per_cdr": 1}
    Agreement.objects.create(party=seller, kind="cpo", valid_from=february, valid_to=MONTH, **terms)
    factory.cdr(seller, payer, "50.0000", month=february, settled_in=MONTH)
    cells_made()
    assert fees(seller) == {"cdr": (D(1), D(1), D(1))}


def test_the_monthly_fee_is_that_of_the_month_whenever_sessions_started() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    february = dt.date(2024, 2, 1)
    agree(seller, begins=february, fee_monthly=10)
    agree(seller, fee_monthly=30)
    factory.cdr(seller, payer, "50.0000", month=february, settled_in=MONTH)
    cells_made()
    assert fees(seller) == {"monthly": (D(1), D(30), D(30))}


def test_each_currency_has_fees_of_its_own() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    agree(seller, fee_percent=1)
    agree(seller, currency="JPY", fee_percent="2.5")
    factory.cdr(seller, payer, "100.0000")
    factory.cdr(seller, payer, "1010.0000", currency="JPY")
    cells_made()
    assert dict(Fee.objects.values_list("currency", "net")) == {"EUR": D(1), "JPY": D(25)}


def test_fees_are_made_again_with_the_cells_and_final_afterwards() -> None:
    from django.db import Error, connection, transaction

    from settlement import statements

    seller, payer, other = factory.cpo(), factory.emsp(), factory.emsp("NL-EMP")
    agree(seller, fee_percent=10)
    agree(other, kind="emsp", fee_per_cdr=1)
    factory.cdr(seller, payer, "100.0000")
    factory.cdr(seller, other, "30.0000")
    period = cells_made()
    line = period.statements.get(party=payer).lines.get()
    statements.object_to([line], "no", None, CLOSING)
    assert fees(seller) == {"percent": (D(30), D(10), D(3))}
    assert fees(other) == {"cdr": (D(1), D(1), D(1))}
    clearing.close(MONTH, now=CLOSING)
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        connection.cursor().execute("DELETE FROM settlement_fee")
