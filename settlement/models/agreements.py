"""On what terms the hub settles with parties: agreements, and those about self-billing."""

import datetime as dt
from typing import Any, ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import (
    ArrayField,
    RangeOperators,
)
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from cdrs.models.judging import parameter_problems
from hub.money import is_currency
from parties.models import Party, Role
from settlement.models.companies import LegalEntity
from settlement.models.validity import ends_after_it_starts, in_force, validity


def rule_limits(values: Any) -> None:
    """Refuse what are no parameters of the rules."""
    if problems := parameter_problems(values):
        raise ValidationError(problems)


def known_currency(code: str) -> None:
    """Refuse what is no currency."""
    if not is_currency(code):
        raise ValidationError(_("%(code)s is not a currency of ISO 4217") % {"code": code})


class AgreementQuerySet(models.QuerySet["Agreement"]):
    """Agreements."""

    def of(self, party: Party | int, kind: str, currency: str, on: dt.date) -> "Agreement | None":
        """Return the agreement of a party that holds on a day; one in the currency beats others."""
        found = self.filter(in_force(on), party=party, kind=kind, currency__in=["", currency])
        return found.order_by("-currency").first()

    def terms(self, party: Party | int, kind: str, currency: str, on: dt.date) -> "Agreement":
        """Return the same; where a party has none, one that says what is usual."""
        return self.of(party, kind, currency, on) or Agreement()


