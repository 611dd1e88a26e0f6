"""What eMSPs owe the hub, and what takes it off: payments, set-offs, credit notes, write-offs."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hub.states import Stateful
from parties.models import Party
from settlement.models.banking import BankLine
from settlement.models.documents import Document

USER = settings.AUTH_USER_MODEL


class BillingContact(models.Model):
    """Who is written to about the bills of a party."""

    party = models.ForeignKey(
        Party, verbose_name=_("party"), on_delete=models.CASCADE, related_name="billing_contacts"
    )
    email = models.EmailField(_("e-mail"))

    class Meta:
        verbose_name = _("billing contact")
        verbose_name_plural = _("billing contacts")
        ordering = ["party", "email"]
        constraints = [
            models.UniqueConstraint(fields=["party", "email"], name="one_contact_per_address")
        ]

    def __str__(self) -> str:
        return f"{self.party}: {self.email}"


def _onwards(steps: Sequence[str], *ends: str) -> Mapping[str, frozenset[str]]:
    """Let each step lead to every later one, and to the ends."""
    return {step: frozenset({*steps[place:], *ends}) for place, step in enumerate(steps, start=1)}


class Receivable(Stateful):
    """A document that is to be paid to the hub; how much of it is open the view OpenAmount says."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        DUE = "due", _("due")
        OVERDUE_1 = "overdue_1", _("overdue")
        OVERDUE_2 = "overdue_2", _("overdue, reminded twice")
        OVERDUE_3 = "overdue_3", _("overdue, formal notice given")
        SUSPENDED = "suspended", _("eMSP to be suspended")
        COLLECTION = "collection", _("in collection")
        PAID = "paid", _("paid")
        WRITTEN_OFF = "written_off", _("written off")

    LADDER: ClassVar = (
        (0, State.DUE),
        (1, State.OVERDUE_1),
        (7, State.OVERDUE_2),
        (14, State.OVERDUE_3),
        (21, State.SUSPENDED),
        (45, State.COLLECTION),
    )
    UNPAID: ClassVar = (State.OPEN, *(state for _days, state in LADDER))
    SETTLED: ClassVar = (State.PAID, State.WRITTEN_OFF)
    # a payment that turns out to be somebody else's makes it unpaid again
    TRANSITIONS: ClassVar = {
        **_onwards(UNPAID, *SETTLED),
        **dict.fromkeys(SETTLED, frozenset(UNPAID)),
    }

    document = models.OneToOneField(
        Document, verbose_name=_("document"), on_delete=models.PROTECT, related_name="receivable"
    )
    party = models.ForeignKey(
        Party, verbose_name=_("party"), on_delete=models.PROTECT, related_name="receivables"
    )
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)
    due_on = models.DateField(_("due on"))
    state = models.CharField(_("state"), max_length=11, choices=State.choices, default=State.OPEN)

    class Meta:
        verbose_name = _("receivable")
        verbose_name_plural = _("receivables")
        ordering = ["due_on", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="receivable_positive"),
            models.CheckConstraint(
                condition=Q(
                    state__in=[
                        *("open", "due", "overdue_1", "overdue_2", "overdue_3"),
                        *("suspended", "collection", "paid", "written_off"),
                    ]
                ),
                name="receivable_state_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_on"],
                condition=~Q(state__in=["paid", "written_off"]),
                name="receivable_unpaid",
            )
        ]

    def __str__(self) -> str:
        return str(self.document)


class OpenAmount(models.Model):
    """A view: what of a receivable was taken off, and what is open.

    `collected` is what was paid or otherwise earned: all but what was written off.
    """

    receivable = models.OneToOneField(
        Receivable, primary_key=True, on_delete=models.DO_NOTHING, related_name="settled"
    )
    allocated = models.DecimalField(_("settled"), max_digits=18, decimal_places=4)
    collected = models.DecimalField(_("collected"), max_digits=18, decimal_places=4)
    open = models.DecimalField(_("open amount"), max_digits=18, decimal_places=4)

    class Meta:
        managed = False
        db_table = "settlement_openamount"
        verbose_name = _("open amount")
        verbose_name_plural = _("open amounts")

    def __str__(self) -> str:
        return f"{self.receivable_id}: {self.open}"


class SetOff(models.Model):
    """What a party's debt and its credit cancel out, by agreement, in one currency."""

    number = models.CharField(_("number"), max_length=40, unique=True)
    party = models.ForeignKey(
        Party, verbose_name=_("party"), on_delete=models.PROTECT, related_name="set_offs"
    )
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)
    booked_on = models.DateField(_("booked on"))

    class Meta:
        verbose_name = _("set-off")
        verbose_name_plural = _("set-offs")
        ordering = ["-booked_on", "-pk"]
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="set_off_positive")]

    def __str__(self) -> str:
        return self.number


