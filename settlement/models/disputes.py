"""Disputes: what a party has against CDRs, what the other side says to it, what the hub decides."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cdrs.models import Cdr
from hub.states import Stateful
from parties.models import Party

USER = settings.AUTH_USER_MODEL


class Reason(models.TextChoices):
    """What a claimant has against CDRs."""

    WRONG_PRICE = "wrong_price", _("the price is not that of the tariff")
    WRONG_ENERGY = "wrong_energy", _("the energy is wrong")
    WRONG_DURATION = "wrong_duration", _("the duration is wrong")
    UNKNOWN_TOKEN = "unknown_token", _("the token is not known")
    NOT_OUR_CUSTOMER = "not_our_customer", _("not our customer")
    DUPLICATE = "duplicate", _("billed twice")
    NOT_COMPLETED = "session_not_completed", _("the session was never completed")
    CHARGER_FAULT = "charger_fault", _("the charger was faulty")
    OVERLAPPING = "overlapping", _("overlaps another session")
    LOCATION_MISMATCH = "location_mismatch", _("the place is wrong")
    TAX_ERROR = "tax_error", _("VAT or currency is wrong")
    LATE_CDR = "late_cdr", _("it came too late")
    TARIFF_NOT_AGREED = "tariff_not_agreed", _("the tariff was not agreed")
    IDLE_FEE = "idle_fee", _("the idle fee is wrong")
    FRAUD = "fraud", _("fraud is suspected")
    MISSING_CDR = "missing_cdr", _("another CDR is missing")
    OTHER = "other", _("something else")


class Ask(models.TextChoices):
    """What a claimant wants."""

    FULL = "full", _("full credit")
    CORRECTED = "corrected", _("a corrected amount")
    EXPLANATION = "explanation", _("an explanation")


class Effect(models.TextChoices):
    """What a dispute does to money: by when it was opened."""

    HOLD = "hold", _("the CDRs are held out of the month")
    CREDIT_NOTE = "credit_note", _("what was billed is corrected by a credit note")
    NONE = "none", _("no money moves")


class DisputeQuerySet(models.QuerySet["Dispute"]):
    """Disputes."""

    def visible_to(self, party: Party) -> "DisputeQuerySet":
        """Keep those of a party, on either side."""
        return self.filter(Q(claimant=party) | Q(respondent=party))

    def needs_answer(self, party: Party) -> "DisputeQuerySet":
        """Keep those in which it is a party's turn."""
        theirs = Q(state__in=Dispute.CLAIMANTS_TURN, claimant=party)
        return self.filter(theirs | Q(state=Dispute.State.OPEN, respondent=party))

    def waiting(self, party: Party) -> "DisputeQuerySet":
        """Keep those of a party that wait for the other side, or for what was decided."""
        theirs = Q(state__in=Dispute.CLAIMANTS_TURN, respondent=party)
        decided = Q(state__in=Dispute.DECIDED)
        others_turn = theirs | Q(state=Dispute.State.OPEN, claimant=party)
        return self.visible_to(party).filter(others_turn | decided)

    def with_hub(self) -> "DisputeQuerySet":
        """Keep those about which the hub has to rule."""
        return self.filter(state=Dispute.State.ESCALATED)

    def live(self) -> "DisputeQuerySet":
        """Keep those that are not over."""
        return self.exclude(state__in=Dispute.OVER)

    def closed(self) -> "DisputeQuerySet":
        """Keep those that are over."""
        return self.filter(state__in=Dispute.OVER)


