"""Letters: e-mails that are owed to somebody until they are sent."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Letter(models.Model):
    """An e-mail on its way. Its text may hold a secret link, and is forgotten once it is sent."""

    to = models.EmailField(_("to"))
    about = models.CharField(_("about"), max_length=40, help_text=_("what kind of letter it is"))
    subject = models.CharField(_("subject"), max_length=200)
    text = models.TextField(_("text"), blank=True, editable=False)
    html = models.TextField(_("HTML"), blank=True, editable=False)
    created_at = models.DateTimeField(_("written at"), default=timezone.now)
    due_at = models.DateTimeField(_("sent next at"), null=True, default=timezone.now)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    error = models.CharField(_("last error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("letter")
        verbose_name_plural = _("letters")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(sent_at=None) | models.Q(due_at=None), name="letter_sent_once"
            ),
            models.CheckConstraint(
                condition=models.Q(sent_at=None) | models.Q(text="", html=""),
                name="letter_sent_is_forgotten",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(due_at__isnull=False), name="letter_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.about} to {self.to}"
