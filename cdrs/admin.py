"""Tokens, sessions and CDRs for the hub's staff."""

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cdrs.models import Authorization, Cdr, Finding, Session, Token
from hub.readonly import ReadOnlyAdmin, ReadOnlyInline
from parties.admin import ObjectAdmin


class FindingInline(ReadOnlyInline):
    """What the rules said of a CDR."""

    model = Finding
    fields = ("code", "severity", "text", "found_at", "cleared_at")


@admin.register(Authorization)
class AuthorizationAdmin(ReadOnlyAdmin):
    """What eMSPs have said when they were asked."""

    list_display = ("at", "cpo", "emsp", "token_type", "location_uid", "allowed", "status_code")
    list_filter = ("allowed", "token_type", "emsp")
    list_select_related = ("cpo", "emsp")
    search_fields = ("token_uid", "reference")


@admin.register(Cdr)
class CdrAdmin(ObjectAdmin):
    """CDRs with their verdict."""

    list_display = (
        "uid",
        "owner",
        "emsp",
        "state",
        "period",
        "ended_at",
        "energy_kwh",
        "amount",
        "reasons",
    )
    list_filter = ("state", "period", "currency", "owner", "findings__code")
    list_select_related = ("owner", "emsp", "period")
    search_fields = ("uid", "session_uid")
    inlines = (FindingInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cdr]:
        """Fetch the open findings along."""
        rows: QuerySet[Cdr] = super().get_queryset(request)
        open_findings = Finding.objects.filter(cleared_at__isnull=True)
        return rows.prefetch_related(Prefetch("findings", open_findings, to_attr="open_findings"))

    @admin.display(description=_("total excl. VAT"), ordering="total_excl_vat")
    def amount(self, cdr: Cdr) -> str:
        """Return the total with its currency."""
        return f"{cdr.total_excl_vat} {cdr.currency}"

    @admin.display(description=_("reasons"))
    def reasons(self, cdr: Any) -> str:
        """Return the codes of what was found."""
        return ", ".join(finding.code for finding in cdr.open_findings)


class StuckFilter(admin.SimpleListFilter):
    """Sessions that seem to have been forgotten by their CPOs."""

    title = _("in progress")
    parameter_name = "stuck"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the one choice."""
        return [("1", _("nothing told for three days"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep those."""
        return queryset.stuck(timezone.now()) if self.value() else queryset


@admin.register(Session)
class SessionAdmin(ObjectAdmin):
    """Sessions."""

    list_display = ("uid", "owner", "emsp", "status", "last_updated", "version")
    list_select_related = ("owner", "emsp")
    list_filter = (StuckFilter, "status", "owner")


@admin.register(Token)
class TokenAdmin(ObjectAdmin):
    """Tokens."""

    list_display = ("uid", "type", "owner", "contract_id", "valid", "last_updated")
    list_filter = ("type", "valid", "owner")
