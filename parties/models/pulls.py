"""What came of reading the partners' own lists."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from parties.models.network import Party, Platform


class PullQuerySet(models.QuerySet["Pull"]):
    """Readings of lists, the latest first."""

    def of_list(self, platform: Platform, party: Party, module: str) -> "PullQuerySet":
        """Keep those of one list."""
        return self.filter(platform=platform, party=party, module=module).order_by("-pk")


class Pull(models.Model):
    """One reading of a partner's list: from which instant on, how far, and what it held.

    `next_url` is where the next reading goes on when this one did not come to the end; then both
    have been begun when the first one was.
    """

    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="pulls")
    party = models.ForeignKey(Party, on_delete=models.CASCADE, related_name="+")
    module = models.CharField(_("module"), max_length=36)
    began_at = models.DateTimeField(_("begun at"), default=timezone.now)
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    covers_from = models.DateTimeField(_("what changed since"), null=True)
    complete = models.BooleanField(_("to the end"), default=False)
    pages = models.PositiveIntegerField(_("pages"), default=0)
    taken = models.PositiveIntegerField(_("new or changed"), default=0)
    unchanged = models.PositiveIntegerField(_("known"), default=0)
    refused = models.PositiveIntegerField(_("refused"), default=0)
    ignored = models.PositiveIntegerField(_("ignored"), default=0)
    error = models.CharField(_("stopped by"), max_length=255, blank=True)
    refusals = models.TextField(_("the first that were refused"), blank=True)
    next_url = models.CharField(max_length=1000, blank=True, editable=False)

    objects = PullQuerySet.as_manager()

    class Meta:
        verbose_name = _("reading of a list")
        verbose_name_plural = _("readings of lists")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(complete=False) | models.Q(error="", next_url=""),
                name="complete_pull_has_no_rest",
            )
        ]
        indexes = [
            models.Index(fields=["platform", "party", "module", "-id"], name="pull_of_a_list"),
            models.Index(fields=["started_at"], name="pull_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.module} of {self.party}"
