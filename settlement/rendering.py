"""Put documents on paper: once, after they are issued; paper never changes a number."""

import logging
from collections.abc import Iterator

from django.db import transaction

from cdrs.models import Period
from settlement import parquet
from settlement.models import Document, DocumentFile
from settlement.pdf import render_pdf

logger = logging.getLogger(__name__)
File = DocumentFile.Kind


@transaction.atomic
def render(document_id: int, *, wait: bool = True) -> bool:
    """Make the files of a document that it still lacks, and tell whether there were any.

    A second time is a no-op. Locks the document's row meanwhile; without waiting, a document that
    somebody else is rendering is left to them.
    """
    rows = Document.objects.unfinished().select_for_update(skip_locked=not wait, of=("self",))
    document = rows.filter(pk=document_id).first()
    if document is None:
        return False
    kinds = set(document.files.values_list("kind", flat=True))
    files = [*_paper(document, kinds), *_columns(document, kinds)]
    for file in files:
        file.document = document
    DocumentFile.objects.bulk_create(files)
    return bool(files)


def _paper(document: Document, kinds: set[str]) -> Iterator[DocumentFile]:
    if File.PDF not in kinds:
        xml = _content(document, File.XML) if File.XML in kinds else b""
        yield DocumentFile.holding(File.PDF, document.number, render_pdf(document.snapshot, xml))


def _columns(document: Document, kinds: set[str]) -> Iterator[DocumentFile]:
    if File.CSV in kinds and File.PARQUET not in kinds:
        content = parquet.converted(_content(document, File.CSV))
        yield DocumentFile.holding(File.PARQUET, document.number, content)


def _content(document: Document, kind: str) -> bytes:
    return bytes(document.files.values_list("content", flat=True).get(kind=kind))


def render_period(period: Period) -> None:
    """Render what a period still lacks."""
    for document_id in _lacking(period=period):
        render(document_id)


def render_missing() -> None:
    """Render whatever lacks a file.

    Several workers may do this at once: each takes what no other is busy with. A document that
    cannot be rendered is logged, and does not keep the others waiting.
    """
    for document_id in _lacking():
        try:
            render(document_id, wait=False)
        except Exception:
            logger.exception("document %s cannot be rendered", document_id)


def _lacking(**which: Period) -> list[int]:
    documents = Document.objects.unfinished().filter(**which)
    return list(documents.order_by("pk").values_list("pk", flat=True))
