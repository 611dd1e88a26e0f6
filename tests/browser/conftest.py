"""A real Chromium, and pages that write down everything that went wrong in them."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

# Playwright's synchronous calls run inside an event loop, where Django would refuse the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

CANDIDATES = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", event =>
  console.error("CSP", event.violatedDirective, event.blockedURI, event.sourceFile))
"""


@dataclass
class Visit:
    """A page of a browser, with its complaints and its requests."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.add_init_script(REPORT_VIOLATIONS)

    def hear(self, message) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")


def chromium() -> str:
    """Return the browser to drive; without one the tests fail rather than being skipped."""
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(shutil.which, CANDIDATES), None)
    assert found, "No Chromium: install the package chromium-headless-shell, or set CHROMIUM"
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one browser for the tests of a file.

    It keeps an event loop in this thread: as long as it is open, no test can run another there.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, live_server):
    """Open pages of the live server: visit("/path", width=390, color_scheme="dark")."""
    contexts: list[BrowserContext] = []

    def open_page(path: str = "/", width: int = 1280, **options) -> Visit:
        context = browser.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": 900},
            locale="en-US",
            **options,
        )
        contexts.append(context)
        visit = Visit(context.new_page())
        visit.page.goto(path, wait_until="networkidle")
        return visit

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(autouse=True)
def _as_they_lie(plain_static):
    """Serve static files from where they lie: the live server knows no hashed names."""
