"""With whom the hub may settle, and on what terms: companies, agreements, VAT rules."""

import datetime as dt
from functools import cache
from typing import Any, ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import (
    ArrayField,
    DateRangeField,
    RangeBoundary,
    RangeOperators,
)
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from cdrs.models.judging import parameter_problems
from hub.money import is_currency
from parties.models import Party, Role

ANY, EUROPEAN_UNION = "*", "EU"
# fmt: off
EU = frozenset((
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
    "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
))
# fmt: on


class DateRange(models.Func):
    """PostgreSQL's daterange(from, to, bounds)."""

    function = "daterange"
    output_field = DateRangeField()


def validity() -> DateRange:
    """Return the days from valid_from up to, not including, valid_to."""
    return DateRange("valid_from", "valid_to", RangeBoundary())


def in_force(day: dt.date) -> Q:
    """Return the condition that a row holds on a day."""
    return Q(Q(valid_to=None) | Q(valid_to__gt=day), valid_from__lte=day)


def ends_after_it_starts(name: str) -> models.CheckConstraint:
    """Return the constraint that a validity is not empty."""
    return models.CheckConstraint(
        condition=Q(valid_to=None) | Q(valid_to__gt=F("valid_from")), name=name
    )


class LegalEntityQuerySet(models.QuerySet["LegalEntity"]):
    """Companies."""

    def complete(self) -> "LegalEntityQuerySet":
        """Keep those that say enough to stand on an invoice; in the EU that includes a VAT id."""
        return self.exclude(address="").exclude(city="").exclude(country__in=EU, vat_id="")


