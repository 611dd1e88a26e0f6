"""The finance desk: months, documents, and the terms they are made on."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import PermissionDenied
from django.db.models import CharField, Count, OuterRef, Prefetch, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Cast, Coalesce, Concat
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from cdrs.models import Cdr, Period
from hub.readonly import ReadOnlyAdmin, ReadOnlyInline, pretty
from parties.models import Platform
from settlement import money_admin, tasks
from settlement.calendar import closable_from
from settlement.connections import ConnectionAdmin
from settlement.models import (
    Cell,
    Document,
    DocumentFile,
    DocumentLine,
    DocumentTax,
    LegalEntity,
    SelfBillingAgreement,
    VatRule,
)

admin.site.unregister(Platform)
admin.site.register(Platform, ConnectionAdmin)
money_admin.register(admin.site)


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


@admin.register(LegalEntity)
class LegalEntityAdmin(admin.ModelAdmin[LegalEntity]):
    """Companies."""

    list_display = ("name", "party", "country", "vat_id", "city", "iban")
    list_filter = ("country",)
    list_select_related = ("party",)
    search_fields = ("name", "vat_id", "party__party_id")


@admin.register(SelfBillingAgreement)
class SelfBillingAgreementAdmin(admin.ModelAdmin[SelfBillingAgreement]):
    """Self-billing agreements."""

    list_display = ("supplier", "valid_from", "valid_to", "acceptance", "silence_days")
    list_filter = ("acceptance",)
    list_select_related = ("supplier",)
    search_fields = ("supplier__name",)


@admin.register(VatRule)
class VatRuleAdmin(admin.ModelAdmin[VatRule]):
    """VAT rules."""

    list_display = (
        *("supplier_country", "customer_country", "category", "rate", "mention"),
        *("valid_from", "valid_to"),
    )
    list_filter = ("category", "supplier_country", "customer_country")


@admin.register(Period)
class PeriodAdmin(ReadOnlyAdmin):
    """Months: what is in them, and their close."""

    list_display = (
        *("__str__", "state", "cdrs", "held", "totals"),
        *("opened_at", "frozen_at", "closed_at"),
    )
    list_filter = ("state",)
    fields = readonly_fields = (
        *("month", "state", "cdrs", "held", "totals"),
        *("opened_at", "frozen_at", "closed_at", "close"),
    )
    change_form_template = "admin/settlement/period.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Period]:
        """Count and add up in the same query."""
        rows: QuerySet[Period] = super().get_queryset(request)
        return rows.select_related("close_run").annotate(
            cdr_count=Coalesce(_per_period(_settled(), Count("pk")), 0),
            held_count=Coalesce(_per_period(_held(), Count("pk")), 0),
            currency_totals=ArraySubquery(_totals()),
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the close."""
        route = path(
            "<int:period_id>/close",
            self.admin_site.admin_view(self.close_month),
            name="settlement_close_period",
        )
        return [route, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """Offer the close where it is possible."""
        period = context["original"]
        context["may_close"] = period.state == Period.State.OPEN and _may_close(request)
        return super().render_change_form(request, context, *args, **options)

    def close_month(self, request: HttpRequest, period_id: int) -> HttpResponse:
        """Ask once more, then have a worker close the month."""
        if not _may_close(request):
            raise PermissionDenied
        period = get_object_or_404(self.get_queryset(request), pk=period_id)
        if request.method == "POST":
            return self._closing(request, period)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Close this month"),
            "period": period,
            "closable_from": closable_from(period.month),
            "early": timezone.now() < closable_from(period.month),
        }
        return TemplateResponse(request, "admin/settlement/close_period.html", context)

    def _closing(self, request: HttpRequest, period: Period) -> HttpResponse:
        tasks.close_period.delay(period.pk)
        self.log_change(request, period, str(_("Close requested.")))
        self.message_user(request, _("The month is being closed."), messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:cdrs_period_change", args=[period.pk]))

    @admin.display(description=_("CDRs"))
    def cdrs(self, period: Any) -> int:
        """Return how many CDRs are settled in it."""
        return int(period.cdr_count)

    @admin.display(description=_("held"))
    def held(self, period: Any) -> int:
        """Return how many CDRs of the month are held."""
        return int(period.held_count)

    @admin.display(description=_("totals excl. VAT"))
    def totals(self, period: Any) -> str:
        """Return the exact totals per currency."""
        return ", ".join(period.currency_totals)

    @admin.display(description=_("close"))
    def close(self, period: Period) -> str:
        """Return how far the close has come."""
        return str(period.close_run) if hasattr(period, "close_run") else "-"


def _may_close(request: HttpRequest) -> bool:
    return request.user.has_perm("settlement.close_period")


def _settled() -> QuerySet[Cdr]:
    return Cdr.objects.filter(period=OuterRef("pk"), state=Cdr.State.ACCEPTED)


def _held() -> QuerySet[Cdr]:
    return Cdr.objects.filter(month=OuterRef("month"), state=Cdr.State.HELD)


def _per_period(cdrs: QuerySet[Cdr], what: Count) -> Subquery:
    return Subquery(cdrs.order_by().values("state").annotate(what=what).values("what"))


def _totals() -> QuerySet[Any, Any]:
    total = Cast(Sum("total_excl_vat"), CharField())
    grouped = _settled().order_by("currency").values("currency")
    return grouped.annotate(told=Concat("currency", Value(" "), total)).values("told")
