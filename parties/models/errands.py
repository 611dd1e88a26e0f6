"""Requests that the hub forwards and whose answer comes later, to a URL of the hub's."""

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hub.fields import ExactJSONField
from hub.states import Stateful
from parties.models.network import Role


class Errand(Stateful):
    """A command, or a request about a charging profile: asked, answered, its result awaited.

    The result comes to a URL with a secret, of which only the digest is kept. It may come more
    than once (a reservation is cancelled by the CPO), until the errand expires. `fingerprint` is
    that of the request as it came in: for a day the same one is not passed on again.
    """

    class State(models.TextChoices):
        RECEIVED = "received", _("received")
        ACCEPTED = "accepted", _("accepted, the result is awaited")
        REFUSED = "refused", _("refused")
        TIMEOUT = "timeout", _("not answered in time")
        DONE = "done", _("the result has come")

    TRANSITIONS: ClassVar = {
        State.RECEIVED: frozenset({State.ACCEPTED, State.REFUSED, State.TIMEOUT, State.DONE}),
        State.ACCEPTED: frozenset({State.DONE}),
        State.TIMEOUT: frozenset({State.DONE}),
        State.DONE: frozenset({State.DONE}),
        State.REFUSED: frozenset(),
    }

    digest = models.BinaryField(unique=True, editable=False)
    fingerprint = models.BinaryField(unique=True, null=True, editable=False)
    module = models.CharField(_("module"), max_length=36)
    action = models.CharField(_("what"), max_length=40)
    sender = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="+")
    receiver = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(_("about"), max_length=39, blank=True)
    response_url = models.CharField(_("where the result goes"), max_length=255)
    correlation_id = models.CharField(_("correlation id"), max_length=255)
    state = models.CharField(
        _("state"), max_length=8, choices=State.choices, default=State.RECEIVED
    )
    answer = ExactJSONField(_("answer"), null=True)
    result = ExactJSONField(_("result"), null=True)
    created_at = models.DateTimeField(_("asked at"), default=timezone.now)
    answered_at = models.DateTimeField(_("answered at"), null=True)
    results = models.PositiveSmallIntegerField(_("results so far"), default=0)
    result_at = models.DateTimeField(_("result at"), null=True)
    delivered_at = models.DateTimeField(_("result passed on at"), null=True)
    expires_at = models.DateTimeField(_("expires at"))

    class Meta:
        verbose_name = _("forwarded request")
        verbose_name_plural = _("forwarded requests")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["received", "accepted", "refused", "timeout", "done"]
                ),
                name="errand_state_known",
            )
        ]
        indexes = [
            models.Index(fields=["module", "action", "subject"], name="errand_by_subject"),
            models.Index(fields=["expires_at"], name="errand_by_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.action} from {self.sender} to {self.receiver}"


class FarPage(models.Model):
    """The next page of a list that a party reads from another one through the hub."""

    digest = models.BinaryField(unique=True, editable=False)
    module = models.CharField(_("module"), max_length=36)
    reader = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="+")
    owner = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="+")
    url = models.CharField(_("URL"), max_length=1000)
    expires_at = models.DateTimeField(_("expires at"))

    class Meta:
        verbose_name = _("far page")
        verbose_name_plural = _("far pages")
        indexes = [models.Index(fields=["expires_at"], name="far_page_by_expiry")]

    def __str__(self) -> str:
        return f"{self.module} of {self.owner} for {self.reader}"
