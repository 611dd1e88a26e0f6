"""Requests that the hub forwards and whose answer comes later, to a URL of the hub's."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Upper
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

    `state` is what became of the request, `result_state` what became of the last result: `results`
    counts them, and only the last one is brought on. `result_until` is when nobody waits any more:
    for a result to come, then for it to be brought. `content` is the result to the byte, as long as
    it is owed.
    """

    class State(models.TextChoices):
        RECEIVED = "received", _("received, perhaps passed on")
        ACCEPTED = "accepted", _("accepted, the result is awaited")
        OVERDUE = "overdue", _("accepted, the result is overdue")
        REFUSED = "refused", _("refused")
        TIMEOUT = "timeout", _("not answered in time")
        DONE = "done", _("the result has come")

    class ResultState(models.TextChoices):
        NONE = "", _("none")
        OWED = "owed", _("to be brought")
        BROUGHT = "brought", _("brought")
        REFUSED = "refused", _("refused by who asked")
        EXPIRED = "expired", _("not brought in time")

    TRANSITIONS: ClassVar = {
        State.RECEIVED: frozenset({State.ACCEPTED, State.REFUSED, State.TIMEOUT, State.DONE}),
        State.ACCEPTED: frozenset({State.OVERDUE, State.DONE}),
        State.OVERDUE: frozenset({State.DONE}),
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
    created_at = models.DateTimeField(_("received at"), default=timezone.now)
    forwarded_at = models.DateTimeField(_("passed on at"), null=True)
    answered_at = models.DateTimeField(_("answered at"), null=True)
    expires_at = models.DateTimeField(_("results are taken until"))

    results = models.PositiveSmallIntegerField(_("results so far"), default=0)
    result = ExactJSONField(_("result"), null=True)
    content = models.BinaryField(null=True, editable=False)
    result_state = models.CharField(
        _("its result"), max_length=8, choices=ResultState.choices, default="", blank=True
    )
    result_at = models.DateTimeField(_("result at"), null=True)
    result_until = models.DateTimeField(_("awaited or brought until"), null=True)
    attempts = models.PositiveSmallIntegerField(_("attempts to bring it"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True)
    leased_until = models.DateTimeField(_("leased until"), null=True)
    delivered_at = models.DateTimeField(_("result passed on at"), null=True)
    last_answer = models.CharField(_("what was said to it"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("forwarded request")
        verbose_name_plural = _("forwarded requests")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["received", "accepted", "overdue", "refused", "timeout", "done"]
                ),
                name="errand_state_known",
            ),
            models.CheckConstraint(
                condition=models.Q(result_state__in=["", "owed", "brought", "refused", "expired"]),
                name="errand_result_state_known",
            ),
            models.CheckConstraint(
                condition=models.Q(result_state="", result__isnull=True, results=0)
                | (~models.Q(result_state="") & models.Q(result__isnull=False, results__gt=0)),
                name="errand_result_has_a_state",
            ),
            models.CheckConstraint(
                condition=~models.Q(result_state="owed")
                | models.Q(
                    content__isnull=False,
                    result_until__isnull=False,
                    next_attempt_at__isnull=False,
                ),
                name="errand_owed_can_be_brought",
            ),
            models.CheckConstraint(
                condition=models.Q(result_state="brought", delivered_at__isnull=False)
                | (~models.Q(result_state="brought") & models.Q(delivered_at__isnull=True)),
                name="errand_brought_at_some_time",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="done") | ~models.Q(result_state=""),
                name="errand_done_has_a_result",
            ),
        ]
        indexes = [
            models.Index(Upper("subject"), "module", "action", name="errand_about"),
            models.Index(fields=["correlation_id"], name="errand_by_correlation"),
            models.Index(fields=["expires_at"], name="errand_by_expiry"),
            models.Index(  # what is brought next
                fields=["next_attempt_at"],
                condition=models.Q(result_state="owed"),
                name="errand_owed",
            ),
            models.Index(  # what the sweep has to end
                fields=["created_at"],
                condition=models.Q(state__in=["received", "accepted"]),
                name="errand_open",
            ),
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
