"""Disputes in a real browser: opened, answered, decided by silence or by the hub."""

import datetime as dt
import os
from decimal import Decimal as D
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.utils import timezone

from cdrs.models import Cdr
from parties.models import User
from settlement import staff
from settlement.disputes import answering, drafting, timers
from settlement.models import Dispute
from tests.portal.cast import PASSWORD, person
from tests.settlement import factory
from tests.settlement.claims import claim, sent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SEVERE = {"serious", "critical"}
BUYER, SELLER = "/app/DE-EMP/disputes/", "/app/NL-CPO/disputes/"
PREVIEW = "/app/NL-CPO/preview/?month=2024-03"
TEXT = {"name": "meter.txt", "mimeType": "text/plain", "buffer": b"18 kWh"}
EXE = {"name": "run.pdf", "mimeType": "application/pdf", "buffer": b"MZ\x90\x00"}


@pytest.fixture(autouse=True)
def quick():
    cache.clear()


@pytest.fixture
def network(transactional_db):
    """Have a CPO and an eMSP with one CDR that is wrong by the hub's own price, and others."""
    cpo, emsp = factory.cpo("NL-CPO"), factory.emsp("DE-EMP")
    person("ruth@cpo.example", cpo, "finance")
    person("emma@emp.example", emsp, "finance")
    sent(cpo, emsp, "12.0000")
    factory.cdrs(3, cpo, emsp, "7.0000")
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
        self.page.wait_for_load_state("load")

    def go(self, path):
        answer = self.page.goto(f"{self.url}{path}", wait_until="load")
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
        self.visitor.complaints.clear()  # axe itself writes styles that the policy refuses
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
def test_from_the_tick_to_the_ruling(network, walk, visit, live_server, script):
    emma, reference = opened(walk, script)
    ruth = walk("ruth@cpo.example", SELLER, java_script_enabled=script)
    ruth.check("list", axe=script)
    ruth.page.get_by_role("link", name=reference).click()
    ruth.check("case-respondent", axe=script)
    with ruth.page.expect_download() as download:
        ruth.page.get_by_role("link", name="meter.txt").click()
    assert Path(download.value.path()).read_bytes() == TEXT["buffer"]
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
    ruled(visit, live_server, reference, script)
    for somebody, path in ((emma, BUYER), (ruth, SELLER)):
        somebody.go(f"{path}{reference}/")
        somebody.check(f"ruled-{path[5:7]}", axe=script)
        told = somebody.page.inner_text("main")
        assert "As the tariff says." in told
        assert "Granted" in told
        assert "They do this often" not in told


def ruled(visit, live_server, reference, script):
    """Have a member of staff take the case and rule, after a look at what it comes to."""
    staff.grant("helena@hub.example", "operations", PASSWORD)
    helena = Walk(visit("/admin/settlement/dispute/", java_script_enabled=script), live_server.url)
    page = helena.page
    page.fill("#id_username", "helena@hub.example")
    page.fill("#id_password", PASSWORD)
    helena.press("Log in")
    helena.check("desk-queue", axe=script)
    assert "supports it by 2.00 EUR" in page.inner_text("#result_list")
    page.get_by_role("link", name=reference).click()
    helena.press("Assign it to me")
    page.get_by_label("Internal note").fill("They do this often.")
    helena.press("Add the note")
    helena.check("desk-case", axe=script)
    page.get_by_label("the claim is upheld in part").check()
    page.get_by_label("Amount, if in part").fill("1.5")
    page.get_by_label("Reasons, which both sides read").fill("As the tariff says.")
    helena.press("See what it comes to")
    helena.check("desk-preview", axe=script)
    assert "1.50 EUR is granted" in page.inner_text(".preview")
    helena.press("Rule like this: final")
    assert Dispute.objects.get().granted == D("1.5")


def net_of(ruth):
    ruth.go(PREVIEW)
    ruth.check("preview")
    return D(ruth.page.locator("tfoot td.figure").first.inner_text().split()[0])


