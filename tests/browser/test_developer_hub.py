"""The developer hub in a real browser: quiet, quick, readable, and useful without JavaScript."""

from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.browser

ROLES = ["cpo", "emsp"]


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("role", ROLES)
def test_the_page_is_quiet_and_asks_nobody_else(visit, live_server, role, color_scheme):
    seen = visit(f"/?role={role}", color_scheme=color_scheme)
    assert seen.complaints == []
    assert {urlsplit(url).netloc for url in seen.requests} == {urlsplit(live_server.url).netloc}
    assert len(seen.requests) <= 12


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(visit, color_scheme):
    page = visit(color_scheme=color_scheme).page
    ratios = page.evaluate(
        CONTRAST, ["h1", ".lead", ".role-text", ".toc a", ".note", ".site-footer p"]
    )
    assert min(ratios.values()) >= 4.5, ratios


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_scrolls_sideways_but_the_code(visit, role, width):
    page = visit(f"/?role={role}", width=width).page
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_copying_a_call_puts_it_on_the_clipboard_and_says_so(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"]).page
    call = page.locator("pre[data-call=credentials]")
    button = page.locator("figure", has=call).get_by_role("button")
    button.click()
    page.get_by_role("status").filter(has_text="Copied").wait_for()
    assert button.inner_text() == "Copied"
    assert page.evaluate("navigator.clipboard.readText()") == call.inner_text().strip()


def test_a_refused_clipboard_is_admitted(visit):
    page = visit().page
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(Error('no')) }")
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("status").filter(has_text="Press Ctrl+C").wait_for()


def test_without_javascript_everything_is_there_but_the_buttons(visit):
    page = visit(java_script_enabled=False).page
    assert page.locator("pre[data-call]").count() == 5
    assert page.get_by_role("button").count() == 0
    page.get_by_role("link", name="eMSP").click()
    page.wait_for_url("**/?role=emsp#guide")
    assert page.locator("pre[data-call=token]").is_visible()
    assert page.locator("[aria-current=true]").inner_text().startswith("eMSP")


def test_the_keyboard_skips_to_the_content_with_a_visible_focus(visit):
    page = visit().page
    page.keyboard.press("Tab")
    link = page.locator(":focus")
    assert link.inner_text() == "Skip to the content"
    assert link.bounding_box()["height"] > 24
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"


def test_the_admin_login_is_quiet_too(visit):
    assert visit("/admin/login/").complaints == []


CONTRAST = """selectors => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = color => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = color => rgb(color).slice(0, 3).map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = element => {
    const color = getComputedStyle(element).backgroundColor;
    return rgb(color)[3] ? color : behind(element.parentElement);
  };
  return Object.fromEntries(selectors.map(selector => {
    const element = document.querySelector(selector);
    const lights = [light(getComputedStyle(element).color), light(behind(element))];
    const [low, high] = lights.sort((a, b) => a - b);
    return [selector, (high + 0.05) / (low + 0.05)];
  }));
}"""
