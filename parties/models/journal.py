"""The message journal, and what the hub has learned about how a platform speaks."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex, OpClass
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from parties.models.network import Platform

FAILED = (
    models.Q(http_status__isnull=True)
    | models.Q(http_status__gte=300)
    | models.Q(status_code__gte=2000)
)


class Exchange(models.Model):
    """One request and its answer, in or out, as support staff may see it.

    Bodies and paths are masked before they come here: no token, and of a driver's id only a keyed
    hash, which `drivers` repeats for the search.
    """

    class Direction(models.TextChoices):
        IN = "in", _("from a partner")
        OUT = "out", _("to a partner")

    direction = models.CharField(_("direction"), max_length=3, choices=Direction.choices)
    at = models.DateTimeField(_("at"), default=timezone.now)
    milliseconds = models.PositiveIntegerField(_("took (ms)"))
    platform = models.ForeignKey(
        Platform, on_delete=models.CASCADE, null=True, related_name="exchanges"
    )
    module = models.CharField(_("module"), max_length=36, blank=True)
    interface = models.CharField(_("interface"), max_length=8, blank=True)
    method = models.CharField(_("method"), max_length=7)
    path = models.CharField(_("path"), max_length=500)
    request_id = models.CharField(_("request id"), max_length=255)
    correlation_id = models.CharField(_("correlation id"), max_length=255)
    sender = models.CharField(_("from"), max_length=6, blank=True)
    receiver = models.CharField(_("to"), max_length=6, blank=True)
    decision = models.CharField(_("routing decision"), max_length=255, blank=True)
    http_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    status_code = models.PositiveSmallIntegerField(_("OCPI status"), null=True)
    outcome = models.CharField(_("in words"), max_length=255, blank=True)
    request_body = models.TextField(_("request"), blank=True)
    answer_body = models.TextField(_("answer"), blank=True)
    drivers = ArrayField(
        models.CharField(max_length=12), verbose_name=_("drivers"), default=list, blank=True
    )

    class Meta:
        verbose_name = _("exchange")
        verbose_name_plural = _("message journal")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(direction__in=["in", "out"]), name="direction_known"
            )
        ]
        indexes = [
            BrinIndex(fields=["at"], name="exchange_by_time"),  # rows come in this order
            models.Index(fields=["correlation_id"], name="exchange_by_correlation"),
            models.Index(fields=["request_id"], name="exchange_by_request"),
            models.Index(fields=["platform", "-id"], name="exchange_of_platform"),
            GinIndex(fields=["drivers"], name="exchange_by_driver"),
            GinIndex(OpClass("path", "gin_trgm_ops"), name="exchange_by_path"),
            models.Index(fields=["-id"], condition=FAILED, name="exchange_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Quirk(models.Model):
    """A way in which a platform departs from the letter, that the hub copes with."""

    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="quirks")
    name = models.CharField(_("quirk"), max_length=40)
    example = models.CharField(_("example"), max_length=255, blank=True)
    count = models.PositiveIntegerField(_("times"), default=1)
    first_seen_at = models.DateTimeField(_("first seen"), default=timezone.now)
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now)

    class Meta:
        verbose_name = _("quirk")
        verbose_name_plural = _("quirks")
        ordering = ["platform", "name"]
        constraints = [
            models.UniqueConstraint(fields=["platform", "name"], name="one_row_per_quirk")
        ]

    def __str__(self) -> str:
        return self.name
