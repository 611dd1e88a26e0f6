"""The hub's staff in the admin site, in a real browser."""

import pytest

from parties.models import User
from tests import objects
from tests.speaking import joined

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PAGES = [
    "cdrs/cdr/",
    "cdrs/cdr/exceptions/",
    "cdrs/verdict/",
    "cdrs/decision/",
    "cdrs/norm/",
    "cdrs/ruleparameters/add/",
    "cdrs/token/",
    "cdrs/session/",
    "cdrs/period/",
    "locations/location/",
    "locations/tariff/",
    "parties/platform/",
    "parties/platform/connect/",
    "parties/party/",
    "parties/delivery/",
    "parties/delivery/backlog/",
    "parties/errand/",
    "parties/clientinfo/",
    "parties/user/",
    "settlement/account/",
    "settlement/account/statement/",
    "settlement/account/trial-balance/",
    "settlement/bankaccount/add/",
    "settlement/bankline/",
    "settlement/bankstatement/import/",
    "settlement/document/",
    "settlement/legalentity/",
    "settlement/payout/waiting/",
    "settlement/payoutbatch/",
    "settlement/receivable/",
    "settlement/receivable/ageing/",
    "settlement/vatrule/add/",
]


@pytest.fixture
def traded():
    cpo = joined("NL", "CPO", "CPO", modules=["tokens"])
    emsp = joined("DE", "EMP", "EMSP", modules=["cdrs", "locations", "tariffs", "sessions"])
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD1", objects.token(emsp.address))
    cpo.put(f"2.2.1/receiver/locations/{cpo.path}/L1", objects.location(cpo.address))
    cpo.put(f"2.2.1/receiver/tariffs/{cpo.path}/T1", objects.tariff(cpo.address))
    session = objects.session(cpo.address, emsp.address)
    cpo.put(f"2.2.1/receiver/sessions/{cpo.path}/S1", session)
    hostile = "<script>alert(1)</script>"
    told = {"remark": hostile, "tariffs": [objects.tariff(cpo.address)]}
    told |= {"total_cost": {"excl_vat": objects.D("10.50")}}
    cpo.post("2.2.1/receiver/cdrs", objects.cdr(cpo.address, emsp.address, **told))


def test_staff_log_in_and_every_page_is_clean(traded, visit, live_server):
    User.objects.create_superuser("staff@hub.example", "a long password")
    visitor = visit("/admin/")
    page = visitor.page
    page.fill("#id_username", "staff@hub.example")
    page.fill("#id_password", "a long password")
    page.click("input[type=submit]")
    assert page.inner_text("#site-name").startswith("Open Charge Network")
    for path in PAGES:
        answer = page.goto(f"{live_server.url}/admin/{path}")
        assert answer.status == 200, path
        first = page.locator("#result_list tbody th a").first
        if first.count():
            first.click()
            page.locator("#content h2").first.wait_for()
    page.goto(f"{live_server.url}/admin/cdrs/cdr/")
    page.locator("#result_list tbody th a").first.click()
    assert "<script>alert(1)</script>" in page.inner_text("pre.json")
    assert visitor.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_staff_release_held_cdrs_by_their_cause(traded, visit, live_server, scheme):
    User.objects.create_superuser("staff@hub.example", "a long password")
    visitor = visit("/admin/login/?next=/admin/cdrs/cdr/exceptions/", color_scheme=scheme)
    page = visitor.page
    page.fill("#id_username", "staff@hub.example")
    page.fill("#id_password", "a long password")
    page.click("input[type=submit]")
    row = page.locator("tr", has_text="total_cost_differs")
    assert "10.5000 EUR" in row.inner_text()
    row.get_by_role("link", name="Release").click()
    page.fill("#reason", "agreed with both")
    page.click("input[type=submit].default")
    assert "1 CDR was decided" in page.inner_text(".messagelist")
    assert "Nothing is held" in page.inner_text("#content")
    page.goto(f"{live_server.url}/admin/cdrs/cdr/")
    page.locator("#result_list tbody th a").first.click()
    page.locator(".price-explanation").wait_for()
    assert "agreed with both" in page.inner_text("#content")
    assert visitor.complaints == []
