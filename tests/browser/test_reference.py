"""The API reference in a real browser, on a desk and on a phone."""

from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.browser
PATH = "/developers/reference/"


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_page_is_quiet_and_asks_nobody_else(visit, live_server, color_scheme):
    seen = visit(PATH, color_scheme=color_scheme)
    assert seen.complaints == []
    assert {urlsplit(url).netloc for url in seen.requests} == {urlsplit(live_server.url).netloc}
    assert len(seen.requests) <= 12


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_scrolls_sideways_but_tables_and_code(visit, width):
    page = visit(PATH, width=width).page
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_type_leads_to_its_object_and_opens_it(visit):
    page = visit(PATH).page
    page.locator("details.entry summary", has_text="sender/locations").first.click()
    page.locator("details[open] .carries a", has_text="Location").first.click()
    page.locator("#Location th", has_text="publish_allowed_to").wait_for()


def test_without_javascript_everything_is_there_but_the_buttons(visit):
    page = visit(PATH, java_script_enabled=False).page
    assert page.locator("pre[data-call]").count() > 30
    assert page.get_by_role("button", name="Copy").count() == 0
    page.locator("details.entry summary").first.click()
    assert page.locator("details[open] pre").is_visible()


def test_a_call_is_copied_with_the_address_of_this_hub(visit, live_server):
    page = visit(PATH, permissions=["clipboard-read", "clipboard-write"]).page
    page.locator("details.entry summary").first.click()
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("status").filter(has_text="Copied").wait_for()
    assert f'"{live_server.url}/ocpi/' in page.evaluate("navigator.clipboard.readText()")
