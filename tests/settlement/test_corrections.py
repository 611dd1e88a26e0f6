"""Credits: beside their original they net, after it is billed they correct its month."""

import datetime as dt
from decimal import Decimal as D

import pytest

from cdrs.models import Cdr, Period
from settlement import aggregating, clearing
from settlement.invariants import breaches
from settlement.models import Agreement, Cell, Receivable, StatementLine, VatRule
from settlement.verify import differences
from tests import objects
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH
from tests.speaking import Speaker, joined

pytestmark = pytest.mark.django_db
APRIL, MAY = dt.date(2024, 4, 1), dt.date(2024, 5, 1)
NEXT = dt.datetime(2024, 5, 6, 9, 0, tzinfo=dt.UTC)
PATH = "2.2.1/receiver/cdrs"


def added_up(month: dt.date, now: dt.datetime) -> Period:
    """Bring a month to where its statements are out."""
    period = Period.objects.get(month=month)
    while period.state != "statement":
        clearing.step(period, now=now)
        period.refresh_from_db()
    return period


def test_a_credit_of_what_is_billed_becomes_a_cell_that_corrects_its_month() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    original = factory.cdr(seller, payer, "10.0000", energy="5.0000")
    march = clearing.close(MONTH, now=CLOSING)
    factory.credit(original, settled_in=APRIL)
    factory.cdr(seller, payer, "3.0000", month=APRIL)
    factory.cdr(seller, payer, "9.0000", month=MONTH, settled_in=APRIL)  # its replacement
    april = added_up(APRIL, NEXT)
    cells = {(c.supply_month, c.credit, c.corrects, c.net, c.energy_kwh) for c in april.cells.all()}
    assert cells == {
        (APRIL, False, None, D(3), D("20.5")),
        (MONTH, False, None, D(9), D("20.5")),
        (MONTH, True, march, D(-10), D(-5)),
    }
    lines = StatementLine.objects.filter(statement__period=april, statement__role="CPO")
    assert list(lines.filter(kind="correction").values_list("net", "corrects")) == [
        (D(-10), march.pk)
    ]


def test_what_corrects_never_makes_a_document_of_this_month_negative() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    original = factory.cdr(seller, payer, "10.0000")
    clearing.close(MONTH, now=CLOSING)
    factory.credit(original, settled_in=APRIL)
    april = added_up(APRIL, NEXT)
    assert aggregating.negative(april) == []
    assert clearing.blockers(april, NEXT) == []


def test_it_becomes_a_credit_note_on_both_sides_taxed_as_of_its_month() -> None:
    seller, payer = factory.cpo("NL-AAA"), factory.emsp("NL-EMP")
    original = factory.cdr(seller, payer, "100.0000")
    march = clearing.close(MONTH, now=CLOSING)
    VatRule.objects.filter(supplier_country="NL", customer_country="NL").update(valid_to=APRIL)
    VatRule.objects.create(
        supplier_country="NL",
        customer_country="NL",
        category="S",
        rate="9.00",
        valid_from=APRIL,
    )
    factory.credit(original, settled_in=APRIL)
    factory.cdr(seller, payer, "10.0000", month=APRIL)
    april = clearing.close(APRIL, now=NEXT)
    told = april.documents.order_by("kind").values_list(
        "kind", "corrected__period", "net", "tax", "gross"
    )
    assert list(told) == [
        ("emsp_credit_note", march.pk, D(100), D(21), D(121)),
        ("emsp_invoice", None, D(10), D("0.9"), D("10.9")),
        ("self_billing_credit_note", march.pk, D(100), D(21), D(121)),
        ("self_billing_invoice", None, D(10), D("0.9"), D("10.9")),
    ]
    assert differences(april) == []
    assert breaches() == []


def test_a_credit_note_settles_first_what_it_takes_back_from() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    factory.cdr(seller, payer, "70.0000", month=MONTH.replace(month=2))
    original = factory.cdrs(2, seller, payer, "30.0000")[0]
    clearing.close(MONTH.replace(month=2), now=CLOSING)
    march = clearing.close(MONTH, now=CLOSING)
    factory.credit(original, settled_in=APRIL)
    clearing.close(APRIL, now=NEXT)
    rows = Receivable.objects.order_by("document__period__month")
    assert [row.settled.open for row in rows] == [D(70), D(30)]
    assert rows[1].document.period == march


