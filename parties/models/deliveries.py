"""What receivers are owed."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from parties.models.network import Role


class Delivery(models.Model):
    """What one receiver is owed of one object: the wanted version and the acknowledged one.

    The body is rendered when it is sent, from the object as it is then.
    """

    class State(models.TextChoices):
        LIVE = "live", _("live")
        REJECTED = "rejected", _("refused by the receiver")
        PARKED = "parked", _("waiting for a person")

    receiver = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="deliveries")
    module = models.CharField(_("module"), max_length=36)
    object_id = models.BigIntegerField(_("object"))
    wanted = models.PositiveIntegerField(_("wanted version"))
    acknowledged = models.PositiveIntegerField(_("acknowledged version"), default=0)
    follows = models.BigIntegerField(  # of the same module: a credit follows its CDR
        _("object that comes first"), null=True
    )
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.LIVE)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    refusals = models.PositiveSmallIntegerField(_("refusals in a row"), default=0)
    doubtful = models.BooleanField(_("may have arrived unanswered"), default=False)
    owed_since = models.DateTimeField(_("owed since"), default=timezone.now)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)
    leased_until = models.DateTimeField(_("leased until"), null=True)
    acknowledged_at = models.DateTimeField(_("acknowledged at"), null=True)
    last_answer = models.CharField(_("last answer"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(
                fields=["receiver", "module", "object_id"], name="one_debt_per_object"
            ),
            models.CheckConstraint(
                condition=models.Q(acknowledged__lte=models.F("wanted")),
                name="acknowledged_at_most_wanted",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["live", "rejected", "parked"]),
                name="delivery_state_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(module="cdrs", state="rejected"),
                name="money_is_parked_not_dropped",
            ),
        ]
        indexes = [
            models.Index(  # what a drain and the sweep look for
                fields=["receiver", "next_attempt_at"],
                condition=models.Q(state="live", wanted__gt=models.F("acknowledged")),
                name="delivery_owed",
            ),
            models.Index(  # money never stands behind the rest
                fields=["receiver", "next_attempt_at"],
                condition=models.Q(
                    state="live", module="cdrs", wanted__gt=models.F("acknowledged")
                ),
                name="delivery_money_owed",
            ),
            models.Index(  # what waits for a person
                fields=["state", "owed_since"],
                condition=~models.Q(state="live"),
                name="delivery_given_up",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.module}/{self.object_id} to {self.receiver}"


class Tally(models.Model):
    """How often something has happened, counted by all processes together since the beginning."""

    name = models.CharField(_("what"), max_length=80, primary_key=True)
    total = models.BigIntegerField(_("how often"), default=0)

    class Meta:
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")

    def __str__(self) -> str:
        return f"{self.name}: {self.total}"
