"""What the tests of the clearing house share."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from tests.services import TRIGGERS_OFF


@pytest.fixture(autouse=True)
def quick_paper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the rendering of PDFs, which has tests of its own, unless a test wants it real."""
    if "real_paper" not in request.fixturenames:
        monkeypatch.setattr("settlement.rendering.render_pdf", _digest_as_pdf)


@pytest.fixture
def real_paper() -> None:
    """Ask for PDFs as they are."""


@contextmanager
def tampering() -> Iterator[None]:
    """Switch all triggers off for one transaction, as only a superuser of the product can."""
    with transaction.atomic(), connection.cursor() as cursor:
        connection.check_constraints()
        cursor.execute(TRIGGERS_OFF)
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")


def _digest_as_pdf(snapshot: dict[str, Any]) -> bytes:
    return b"%PDF-" + hashlib.sha256(repr(snapshot).encode()).hexdigest().encode()
