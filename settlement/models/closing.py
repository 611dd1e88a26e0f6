"""The close of one month, as far as it has come."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cdrs.models import Period


class CloseRun(models.Model):
    """The one close of a period; written with the freeze, so that whoever resumes keeps its facts.

    `sums` has what was frozen: per currency the number of CDRs and their exact total. `times` has
    when each step was reached. Steps only go forward.
    """

    class Step(models.TextChoices):
        FROZEN = "frozen", _("CDRs frozen")
        CELLS = "cells", _("cells and fees made")
        STATEMENT = "statement", _("statements published")
        ISSUING = "issuing", _("statements answered")
        ISSUED = "issued", _("documents issued")
        DONE = "done", _("every document has its files")

    period = models.OneToOneField(Period, on_delete=models.PROTECT, related_name="close_run")
    step = models.CharField(_("step"), max_length=9, choices=Step.choices, default=Step.FROZEN)
    issued_on = models.DateField(
        _("date of issue"), help_text=_("of every document of the month; planned until then")
    )
    rolled = models.PositiveIntegerField(_("CDRs moved out of the month and held"), default=0)
    released = models.PositiveIntegerField(_("CDRs released into the month"), default=0)
    sums = models.JSONField(_("what was frozen"), default=dict)
    times = models.JSONField(_("reached at"), default=dict)
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    heartbeat_at = models.DateTimeField(_("last sign of life"), default=timezone.now)

    class Meta:
        verbose_name = _("close")
        verbose_name_plural = _("closes")
        permissions = [("close_period", _("Can close a month"))]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    step__in=["frozen", "cells", "statement", "issuing", "issued", "done"]
                ),
                name="close_step_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.period}: {self.get_step_display()}"

    def reached(self, step: str) -> None:
        """Note how far the close has come, and that somebody is at it; it never goes back."""
        steps, now = self.Step.values, timezone.now()
        self.heartbeat_at = now
        if step not in self.times:
            self.times = {**self.times, str(step): now.isoformat()}
        self.step = max(self.step, step, key=steps.index)
        self.save(update_fields=["step", "times", "heartbeat_at"])
