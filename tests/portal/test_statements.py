"""Statements and payouts of a party: read to the last CDR, answered in time, not by others."""

import datetime as dt
import re
from decimal import Decimal as D

import pytest
from django.utils import timezone

from cdrs.models import Cdr, Period
from parties.models import TrailEntry
from settlement import clearing
from settlement.models import Payout, Statement
from tests.portal.cast import person, visitor
from tests.settlement import factory, money
from tests.settlement.conftest import tampering
from tests.settlement.factory import CLOSING

HOME = "/app/NL-CPO/statements/"


@pytest.fixture
def clerk(seller):
    return visitor(person("finance@cpo.example", seller, "finance"))


@pytest.fixture
def month(seller, buyer):
    """A month whose statements are out."""
    factory.cdrs(3, seller, buyer, "1.0050")
    factory.cdr(seller, factory.emsp("FR-MSP"), "4.0000")
    with tampering():
        Period.objects.update(opened_at=CLOSING.replace(month=3, day=1))
    found = Period.objects.get()
    clearing.go_on(found, now=CLOSING)
    with tampering():
        Statement.objects.update(respond_by=timezone.now() + dt.timedelta(days=2))
    return found


def own():
    return Statement.objects.current().get(party__party_id="CPO")


def test_a_statement_is_found_read_and_approved(month, clerk):
    assert "Approve the statement of March 2024" in clerk.get("/app/NL-CPO/").text
    assert "Awaits approval" in clerk.get(HOME).text
    path = f"{HOME}{own().pk}/"
    text = clerk.get(path).text
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+kind=supply)"', text)]
    sums = [clerk.get(link.replace("/cdrs/", "/cdrs/export.csv")).text for link in links]
    totals = [sum(D(row.split(",")[14]) for row in text.splitlines()[1:]) for text in sums]
    assert sorted(totals) == [D("3.0150"), D("4.0000")]
    clerk.post(f"{path}approve/")
    assert own().state == "approved"
    assert TrailEntry.objects.get(deed="statement_approved").who == "finance@cpo.example"
    answer = clerk.post(f"{path}approve/", follow=True)
    assert "answered already" in answer.text
    assert "Approve the statement of" not in clerk.get("/app/NL-CPO/").text


def test_lines_are_objected_to_and_nothing_typed_is_lost(month, clerk, buyer):
    path = f"{HOME}{own().pk}/object/"
    answer = clerk.post(path, {"reason": "The kWh are wrong."})
    assert answer.status_code == 422
    assert "Tick the lines" in answer.text
    assert "The kWh are wrong." in answer.text
    line = own().lines.get(counterparty=buyer)
    answer = clerk.post(path, {"reason": "", "line": line.pk})
    assert answer.status_code == 422
    assert re.search(rf'value="{line.pk}"[^>]*checked', answer.text)
    answer = clerk.post(path, {"reason": "The kWh are wrong.", "line": line.pk})
    assert answer.url == f"{HOME}{own().pk}/"
    assert own().version == 2
    assert Cdr.objects.filter(state="held").count() == 3
    assert "version 2 has taken its place" in clerk.get(f"{HOME}{line.statement_id}/").text
    assert clerk.post(path, {"reason": "Again.", "line": line.pk}).status_code == 422


def test_who_may_only_look_answers_nothing(month, seller):
    viewer = visitor(person("viewer@cpo.example", seller, "viewer"))
    path = f"{HOME}{own().pk}/"
    text = viewer.get(path).text
    assert "Object to" not in text
    assert "Approve the statement" not in text
    assert viewer.post(f"{path}approve/").status_code == 404
    assert viewer.post(f"{path}object/").status_code == 404


def test_statements_and_payouts_of_others_are_not_there(month, buyer):
    client = visitor(person("finance@emp.example", buyer, "finance"))
    for code in ("DE-EMP", "NL-CPO"):
        assert client.get(f"/app/{code}/statements/{own().pk}/").status_code == 404
        assert client.post(f"/app/{code}/statements/{own().pk}/approve/").status_code == 404
    assert own().state == "published"


def test_a_payout_says_where_it_is_and_of_what_it_is_made(seller, buyer, clerk, monkeypatch):
    monkeypatch.setattr("settlement.rendering.render_pdf", lambda snapshot, xml: b"%PDF-quick")
    assert "No payout yet" in clerk.get("/app/NL-CPO/payouts/").text
    money.closed("100.0000", "NL-CPO", "DE-EMP")
    money.pay("DE-EMP")
    [payout] = money.plan()
    text = clerk.get("/app/NL-CPO/payouts/").text
    assert payout.end_to_end_id in text
    assert "Scheduled" in text
    page = clerk.get(f"/app/NL-CPO/payouts/{payout.pk}/").text
    bill = money.bill_of("NL-CPO")
    assert f'href="/app/NL-CPO/documents/{bill.pk}/#lines"' in page
    assert payout.bank_account.iban[-4:] in page
    assert payout.bank_account.iban not in page
    rows = clerk.get(f"/app/NL-CPO/payouts/{payout.pk}/lines.csv").text.splitlines()
    assert sum(D(row.split(",")[4]) for row in rows[1:]) == payout.amount
    batch = money.approved()
    assert "Approved" in clerk.get("/app/NL-CPO/payouts/").text
    assert str(batch) not in page
    other = visitor(person("finance@emp.example", buyer, "finance"))
    for path in ("", "lines.csv"):
        assert other.get(f"/app/DE-EMP/payouts/{payout.pk}/{path}").status_code == 404
    assert Payout.objects.count() == 1