def test_fees_are_invoiced_beside() -> None:
    seller, payer = factory.cpo("NL-AAA"), factory.emsp()
    Agreement.objects.create(party=seller, kind="cpo", valid_from=MONTH, fee_percent=2)
    factory.cdr(seller, payer, "100.0000")
    period = clearing.close(MONTH, now=CLOSING)
    fee = period.documents.get(kind="fee_invoice")
    assert (fee.party, fee.net, fee.tax) == (seller, D(2), D("0.42"))
    assert period.documents.get(kind="self_billing_invoice").net == 100
    assert breaches() == []


def test_credits_of_two_months_are_two_cells() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    first = factory.cdr(seller, payer, "10.0000")
    march = clearing.close(MONTH, now=CLOSING)
    second = factory.cdr(seller, payer, "7.0000", month=MONTH, settled_in=APRIL)  # a late one
    april = clearing.close(APRIL, now=NEXT)
    for original in (first, second):
        factory.credit(original, settled_in=MAY)
    may = added_up(MAY, dt.datetime(2024, 6, 6, tzinfo=dt.UTC))
    rows = Cell.objects.filter(period=may).values_list("corrects", "supply_month", "net")
    assert set(rows) == {(march.pk, MONTH, D(-10)), (april.pk, MONTH, D(-7))}


def test_a_credit_waits_while_its_original_is_neither_settled_beside_it_nor_billed() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    original = factory.cdr(seller, payer, "10.0000")
    added_up(MONTH, CLOSING)  # out, not billed yet
    early = factory.credit(original, settled_in=APRIL)
    added_up(APRIL, NEXT)
    early.refresh_from_db()
    assert early.state == "held"
    assert {finding.code for finding in early.findings.all()} == {"credit_without_original"}
    clearing.close(MONTH, now=NEXT)
    factory.cdr(seller, payer, month=MAY)
    may = added_up(MAY, dt.datetime(2024, 6, 6, tzinfo=dt.UTC))
    assert may.cells.get(credit=True).corrects.month == MONTH


# As the partners send them


@pytest.fixture
def cpo() -> Speaker:
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def emsp() -> Speaker:
    speaker = joined("DE", "EMP", "EMSP", modules=["cdrs"])
    speaker.put(f"2.2.1/receiver/tokens/{speaker.path}/CARD1", objects.token(speaker.address))
    return speaker


def credit_of(body: dict[str, object]) -> dict[str, object]:
    told = {"credit": True, "credit_reference_id": body["id"], "total_cost": {"excl_vat": D(-10)}}
    return body | told | {"id": f"{body['id']}-credit"}


def test_in_its_open_month_a_credit_nets(cpo: Speaker, emsp: Speaker) -> None:
    first = objects.cdr(cpo.address, emsp.address)
    cpo.post(PATH, first)
    cpo.post(PATH, credit_of(first))
    factory.onboarding.equip(cpo.party)
    factory.onboarding.equip(emsp.party)
    period = added_up(dt.date(2026, 11, 1), dt.datetime(2026, 12, 6, tzinfo=dt.UTC))
    assert {(c.credit, c.corrects, c.net) for c in period.cells.all()} == {
        (False, None, D(10)),
        (True, None, D(-10)),
    }


def test_after_the_close_a_credit_corrects_and_its_replacement_bills(
    cpo: Speaker, emsp: Speaker
) -> None:
    first = objects.cdr(cpo.address, emsp.address)
    cpo.post(PATH, first)
    factory.onboarding.equip(cpo.party)
    factory.onboarding.equip(emsp.party)
    november = dt.date(2026, 11, 1)
    closed = clearing.close(november, now=dt.datetime(2026, 12, 6, tzinfo=dt.UTC))
    cpo.post(PATH, credit_of(first))
    replaced = first | {"id": "C1-new", "total_cost": {"excl_vat": D(9)}}
    cpo.post(PATH, replaced)
    assert set(Cdr.objects.values_list("uid", "state", "period__month")) == {
        ("C1", "accepted", november),
        ("C1-credit", "accepted", dt.date(2026, 12, 1)),
        ("C1-new", "accepted", dt.date(2026, 12, 1)),
    }
    december = added_up(dt.date(2026, 12, 1), dt.datetime(2027, 1, 6, tzinfo=dt.UTC))
    assert {(c.supply_month, c.corrects, c.net) for c in december.cells.all()} == {
        (november, closed, D(-10)),
        (november, None, D(9)),
    }
