"""Settlement cells: what a month's CDRs add up to, between two parties."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cdrs.models import Period
from parties.models import Party


class Cell(models.Model):
    """Everything that one CPO supplied to one eMSP in one month, country and currency.

    The CPO's line and the eMSP's line are this same cell. `total` is the exact sum of its CDRs,
    `net` is that sum rounded half up, once. Energy taken back by credits counts negative.
    """

    period = models.ForeignKey(Period, on_delete=models.PROTECT, related_name="cells")
    supply_month = models.DateField(_("month of supply"))
    cpo = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    emsp = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    country = models.CharField(_("country of supply"), max_length=2, blank=True)
    currency = models.CharField(_("currency"), max_length=3)
    credit = models.BooleanField(_("credit"))
    corrects = models.ForeignKey(
        Period,
        verbose_name=_("corrects"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="corrections",
        help_text=_("the earlier month whose documents it corrects; empty: it nets in its own"),
    )
    cdr_count = models.PositiveIntegerField(_("CDRs"))
    energy_kwh = models.DecimalField(_("energy (kWh)"), max_digits=18, decimal_places=4)
    total = models.DecimalField(_("exact total"), max_digits=18, decimal_places=4)
    decimals = models.PositiveSmallIntegerField(_("decimals of the currency"))
    net = models.DecimalField(_("net"), max_digits=18, decimal_places=4)

    class Meta:
        verbose_name = _("settlement cell")
        verbose_name_plural = _("settlement cells")
        ordering = ["cpo", "currency", "emsp", "supply_month", "country", "credit"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    *("period", "cpo", "currency", "emsp", "supply_month", "country"),
                    *("credit", "corrects"),
                ],
                nulls_distinct=False,
                name="one_cell_per_key",
            ),
            models.CheckConstraint(
                condition=Q(net=models.Func("total", "decimals", function="round")),
                name="cell_net_is_its_total_rounded",
            ),
            models.CheckConstraint(
                condition=Q(decimals__lte=4, cdr_count__gt=0), name="cell_is_not_empty"
            ),
        ]
        indexes = [models.Index(fields=["period", "emsp", "currency"], name="cell_of_emsp")]

    def __str__(self) -> str:
        return f"{self.cpo} → {self.emsp}, {self.supply_month:%Y-%m}, {self.net} {self.currency}"
