"""Disputes in a real browser: opened, answered, decided by silence or by the hub."""

import os
from decimal import Decimal as D
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache

from settlement.models import Dispute
from tests.portal.cast import PASSWORD, person
from tests.settlement import factory
from tests.settlement.claims import sent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SEVERE = {"serious", "critical"}
BUYER, SELLER = "/app/DE-EMP/disputes/", "/app/NL-CPO/disputes/"
PREVIEW = "/app/NL-CPO/preview/?month=2024-03"
TEXT = {"name": "meter.txt", "mimeType": "text/plain", "buffer": b"18 kWh"}
EXE = {"name": "run.pdf", "mimeType": "application/pdf", "buffer": b"MZ\x90\x00"}


@pytest.fixture(autouse=True)
def quick(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


@pytest.fixture
def network(transactional_db):
    """Have a CPO and an eMSP with one CDR that is wrong by the hub's own price, and two others."""
    cpo, emsp = factory.cpo("NL-CPO"), factory.emsp("DE-EMP")
    person("ruth@cpo.example", cpo, "finance")
    person("emma@emp.example", emsp, "finance")
    sent(cpo, emsp, "12.0000")
    factory.cdrs(2, cpo, emsp, "7.0000")
    return cpo, emsp


class Walk:
    """Somebody at a browser, whose every page is looked at."""

    def __init__(self, visitor, url):
        self.visitor, self.page, self.url = visitor, visitor.page, url

    def log_in(self, email):
        self.page.fill("[name=login]", email)
        self.page.fill("[name=password]", PASSWORD)
        self.press("Log in")

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.wait_for_load_state("networkidle")

    def go(self, path):
        answer = self.page.goto(f"{self.url}{path}", wait_until="networkidle")
        return answer.status

    def check(self, name="", *, axe=True):
        """See that a page is quiet, asks nobody else, is usable by everybody and fits."""
        heard = [text for text in self.visitor.complaints if "422" not in text]
        assert heard == [], name
        hosts = {urlsplit(url).netloc for url in self.visitor.requests}
        assert hosts == {urlsplit(self.url).netloc}
        assert self.page.locator("h1").count() == 1
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= self.page.viewport_size["width"], name
        if axe:
            found = Axe().run(self.page).response["violations"]
            bad = [item for item in found if item["impact"] in SEVERE]
            assert not bad, (name, [(i["id"], [n["html"] for n in i["nodes"]]) for i in bad])
        if (folder := os.environ.get("SCREENSHOTS")) and name:
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def walk(visit, live_server):
    """Walk in as somebody of a party, at a page."""

    def start(email, path, **options):
        somebody = Walk(visit(path, **options), live_server.url)
        somebody.log_in(email)
        return somebody

    return start


def opened(walk, script):
    """Open a dispute by ticking a CDR, through all its pages; return who did, and the reference."""
    emma = walk("emma@emp.example", "/app/DE-EMP/cdrs/", java_script_enabled=script)
    page, axe = emma.page, script
    page.get_by_role("checkbox").last.check()
    emma.check("cdrs", axe=axe)
    emma.press("Dispute the ticked CDRs")
    emma.check("open-1", axe=axe)
    emma.press("Go on")
    emma.check("open-2", axe=axe)
    assert page.get_by_label("The price is not that of the tariff").is_checked()
    emma.press("Go on")
    assert page.get_by_label("If corrected: by how much less").input_value() == "2"
    page.get_by_label("What happened, in your words").fill("The tariff says 0.50 for a kWh.")
    page.locator("[name=evidence]").set_input_files([EXE, TEXT])
    emma.press("Go on")
    assert "run.pdf: the content is not what the name says" in page.inner_text("main")
    emma.check("open-3-mistake", axe=axe)
    emma.press("Go on")
    emma.check("open-4", axe=axe)
    assert "meter.txt" in page.inner_text("main")
    emma.press("Open the dispute")
    emma.check("open-5", axe=axe)
    page.get_by_role("link", name="See the dispute").click()
    emma.check("case-claimant", axe=axe)
    return emma, Dispute.objects.get().reference


@pytest.mark.parametrize("script", [True, False])
def test_from_the_tick_to_the_ruling(network, walk, script):
    emma, reference = opened(walk, script)
    ruth = walk("ruth@cpo.example", f"{SELLER}", java_script_enabled=script)
    ruth.check("list", axe=script)
    ruth.page.get_by_role("link", name=reference).click()
    ruth.check("case-respondent", axe=script)
    ruth.page.get_by_role("link", name="Reject").click()
    ruth.page.get_by_label("Your reasons").fill("The night rate ended at six.")
    ruth.check("reject", axe=script)
    ruth.press("Reject the claim")
    assert "rejected" in ruth.page.inner_text(".notification")
    emma.go(f"{BUYER}{reference}/")
    emma.page.get_by_role("link", name="Have the hub rule").click()
    emma.page.get_by_label("Summary for the hub").fill("It had not been published.")
    emma.press("Hand it to the hub")
    emma.check("escalated", axe=script)
    assert "The hub rules by" in emma.page.inner_text("main")


def net_of(walk, script):
    ruth = walk("ruth@cpo.example", PREVIEW, java_script_enabled=script)
    ruth.check("preview", axe=script)
    return D(ruth.page.locator("tfoot td.figure").first.inner_text().split()[0])
