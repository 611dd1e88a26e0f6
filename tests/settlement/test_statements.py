"""Statements: published, approved, objected to, and revised before any number is spent."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import Error, connection, transaction

from cdrs.models import Cdr, Period
from cdrs.periods import period_for
from parties.models import User
from settlement import clearing, rendering, statements
from settlement.invariants import breaches
from settlement.models import Agreement, Cell, Document, Statement, StatementLine
from settlement.verify import differences
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.django_db
DAY_9 = dt.datetime(2024, 4, 9, tzinfo=dt.UTC)


@pytest.fixture
def period() -> Period:
    """Two CPOs and two eMSPs, their statements out on day 6."""
    payers = [factory.emsp("DE-EMP"), factory.emsp("NL-EMP")]
    for code in ("FR-ABC", "FR-XYZ"):
        seller = factory.cpo(code)
        for payer in payers:
            factory.cdrs(3, seller, payer, "1.0050")
    opened(dt.datetime(2024, 3, 1, tzinfo=dt.UTC))
    found = Period.objects.get()
    clearing.go_on(found, now=CLOSING)
    found.refresh_from_db()
    assert found.state == "statement"
    return found


def opened(at: dt.datetime) -> None:
    from tests.settlement.conftest import tampering

    with tampering():
        Period.objects.update(opened_at=at)


def of(code: str, version: int = 1) -> Statement:
    return Statement.objects.get(party__party_id=code[3:], version=version)


def test_every_party_sees_what_it_has_coming(period: Period) -> None:
    told = Statement.objects.order_by("pk").values_list("party__party_id", "role", "net", "closing")
    assert {row[0]: tuple(row[1:]) for row in told if row[0] != "EMP"} == {
        "ABC": ("CPO", Decimal("6.04"), Decimal("6.04")),
        "XYZ": ("CPO", Decimal("6.04"), Decimal("6.04")),
    }
    assert Statement.objects.count() == 4
    assert of("FR-ABC").lines.count() == 2
    assert {s.respond_by for s in Statement.objects.all()} == {DAY_9}


def test_nothing_is_issued_before_the_last_answer_or_the_day_of_silence(period: Period) -> None:
    clearing.go_on(period, now=DAY_9 - dt.timedelta(seconds=1))
    assert Document.objects.count() == 0
    for statement in Statement.objects.all():
        statements.approve(statement, None, DAY_9 - dt.timedelta(hours=1))
    clearing.go_on(period, now=DAY_9 - dt.timedelta(seconds=1))
    assert Document.objects.count() == 4


def test_silence_approves_on_its_day(period: Period) -> None:
    statements.approve(of("FR-ABC"), None, CLOSING)
    assert clearing.due(DAY_9 - dt.timedelta(seconds=1)) == []
    assert clearing.due(DAY_9) == [period]
    clearing.go_on(period, now=DAY_9)
    assert clearing.answers(period) == {"published": 0, "approved": 1, "silent": 3, "objected": 0}
    assert set(Document.objects.values_list("issued_on", flat=True)) == {DAY_9.date()}


def test_an_agreement_says_how_many_days_there_are(period: Period) -> None:
    april = dt.date(2024, 4, 1)
    seller = of("FR-ABC").party
    Agreement.objects.create(party=seller, kind="cpo", valid_from=april, statement_days=1)
    factory.cdr(seller, of("FR-ABC").lines.first().counterparty, month=april)
    opened(dt.datetime(2024, 4, 1, tzinfo=dt.UTC))
    other = Period.objects.get(month=april)
    clearing.go_on(other, now=dt.datetime(2024, 5, 6, 9, tzinfo=dt.UTC))
    days = {s.role: s.respond_by.day for s in other.statements.all()}
    assert days == {"CPO": 7, "EMSP": 9}


def object_to(chosen: StatementLine, reason: str = "not ours") -> list[Statement]:
    person = User.objects.create_user("clerk@hub.example")
    return statements.object_to([chosen], reason, person, CLOSING)


def test_an_objection_takes_the_cdrs_of_the_line_out_and_both_sides_see_it(period: Period) -> None:
    payer = Statement.objects.filter(role="EMSP").order_by("pk").first()
    chosen = payer.lines.get(counterparty__party_id="ABC")
    statements.approve(of("FR-ABC"), None, CLOSING)
    made = object_to(chosen)
    payer.refresh_from_db()
    assert payer.state == "objected"
    assert {(s.party_id, s.version) for s in made} == {
        (payer.party_id, 2),
        (of("FR-ABC").party_id, 2),
    }
    assert {s.net for s in made} == {Decimal("3.02")}
    assert of("FR-ABC").state == "superseded"
    assert of("FR-XYZ").state == "published"
    held = Cdr.objects.filter(state="held")
    assert held.count() == chosen.objection.cdrs == 3
    assert {f.code for cdr in held for f in cdr.findings.all()} == {"contested"}
    assert Cell.objects.count() == 3
    clearing.go_on(period, now=DAY_9)
    rendering.render_period(period)
    assert Document.objects.count() == 4
    assert differences(period) == []
    assert breaches() == []


def test_what_was_contested_is_settled_later_once_people_have_released_it(period: Period) -> None:
    chosen = Statement.objects.filter(role="EMSP").first().lines.first()
    object_to(chosen)
    clearing.go_on(period, now=DAY_9)
    assert factory.release(Cdr.objects.filter(state="held"), DAY_9) == 3
    rendering.render_period(period)
    april = Period.objects.get(month=dt.date(2024, 4, 1))
    clearing.close(april.month, now=dt.datetime(2024, 5, 6, tzinfo=dt.UTC))
    assert Cdr.objects.billable(april).count() == 3
    assert {c.supply_month for c in april.cells.all()} == {MONTH}
    assert breaches() == []


def test_a_credit_of_what_is_contested_leaves_with_it() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    factory.credit(factory.cdr(seller, payer, "7.0000"))
    factory.cdr(seller, payer, "50.0000", country="DE")
    opened(dt.datetime(2024, 3, 1, tzinfo=dt.UTC))
    found = Period.objects.get()
    clearing.go_on(found, now=CLOSING)
    chosen = of("FR-ABC").lines.get(kind="supply", country="FR")
    statements.object_to([chosen], "ours", None, CLOSING)
    states = dict(Cdr.objects.values_list("total_excl_vat", "state"))
    assert states == {Decimal(7): "held", Decimal(-7): "held", Decimal(50): "accepted"}
    clearing.go_on(found, now=DAY_9)
    assert Document.objects.get(party=seller).net == 50


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_objection_has_a_reason(period: Period, reason: str) -> None:
    with pytest.raises(statements.CannotAnswer, match="a reason is needed"):
        object_to(of("FR-ABC").lines.first(), reason)
    assert Cdr.objects.filter(state="held").count() == 0


def test_after_the_day_of_silence_nothing_is_objected_to_any_more(period: Period) -> None:
    clearing.go_on(period, now=DAY_9)
    with pytest.raises(statements.CannotAnswer, match="credited from now on"):
        object_to(of("FR-ABC").lines.first())
    with pytest.raises(statements.CannotAnswer, match="credited from now on"):
        statements.approve(of("FR-ABC"), None, DAY_9)


def test_a_statement_is_answered_once(period: Period) -> None:
    statements.approve(of("FR-ABC"), None, CLOSING)
    with pytest.raises(statements.CannotAnswer, match="answered already"):
        statements.approve(of("FR-ABC"), None, CLOSING)


def refused(statement: str) -> str:
    connection.check_constraints()
    with pytest.raises(Error) as caught, transaction.atomic():
        connection.cursor().execute(statement)
    return str(caught.value)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE settlement_statement SET net = net + 1, closing = closing + 1", "only answered"),
        ("UPDATE settlement_statement SET state = 'published'", "only answered"),
        ("DELETE FROM settlement_statement", "never deleted"),
        ("UPDATE settlement_statementline SET net = 0", "never changed"),
        ("DELETE FROM settlement_statementline", "never changed"),
        ("UPDATE settlement_cell SET net = net", "append-only"),
        ("UPDATE cdrs_period SET state = 'issuing'", "not answered yet"),
        ("UPDATE cdrs_period SET state = 'open'", "only moves"),
    ],
)
def test_the_database_refuses_to_have_them_otherwise(
    period: Period, statement: str, why: str
) -> None:
    assert why in refused(statement)


def test_no_number_is_spent_while_the_cells_are_not_the_cdrs(period: Period) -> None:
    statements.lapse(period, CLOSING, early=True)
    Cell.objects.filter(pk=Cell.objects.first().pk).delete()
    text = refused("UPDATE cdrs_period SET state = 'issuing'")
    assert "not what the CDRs add up to" in text


def test_a_month_is_not_issued_while_a_cell_is_on_no_document(period: Period) -> None:
    statements.lapse(period, CLOSING, early=True)
    period.refresh_from_db()
    period.move_to("issuing")
    assert "not billed on both sides" in refused("UPDATE cdrs_period SET state = 'issued'")
    assert "append-only" in refused("DELETE FROM settlement_cell")


def test_what_comes_meanwhile_goes_into_the_next_month(period: Period) -> None:
    assert period_for(MONTH, now=CLOSING).month == dt.date(2024, 4, 1)
