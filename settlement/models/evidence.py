"""What is shown for and against a claim, and how the hub rules about it."""

import hashlib
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cdrs.models import Cdr
from hub.states import Stateful
from parties.models import Party
from settlement.models.disputes import Dispute

USER = settings.AUTH_USER_MODEL
LARGEST = 10 * 1024 * 1024  # bytes of a file


class EvidenceQuerySet(models.QuerySet["Evidence"]):
    """Files of disputes."""

    def visible_to(self, party: Party) -> "EvidenceQuerySet":
        """Keep what a party may see, of disputes that are its own: not what is for the hub only."""
        own = Q(dispute__claimant=party) | Q(dispute__respondent=party)
        shown = Q(visible_to=Evidence.Audience.PARTIES, state=Evidence.State.CLEAN)
        return self.filter(own).filter(shown | Q(party=party))

    def quarantined(self) -> "EvidenceQuerySet":
        """Keep what nobody may open yet."""
        return self.filter(state=Evidence.State.QUARANTINED)


class Evidence(Stateful):
    """A file of a dispute, never changed: of a party, or sealed by the hub (`party` is empty then).

    It can be opened once it has been scanned.
    """

    class Type(models.TextChoices):
        PDF = "pdf", "PDF"
        PNG = "png", "PNG"
        JPEG = "jpeg", "JPEG"
        CSV = "csv", "CSV"
        TXT = "txt", _("text")
        XLSX = "xlsx", "XLSX"
        JSON = "json", "JSON"

    class State(models.TextChoices):
        QUARANTINED = "quarantined", _("being scanned")
        CLEAN = "clean", _("clean")
        REFUSED = "refused", _("refused")

    class Audience(models.TextChoices):
        PARTIES = "parties", _("both sides and the hub")
        HUB = "hub", _("only the hub and who has added it")

    class About(models.TextChoices):
        """What the hub seals."""

        FINDINGS = "findings", _("what the rules found")
        PRICE = "price", _("the price explained")
        TARIFF = "tariff", _("the tariff when the session started")
        SESSION = "session", _("the session")
        DUPLICATE = "duplicate", _("the CDRs of the same session")

    TRANSITIONS: ClassVar = {
        State.QUARANTINED: frozenset({State.CLEAN, State.REFUSED}),
        State.CLEAN: frozenset(),
        State.REFUSED: frozenset(),
    }

    dispute = models.ForeignKey(Dispute, on_delete=models.PROTECT, related_name="evidence")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, null=True, related_name="+")
    person = models.ForeignKey(USER, on_delete=models.PROTECT, null=True, related_name="+")
    name = models.CharField(_("name"), max_length=100)
    type = models.CharField(_("type"), max_length=4, choices=Type.choices)
    size = models.PositiveIntegerField(_("size (bytes)"))
    sha256 = models.CharField("SHA-256", max_length=64)
    content = models.BinaryField(_("content"))
    state = models.CharField(
        _("state"), max_length=11, choices=State.choices, default=State.QUARANTINED
    )
    problem = models.CharField(_("problem"), max_length=200, blank=True)
    visible_to = models.CharField(
        _("visible to"), max_length=7, choices=Audience.choices, default=Audience.PARTIES
    )
    sealed = models.BooleanField(_("sealed by the hub"), default=False)
    about = models.CharField(_("about"), max_length=9, choices=About.choices, blank=True)
    cdr = models.ForeignKey(Cdr, on_delete=models.PROTECT, null=True, related_name="+")
    added_at = models.DateTimeField(_("added at"), default=timezone.now)

    objects = EvidenceQuerySet.as_manager()

    class Meta:
        verbose_name = _("evidence")
        verbose_name_plural = _("evidence")
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(size__gt=0, size__lte=LARGEST), name="evidence_not_too_large"
            ),
            models.CheckConstraint(
                condition=Q(sealed=True, party=None, cdr__isnull=False, state="clean")
                | Q(sealed=False, party__isnull=False, about=""),
                name="evidence_sealed_by_the_hub",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["quarantined", "clean", "refused"]),
                name="evidence_state_known",
            ),
            models.UniqueConstraint(
                fields=["dispute", "sha256", "party"],
                nulls_distinct=False,
                name="evidence_added_once",
            ),
        ]
        indexes = [
            models.Index(fields=["party", "added_at"], name="evidence_of_party"),
            models.Index(fields=["id"], condition=Q(state="quarantined"), name="evidence_to_scan"),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def holding(cls, content: bytes, **facts: Any) -> "Evidence":
        """Return evidence with a content, its size and digest, not saved yet."""
        digest = hashlib.sha256(content).hexdigest()
        return cls(content=content, size=len(content), sha256=digest, **facts)


class Ruling(Stateful):
    """How a member of staff rules; above a limit it takes effect when a second one approves."""

    class Outcome(models.TextChoices):
        FULL = "full", _("the claim is upheld")
        PARTIAL = "partial", _("the claim is upheld in part")
        NONE = "none", _("the claim is dismissed")

    class State(models.TextChoices):
        PROPOSED = "proposed", _("waits for a second person")
        EFFECTIVE = "effective", _("effective")
        REFUSED = "refused", _("refused")

    TRANSITIONS: ClassVar = {
        State.PROPOSED: frozenset({State.EFFECTIVE, State.REFUSED}),
        State.EFFECTIVE: frozenset(),
        State.REFUSED: frozenset(),
    }

    dispute = models.ForeignKey(Dispute, on_delete=models.PROTECT, related_name="rulings")
    outcome = models.CharField(_("outcome"), max_length=7, choices=Outcome.choices)
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)
    reasons = models.TextField(_("reasons, for both sides"), max_length=2000)
    needs_second = models.BooleanField(_("needs a second person"))
    state = models.CharField(
        _("state"), max_length=9, choices=State.choices, default=State.PROPOSED
    )
    proposed_by = models.ForeignKey(
        USER, verbose_name=_("ruled by"), on_delete=models.PROTECT, related_name="+"
    )
    proposed_at = models.DateTimeField(_("ruled at"), default=timezone.now)
    second = models.ForeignKey(
        USER, verbose_name=_("second person"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    second_at = models.DateTimeField(_("decided at"), null=True)

    class Meta:
        verbose_name = _("ruling")
        verbose_name_plural = _("rulings")
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(reasons=""), name="ruling_has_reasons"),
            models.CheckConstraint(
                condition=Q(second=None) | ~Q(second=F("proposed_by")),
                name="ruling_needs_another_person",
            ),
            models.CheckConstraint(
                condition=Q(state="effective", needs_second=False)
                | Q(state="effective", second__isnull=False)
                | Q(state="refused", second__isnull=False)
                | Q(state="proposed", second=None),
                name="ruling_above_the_limit_is_approved",
            ),
            models.CheckConstraint(
                condition=Q(outcome="none", amount=0) | Q(outcome__in=["full", "partial"]),
                name="ruling_outcome_known",
            ),
            models.UniqueConstraint(
                fields=["dispute"], condition=~Q(state="refused"), name="one_ruling_stands"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dispute_id}: {self.outcome}"
