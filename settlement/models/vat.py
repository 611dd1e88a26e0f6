"""Which VAT applies: rules with the days on which they do."""

import datetime as dt
from functools import cache

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import (
    RangeOperators,
)
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from settlement.models.companies import ANY, EU, EUROPEAN_UNION, LegalEntity
from settlement.models.validity import ends_after_it_starts, in_force, validity


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
