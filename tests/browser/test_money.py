"""The money desk in a real browser: two people pay a CPO, by keyboard, and a line is matched."""

import os
from pathlib import Path

import pytest

from settlement import staff
from settlement.models import BankLine, Payout, PayoutBatch
from tests.papers import print_quickly
from tests.settlement import money
from tests.settlement.money import Booking

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "a long password of mine"


@pytest.fixture(autouse=True)
def quick_paper(monkeypatch):
    """Leave the rendering of PDFs to the tests that are about it."""
    print_quickly(monkeypatch)


@pytest.fixture
def month():
    """Have a closed month: one eMSP has paid, another has not, and money came from somebody."""
    money.traded("5060.0000", "ES-XYZ", "BE-OTH")
    money.traded("740.5000", "FR-ABC", "BE-LAT")
    money.closed("1100.0000", "FR-ABC", "DE-EMP")
    money.pay("DE-EMP")
    money.plan()
    money.received(Booking("5060.00", "who are you", name="Other Mobility"))


@pytest.fixture
def desk(visit):
    """Log somebody in at a page of the admin."""

    def log_in(access, path, **options):
        staff.grant(f"{access}@hub.example", access, PASSWORD)
        visitor = visit(f"/admin/login/?next=/admin/settlement/{path}", **options)
        visitor.page.fill("#id_username", f"{access}@hub.example")
        visitor.page.fill("#id_password", PASSWORD)
        visitor.page.keyboard.press("Enter")
        visitor.page.locator("#logout-form").wait_for()
        return visitor

    return log_in


def shown(page, name):
    """Keep a picture of a page where somebody wants to look at it."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_two_people_pay_a_cpo(month, desk):
    clerk = desk("clerk", "payout/waiting/")
    shown(clerk.page, "waiting")
    clerk.page.get_by_role("button", name="Propose a batch: EUR").press("Enter")
    clerk.page.locator(".steps .next").wait_for()
    assert "Approved by a second person" in clerk.page.inner_text(".steps .next")
    assert clerk.page.get_by_role("button", name="Approve", exact=True).count() == 0
    batch = PayoutBatch.objects.get()
    approver = desk("approver", f"payoutbatch/{batch.pk}/change/")
    page = approver.page
    assert "1 payout, 1,100.00 EUR" in page.inner_text(".batch-total")
    shown(page, "batch")
    page.get_by_label("Total, typed by you").fill("1,100.00")
    page.get_by_label("Your password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_text("Approved.").wait_for()
    clerk.page.reload()
    clerk.page.get_by_role("button", name="Make the payment file").press("Enter")
    clerk.page.get_by_text("The payment file is made.").wait_for()
    with clerk.page.expect_download() as download:
        clerk.page.get_by_role("link", name=f"{batch}.xml").press("Enter")
    assert b"pain.001.001.09" in Path(download.value.path()).read_bytes()
    clerk.page.get_by_role("button", name="The bank has the file").press("Enter")
    clerk.page.get_by_text("the payouts are booked").wait_for()
    shown(clerk.page, "submitted")
    assert Payout.objects.get().state == "submitted"
    assert clerk.complaints == approver.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_clerk_matches_a_line(month, desk, scheme):
    line = BankLine.objects.get(state="open")
    clerk = desk("clerk", f"bankline/{line.pk}/change/", color_scheme=scheme)
    shown(clerk.page, f"line-{scheme}")
    clerk.page.get_by_role("button", name="Match with these invoices").press("Enter")
    clerk.page.get_by_text("Matched.").wait_for()
    assert money.owed_by("BE-OTH").state == "paid"
    assert clerk.complaints == []


@pytest.mark.parametrize("width", [390, 1280])
def test_what_is_owed_is_drawn(month, desk, width):
    clerk = desk("clerk", "receivable/ageing/", width=width)
    assert clerk.page.locator("svg.chart").count() == 1
    shown(clerk.page, f"ageing-{width}")
    for path in ("account/trial-balance/?by=party", "account/statement/", "bankstatement/import/"):
        clerk.page.goto(clerk.page.url.split("/admin/")[0] + f"/admin/settlement/{path}")
        shown(clerk.page, f"{path.split('?')[0].strip('/').replace('/', '-')}-{width}")
    assert clerk.complaints == []