class Agreement(models.Model):
    """The terms on which a party trades through the hub, from a day on; one version of them.

    A version is never rewritten: other terms are a new row, and the old one ends where that
    begins. Which version holds for a CDR its start decides. Amounts of fees are in the currency
    that is settled. The database ends the one before, and sees to the rest (migration 0031).
    """

    class Kind(models.TextChoices):
        CPO = "cpo", _("with a CPO: the hub buys")
        EMSP = "emsp", _("with an eMSP: the hub sells")

    class Supply(models.TextChoices):
        PRINCIPAL = "principal", _("the hub buys and sells in its own name")
        AGENT = "agent", _("the CPO sells to the eMSP, the hub collects")

    ROLES: ClassVar = {Kind.CPO: Role.Kind.CPO, Kind.EMSP: Role.Kind.EMSP}

    kind = models.CharField(_("kind"), max_length=4, choices=Kind.choices)
    party = models.ForeignKey(
        Party, verbose_name=_("party"), on_delete=models.PROTECT, related_name="agreements"
    )
    supply_model = models.CharField(
        _("supply model"), max_length=9, choices=Supply.choices, default=Supply.PRINCIPAL
    )
    currency = models.CharField(
        _("currency"),
        max_length=3,
        blank=True,
        validators=[known_currency],
        help_text=_("empty: any"),
    )
    valid_from = models.DateField(_("valid from"))
    valid_to = models.DateField(
        _("valid to"), null=True, blank=True, help_text=_("the first day it no longer holds")
    )
    version = models.PositiveSmallIntegerField(_("version"), default=1, editable=False)
    fee_percent = models.DecimalField(
        _("fee (% of the net)"), max_digits=7, decimal_places=4, default=0
    )
    fee_per_kwh = models.DecimalField(_("fee per kWh"), max_digits=12, decimal_places=6, default=0)
    fee_per_cdr = models.DecimalField(_("fee per CDR"), max_digits=12, decimal_places=6, default=0)
    fee_monthly = models.DecimalField(
        _("fee per month"),
        max_digits=12,
        decimal_places=4,
        default=0,
        help_text=_("in each currency in which there is something to settle"),
    )
    fee_min = models.DecimalField(
        _("least fee of a month"), max_digits=12, decimal_places=4, null=True, blank=True
    )
    fee_max = models.DecimalField(
        _("highest fee of a month"), max_digits=12, decimal_places=4, null=True, blank=True
    )
    contest_days = models.PositiveSmallIntegerField(_("days to contest a CDR"), default=14)
    claim_days = models.PositiveSmallIntegerField(
        _("days to dispute what is billed"), default=60, help_text=_("from the date of issue")
    )
    dispute_answer_days = models.PositiveSmallIntegerField(
        _("days to answer a dispute"), default=7, help_text=_("silence accepts the claim")
    )
    dispute_reply_days = models.PositiveSmallIntegerField(
        _("days to reply to an answer"), default=5, help_text=_("silence lets the claim lapse")
    )
    dispute_credit_days = models.PositiveSmallIntegerField(
        _("days to send the credit"), default=5, help_text=_("then the hub files it")
    )
    instant_ruling = models.BooleanField(
        _("instant ruling"),
        default=False,
        help_text=_("what the hub's own price proves is accepted at once"),
    )
    statement_days = models.PositiveSmallIntegerField(
        _("days to answer a statement"), default=3, help_text=_("silence is approval")
    )
    due_days = models.PositiveSmallIntegerField(
        _("days to pay"), default=14, help_text=_("from the date of issue; at most 30")
    )
    payout_days = models.PositiveSmallIntegerField(
        _("days to pay out"), default=3, help_text=_("from the due date")
    )
    minimum_payout = models.DecimalField(
        _("least payout"), max_digits=12, decimal_places=4, default=25
    )
    set_off = models.BooleanField(
        _("set-off"), default=False, help_text=_("what it owes is set off against what it is owed")
    )
    guarantee = models.BooleanField(
        _("guarantee"), default=False, help_text=_("paid out when due, even if the eMSP has not")
    )
    limits = models.JSONField(
        _("limits of the CDR rules"),
        default=dict,
        blank=True,
        validators=[rule_limits],
        help_text=_("those that differ, such as late_days"),
    )
    note = models.CharField(_("note"), max_length=200, blank=True)

    objects = AgreementQuerySet.as_manager()

    class Meta:
        verbose_name = _("agreement")
        verbose_name_plural = _("agreements")
        ordering = ["party", "kind", "currency", "valid_from"]
        constraints = [
            ExclusionConstraint(
                name="one_agreement_at_a_time",
                expressions=[
                    ("party", RangeOperators.EQUAL),
                    ("kind", RangeOperators.EQUAL),
                    ("currency", RangeOperators.EQUAL),
                    (validity(), RangeOperators.OVERLAPS),
                ],
            ),
            models.UniqueConstraint(
                fields=["party", "kind", "currency", "version"], name="one_agreement_per_version"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["cpo", "emsp"]), name="agreement_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(supply_model="principal"), name="agreement_hub_is_principal"
            ),
            models.CheckConstraint(
                condition=Q(
                    fee_percent__gte=0,
                    fee_percent__lte=100,
                    fee_per_kwh__gte=0,
                    fee_per_cdr__gte=0,
                    fee_monthly__gte=0,
                    minimum_payout__gte=0,
                ),
                name="agreement_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(fee_min=None) | Q(fee_max=None) | Q(fee_min__lte=F("fee_max")),
                name="agreement_fee_limits_in_order",
            ),
            models.CheckConstraint(condition=Q(due_days__lte=30), name="agreement_due_in_time"),
            models.CheckConstraint(
                condition=Q(dispute_answer_days__gte=1, dispute_answer_days__lte=60)
                & Q(dispute_reply_days__gte=1, dispute_reply_days__lte=60)
                & Q(dispute_credit_days__lte=60),
                name="agreement_dispute_days_in_bounds",
            ),
            ends_after_it_starts("agreement_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.party}, {self.kind} {self.currency or '*'}, version {self.version}"

    def clean(self) -> None:
        """Refuse a model that is not built."""
        if self.supply_model == self.Supply.AGENT:
            text = _("The hub cannot act as an agent yet: it buys and sells in its own name.")
            raise ValidationError({"supply_model": text})


class SelfBillingAgreement(models.Model):
    """A supplier's prior consent that the hub draws up its invoices (Directive 2006/112, 224)."""

    class Acceptance(models.TextChoices):
        EXPLICIT = "explicit", _("each invoice is accepted by the supplier")
        SILENCE = "silence", _("accepted by silence")

    supplier = models.ForeignKey(
        LegalEntity,
        verbose_name=_("supplier"),
        on_delete=models.PROTECT,
        related_name="self_billing_agreements",
    )
    valid_from = models.DateField(_("valid from"))
    valid_to = models.DateField(
        _("valid to"), null=True, blank=True, help_text=_("the first day it no longer holds")
    )
    acceptance = models.CharField(
        _("acceptance"), max_length=8, choices=Acceptance.choices, default=Acceptance.SILENCE
    )
    silence_days = models.PositiveSmallIntegerField(_("days of silence"), default=14)
    series_prefix = models.CharField(
        _("prefix of the numbers"), max_length=10, default="OCN", help_text=_("new series only")
    )
    document_sha256 = models.CharField(
        _("SHA-256 of the signed agreement"), max_length=64, blank=True
    )
    signed_on = models.DateField(_("signed on"), null=True, blank=True)
    supplier_signatory = models.CharField(
        _("signed for the supplier by"), max_length=100, blank=True
    )
    hub_signatory = models.CharField(_("signed for the hub by"), max_length=100, blank=True)
    countries = ArrayField(
        models.CharField(max_length=2),
        verbose_name=_("countries of supply"),
        default=list,
        blank=True,
        help_text=_("two letters each, with commas between; empty: all"),
    )
    no_own_invoices = models.BooleanField(
        _("no own invoices"),
        default=True,
        help_text=_("the supplier issues no invoices of its own for these supplies"),
    )
    reports_vat_changes = models.BooleanField(
        _("reports changes"),
        default=True,
        help_text=_("the supplier reports a change of its VAT id or status at once"),
    )
    outsourcing_told = models.BooleanField(
        _("outsourcing told"),
        default=False,
        help_text=_("the supplier knows who draws the invoices up for the hub"),
    )

    class Meta:
        verbose_name = _("self-billing agreement")
        verbose_name_plural = _("self-billing agreements")
        ordering = ["supplier", "valid_from"]
        constraints = [
            ExclusionConstraint(
                name="one_self_billing_agreement_at_a_time",
                expressions=[
                    ("supplier", RangeOperators.EQUAL),
                    (validity(), RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(
                condition=Q(acceptance__in=["explicit", "silence"]), name="acceptance_known"
            ),
            models.CheckConstraint(
                condition=Q(series_prefix__regex="^[A-Z0-9]{1,10}$"), name="series_prefix_plain"
            ),
            models.CheckConstraint(
                condition=Q(document_sha256__regex="^([0-9a-f]{64})?$"),
                name="self_billing_document_digest",
            ),
            ends_after_it_starts("self_billing_agreement_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.supplier}, {self.valid_from}"
