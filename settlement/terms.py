"""The desk of terms: companies, agreements, VAT rules."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from hub.readonly import ReadOnlyAdmin
from settlement.models import (
    Agreement,
    Fee,
    LegalEntity,
    SelfBillingAgreement,
    TaxRegistration,
    VatRule,
)

TERMS = (
    "supply_model",
    *("fee_percent", "fee_per_kwh", "fee_per_cdr", "fee_monthly", "fee_min", "fee_max"),
    *("contest_days", "claim_days", "statement_days", "due_days", "payout_days", "minimum_payout"),
    *("dispute_answer_days", "dispute_reply_days", "dispute_credit_days", "instant_ruling"),
    *("set_off", "guarantee", "limits", "note"),
)
WHOSE = ("kind", "party", "currency")


class AgreementForm(forms.ModelForm[Agreement]):
    """A version of an agreement; saving it ends the one before."""

    class Meta:
        model = Agreement
        fields = (*WHOSE, "valid_from", "valid_to", *TERMS)

    def clean(self) -> dict[str, Any]:
        """Refuse a version that begins before the last one does, or has an end that it crosses."""
        cleaned = super().clean() or {}
        whose = {name: cleaned.get(name) for name in WHOSE}
        begins = cleaned.get("valid_from")
        if self.instance.pk is None and begins and whose["party"]:
            others = Agreement.objects.filter(**whose)
            if others.filter(valid_from__gte=begins).exists():
                self.add_error("valid_from", _("A later version exists already."))
            elif others.filter(valid_to__gt=begins).exists():
                self.add_error("valid_from", _("The version before has an end after this day."))
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """Leave the overlap to us: the database ends the version before when this one is saved."""
        return {*super()._get_validation_exclusions(), "kind"}  # type: ignore[misc]


@admin.register(Agreement)
class AgreementAdmin(admin.ModelAdmin[Agreement]):
    """Agreements: never edited but for their end; other terms are a new version."""

    form = AgreementForm
    list_display = (
        *("party", "kind", "currency", "version", "valid_from", "valid_to"),
        *("fee_percent", "minimum_payout", "set_off", "guarantee", "new_version"),
    )
    list_filter = ("kind", "currency", "set_off", "guarantee")
    list_select_related = ("party",)
    search_fields = ("party__name", "party__party_id")
    autocomplete_fields = ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Let only the end of an agreement be changed."""
        return () if obj is None else (*WHOSE, "version", "valid_from", *TERMS)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: an agreement ends, it is not deleted."""
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin a new version with the terms of the one that it follows."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        before = request.GET.get("from", "")
        agreement = Agreement.objects.filter(pk=before).first() if before.isdigit() else None
        if agreement is None:
            return initial
        return {name: getattr(agreement, name) for name in (*WHOSE, *TERMS)} | {
            "party": agreement.party_id
        }

    @admin.display(description=_("change"))
    def new_version(self, agreement: Agreement) -> SafeString:
        """Return the way to other terms."""
        url = f"{reverse('admin:settlement_agreement_add')}?from={agreement.pk}"
        return format_html('<a href="{}">{}</a>', url, _("New version"))


class TaxRegistrationInline(admin.TabularInline[TaxRegistration, LegalEntity]):
    """Tax numbers in other countries."""

    model = TaxRegistration
    extra = 0


@admin.register(LegalEntity)
class LegalEntityAdmin(admin.ModelAdmin[LegalEntity]):
    """Companies."""

    list_display = ("name", "party", "country", "vat_id", "city", "document_regime")
    list_filter = ("country", "regime")
    list_select_related = ("party",)
    search_fields = ("name", "vat_id", "party__party_id")
    inlines = (TaxRegistrationInline,)


@admin.register(SelfBillingAgreement)
class SelfBillingAgreementAdmin(admin.ModelAdmin[SelfBillingAgreement]):
    """Self-billing agreements."""

    list_display = ("supplier", "valid_from", "valid_to", "acceptance", "silence_days", "signed_on")
    list_filter = ("acceptance",)
    list_select_related = ("supplier",)
    search_fields = ("supplier__name",)


@admin.register(VatRule)
class VatRuleAdmin(admin.ModelAdmin[VatRule]):
    """VAT rules."""

    list_display = (
        *("supplier_country", "customer_country", "supply_country", "dealer", "subject"),
        *("category", "rate", "vatex", "mention", "valid_from", "valid_to"),
    )
    list_filter = ("category", "subject", "supplier_country", "customer_country")


@admin.register(Fee)
class FeeAdmin(ReadOnlyAdmin):
    """Fees of the hub."""

    list_display = ("period", "party", "role", "currency", "basis", "quantity", "rate", "net")
    list_filter = ("period", "currency", "basis", "role")
    list_select_related = ("period", "party")
