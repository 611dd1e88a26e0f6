"""Tokens, sessions and CDRs for the hub's staff."""

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from cdrs import claims
from cdrs.exceptions_admin import ExceptionActions, HeldForFilter
from cdrs.models import (
    Authorization,
    Cdr,
    Decision,
    Finding,
    Norm,
    RuleParameters,
    Session,
    Token,
    Verdict,
)
from cdrs.pricing import Refused
from cdrs.pricing.explanation import explain
from cdrs.pricing.rendering import as_html
from hub.readonly import ReadOnlyAdmin, ReadOnlyInline, pretty
from parties.admin import ObjectAdmin


class FindingInline(ReadOnlyInline):
    """What the rules said of a CDR."""

    model = Finding
    fields = ("code", "severity", "text", "found_at", "cleared_at", "decision")


class VerdictInline(ReadOnlyInline):
    """Every time it was judged."""

    model = Verdict
    fields = ("at", "cause", "rules", "held", "cost_verdict", "computed_excl_vat", "difference")
    show_change_link = True


class DecisionInline(ReadOnlyInline):
    """What people have decided."""

    model = Decision
    fields = ("at", "action", "person", "reason")


@admin.register(Authorization)
class AuthorizationAdmin(ReadOnlyAdmin):
    """What eMSPs have said when they were asked."""

    list_display = ("at", "cpo", "emsp", "token_type", "location_uid", "allowed", "status_code")
    list_filter = ("allowed", "token_type", "emsp")
    list_select_related = ("cpo", "emsp")
    search_fields = ("token_uid", "reference")


@admin.register(Cdr)
class CdrAdmin(ExceptionActions, ObjectAdmin):
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
    list_filter = ("state", HeldForFilter, "period", "currency", "owner", "findings__code")
    list_select_related = ("owner", "emsp", "period")
    search_fields = ("uid", "session_uid")
    inlines = (FindingInline, DecisionInline, VerdictInline)
    readonly_fields = ("amount", "comparison", "explanation", "as_json")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("uid", "state", "period"),
                    ("owner", "emsp", "received_at"),
                    ("started_at", "ended_at", "session_uid"),
                    ("energy_kwh", "amount", "credit_of"),
                )
            },
        ),
        (_("Price"), {"fields": ("comparison", "explanation")}),
        (_("As it was sent"), {"fields": ("digest", "as_json")}),
    )

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

    @admin.display(description=_("claimed beside computed"))
    def comparison(self, cdr: Cdr) -> SafeString | str:
        """Return the figures side by side, or why there are none."""
        try:
            assessment = claims.assessed(cdr)
        except Refused as error:
            return _("The hub cannot price it: %s") % error
        return render_to_string("admin/cdrs/comparison.html", {"assessment": assessment})

    @admin.display(description=_("explanation"))
    def explanation(self, cdr: Cdr) -> SafeString | str:
        """Return how the hub came to its figures."""
        try:
            return SafeString(as_html(explain(claims.assessed(cdr).account)))
        except Refused:
            return "-"


@admin.register(Verdict)
class VerdictAdmin(ReadOnlyAdmin):
    """Verdicts, with all that they were based on."""

    list_display = ("cdr", "at", "cause", "rules", "held", "cost_verdict", "difference")
    list_filter = ("cause", "held", "cost_verdict", "rules")
    list_select_related = ("cdr__owner",)
    search_fields = ("cdr__uid",)
    exclude = ("findings", "context", "tariffs")
    readonly_fields = ("found", "known", "added")

    @admin.display(description=_("findings"))
    def found(self, verdict: Verdict) -> SafeString:
        """Return what the rules said."""
        return pretty(verdict.findings)

    @admin.display(description=_("what was known"))
    def known(self, verdict: Verdict) -> SafeString:
        """Return what the rules were told."""
        return pretty(verdict.context)

    @admin.display(description=_("tariffs of the hub"))
    def added(self, verdict: Verdict) -> SafeString | str:
        """Return the tariffs that the CDR has not in it."""
        return pretty(verdict.tariffs) if verdict.tariffs else "-"


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """What people have decided about held CDRs."""

    list_display = ("at", "action", "cdr", "person", "reason")
    list_filter = ("action", "person")
    list_select_related = ("cdr__owner", "person")
    search_fields = ("cdr__uid", "reason")


@admin.register(RuleParameters)
class RuleParametersAdmin(admin.ModelAdmin[RuleParameters]):
    """What agreements set of the rules' parameters."""

    list_display = ("cpo", "emsp", "valid_from", "valid_to", "values")
    list_filter = ("cpo", "emsp")
    list_select_related = ("cpo", "emsp")


@admin.register(Norm)
class NormAdmin(ReadOnlyAdmin):
    """What is usual for the CPOs."""

    list_display = ("owner", "currency", "cdrs", "per_kwh", "kwh", "hours", "measured_at")
    list_select_related = ("owner",)


class StuckFilter(admin.SimpleListFilter):
    """Sessions that seem to have been forgotten by their CPOs."""

    title = _("in progress")
    parameter_name = "stuck"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices."""
        return [
            ("1", _("nothing told for three days")),
            ("unbilled", _("completed a week ago, and no CDR")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep those."""
        if self.value() == "unbilled":
            return queryset.unbilled(timezone.now())
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
