"""With whom the hub may settle, and on what terms: companies, agreements, VAT rules."""

import datetime as dt

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from parties.models import Party

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
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def lines(self) -> list[str]:
        """Return the address as it stands on a letter, without name and country."""
        town = f"{self.postal_code} {self.city}".strip()
        return [line.strip() for line in [*self.address.splitlines(), town] if line.strip()]


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
            ends_after_it_starts("self_billing_agreement_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.supplier}, {self.valid_from}"


class VatRuleQuerySet(models.QuerySet["VatRule"]):
    """VAT rules."""

    def applying(self, supplier: str, customer: str, on: dt.date) -> "VatRule | None":
        """Return the most specific rule for a supply between two countries on a day.

        The supplier's country decides first: a country beats the EU, the EU beats anywhere; then
        the customer's likewise. None means that nobody may guess.
        """
        return (
            self.filter(
                in_force(on),
                supplier_country__in=_names_of(supplier),
                customer_country__in=_names_of(customer),
            )
            .order_by(_vagueness("supplier_country"), _vagueness("customer_country"))
            .first()
        )


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

    supplier_country = models.CharField(
        _("country of the supplier"), max_length=2, help_text=_("two letters, EU or *")
    )
    customer_country = models.CharField(
        _("country of the customer"), max_length=2, help_text=_("two letters, EU or *")
    )
    valid_from = models.DateField(_("valid from"))
    valid_to = models.DateField(
        _("valid to"), null=True, blank=True, help_text=_("the first day it no longer holds")
    )
    category = models.CharField(_("category"), max_length=2, choices=Category.choices)
    rate = models.DecimalField(_("rate (%)"), max_digits=5, decimal_places=2, default=0)
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
                    (validity(), RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(
                condition=Q(
                    supplier_country__regex=r"^([A-Z]{2}|\*)$",
                    customer_country__regex=r"^([A-Z]{2}|\*)$",
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
