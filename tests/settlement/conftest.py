"""What the tests of the clearing house share."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

PAPER = ("documentfile", "documenttax", "documentline", "document", "cell")


@pytest.fixture(autouse=True)
def quick_paper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the rendering of PDFs, which has tests of its own, unless a test wants it real."""
    if "real_paper" not in request.fixturenames:
        monkeypatch.setattr("settlement.rendering.render_pdf", _digest_as_pdf)


@pytest.fixture
def real_paper() -> None:
    """Ask for PDFs as they are."""


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """Let a test commit, and clear away the paper that the database would not let go of."""
    yield
    with tampering():
        tables = ", ".join(f"settlement_{name}" for name in PAPER)
        connection.cursor().execute(f"TRUNCATE {tables}")


@contextmanager
def tampering() -> Iterator[None]:
    """Be a superuser who has switched all triggers off, for one transaction."""
    with transaction.atomic(), connection.cursor() as cursor:
        connection.check_constraints()
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")


def _digest_as_pdf(snapshot: dict[str, Any]) -> bytes:
    return b"%PDF-" + hashlib.sha256(repr(snapshot).encode()).hexdigest().encode()
