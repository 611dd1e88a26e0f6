"""docs/cdr-pricing.md has every code, with the words of the code."""

import re

from django.conf import settings

from cdrs.pricing import Refused, Verdict
from cdrs.pricing.readings import TOLERATED
from hub.ocpi.tariff_lints import LINTS

TEXT = (settings.BASE_DIR / "docs" / "cdr-pricing.md").read_text()
SOURCES = "".join(
    path.read_text() for path in sorted((settings.BASE_DIR / "cdrs" / "pricing").glob("*.py"))
)


def codes(title):
    """Return the first column of the tables under a title."""
    section = TEXT.split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_every_verdict_and_reading_is_there():
    assert codes("Verdicts") == [
        *(verdict.value for verdict in Verdict),
        *(reading.name for reading in TOLERATED),
    ]
    for reading in TOLERATED:
        assert f"| `{reading.name}` | {reading.text} |" in TEXT


def test_every_warning_is_there():
    raised = re.findall(r"remark\(\s*(?:\w+, \w+, )?\"(\w+)\"", SOURCES)
    assert set(codes("Warnings")) == set(raised)


def test_every_refusal_is_there():
    listed = codes("When it cannot be priced")
    assert set(listed) == set(re.findall(r"Refused\(\s*\"(\w+)\"", SOURCES))
    assert Refused.__doc__ is not None
    assert all(code in Refused.__doc__ for code in listed)


def test_every_lint_is_there_in_its_words():
    assert codes("What is odd about a tariff") == list(LINTS)
    for code, lint in LINTS.items():
        assert f"| `{code}` | {lint.__doc__} |" in TEXT
