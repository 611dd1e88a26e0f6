"""The settlement cockpit: where a month is, what blocks it, and one button a step."""

import datetime as dt
from decimal import Decimal as D

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from cdrs.models import Cdr, Period
from parties.models import User
from settlement import clearing, preflight, tasks
from settlement.models import (
    Agreement,
    Document,
    LegalEntity,
    SelfBillingAgreement,
    Statement,
)
from tests.settlement import factory
from tests.settlement.conftest import tampering
from tests.settlement.factory import CLOSING, MONTH

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]


@pytest.fixture
def finance() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("finance@hub.example"))
    return client


@pytest.fixture
def period() -> Period:
    payer = factory.emsp()
    for code, count in (("FR-ABC", 30), ("NL-AAA", 2)):
        factory.cdrs(count, factory.cpo(code), payer, "1.0050")
    factory.credit(Cdr.objects.first())
    return Period.objects.get()


def page(client: Client, period: Period) -> str:
    answer = client.get(reverse("admin:cdrs_period_change", args=[period.pk]))
    text: str = answer.content.decode()
    assert answer.status_code == 200
    assert "<script>" not in text
    assert " style=" not in text
    return text


def advance(period: Period, steps: int) -> Period:
    for _ in range(steps):
        clearing.step(period, now=CLOSING)
    period.refresh_from_db()
    return period


@pytest.mark.parametrize(
    ("steps", "state", "button"),
    [
        (0, "open", "Freeze the CDRs"),
        (1, "frozen", "Publish the statements"),
        (2, "statement", "End the time for answers"),
        (3, "issuing", "Issue the documents"),
        (4, "issued", "Render what is missing"),
    ],
)
def test_each_state_has_its_button_that_asks_and_then_has_a_worker_do_it(
    finance: Client,
    period: Period,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    state: str,
    button: str,
) -> None:
    asked: list[tuple[int, str]] = []
    monkeypatch.setattr(tasks.next_step, "delay", lambda *args: asked.append(args))
    advance(period, steps)
    assert period.state == state
    url = reverse("admin:settlement_next_step", args=[period.pk])
    assert f'<a href="{url}">{button}</a>' in page(finance, period)
    question = finance.get(url).content.decode()
    assert f'value="Yes: {button}"' in question
    assert asked == []
    assert finance.post(url, {"state": state}).status_code == 302
    assert asked == [(period.pk, state)]


def test_a_step_that_somebody_else_has_taken_is_not_taken_twice(period: Period) -> None:
    advance(period, 1)
    tasks.next_step(period.pk, "open")
    period.refresh_from_db()
    assert period.state == "frozen"
    tasks.next_step(period.pk, "frozen")
    period.refresh_from_db()
    assert period.state == "statement"


def test_while_nobody_is_waited_for_the_page_comes_again(finance: Client, period: Period) -> None:
    url = reverse("admin:cdrs_period_change", args=[period.pk])
    refreshing = []
    for _ in range(5):
        refreshing.append((period.state, finance.get(url).get("Refresh")))
        advance(period, 1)
    assert dict(refreshing) == {
        "open": None,
        "frozen": "5",
        "statement": None,
        "issuing": "5",
        "issued": "5",
    }


def test_it_shows_how_far_it_has_come_from_the_database_alone(
    finance: Client, period: Period
) -> None:
    advance(period, 4)
    text = page(finance, period)
    for shown in ("6 / 6", "0 / 3", "3 / 3", "statements published", "FR*ABC", "<svg", "<desc"):
        assert shown in text
    assert "3 documents have not got all their files yet" in text


def test_what_would_stand_in_the_way_is_checked_before_the_documents(
    finance: Client, period: Period
) -> None:
    def found() -> dict[str, str]:
        return {check.text: check.against for check in preflight.checks(period)}

    assert set(found().values()) == {""}
    assert "✗" not in page(finance, period)
    LegalEntity.objects.filter(party__party_id="ABC").update(city="")
    LegalEntity.objects.filter(party=None).update(city="")
    SelfBillingAgreement.objects.filter(supplier__party__party_id="AAA").delete()
    Agreement.objects.filter(kind="emsp").update(valid_to=MONTH)
    Period.objects.create(month=dt.date(2024, 2, 1))
    factory.cdr(*_ends(), state="held")
    assert list(found().values()) == ["2024-02", "1", "the hub, FR*ABC", "NL*AAA", "DE*EMP", ""]
    assert page(finance, period).count("✗") == 5


