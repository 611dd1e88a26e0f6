"""The portal in a real browser: its journeys, and what must hold on every page of it."""

import re
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache

from cdrs.models import Cdr
from parties.models import Letter
from settlement import clearing, onboarding
from settlement.models import Document, Statement
from tests.papers import print_quickly
from tests.portal.cast import PASSWORD, link_in, person
from tests.portal.test_login import code_of
from tests.portal.trading import WRONG, send, traded
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SEVERE = {"serious", "critical"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    print_quickly(monkeypatch)
    cache.clear()


@pytest.fixture
def network():
    """A CPO and an eMSP with a held CDR, a good one, a closed month, and their owners."""
    cpo, emsp, _held = traded(**WRONG)
    send(cpo, emsp, id="C2", session_id="S2", start_date_time="2026-11-10T12:00:00Z",
         end_date_time="2026-11-10T14:00:00Z",
         charging_periods=[{"start_date_time": "2026-11-10T12:00:00Z",
                            "dimensions": [{"type": "ENERGY", "volume": 20}]}])  # fmt: skip
    for party in (cpo.party, emsp.party):
        onboarding.equip(party)
    factory.cdrs(60, cpo.party, emsp.party, "3.2100")
    clearing.close(MONTH, now=CLOSING)
    for code, party in (("cpo", cpo.party), ("emp", emsp.party)):
        person(f"owner@{code}.example", party, "owner")
    return cpo, emsp


def log_in(visitor, email, password=PASSWORD):
    page = visitor.page
    page.fill("[name=login]", email)
    page.fill("[name=password]", password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_load_state("networkidle")


def check(visitor, live_server, path):
    """See that a page is usable by everybody in both schemes, is quiet, and asks nobody else."""
    visitor.page.emulate_media(color_scheme="light")
    faults = severe(visitor)
    visitor.page.emulate_media(color_scheme="dark")
    faults += severe(visitor, runOnly=["color-contrast"])
    assert not faults, path
    assert [text for text in visitor.complaints if "422" not in text] == [], path
    visitor.complaints.clear()
    assert {urlsplit(url).netloc for url in visitor.requests} == {urlsplit(live_server.url).netloc}


def severe(visitor, **options):
    found = Axe().run(visitor.page, options=options).response["violations"]
    bad = [item for item in found if item["impact"] in SEVERE]
    return [(item["id"], [node["html"] for node in item["nodes"]]) for item in bad]


def pages_of(code):
    cdr = f"/app/{code}/cdrs/"
    document = Document.objects.filter(party__party_id=code[-3:]).first()
    statement = Statement.objects.filter(party__party_id=code[-3:]).first()
    return [
        f"/app/{code}/",
        cdr,
        f"{cdr}?state=held",
        f"{cdr}?q=nothing",
        f"{cdr}?state=nonsense",
        f"{cdr}held/",
        f"/app/{code}/preview/",
        f"/app/{code}/disputes/",
        f"/app/{code}/statements/",
        f"/app/{code}/statements/{statement.pk}/",
        f"/app/{code}/payouts/",
        f"/app/{code}/documents/",
        f"/app/{code}/documents/{document.pk}/",
        f"/app/{code}/people/",
        f"/app/{code}/audit/",
        "/app/account/",
        "/app/account/password/",
        "/app/account/2fa/",
        "/app/account/2fa/totp/activate/",
        "/app/account/logout/",
    ]


@pytest.mark.parametrize("code", ["NL-CPO", "DE-EMP"])
def test_every_page_is_quiet_and_usable(network, visit, live_server, code):
    visitor = visit(f"/app/{code}/")
    check(visitor, live_server, "login")
    log_in(visitor, f"owner@{code[-3:].lower()}.example")
    paths = [*pages_of(code), f"/app/{code}/cdrs/{Cdr.objects.get(uid='C1').pk}/", "/styleguide/"]
    for path in paths:
        visitor.page.goto(f"{live_server.url}{path}")
        check(visitor, live_server, path)
        assert "[Sandbox]" in visitor.page.title()
        assert visitor.page.locator("h1").count() == 1


def test_nothing_scrolls_sideways_but_tables(network, visit, live_server):
    visitor = visit("/app/NL-CPO/")
    log_in(visitor, "owner@cpo.example")
    for path in [*pages_of("NL-CPO"), f"/app/NL-CPO/cdrs/{Cdr.objects.get(uid='C1').pk}/"]:
        visitor.page.goto(f"{live_server.url}{path}")
        for width in (320, 390, 1280):
            visitor.page.set_viewport_size({"width": width, "height": 900})
            wide = visitor.page.evaluate("document.documentElement.scrollWidth")
            assert wide == width, path


@pytest.mark.parametrize("script", [True, False])
def test_from_the_invitation_to_the_download(network, visit, live_server, script):
    owner = visit("/app/NL-CPO/people/", java_script_enabled=script)
    log_in(owner, "owner@cpo.example")
    owner.page.fill("#id_email", "nora@cpo.example")
    owner.page.select_option("#id_access", "finance")
    owner.page.get_by_role("button", name="Send the invitation").click()
    owner.page.get_by_text("nora@cpo.example is invited").wait_for()

    nora = visit(link_in(Letter.objects.get(to="nora@cpo.example")), java_script_enabled=script)
    page = nora.page
    page.get_by_label("Your name").fill("Nora New")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Accept the invitation").click()
    page.get_by_role("heading", name="Needs you").wait_for()

    page.get_by_role("link", name="Add a second factor").click()
    secret = page.locator("#authenticator_secret").input_value()
    page.get_by_label("Authenticator code").fill(code_of(secret))
    page.get_by_role("button", name="Activate").click()
    page.get_by_role("heading", name="Recovery codes").wait_for()
    assert page.locator(".codes li").count() == 10
    page.get_by_role("link", name="To the portal").click()

    page.get_by_role("link", name="CDRs", exact=True).click()
    page.get_by_label("State").select_option("held")
    if not script:
        page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile(r"state=held"))
    page.get_by_role("link", name="C1").click()
    page.get_by_role("heading", name="The price: claimed beside computed").wait_for()
    assert "10.0000" in page.locator("table.list").first.inner_text()

    page.get_by_role("link", name="Documents", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("^PDF")).first.click()
    assert download.value.suggested_filename.endswith(".pdf")
    assert nora.complaints == owner.complaints == []

    owner.page.goto(f"{live_server.url}/app/NL-CPO/audit/")
    text = owner.page.inner_text("main")
    assert "invited nora@cpo.example as Finance" in text
    assert "joined as Finance" in text
    assert "downloaded OCN-" in text


def test_a_stranger_finds_nothing(network, visit, live_server):
    visitor = visit("/app/")
    person("stranger@str.example", factory.cpo("SE-STR"), "owner")
    log_in(visitor, "stranger@str.example")
    for path in [*pages_of("NL-CPO"), *pages_of("DE-EMP")]:
        if path.startswith("/app/account"):
            continue
        answer = visitor.page.goto(f"{live_server.url}{path}")
        assert answer.status == 404, path
        assert "Cast" not in visitor.page.inner_text("body")


def test_the_keyboard_gets_everywhere(network, visit, live_server):
    visitor = visit("/app/NL-CPO/")
    log_in(visitor, "owner@cpo.example")
    page = visitor.page
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    seen = []
    for _ in range(16):
        page.keyboard.press("Tab")
        seen.append(page.locator(":focus").inner_text().strip())
        outline = "getComputedStyle(document.activeElement).outlineWidth"
        assert page.evaluate(outline) == "3px", seen
    assert {"CDRs", "Documents", "People", "Audit trail"} <= set(seen)
    page.locator("details.menu summary").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile("NL-CPO")).first.wait_for()
    page.keyboard.press("Escape")
    assert page.locator("details.menu").get_attribute("open") is None


def test_filters_stand_in_the_address_and_pages_turn(network, visit, live_server):
    visitor = visit("/app/NL-CPO/cdrs/")
    log_in(visitor, "owner@cpo.example")
    page = visitor.page
    assert page.locator("tbody tr a code").count() == 50
    page.get_by_role("link", name="Earlier").click()
    page.wait_for_url(re.compile("after="))
    assert page.locator("tbody tr a code").count() == 12
    page.get_by_label("Id of a CDR").fill("c2")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile(r"\?q=c2$"))
    assert page.locator("tbody tr a code").all_inner_texts() == ["C2"]
    page.get_by_role("link", name="Show all").click()
    assert page.locator("tbody tr a code").count() == 50
    assert visitor.complaints == []
