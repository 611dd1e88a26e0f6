"""The register of documents: their lines, files and corrections, and no number missing."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Max, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from hub.portal import attachment
from hub.readonly import ReadOnlyAdmin, ReadOnlyInline, pretty
from settlement.models import (
    Document,
    DocumentFile,
    DocumentLine,
    DocumentTax,
    LegalChannel,
    Series,
)
from settlement.models.documents import Regime

COMPLETE = Q(found=F("last_no"), highest=F("last_no"))


def counted() -> QuerySet[Series]:
    """Return the series with how many documents they have, and the highest number of them."""
    highest = Max("documents__seq", default=0)
    return Series.objects.annotate(found=Count("documents"), highest=highest)


def gap_check() -> str:
    """Tell in words whether every series runs from 1 to its last number."""
    gaps = [str(series) for series in counted().exclude(COMPLETE).order_by("prefix", "year")]
    if gaps:
        return gettext("Numbers are missing in: %(series)s") % {"series": ", ".join(gaps)}
    count = Series.objects.count()
    told = ngettext("%(n)s series, no number missing", "%(n)s series, no number missing", count)
    return told % {"n": count}


class RegimeFilter(admin.SimpleListFilter):
    """By the law a document stands under."""

    title, parameter_name = _("regime"), "regime"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the regimes."""
        return list(Regime.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those of the chosen one."""
        return queryset.filter(snapshot__regime=self.value()) if self.value() else queryset


class CorrectedFilter(admin.SimpleListFilter):
    """By whether a credit note takes back from a document."""

    title, parameter_name = _("corrected"), "corrected"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return yes and no."""
        return [("yes", _("by a credit note")), ("no", _("no"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those of the chosen answer."""
        if self.value() == "yes":
            return queryset.filter(credit_notes__isnull=False).distinct()
        return queryset.filter(credit_notes=None) if self.value() == "no" else queryset


class GapFilter(admin.SimpleListFilter):
    """By whether a number is missing."""

    title, parameter_name = _("gap"), "gap"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the one question."""
        return [("yes", _("a number is missing"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep series that are not complete."""
        return queryset.exclude(COMPLETE) if self.value() else queryset


class LineInline(ReadOnlyInline):
    """The lines."""

    model = DocumentLine
    fields = readonly_fields = (
        "no",
        "what",
        "supply_month",
        "country",
        "cdrs",
        "energy_kwh",
        "vat",
        "amount",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[DocumentLine]:
        """Fetch the cells, fees and parties along."""
        rows = super().get_queryset(request)
        return rows.select_related("cell__cpo", "cell__emsp", "fee", "document__period")

    @admin.display(description=_("what"))
    def what(self, line: DocumentLine) -> str:
        """Return who is on the other end of a cell, or what a fee is for."""
        if line.cell is None:
            return line.fee.text if line.fee else "-"
        payable = line.side == DocumentLine.Side.PAYABLE
        return str(line.cell.emsp if payable else line.cell.cpo)

    @admin.display(description=_("month of supply"))
    def supply_month(self, line: DocumentLine) -> str:
        """Return the month of supply."""
        month = line.cell.supply_month if line.cell else line.document.period.month
        return f"{month:%Y-%m}"

    @admin.display(description=_("country"))
    def country(self, line: DocumentLine) -> str:
        """Return the country of supply."""
        return line.cell.country if line.cell else ""

    @admin.display(description=_("CDRs"))
    def cdrs(self, line: DocumentLine) -> int | str:
        """Return how many CDRs the line adds up."""
        return line.cell.cdr_count if line.cell else ""

    @admin.display(description=_("energy (kWh)"))
    def energy_kwh(self, line: DocumentLine) -> str:
        """Return the energy."""
        return f"{line.cell.energy_kwh:f}" if line.cell else ""

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


class DocumentAdmin(ReadOnlyAdmin):
    """The register of documents, with their files."""

    list_display = (
        *("number", "kind", "regime", "party", "period", "issued_on", "due_on", "currency"),
        *("net_amount", "tax_amount", "gross_amount", "corrections", "downloads"),
    )
    list_filter = (
        *("kind", RegimeFilter, CorrectedFilter, "currency", "issued_on"),
        *("period", ("party", admin.RelatedOnlyFieldListFilter)),
    )
    list_select_related = ("party", "period", "corrected")
    search_fields = ("number", "party__name", "party__party_id", "hash")
    show_full_result_count = False
    inlines = (LineInline, TaxInline)
    fields = readonly_fields = (
        *("number", "series_link", "kind", "regime", "period", "party", "supplier", "customer"),
        *("currency", "issued_on", "due_on", "net_amount", "tax_amount", "gross_amount"),
        *("corrections", "downloads", "digests", "chain", "as_json"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        """Fetch the files along, without their contents."""
        rows: QuerySet[Document] = super().get_queryset(request)
        files = Prefetch("files", DocumentFile.objects.defer("content"))
        notes = Prefetch("credit_notes", Document.objects.only("number", "corrected"))
        return rows.prefetch_related(files, notes)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say above the list whether a number is missing in any series."""
        context = {"subtitle": gap_check(), **(extra_context or {})}
        return super().changelist_view(request, context)

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
        return attachment(bytes(file.content), file.name, file.content_type)

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

    @admin.display(description=_("regime"))
    def regime(self, document: Document) -> str:
        """Return under what law it stands."""
        return str(Regime(document.snapshot["regime"]).label)

    @admin.display(description=_("corrects / corrected by"))
    def corrections(self, document: Document) -> SafeString:
        """Return links to what it corrects, or to the credit notes that correct it."""
        others = [document.corrected] if document.corrected else document.credit_notes.all()
        links = [(_page_of(other), other.number) for other in others]
        return format_html_join(", ", '<a href="{}">{}</a>', links)

    @admin.display(description=_("series"))
    def series_link(self, document: Document) -> SafeString:
        """Return a link to the numbers it is one of."""
        page = reverse("admin:settlement_series_change", args=[document.series_id])
        return format_html('<a href="{}">{}</a>', page, document.series)

    @admin.display(description=_("chain"))
    def chain(self, document: Document) -> SafeString:
        """Return its place in the chain of all documents, and the hashes that make it."""
        told = [
            (_("place"), document.chain_no),
            (_("before"), document.prev_hash),
            (_("snapshot"), document.snapshot_sha256),
            (_("e-invoice"), document.xml_sha256 or "-"),
            (_("hash"), document.hash),
        ]
        return format_html_join("", "<div>{}: <code>{}</code></div>", told)

    @admin.display(description=_("files"))
    def downloads(self, document: Document) -> SafeString:
        """Return a link per file."""
        files = [
            (_file_url(document, file), file.get_kind_display()) for file in document.files.all()
        ]
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


def _page_of(document: Document) -> str:
    return reverse("admin:settlement_document_change", args=[document.pk])


def _file_url(document: Document, file: DocumentFile) -> str:
    return reverse("admin:settlement_document_file", args=[document.pk, file.kind])


class SeriesAdmin(ReadOnlyAdmin):
    """The series of numbers, each with the check that none is missing."""

    list_display = ("__str__", "kind", "party", "year", "last_no", "documents", "complete")
    list_filter = (GapFilter, "kind", "year", ("party", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("party",)
    search_fields = ("prefix", "party__name", "party__party_id")
    fields = readonly_fields = (
        *("party", "kind", "year", "prefix", "last_no", "documents", "complete", "numbers"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Series]:
        """Count the documents in the same query."""
        return counted()

    @admin.display(description=_("documents"))
    def documents(self, series: Any) -> int:
        """Return how many documents it has."""
        return int(series.found)

    @admin.display(description=_("complete"), boolean=True)
    def complete(self, series: Any) -> bool:
        """Tell whether it runs from 1 to its last number."""
        return bool(series.found == series.highest == series.last_no)

    @admin.display(description=_("numbers"))
    def numbers(self, series: Series) -> SafeString:
        """Return a link per number that was given, and the ones that are missing in words."""
        there = {document.seq: document for document in series.documents.only("seq", "number")}
        told = [_number(series, seq, there.get(seq)) for seq in range(1, series.last_no + 1)]
        return format_html_join(" ", "{}", [(text,) for text in told])


def _number(series: Series, seq: int, document: Document | None) -> SafeString:
    if document is None:
        return format_html("<strong>{}: {}</strong>", series.number(seq), _("missing"))
    return format_html('<a href="{}">{}</a>', _page_of(document), document.number)


class LegalChannelAdmin(admin.ModelAdmin[LegalChannel]):
    """How invoices of a country's suppliers must travel, from a day on."""

    list_display = ("country", "channel", "valid_from", "note")
    list_filter = ("channel",)
    search_fields = ("country", "note")