def test_many_by_a_list_and_the_preview_falls_by_them(network, walk):
    ruth = walk("ruth@cpo.example", PREVIEW)
    before = net_of(ruth)
    emma = walk("emma@emp.example", f"{BUYER}new/")
    emma.check("new-empty")
    uids = Cdr.objects.filter(state="accepted").values_list("uid", flat=True)[:2]
    rows = "\n".join(["cdr_id", *uids, "NOPE"])
    listed = {"name": "ids.csv", "mimeType": "text/csv", "buffer": rows.encode()}
    emma.page.locator("[name=csv]").set_input_files(listed)
    emma.press("Add the list")
    emma.check("new-list")
    assert "Line 4: there is no CDR NOPE." in emma.page.inner_text(".error-summary")
    emma.press("Go on")
    emma.page.get_by_label("Not our customer").check()
    emma.press("Go on")
    emma.page.get_by_label("Full credit").check()
    emma.page.get_by_label("What happened, in your words").fill("Their contract had ended.")
    emma.press("Go on")
    emma.press("Open the dispute")
    assert "14.00 EUR is held out of the month" in emma.page.inner_text("main")
    assert before - net_of(ruth) == D("14.00")
    assert "In dispute" in ruth.page.inner_text("main") or "in dispute" in ruth.page.inner_text(
        "main"
    )
    ruth.go("/app/NL-CPO/")
    ruth.check("home")
    assert "Answer dispute" in ruth.page.inner_text(".needs")


def test_a_part_is_offered_and_accepted(network, walk):
    dispute = claim(Cdr.objects.get(uid="C1"), amount="4", now=timezone.now())
    ruth = walk("ruth@cpo.example", f"{SELLER}{dispute.reference}/")
    ruth.page.get_by_role("link", name="Offer a part").click()
    ruth.page.get_by_label("Amount you offer").fill("2.5")
    ruth.page.get_by_label("Your reasons").fill("The night rate for half of it.")
    ruth.press("See what follows")
    ruth.check("offer-preview")
    assert "C1-R" in ruth.page.inner_text("main")
    ruth.press("Send the offer")
    emma = walk("emma@emp.example", "/app/DE-EMP/")
    emma.page.get_by_role("link", name="Reply").click()
    emma.check("countered")
    emma.page.get_by_role("link", name="Accept the offer").click()
    emma.check("accept-offer")
    emma.page.get_by_role("button", name="Accept the offer").dblclick()
    emma.page.get_by_role("heading", name="What was said and done").wait_for()
    emma.check("accepted")
    assert Dispute.objects.get().granted == D("2.5")


def test_silence_is_told_as_what_it_is(network, walk):
    dispute = claim(Cdr.objects.get(uid="C1"), now=timezone.now())
    timers.look_after(timezone.now() + dt.timedelta(days=8))
    emma = walk("emma@emp.example", f"{BUYER}{dispute.reference}/")
    emma.check("silence")
    told = emma.page.inner_text("main")
    assert "Silence has decided" in told
    assert "automatic" in told
    assert "the hub files it in its name" in told


def test_a_stranger_finds_nothing(network, walk):
    dispute = claim(Cdr.objects.get(uid="C1"), now=timezone.now())
    person("sam@str.example", factory.cpo("SE-STR"), "owner")
    sam = walk("sam@str.example", "/app/SE-STR/disputes/")
    for code in ("SE-STR", "DE-EMP", "NL-CPO"):
        for path in ("", "withdraw/"):
            assert sam.go(f"/app/{code}/disputes/{dispute.reference}/{path}") == 404
            assert "EMP Power" not in sam.page.inner_text("body")


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (768, "light")])
def test_every_page_fits_and_is_usable(network, walk, width, scheme):
    dispute = claim(Cdr.objects.get(uid="C1"), amount="4", now=timezone.now())
    later = claim(Cdr.objects.exclude(uid="C1").first(), now=timezone.now())
    answering.reject(later, later.respondent, "No. " * 40, None, timezone.now())
    emma = User.objects.get(email="emma@emp.example")
    draft = drafting.choose(later.emsp, emma, [Cdr.objects.filter(state="accepted").first()],
                            timezone.now())  # fmt: skip
    look = {"width": width, "color_scheme": scheme}
    paths = {
        "ruth@cpo.example": [SELLER, f"{SELLER}{dispute.reference}/",
                             f"{SELLER}{dispute.reference}/offer/"],
        "emma@emp.example": [f"{BUYER}?tab=answer", f"{BUYER}{later.reference}/",
                             f"{BUYER}{later.reference}/escalate/",
                             f"{BUYER}{later.reference}/opened/",
                             f"{BUYER}new/?draft={draft.pk}",
                             *(f"{BUYER}drafts/{draft.pk}/{step}/"
                               for step in ("reason", "ask", "check")),
                             "/app/DE-EMP/cdrs/", f"/app/DE-EMP/cdrs/{draft.cdrs[0]}/",
                             "/app/DE-EMP/statements/", "/app/DE-EMP/documents/"],
    }  # fmt: skip
    for email, pages in paths.items():
        somebody = walk(email, pages[0], **look)
        for place, path in enumerate(pages):
            assert somebody.go(path) in (200, 422)
            somebody.check(f"{width}-{email[:4]}-{place}", axe=scheme == "dark")