class LegalEntity(models.Model):
    """The company behind a party; the one without a party is the hub's own."""

    party = models.OneToOneField(
        Party,
        verbose_name=_("party"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="legal_entity",
        help_text=_("empty: the hub itself"),
    )
    name = models.CharField(_("name"), max_length=100)
    address = models.TextField(_("address"), blank=True, help_text=_("street, line by line"))
    postal_code = models.CharField(_("postal code"), max_length=10, blank=True)
    city = models.CharField(_("city"), max_length=60, blank=True)
    country = models.CharField(_("country"), max_length=2, help_text=_("ISO 3166-1, two letters"))
    vat_id = models.CharField(_("VAT id"), max_length=20, blank=True)
    registration = models.CharField(_("company registration"), max_length=40, blank=True)
    iban = models.CharField(
        _("IBAN"),
        max_length=34,
        blank=True,
        help_text=_("or the account number where there is no IBAN"),
    )
    account_name = models.CharField(_("account holder"), max_length=70, blank=True)

    class Regime(models.TextChoices):
        """By which rules documents from and to it are made."""

        EU_VAT = "EU_VAT", _("EU VAT invoices")
        GB_CH_NO = "GB_CH_NO", _("VAT invoices of the UK, Switzerland and Norway")
        US_STATEMENT = "US_STATEMENT", _("settlement statements, no VAT")
        CA_GST = "CA_GST", _("invoices with GST, HST and QST")
        LATAM_PROFORMA = "LATAM_PROFORMA", _("pro forma, the country clears the invoices")
        OTHER = "OTHER", _("pro forma")

    regime = models.CharField(
        _("document regime"),
        max_length=14,
        choices=Regime.choices,
        blank=True,
        help_text=_("empty: that of its country"),
    )
    dealer_from = models.DateField(
        _("taxable dealer from"),
        null=True,
        blank=True,
        help_text=_("certificate of a reseller of electricity (Article 38 of 2006/112/EC)"),
    )
    dealer_to = models.DateField(
        _("taxable dealer to"), null=True, blank=True, help_text=_("the first day it no longer is")
    )

    objects = LegalEntityQuerySet.as_manager()

    class Meta:
        verbose_name = _("legal entity")
        verbose_name_plural = _("legal entities")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["party"], nulls_distinct=False, name="one_legal_entity_each"
            ),
            models.CheckConstraint(
                condition=Q(country__regex="^[A-Z]{2}$"), name="entity_country_in_upper_case"
            ),
            models.CheckConstraint(
                condition=Q(dealer_to=None) | Q(dealer_to__gt=F("dealer_from")),
                name="entity_dealer_not_empty",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def lines(self) -> list[str]:
        """Return the address as it stands on a letter, without name and country."""
        town = f"{self.postal_code} {self.city}".strip()
        return [line.strip() for line in [*self.address.splitlines(), town] if line.strip()]

    @property
    def document_regime(self) -> str:
        """Return by which rules documents from and to it are made."""
        return self.regime or REGIMES.get(self.country, self.Regime.OTHER)

    def is_dealer(self, on: dt.date) -> bool:
        """Tell whether it is a certified reseller of electricity on a day."""
        begun = self.dealer_from is not None and self.dealer_from <= on
        return begun and (self.dealer_to is None or on < self.dealer_to)


REGIMES = {
    **dict.fromkeys(EU, LegalEntity.Regime.EU_VAT),
    **dict.fromkeys(("GB", "CH", "NO", "LI", "IS"), LegalEntity.Regime.GB_CH_NO),
    **dict.fromkeys(("US", "PR"), LegalEntity.Regime.US_STATEMENT),
    "CA": LegalEntity.Regime.CA_GST,
    **dict.fromkeys(
        ("BR", "MX", "AR", "CL", "CO", "PE", "EC", "UY", "PY", "BO", "CR", "PA", "GT", "DO"),
        LegalEntity.Regime.LATAM_PROFORMA,
    ),
}


class TaxRegistration(models.Model):
    """A tax number of a company in a country besides its own, for as long as it holds."""

    entity = models.ForeignKey(
        LegalEntity,
        verbose_name=_("legal entity"),
        on_delete=models.CASCADE,
        related_name="tax_registrations",
    )
    country = models.CharField(_("country"), max_length=2, help_text=_("ISO 3166-1, two letters"))
    number = models.CharField(_("tax number"), max_length=20)
    valid_from = models.DateField(_("valid from"))
    valid_to = models.DateField(
        _("valid to"), null=True, blank=True, help_text=_("the first day it no longer holds")
    )

    class Meta:
        verbose_name = _("tax registration")
        verbose_name_plural = _("tax registrations")
        ordering = ["entity", "country", "valid_from"]
        constraints = [
            ExclusionConstraint(
                name="one_tax_registration_at_a_time",
                expressions=[
                    ("entity", RangeOperators.EQUAL),
                    ("country", RangeOperators.EQUAL),
                    (validity(), RangeOperators.OVERLAPS),
                ],
            ),
            ends_after_it_starts("tax_registration_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.number}"


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


class VatRuleQuerySet(models.QuerySet["VatRule"]):
    """VAT rules."""

    def remembered(self) -> "VatRuleQuerySet":
        """Return the same rules, each looked up but once; for work during which none changes."""
        rules = self.all()
        rules.applying = cache(rules.applying)  # type: ignore[method-assign]
        return rules

    def applying(
        self,
        supplier: str,
        customer: str,
        on: dt.date,
        *,
        supply: str = ANY,
        dealer: bool = False,
        subject: str = "",
    ) -> "VatRule | None":
        """Return the most specific rule for a supply between two countries on a day.

        The supplier's country decides first: a country beats the EU, the EU beats anywhere; then
        the customer's likewise, then the country of the supply, then whether the customer is a
        certified dealer, then what is supplied. None means that nobody may guess.
        """
        return (
            self.filter(
                in_force(on),
                supplier_country__in=_names_of(supplier),
                customer_country__in=_names_of(customer),
                supply_country__in=_names_of(supply),
                dealer__in=["", "yes" if dealer else "no"],
                subject__in=["", subject],
            )
            .order_by(
                *map(_vagueness, ("supplier_country", "customer_country", "supply_country")),
                "-dealer",
                "-subject",
            )
            .first()
        )

    def between(
        self, supplier: LegalEntity, customer: LegalEntity, on: dt.date, supply: str = ANY
    ) -> "VatRule | None":
        """Return the rule for charging in a country, from one company to another on a day."""
        subject, dealer = VatRule.Subject.ELECTRICITY, customer.is_dealer(on)
        ends = (supplier.country, customer.country)
        return self.applying(*ends, on, supply=supply, dealer=dealer, subject=subject)

    def on_services(
        self, supplier: LegalEntity, customer: LegalEntity, on: dt.date
    ) -> "VatRule | None":
        """Return the rule for what one company does for another on a day, such as hub fees."""
        ends = (supplier.country, customer.country)
        return self.applying(*ends, on, subject=VatRule.Subject.SERVICES)


def _names_of(country: str) -> list[str]:
    return [country, *([EUROPEAN_UNION] if country in EU else []), ANY]


def _vagueness(column: str) -> models.Case:
    return models.Case(
        models.When(**{column: ANY}, then=2),
        models.When(**{column: EUROPEAN_UNION}, then=1),
        default=0,
    )


class VatRule(models.Model):
    """How a supply between two countries is taxed: data that an operator may change."""

    class Category(models.TextChoices):
        """UNCL 5305, as EN 16931 uses it."""

        STANDARD = "S", _("standard rate")
        REVERSE_CHARGE = "AE", _("reverse charge")
        ZERO = "Z", _("zero rate")
        EXEMPT = "E", _("exempt")
        OUTSIDE = "O", _("outside the scope of VAT")
        EXPORT = "G", _("export")

    class Subject(models.TextChoices):
        """What is supplied: goods, as charging is, or a service, as a fee is for."""

        ELECTRICITY = "electricity", _("charging")
        SERVICES = "services", _("fees and other services")

    supplier_country = models.CharField(
        _("country of the supplier"), max_length=2, help_text=_("two letters, EU or *")
    )
    customer_country = models.CharField(
        _("country of the customer"), max_length=2, help_text=_("two letters, EU or *")
    )
    supply_country = models.CharField(
        _("country of the supply"),
        max_length=2,
        default=ANY,
        help_text=_("two letters, EU or *"),
    )
    dealer = models.CharField(
        _("the customer is a dealer"),
        max_length=3,
        choices=[("yes", _("with a certificate")), ("no", _("without one"))],
        blank=True,
        help_text=_("empty: either way"),
    )
    subject = models.CharField(
        _("for"), max_length=11, choices=Subject.choices, blank=True, help_text=_("empty: both")
    )
    valid_from = models.DateField(_("valid from"))
    valid_to = models.DateField(
        _("valid to"), null=True, blank=True, help_text=_("the first day it no longer holds")
    )
    category = models.CharField(_("category"), max_length=2, choices=Category.choices)
    rate = models.DecimalField(_("rate (%)"), max_digits=5, decimal_places=2, default=0)
    vatex = models.CharField(
        _("VATEX code"),
        max_length=30,
        blank=True,
        help_text=_("reason why no VAT is charged, as EN 16931 has it, such as VATEX-EU-AE"),
    )
    mention = models.CharField(
        _("mention"), max_length=100, blank=True, help_text=_("printed on the document")
    )
    legal_reference = models.CharField(_("legal reference"), max_length=200, blank=True)

    objects = VatRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("VAT rule")
        verbose_name_plural = _("VAT rules")
        ordering = ["supplier_country", "customer_country", "valid_from"]
        constraints = [
            ExclusionConstraint(
                name="one_vat_rule_at_a_time",
                expressions=[
                    ("supplier_country", RangeOperators.EQUAL),
                    ("customer_country", RangeOperators.EQUAL),
                    ("supply_country", RangeOperators.EQUAL),
                    ("dealer", RangeOperators.EQUAL),
                    ("subject", RangeOperators.EQUAL),
                    (validity(), RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(
                condition=Q(
                    supplier_country__regex=r"^([A-Z]{2}|\*)$",
                    customer_country__regex=r"^([A-Z]{2}|\*)$",
                    supply_country__regex=r"^([A-Z]{2}|\*)$",
                    dealer__in=["", "yes", "no"],
                    subject__in=["", "electricity", "services"],
                ),
                name="vat_rule_countries_known",
            ),
            models.CheckConstraint(
                condition=Q(category="S", rate__gt=0)
                | Q(category__in=["AE", "Z", "E", "O", "G"], rate=0),
                name="vat_rate_fits_its_category",
            ),
            ends_after_it_starts("vat_rule_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.supplier_country} → {self.customer_country}: {self.category} {self.rate} %"
