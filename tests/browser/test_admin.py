"""The hub's staff in the admin site, in a real browser."""

import pytest

from parties.models import User
from tests import objects
from tests.speaking import joined

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PAGES = [
    "cdrs/cdr/",
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
    "settlement/document/",
    "settlement/legalentity/",
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
    cpo.post("2.2.1/receiver/cdrs", objects.cdr(cpo.address, emsp.address, remark=hostile))


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
