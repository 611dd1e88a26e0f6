"""Fees: what a party owes the hub for a month, besides what it buys."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from cdrs.models import Period
from parties.models import Party, Role


class Fee(models.Model):
    """A fee of one month: a quantity at a rate, and the rounded amount of it."""

    class Basis(models.TextChoices):
        PERCENT = "percent", _("per cent of the net amount")
        KWH = "kwh", _("per kWh")
        CDR = "cdr", _("per CDR")
        MONTHLY = "monthly", _("per month")

    period = models.ForeignKey(Period, on_delete=models.PROTECT, related_name="fees")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="fees")
    role = models.CharField(
        _("role"), max_length=4, choices=[(Role.Kind.CPO, "CPO"), (Role.Kind.EMSP, "eMSP")]
    )
    currency = models.CharField(_("currency"), max_length=3)
    basis = models.CharField(_("basis"), max_length=7, choices=Basis.choices)
    quantity = models.DecimalField(_("quantity"), max_digits=18, decimal_places=4)
    rate = models.DecimalField(_("rate"), max_digits=12, decimal_places=6)
    net = models.DecimalField(_("net"), max_digits=18, decimal_places=4)
    text = models.CharField(_("text"), max_length=200)

    class Meta:
        verbose_name = _("fee")
        verbose_name_plural = _("fees")
        ordering = ["party", "currency", "role", "basis"]
        constraints = [
            models.UniqueConstraint(
                fields=["period", "party", "role", "currency", "basis"], name="one_fee_per_basis"
            )
        ]

    def __str__(self) -> str:
        return f"{self.party}, {self.text}: {self.net} {self.currency}"