def test_a_rate_is_missing_where_vat_has_to_be_told_in_another_currency(
    finance: Client, period: Period
) -> None:
    seller = Cdr.objects.filter(owner__party_id="AAA").first().owner
    factory.cdr(seller, factory.emsp("FR-EMP"), currency="CHF")
    assert "no exchange rate from CHF to EUR" in page(finance, period)
    factory.rate("CHF", "EUR", timezone.localdate())
    assert "no exchange rate" not in page(finance, period)


def test_every_currency_ties_out_from_the_cdrs_to_both_sides(
    finance: Client, period: Period
) -> None:
    advance(period, 4)
    (tie,) = preflight.ties(period)
    assert tie == ("EUR", D("31.1550"), D("31.1550"), D("31.15"), D("31.15"), D("31.15"))
    assert tie.difference == 0
    with tampering():
        Cdr.objects.filter(pk=Cdr.objects.first().pk).update(total_excl_vat="1.0051")
    assert "<strong>0.0001</strong>" in page(finance, period)


def test_what_blocks_the_next_step_is_said_in_words(finance: Client, period: Period) -> None:
    advance(period, 2)
    LegalEntity.objects.filter(party__party_id="ABC").update(vat_id="")
    assert "FR*ABC has no complete legal entity" in page(finance, period)
    with pytest.raises(clearing.CannotClose, match=r"FR\*ABC has no complete legal entity"):
        clearing.settle(period, now=CLOSING)
    assert Document.objects.count() == 0


def test_the_cost_of_a_page_does_not_grow_with_the_cdrs(finance: Client, period: Period) -> None:
    url = reverse("admin:cdrs_period_change", args=[period.pk])
    first = _queries(finance, url)
    factory.cdrs(200, *_ends(), "2.0000")
    assert _queries(finance, url) == first


def _queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def _ends() -> tuple[object, object]:
    cdr = Cdr.objects.select_related("owner", "emsp").first()
    return cdr.owner, cdr.emsp


# Statements


def test_staff_note_an_approval_and_an_objection(finance: Client, period: Period) -> None:
    advance(period, 2)
    payer = Statement.objects.get(role="EMSP")
    change = reverse("admin:settlement_statement_change", args=[payer.pk])
    text = finance.get(change).content.decode()
    lines = list(payer.lines.filter(kind="supply").order_by("no"))
    assert all(f'name="line" value="{line.pk}"' in text for line in lines)
    answer = reverse("admin:settlement_statement_answer", args=[payer.pk])
    finance.post(answer, {"object": "x", "line": [lines[0].pk], "reason": "broken meter"})
    payer.refresh_from_db()
    assert (payer.state, lines[0].objection.reason) == ("objected", "broken meter")
    assert lines[0].objection.person.email == "finance@hub.example"
    again = Statement.objects.get(role="EMSP", version=2)
    url = reverse("admin:settlement_statement_answer", args=[again.pk])
    finance.post(url, {"approve": "x"})
    again.refresh_from_db()
    assert again.state == "approved"


def test_an_answer_that_cannot_be_is_told_and_changes_nothing(
    finance: Client, period: Period
) -> None:
    advance(period, 2)
    statement = Statement.objects.get(role="EMSP")
    url = reverse("admin:settlement_statement_answer", args=[statement.pk])
    told = finance.post(url, {"object": "x", "reason": "?"}, follow=True).content.decode()
    assert "o line is chosen" in told
    assert Statement.objects.get(pk=statement.pk).state == "published"


def test_answers_and_steps_need_a_permission(period: Period) -> None:
    advance(period, 2)
    user = User.objects.create_user("clerk@hub.example", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(user)
    statement = Statement.objects.get(role="EMSP")
    change = reverse("admin:settlement_statement_change", args=[statement.pk])
    assert 'name="line"' not in client.get(change).content.decode()
    answer = reverse("admin:settlement_statement_answer", args=[statement.pk])
    assert client.post(answer, {"approve": "x"}).status_code == 403
    step = reverse("admin:settlement_next_step", args=[period.pk])
    assert client.post(step).status_code == 403
    assert reverse("admin:settlement_next_step", args=[period.pk]) not in page(client, period)


def test_the_list_counts_open_months_by_cdrs_and_others_by_cells(
    finance: Client, period: Period
) -> None:
    factory.cdr(*_ends(), "4.0000", month=dt.date(2024, 4, 1))
    clearing.close(MONTH, now=CLOSING)
    text = finance.get(reverse("admin:cdrs_period_changelist")).content.decode()
    assert "EUR 31.1550" in text
    assert "EUR 4.0000" in text
