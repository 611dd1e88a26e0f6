"""The finance desk: documents and cells; months and terms are in files of their own."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from hub.readonly import ReadOnlyAdmin, ReadOnlyInline, pretty
from parties.models import Platform
from settlement import answers, cockpit, terms  # noqa: F401 - more desks
from settlement.connections import ConnectionAdmin
from settlement.models import (
    Cell,
    Document,
    DocumentFile,
    DocumentLine,
    DocumentTax,
)

admin.site.unregister(Platform)
admin.site.register(Platform, ConnectionAdmin)


class LineInline(ReadOnlyInline):
    """The lines."""

    model = DocumentLine
    fields = readonly_fields = (
        "no",
        "counterparty",
        "supply_month",
        "country",
        "cdrs",
        "energy_kwh",
        "vat",
        "amount",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[DocumentLine]:
        """Fetch the cells and their parties along."""
        rows = super().get_queryset(request)
        return rows.select_related("cell__cpo", "cell__emsp", "document")

    @admin.display(description=_("counterparty"))
    def counterparty(self, line: DocumentLine) -> str:
        """Return who is on the other end."""
        payable = line.side == DocumentLine.Side.PAYABLE
        return str(line.cell.emsp if payable else line.cell.cpo)

    @admin.display(description=_("month of supply"))
    def supply_month(self, line: DocumentLine) -> str:
        """Return the month of supply."""
        return f"{line.cell.supply_month:%Y-%m}"

    @admin.display(description=_("country"))
    def country(self, line: DocumentLine) -> str:
        """Return the country of supply."""
        return line.cell.country

    @admin.display(description=_("CDRs"))
    def cdrs(self, line: DocumentLine) -> int:
        """Return how many CDRs the line adds up."""
        return line.cell.cdr_count

    @admin.display(description=_("energy (kWh)"))
    def energy_kwh(self, line: DocumentLine) -> str:
        """Return the energy."""
        return f"{line.cell.energy_kwh:f}"

    @admin.display(description=_("VAT"))
    def vat(self, line: DocumentLine) -> str:
        """Return category and rate."""
        return f"{line.vat_category} {line.vat_rate} %"

    @admin.display(description=_("net"))
    def amount(self, line: DocumentLine) -> str:
        """Return the amount."""
        return line.document.spelled(line.net)


class TaxInline(ReadOnlyInline):
    """The VAT table."""

    model = DocumentTax
    fields = readonly_fields = ("category", "rate", "base", "tax", "note")


@admin.register(Document)
class DocumentAdmin(ReadOnlyAdmin):
    """The register of documents, with their files."""

    list_display = (
        "number",
        "kind",
        "party",
        "period",
        "issued_on",
        "currency",
        "net_amount",
        "tax_amount",
        "gross_amount",
        "downloads",
    )
    list_filter = ("kind", "currency", "period", ("party", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("party", "period")
    search_fields = ("number", "party__name", "party__party_id")
    show_full_result_count = False
    inlines = (LineInline, TaxInline)
    fields = readonly_fields = (
        *("number", "kind", "period", "party", "supplier", "customer", "currency"),
        *("issued_on", "due_on", "net_amount", "tax_amount", "gross_amount"),
        *("downloads", "digests", "as_json"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        """Fetch the files along, without their contents."""
        rows: QuerySet[Document] = super().get_queryset(request)
        return rows.prefetch_related(Prefetch("files", DocumentFile.objects.defer("content")))

    def get_urls(self) -> list[URLPattern]:
        """Add the downloads."""
        route = path(
            "<int:document_id>/files/<str:kind>",
            self.admin_site.admin_view(self.download),
            name="settlement_document_file",
        )
        return [route, *super().get_urls()]

    def download(self, request: HttpRequest, document_id: int, kind: str) -> HttpResponse:
        """Hand out a file to those who may see its document."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        file = get_object_or_404(DocumentFile, document=document_id, kind=kind)
        return attachment(file)

    @admin.display(description=_("net"), ordering="net")
    def net_amount(self, document: Document) -> str:
        """Return the net with the decimals of the currency."""
        return document.spelled(document.net)

    @admin.display(description=_("VAT"), ordering="tax")
    def tax_amount(self, document: Document) -> str:
        """Return the VAT likewise."""
        return document.spelled(document.tax)

    @admin.display(description=_("gross"), ordering="gross")
    def gross_amount(self, document: Document) -> str:
        """Return the gross likewise."""
        return document.spelled(document.gross)

    @admin.display(description=_("files"))
    def downloads(self, document: Document) -> SafeString:
        """Return a link per file."""
        files = [(_file_url(document, file), file.kind.upper()) for file in document.files.all()]
        return format_html_join(" ", '<a href="{}">{}</a>', files)

    @admin.display(description="SHA-256")
    def digests(self, document: Document) -> SafeString:
        """Return the digest of each file."""
        files = [(file.name, file.sha256) for file in document.files.all()]
        return format_html_join("", "<div>{}: <code>{}</code></div>", files)

    @admin.display(description=_("snapshot"))
    def as_json(self, document: Document) -> SafeString:
        """Return all that is printed."""
        return pretty(document.snapshot)


def _file_url(document: Document, file: DocumentFile) -> str:
    return reverse("admin:settlement_document_file", args=[document.pk, file.kind])


def attachment(file: DocumentFile) -> HttpResponse:
    """Return a file as a download that no browser opens or guesses about."""
    headers = {
        "Content-Disposition": content_disposition_header(True, file.name) or "attachment",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(bytes(file.content), content_type=file.content_type, headers=headers)


@admin.register(Cell)
class CellAdmin(ReadOnlyAdmin):
    """Settlement cells."""

    list_display = (
        *("period", "supply_month", "cpo", "emsp", "country", "currency", "credit"),
        *("cdr_count", "energy_kwh", "total", "net"),
    )
    list_filter = ("period", "currency", "credit", "cpo", "emsp")
    list_select_related = ("period", "cpo", "emsp")
    show_full_result_count = False