class WriteOff(Stateful):
    """Money given up: an open amount that nobody pays, or a bank line that is nobody's.

    One person proposes, another approves exactly what was proposed, by its digest.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", _("proposed")
        APPROVED = "approved", _("approved")
        REFUSED = "refused", _("refused")

    TRANSITIONS: ClassVar = {State.PROPOSED: frozenset({State.APPROVED, State.REFUSED})}

    receivable = models.ForeignKey(
        Receivable,
        verbose_name=_("receivable"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="write_offs",
    )
    bank_line = models.ForeignKey(
        BankLine,
        verbose_name=_("bank line"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="write_offs",
    )
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)
    reason = models.CharField(_("reason"), max_length=500)
    state = models.CharField(
        _("state"), max_length=8, choices=State.choices, default=State.PROPOSED
    )
    created_by = models.ForeignKey(
        USER, verbose_name=_("proposed by"), on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(_("proposed at"), default=timezone.now)
    approved_by = models.ForeignKey(
        USER,
        verbose_name=_("decided by"),
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
    )
    approved_at = models.DateTimeField(_("decided at"), null=True)
    approved_sha256 = models.CharField(_("digest of what was decided"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("write-off")
        verbose_name_plural = _("write-offs")
        ordering = ["-pk"]
        permissions = [("approve_writeoff", _("Can approve a write-off"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(receivable=None, bank_line__isnull=False)
                | Q(receivable__isnull=False, bank_line=None),
                name="write_off_of_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(amount__gt=0) & ~Q(reason=""), name="write_off_says_why"
            ),
            models.CheckConstraint(
                condition=Q(state="proposed", approved_by=None, approved_at=None)
                | (
                    Q(state__in=["approved", "refused"], approved_at__isnull=False)
                    & Q(approved_by__isnull=False)
                    & ~Q(approved_by=F("created_by"))
                ),
                name="write_off_decided_by_a_second_person",
            ),
            models.UniqueConstraint(
                fields=["receivable", "bank_line"],
                condition=Q(state="proposed"),
                nulls_distinct=False,
                name="one_proposal_to_write_off_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.receivable or self.bank_line}: {self.amount.normalize():f}"


class Receipt(models.Model):
    """What a party is credited with against its debt; what is not allocated stays to its credit.

    A match that was wrong is taken back by a receipt of the same amount below zero.
    """

    class Cause(models.TextChoices):
        PAYMENT = "payment", _("payment")
        SET_OFF = "set_off", _("set-off")
        CREDIT_NOTE = "credit_note", _("credit note")
        WRITE_OFF = "write_off", _("written off")

    cause = models.CharField(_("cause"), max_length=11, choices=Cause.choices)
    party = models.ForeignKey(
        Party, verbose_name=_("party"), on_delete=models.PROTECT, related_name="receipts"
    )
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)
    received_on = models.DateField(_("received on"))
    bank_line = models.ForeignKey(
        BankLine, on_delete=models.PROTECT, null=True, blank=True, related_name="receipts"
    )
    set_off = models.OneToOneField(
        SetOff, on_delete=models.PROTECT, null=True, blank=True, related_name="receipt"
    )
    credit_note = models.OneToOneField(
        Document, on_delete=models.PROTECT, null=True, blank=True, related_name="receipt"
    )
    write_off = models.OneToOneField(
        WriteOff, on_delete=models.PROTECT, null=True, blank=True, related_name="receipt"
    )
    reverses = models.OneToOneField(
        "self",
        verbose_name=_("takes back"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reversal",
    )
    reason = models.CharField(_("taken back because"), max_length=200, blank=True)
    person = models.ForeignKey(
        USER,
        verbose_name=_("taken back by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        ordering = ["-received_on", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0, reverses=None)
                | Q(amount__lt=0, reverses__isnull=False, cause="payment", person__isnull=False)
                & ~Q(reason=""),
                name="receipt_positive_unless_it_takes_back",
            ),
            models.CheckConstraint(
                condition=Q(cause="payment", bank_line__isnull=False)
                | Q(cause="set_off", set_off__isnull=False)
                | Q(cause="credit_note", credit_note__isnull=False)
                | Q(cause="write_off", write_off__isnull=False),
                name="receipt_has_its_cause",
            ),
        ]
        indexes = [models.Index(fields=["party", "currency"], name="receipt_of_party")]

    def __str__(self) -> str:
        return f"{self.get_cause_display()}: {self.amount.normalize():f} {self.currency}"


class Allocation(models.Model):
    """The part of a receipt that settles a part of a receivable; the database watches both sums."""

    receipt = models.ForeignKey(Receipt, on_delete=models.PROTECT, related_name="allocations")
    receivable = models.ForeignKey(Receivable, on_delete=models.PROTECT, related_name="allocations")
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)
    reverses = models.OneToOneField(
        "self",
        verbose_name=_("takes back"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reversal",
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("allocation")
        verbose_name_plural = _("allocations")
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0, reverses=None) | Q(amount__lt=0, reverses__isnull=False),
                name="allocation_positive_unless_it_takes_back",
            )
        ]

    def __str__(self) -> str:
        return f"{self.receivable}: {self.amount.normalize():f}"


class Reminder(models.Model):
    """A step of the ladder that a late receivable has come to, told to its party once."""

    receivable = models.ForeignKey(
        Receivable, verbose_name=_("receivable"), on_delete=models.PROTECT, related_name="reminders"
    )
    level = models.CharField(_("level"), max_length=11, choices=Receivable.State.choices)
    open = models.DecimalField(_("open amount"), max_digits=18, decimal_places=4)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    sent_to = models.TextField(_("sent to"), blank=True)

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["receivable", "level"], name="each_reminder_once")
        ]

    def __str__(self) -> str:
        return f"{self.receivable}: {self.get_level_display()}"
