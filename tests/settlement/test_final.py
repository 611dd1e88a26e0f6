"""What is issued is final: the database says no, and verification sees what it could not stop."""

import datetime as dt
import hashlib
from collections.abc import Callable

import pytest
from django.db import Error, connection, transaction
from django.db.models import Model

from cdrs.models import Period
from settlement import clearing
from settlement.invariants import breaches
from settlement.models import (
    Cell,
    Document,
    DocumentFile,
    DocumentLine,
    DocumentTax,
    SelfBillingAgreement,
    Series,
)
from settlement.verify import differences
from tests.settlement import factory
from tests.settlement.conftest import tampering
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.django_db
PAPER = ("documentfile", "documenttax", "documentline", "document", "cell")


@pytest.fixture
def period() -> Period:
    factory.cdrs(3, factory.cpo("NL-AAA"), factory.emsp(), "0.3350")
    return clearing.close(MONTH, now=CLOSING)


def refused(statement: str) -> str:
    connection.check_constraints()
    with pytest.raises(Error) as caught, transaction.atomic():
        connection.cursor().execute(statement)
    return str(caught.value)


def commit(row: Model) -> None:
    """Insert a row, and check what is checked at the end of a transaction."""
    with transaction.atomic():
        row.save(force_insert=True)
        connection.check_constraints()


@pytest.mark.parametrize("name", PAPER)
def test_paper_is_neither_changed_nor_deleted_nor_truncated(period: Period, name: str) -> None:
    table = f"settlement_{name}"
    for statement in ("UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
        assert "is append-only" in refused(statement.format(table))


def test_a_series_neither_jumps_nor_goes_back(period: Period) -> None:
    update = "UPDATE settlement_series SET {}"
    for change in ("last_no = 0", "last_no = 3", "year = 2025", "prefix = 'X'"):
        assert "its next number" in refused(update.format(change))
    assert "its next number" in refused("DELETE FROM settlement_series")
    assert "its next number" in refused("TRUNCATE settlement_series CASCADE")


def test_a_close_is_never_undone(period: Period) -> None:
    for statement in ("DELETE FROM settlement_closerun", "TRUNCATE settlement_closerun"):
        assert "never undone" in refused(statement)


def test_an_issued_document_takes_no_further_line(period: Period) -> None:
    line = DocumentLine.objects.first()
    cell = Cell.objects.get()
    with tampering():
        Cell.objects.filter(pk=cell.pk).update(country="XX")
    cell.pk = None
    with tampering():
        cell.save(force_insert=True)
    line.pk, line.no, line.cell = None, 2, cell
    with pytest.raises(Error, match="does not belong on this document"), transaction.atomic():
        line.save(force_insert=True)


def test_an_issued_document_takes_no_further_tax(period: Period) -> None:
    document = Document.objects.first()
    tax = DocumentTax(document=document, category="Z", rate=0, base=0, tax=0)
    with pytest.raises(Error, match="does not add up"):
        commit(tax)


@pytest.mark.parametrize("change", ["net", "tax"])
def test_a_document_that_does_not_add_up_is_not_written(period: Period, change: str) -> None:
    document = _next(Document.objects.filter(kind="emsp_invoice").get())
    setattr(document, change, getattr(document, change) + 1)
    document.gross += 1
    with pytest.raises(Error, match="does not add up"):
        commit(document)


def test_a_document_takes_the_next_number_of_its_own_series_only(period: Period) -> None:
    document = _next(Document.objects.filter(kind="emsp_invoice").get())
    document.number = "OCN-S-DEEMP-2024-000007"
    with pytest.raises(Error, match="next number"), transaction.atomic():
        document.save(force_insert=True)


def test_no_self_billing_invoice_without_an_agreement(period: Period) -> None:
    document = _next(Document.objects.filter(kind="self_billing_invoice").get())
    SelfBillingAgreement.objects.all().delete()
    with pytest.raises(Error, match="no self-billing agreement"), transaction.atomic():
        document.save(force_insert=True)


def _next(document: Document) -> Document:
    """Prepare a copy of a document under the next number of its series."""
    series = document.series
    series.last_no += 1
    series.save()
    document.pk, document.seq, document.number = None, series.last_no, series.number(series.last_no)
    document.period = Period.objects.get_or_create(month=dt.date(2024, 4, 1))[0]
    document.snapshot |= {"number": document.number}
    last = Document.objects.latest("chain_no")
    document.chain_no, document.prev_hash = last.chain_no + 1, last.hash
    document.seal()
    return document


def test_a_file_that_is_not_what_its_digest_says_is_refused(period: Period) -> None:
    with tampering():
        DocumentFile.objects.filter(kind="pdf").delete()
    document = Document.objects.first()
    with pytest.raises(Error, match="file_has_its_digest"), transaction.atomic():
        DocumentFile.objects.create(
            document=document, kind="pdf", name="x", content=b"x", sha256="0" * 64
        )


# Verification


def _line(period: Period) -> None:
    line = DocumentLine.objects.first()
    DocumentLine.objects.filter(pk=line.pk).update(net=line.net + 1)


def _printed_cent(period: Period) -> None:
    document = Document.objects.first()
    document.snapshot["lines"][0]["net"] = "1.02"
    document.save()


def _total(period: Period) -> None:
    document = Document.objects.first()
    Document.objects.filter(pk=document.pk).update(net=document.net + 1, gross=document.gross + 1)


def _tax(period: Period) -> None:
    DocumentTax.objects.filter(category="S").update(tax="0.20")


def _cdr(period: Period) -> None:
    period.cdrs.filter(pk=period.cdrs.first().pk).update(total_excl_vat="0.3351")


def _extra_cdr(period: Period) -> None:
    first = period.cdrs.first()
    first.pk, first.uid = None, "SLIPPED-IN"
    first.save(force_insert=True)


def _annex(period: Period) -> None:
    file = DocumentFile.objects.filter(kind="csv").first()
    content = bytes(file.content).replace(b"0.3350", b"0.3360", 1)
    digest = hashlib.sha256(content).hexdigest()
    DocumentFile.objects.filter(pk=file.pk).update(content=content, sha256=digest)


def _lost_annex(period: Period) -> None:
    DocumentFile.objects.filter(kind="csv").first().delete()


def _pdf(period: Period) -> None:
    connection.cursor().execute(
        "ALTER TABLE settlement_documentfile DROP CONSTRAINT file_has_its_digest"
    )
    DocumentFile.objects.filter(kind="pdf").update(content=b"other")


def _gap(period: Period) -> None:
    Series.objects.filter(kind="self_billing_invoice").update(last_no=2)


def _lost_document(period: Period) -> None:
    statement = Document.objects.get(kind="emsp_invoice")
    for table in ("lines", "taxes", "files"):
        getattr(statement, table).all().delete()
    Document.objects.filter(pk=statement.pk)._raw_delete("default")


TAMPERED = [
    _line,
    _printed_cent,
    _total,
    _tax,
    _cdr,
    _extra_cdr,
    _annex,
    _lost_annex,
    _pdf,
    _gap,
    _lost_document,
]


@pytest.mark.parametrize("tamper", TAMPERED)
def test_verification_finds_what_was_tampered_with(
    period: Period, tamper: Callable[[Period], None]
) -> None:
    assert differences(period) == []
    with tampering():
        tamper(period)
    assert differences(period)


@pytest.mark.parametrize("tamper", [_line, _total, _tax, _cdr, _pdf, _gap, _lost_annex])
def test_the_invariants_see_it_too(period: Period, tamper: Callable[[Period], None]) -> None:
    assert breaches() == []
    with tampering():
        tamper(period)
    assert breaches()