class Dispute(Stateful):
    """A claim about CDRs between the two parties that trade them, until its effect is booked.

    Amounts are net, with 4 decimals, in favour of the claimant: `total` is what the CDRs come to,
    `asked`, `offered` and `ruled` how much less (to an eMSP) or more (to a CPO that claims) they
    are to come to, `granted` what holds in the end. `due_at` is when silence decides.
    """

    class State(models.TextChoices):
        OPEN = "open", _("waits for the respondent")
        ACCEPTED = "accepted", _("accepted, to be credited")
        COUNTERED = "countered", _("a part was offered")
        REJECTED = "rejected", _("rejected")
        ESCALATED = "escalated", _("with the hub")
        LAPSED = "lapsed", _("lapsed")
        RULED = "ruled", _("ruled, to be credited")
        SETTLED = "settled", _("settled")
        WITHDRAWN = "withdrawn", _("withdrawn")

    TRANSITIONS: ClassVar = {
        State.OPEN: frozenset({State.ACCEPTED, State.COUNTERED, State.REJECTED, State.WITHDRAWN}),
        State.COUNTERED: frozenset(
            {State.ACCEPTED, State.ESCALATED, State.LAPSED, State.WITHDRAWN}
        ),
        State.REJECTED: frozenset({State.ACCEPTED, State.ESCALATED, State.LAPSED, State.WITHDRAWN}),
        State.ESCALATED: frozenset({State.RULED, State.WITHDRAWN}),
        State.ACCEPTED: frozenset({State.SETTLED}),
        State.RULED: frozenset({State.SETTLED}),
        State.LAPSED: frozenset(),
        State.SETTLED: frozenset(),
        State.WITHDRAWN: frozenset(),
    }
    CLAIMANTS_TURN: ClassVar = (State.COUNTERED, State.REJECTED)
    UNDECIDED: ClassVar = (State.OPEN, *CLAIMANTS_TURN, State.ESCALATED)
    DECIDED: ClassVar = (State.ACCEPTED, State.RULED)
    OVER: ClassVar = (State.LAPSED, State.SETTLED, State.WITHDRAWN)

    year = models.PositiveSmallIntegerField(_("year"))
    no = models.PositiveIntegerField(_("number in its year"))
    reference = models.CharField(_("reference"), max_length=20, unique=True)
    claimant = models.ForeignKey(
        Party, verbose_name=_("claimant"), on_delete=models.PROTECT, related_name="claims"
    )
    respondent = models.ForeignKey(
        Party, verbose_name=_("respondent"), on_delete=models.PROTECT, related_name="claims_against"
    )
    by_cpo = models.BooleanField(_("the CPO claims"))
    reason = models.CharField(_("reason"), max_length=21, choices=Reason.choices)
    ask = models.CharField(_("what is asked for"), max_length=11, choices=Ask.choices)
    currency = models.CharField(_("currency"), max_length=3)
    total = models.DecimalField(_("total of the CDRs"), max_digits=18, decimal_places=4)
    asked = models.DecimalField(_("amount asked"), max_digits=18, decimal_places=4)
    offered = models.DecimalField(_("amount offered"), max_digits=18, decimal_places=4, null=True)
    ruled = models.DecimalField(_("amount ruled"), max_digits=18, decimal_places=4, null=True)
    granted = models.DecimalField(_("amount granted"), max_digits=18, decimal_places=4, null=True)
    message = models.TextField(_("message"), max_length=2000)
    effect = models.CharField(_("effect"), max_length=11, choices=Effect.choices)
    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.OPEN)
    due_at = models.DateTimeField(_("silence decides at"), null=True)
    reminded = models.PositiveSmallIntegerField(_("reminders of this deadline"), default=0)
    opened_by = models.ForeignKey(
        USER, verbose_name=_("opened by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    opened_at = models.DateTimeField(_("opened at"), default=timezone.now)
    ended_at = models.DateTimeField(_("ended at"), null=True)
    assignee = models.ForeignKey(
        USER, verbose_name=_("assigned to"), on_delete=models.PROTECT, null=True, related_name="+"
    )

    objects = DisputeQuerySet.as_manager()

    class Meta:
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")
        ordering = [F("due_at").asc(nulls_last=True), "-pk"]
        permissions: ClassVar = [
            ("decide_dispute", "Can rule about disputes"),
            ("approve_ruling", "Can approve rulings above the limit"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["year", "no"], name="dispute_numbered_once"),
            models.CheckConstraint(
                condition=~Q(claimant=F("respondent")), name="dispute_has_two_sides"
            ),
            models.CheckConstraint(condition=~Q(message=""), name="dispute_has_a_message"),
            models.CheckConstraint(
                condition=Q(ask="full", asked=F("total"), by_cpo=False)
                | Q(ask="corrected", asked__gt=0)
                | Q(ask="explanation", asked=0),
                name="dispute_asks_for_something",
            ),
            models.CheckConstraint(
                condition=Q(by_cpo=True) | Q(asked__lte=F("total")),
                name="dispute_asks_no_more_than_billed",
            ),
            models.CheckConstraint(
                condition=Q(offered=None) | Q(offered__gt=0, offered__lt=F("asked")),
                name="dispute_offer_is_a_part",
            ),
            models.CheckConstraint(
                condition=Q(granted=None) | Q(granted__gte=0, granted__lte=F("asked")),
                name="dispute_grants_no_more_than_asked",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["accepted", "ruled", "settled"], granted__isnull=False)
                | Q(
                    state__in=[
                        *("open", "countered", "rejected", "escalated", "lapsed", "withdrawn")
                    ],
                    granted=None,
                ),
                name="dispute_grants_what_is_decided",
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=["lapsed", "settled", "withdrawn"],
                    due_at=None,
                    ended_at__isnull=False,
                )
                | Q(
                    state__in=["open", "accepted", "countered", "rejected", "escalated", "ruled"],
                    due_at__isnull=False,
                    ended_at=None,
                ),
                name="dispute_has_a_deadline_until_it_ends",
            ),
            models.CheckConstraint(
                condition=Q(ask="explanation", effect="none")
                | Q(~Q(ask="explanation"), effect__in=["hold", "credit_note"]),
                name="dispute_effect_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=~Q(state__in=["lapsed", "settled", "withdrawn"]),
                name="dispute_due",
            ),
            models.Index(fields=["claimant", "state"], name="dispute_of_claimant"),
            models.Index(fields=["respondent", "state"], name="dispute_of_respondent"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def is_over(self) -> bool:
        """Tell whether nothing happens to it any more."""
        return self.state in self.OVER

    @property
    def turn(self) -> Party | None:
        """Return the party that has to answer now, None where the hub has, or nobody."""
        if self.state == self.State.OPEN:
            return self.respondent
        return self.claimant if self.state in self.CLAIMANTS_TURN else None

    @property
    def cpo(self) -> Party:
        """Return the side that sent the CDRs."""
        return self.claimant if self.by_cpo else self.respondent

    @property
    def emsp(self) -> Party:
        """Return the side that is billed for them."""
        return self.respondent if self.by_cpo else self.claimant

    def other(self, party: Party) -> Party:
        """Return the side that a party is not on."""
        return self.respondent if party == self.claimant else self.claimant


class DisputeCdr(models.Model):
    """A CDR in a dispute; `open` until its part of the effect is booked, or the dispute has failed.

    `total` is what it bills, `agreed` what it is to come to, once that is decided. `credit` and
    `replacement` are what came of it, filed by the CPO or, as `by_hub`, in its name.
    """

    dispute = models.ForeignKey(Dispute, on_delete=models.PROTECT, related_name="items")
    cdr = models.ForeignKey(Cdr, on_delete=models.PROTECT, related_name="disputed")
    claimant = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    total = models.DecimalField(_("total"), max_digits=18, decimal_places=4)
    agreed = models.DecimalField(_("agreed total"), max_digits=18, decimal_places=4, null=True)
    open = models.BooleanField(_("open"), default=True)
    credit = models.ForeignKey(Cdr, on_delete=models.PROTECT, null=True, related_name="+")
    replacement = models.ForeignKey(Cdr, on_delete=models.PROTECT, null=True, related_name="+")
    by_hub = models.BooleanField(_("filed by the hub"), default=False)

    class Meta:
        verbose_name = _("disputed CDR")
        verbose_name_plural = _("disputed CDRs")
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["dispute", "cdr"], name="cdr_disputed_once_each"),
            models.UniqueConstraint(
                fields=["cdr", "claimant"],
                condition=Q(open=True),
                name="one_open_dispute_per_cdr_and_claimant",
            ),
            models.CheckConstraint(
                condition=Q(agreed=None) | Q(agreed__gte=0), name="disputed_cdr_agreed_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dispute_id}: {self.cdr_id}"


class DisputeEvent(models.Model):
    """What happened in a dispute: never changed, seen by both sides; without a party it is the hub.

    `details` are amounts, deadlines and names of files, as text.
    """

    class Kind(models.TextChoices):
        OPENED = "opened", _("opened")
        MESSAGE = "message", _("message")
        QUESTION = "question", _("question")
        EVIDENCE = "evidence", _("evidence")
        ACCEPTED = "accepted", _("accepted")
        COUNTERED = "countered", _("offered a part")
        REJECTED = "rejected", _("rejected")
        OFFER_ACCEPTED = "offer_accepted", _("accepted the offer")
        ESCALATED = "escalated", _("escalated to the hub")
        WITHDRAWN = "withdrawn", _("withdrawn")
        REMINDER = "reminder", _("reminded")
        SILENCE = "silence", _("decided by silence")
        LATE = "late", _("the hub is late")
        RULED = "ruled", _("ruled")
        CREDITED = "credited", _("a CDR was credited or replaced")
        SETTLED = "settled", _("settled")

    dispute = models.ForeignKey(Dispute, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField(_("at"), default=timezone.now)
    party = models.ForeignKey(Party, on_delete=models.PROTECT, null=True, related_name="+")
    person = models.ForeignKey(USER, on_delete=models.PROTECT, null=True, related_name="+")
    kind = models.CharField(_("kind"), max_length=14, choices=Kind.choices)
    text = models.TextField(_("text"), max_length=2000, blank=True)
    details = models.JSONField(_("details"), default=dict)

    class Meta:
        verbose_name = _("event of a dispute")
        verbose_name_plural = _("events of disputes")
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    kind__in=[
                        *("opened", "message", "question", "evidence", "accepted", "countered"),
                        *("rejected", "offer_accepted", "escalated", "withdrawn", "reminder"),
                        *("silence", "late", "ruled", "credited", "settled"),
                    ]
                ),
                name="dispute_event_kind_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.dispute_id}: {self.kind}"


class InternalNote(models.Model):
    """What staff write to each other about a dispute; no party sees it."""

    dispute = models.ForeignKey(Dispute, on_delete=models.PROTECT, related_name="notes")
    person = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(_("text"), max_length=2000)
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("internal note")
        verbose_name_plural = _("internal notes")
        ordering = ["pk"]
        constraints = [models.CheckConstraint(condition=~Q(text=""), name="note_says_something")]

    def __str__(self) -> str:
        return f"{self.dispute_id}: {self.text[:40]}"
