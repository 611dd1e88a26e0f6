"""Every requirement of OCPI 2.2.1 is shown by a test, or it is argued why not."""

import ast

import pytest

from tests import conformance

REGENERATE = "regenerate it: .venv/bin/python -m tests.conformance"
KNOWN = {item.id: item for item in conformance.requirements()}


def test_the_table_is_up_to_date():
    assert conformance.DOCUMENT.read_text() == conformance.document(), REGENERATE


def test_every_must_has_a_test_or_an_argument():
    said = conformance.remarks()
    settled = conformance.shown().keys() | {key for key, text in said.items() if text.strip()}
    assert [key for key, item in KNOWN.items() if item.is_must and key not in settled] == []


def test_markers_and_remarks_name_known_requirements():
    named = [*conformance.shown(), *conformance.remarks()]
    assert [key for key in named if key not in KNOWN] == []


def test_the_requirements_are_complete_and_unique():
    assert len(conformance.requirements()) == len(KNOWN) == 250
    assert {item.level for item in KNOWN.values()} == {
        *("MUST", "MUST†", "MUST NOT", "SHOULD", "SHOULD†", "SHOULD NOT", "MAY", "NOTE")
    }
    assert all(item.wording and item.section for item in KNOWN.values())


MARKED = """
import pytest
pytestmark = [pytest.mark.django_db, pytest.mark.ocpi("T-01")]

@pytest.mark.parametrize("name", [1, pytest.param(2, marks=pytest.mark.ocpi("T-03"))])
@pytest.mark.ocpi("T-02", "T-01")
def test_marked(name): ...

def test_plain(): ...

@pytest.mark.ocpi("T-04")
def helper(): ...
"""


def test_markers_are_read_from_files_functions_and_parameters():
    assert list(conformance._marked(ast.parse(MARKED))) == [
        ("test_marked", ["T-01", "T-03", "T-02"]),
        ("test_plain", ["T-01"]),
    ]


def test_a_marker_that_is_computed_is_an_error():
    source = "@pytest.mark.ocpi(*IDS)\ndef test_x(): ..."
    with pytest.raises(ValueError, match="malformed"):
        list(conformance._marked(ast.parse(source)))
