"""What the nightly look at all invariants has found."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hub.fields import ExactJSONField


class Inspection(models.Model):
    """One run of all invariants: how many rows break one (the metric `invariant_failures`).

    `breaches` are the first of them, as `check_invariants --json` tells them.
    """

    at = models.DateTimeField(_("at"), default=timezone.now)
    seconds = models.FloatField(_("took (s)"))
    failures = models.PositiveIntegerField(_("breaches"))
    breaches = ExactJSONField(_("the first of them"), default=list)

    class Meta:
        verbose_name = _("inspection")
        verbose_name_plural = _("inspections")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}: {self.failures}"
