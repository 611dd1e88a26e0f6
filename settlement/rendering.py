"""Put documents on paper: once, after they are issued; paper never changes a number."""

import hashlib
import logging

from django.db import transaction

from cdrs.models import Period
from settlement.models import Document, DocumentFile
from settlement.pdf import render_pdf

logger = logging.getLogger(__name__)


@transaction.atomic
def render(document_id: int, *, wait: bool = True) -> bool:
    """Make the PDF of a document and keep it, and tell whether we did; a second time is a no-op.

    Locks the document's row meanwhile. Without waiting, a document that somebody else is rendering
    is left to them.
    """
    rows = Document.objects.select_for_update(skip_locked=not wait, of=("self",))
    document = rows.filter(pk=document_id).first()
    if document is None or document.files.filter(kind=DocumentFile.Kind.PDF).exists():
        return False
    content = render_pdf(document.snapshot)
    DocumentFile.objects.create(
        document=document,
        kind=DocumentFile.Kind.PDF,
        name=f"{document.number}.pdf",
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return True


def render_period(period: Period) -> None:
    """Render what a period still lacks."""
    for document_id in _lacking(period=period):
        render(document_id)


def render_missing() -> None:
    """Render whatever lacks its PDF.

    Several workers may do this at once: each takes what no other is busy with. A document that
    cannot be rendered is logged, and does not keep the others waiting.
    """
    for document_id in _lacking():
        try:
            render(document_id, wait=False)
        except Exception:
            logger.exception("document %s cannot be rendered", document_id)


def _lacking(**which: Period) -> list[int]:
    documents = Document.objects.lacking(DocumentFile.Kind.PDF).filter(**which)
    return list(documents.order_by("pk").values_list("pk", flat=True))
