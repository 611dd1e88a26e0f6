"""What somebody has typed about a dispute and not sent yet: it survives mistakes and log-outs."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from parties.models import Party
from settlement.models.disputes import Ask, Dispute, Reason
from settlement.models.evidence import LARGEST, Evidence

USER = settings.AUTH_USER_MODEL


class Draft(models.Model):
    """A dispute that a person is about to open; or, `about` one, the files of an answer to it.

    `cdrs` are the ids of the CDRs. `opened` is what came of it, so that nothing is opened twice.
    """

    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    about = models.ForeignKey(Dispute, on_delete=models.PROTECT, null=True, related_name="drafts")
    cdrs = models.JSONField(_("CDRs"), default=list)
    reason = models.CharField(_("reason"), max_length=21, choices=Reason.choices, blank=True)
    ask = models.CharField(_("what is asked for"), max_length=11, choices=Ask.choices, blank=True)
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4, null=True)
    message = models.TextField(_("message"), max_length=2000, blank=True)
    updated_at = models.DateTimeField(_("changed at"), default=timezone.now)
    opened = models.OneToOneField(
        Dispute, on_delete=models.PROTECT, null=True, related_name="opened_from"
    )

    class Meta:
        verbose_name = _("draft of a dispute")
        verbose_name_plural = _("drafts of disputes")
        ordering = ["-updated_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["about", "person"],
                condition=Q(about__isnull=False),
                name="one_draft_of_an_answer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk}"


class DraftFile(models.Model):
    """A file that will be evidence once its draft is sent; it was checked like evidence."""

    draft = models.ForeignKey(Draft, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(_("name"), max_length=100)
    content = models.BinaryField(_("content"))
    size = models.PositiveIntegerField(_("size (bytes)"))
    visible_to = models.CharField(
        _("visible to"),
        max_length=7,
        choices=Evidence.Audience.choices,
        default=Evidence.Audience.PARTIES,
    )

    class Meta:
        verbose_name = _("file of a draft")
        verbose_name_plural = _("files of drafts")
        ordering = ["pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(size__gt=0, size__lte=LARGEST), name="draft_file_not_too_large"
            ),
        ]

    def __str__(self) -> str:
        return self.name
