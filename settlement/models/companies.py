"""The companies that the hub settles with, and where they are registered for VAT."""

import datetime as dt

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import (
    RangeOperators,
)
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from parties.models import Party
from settlement.models.validity import ends_after_it_starts, validity

ANY, EUROPEAN_UNION = "*", "EU"
# fmt: off
EU = frozenset((
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
    "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
))
# fmt: on


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
