"""What the tests of the clearing house share."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from tests.papers import print_quickly
from tests.services import TRIGGERS_OFF


@pytest.fixture(autouse=True)
def quick_paper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace what takes long and has tests of its own, unless a test wants it real.

    That is the rendering of PDFs, and the schematron (the other inspections stay).
    """
    if "real_paper" not in request.fixturenames:
        print_quickly(monkeypatch)
        monkeypatch.setattr("settlement.einvoice.schematron.failed", lambda xml: [])


@pytest.fixture
def real_paper() -> None:
    """Ask for PDFs and schematron as they are."""


@contextmanager
def tampering() -> Iterator[None]:
    """Switch all triggers off for one transaction, as only a superuser of the product can."""
    with transaction.atomic(), connection.cursor() as cursor:
        connection.check_constraints()
        cursor.execute(TRIGGERS_OFF)
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")
