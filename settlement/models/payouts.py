"""What the hub pays to CPOs: payouts, and the batches in which the bank gets them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hub.states import Stateful
from parties.models import Party
from settlement.models.banking import BankAccount, BankLine
from settlement.models.documents import Document

USER = settings.AUTH_USER_MODEL


class PayoutBatch(Stateful):
    """Payouts of one currency that go to the bank in one file.

    A second person approves the digest of its content, which the database computes; whatever
    changes the content afterwards takes the approval away.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("awaiting approval")
        APPROVED = "approved", _("approved")
        FILED = "filed", _("file made")
        SUBMITTED = "submitted", _("handed to the bank")
        COMPLETED = "completed", _("completed")
        DROPPED = "dropped", _("dropped")

    TRANSITIONS: ClassVar = {
        State.DRAFT: frozenset({State.APPROVED, State.DROPPED}),
        State.APPROVED: frozenset({State.FILED, State.DROPPED}),
        State.FILED: frozenset({State.SUBMITTED}),
        State.SUBMITTED: frozenset({State.COMPLETED}),
    }

    currency = models.CharField(_("currency"), max_length=3)
    account = models.ForeignKey(
        BankAccount, verbose_name=_("paid from"), on_delete=models.PROTECT, related_name="+"
    )
    execute_on = models.DateField(_("execution date"))
    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.DRAFT)
    created_by = models.ForeignKey(
        USER, verbose_name=_("proposed by"), on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(_("proposed at"), default=timezone.now)
    approved_by = models.ForeignKey(
        USER, verbose_name=_("approved by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    approved_at = models.DateTimeField(_("approved at"), null=True)
    approved_sha256 = models.CharField(_("digest of what was approved"), max_length=64, blank=True)
    refused_because = models.CharField(_("sent back because"), max_length=500, blank=True)
    file = models.BinaryField("pain.001", null=True)
    file_sha256 = models.CharField(_("SHA-256 of the file"), max_length=64, blank=True)
    filed_at = models.DateTimeField(_("file made at"), null=True)
    submitted_by = models.ForeignKey(
        USER,
        verbose_name=_("handed over by"),
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
    )
    submitted_at = models.DateTimeField(_("handed over at"), null=True)

    class Meta:
        verbose_name = _("payout batch")
        verbose_name_plural = _("payout batches")
        ordering = ["-pk"]
        permissions = [("approve_payoutbatch", _("Can approve a payout batch"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    state__in=["draft", "approved", "filed", "submitted", "completed", "dropped"]
                ),
                name="batch_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "dropped"])
                | (
                    Q(approved_by__isnull=False, approved_at__isnull=False)
                    & ~Q(approved_by=F("created_by"))
                    & Q(approved_sha256__regex="^[0-9a-f]{64}$")
                ),
                name="batch_approved_by_a_second_person",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "approved", "dropped"])
                | Q(file__isnull=False, file_sha256__regex="^[0-9a-f]{64}$"),
                name="batch_has_its_file",
            ),
        ]

    def __str__(self) -> str:
        return self.message_id

    @property
    def message_id(self) -> str:
        """Return its name on the bank's side (MsgId)."""
        return f"OCN-BATCH-{self.pk:08}"


class Payout(Stateful):
    """A payment to a party. What it pays to whom never changes; another may replace it.

    Its ledger entry is made when the bank gets it, and reversed if the bank does not pay it.
    """

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        APPROVED = "approved", _("approved")
        BATCHED = "batched", _("in a payment file")
        SUBMITTED = "submitted", _("at the bank")
        BOOKED = "booked", _("booked by the bank")
        REJECTED = "rejected", _("rejected by the bank")
        RETURNED = "returned", _("returned")
        CANCELLED = "cancelled", _("cancelled")

    TRANSITIONS: ClassVar = {
        State.PLANNED: frozenset({State.APPROVED, State.CANCELLED}),
        State.APPROVED: frozenset({State.BATCHED, State.PLANNED}),
        State.BATCHED: frozenset({State.SUBMITTED}),
        State.SUBMITTED: frozenset({State.BOOKED, State.REJECTED, State.RETURNED}),
        State.BOOKED: frozenset({State.RETURNED}),
    }
    WAITING: ClassVar = (State.PLANNED, State.APPROVED, State.BATCHED)  # not yet in the ledger
    PAID: ClassVar = (State.SUBMITTED, State.BOOKED)
    LIVE: ClassVar = (*WAITING, *PAID)

    party = models.ForeignKey(
        Party, verbose_name=_("party"), on_delete=models.PROTECT, related_name="payouts"
    )
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)
    bank_account = models.ForeignKey(
        BankAccount, verbose_name=_("paid to"), on_delete=models.PROTECT, related_name="payouts"
    )
    execute_on = models.DateField(_("not before"))
    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.PLANNED)
    batch = models.ForeignKey(
        PayoutBatch,
        verbose_name=_("batch"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="payouts",
    )
    retry_of = models.ForeignKey(
        "self",
        verbose_name=_("again for"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="retries",
    )
    failed_because = models.CharField(_("not paid because"), max_length=140, blank=True)
    bank_line = models.ForeignKey(
        BankLine, on_delete=models.PROTECT, null=True, blank=True, related_name="payouts"
    )
    created_at = models.DateTimeField(_("planned at"), default=timezone.now)

    class Meta:
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="payout_positive"),
            models.CheckConstraint(
                condition=Q(
                    state__in=[
                        *("planned", "approved", "batched", "submitted"),
                        *("booked", "rejected", "returned", "cancelled"),
                    ]
                ),
                name="payout_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["planned", "cancelled"]) | Q(batch__isnull=False),
                name="payout_goes_in_a_batch",
            ),
            models.UniqueConstraint(
                fields=["party", "currency"],
                condition=Q(state="planned", batch=None),
                name="one_planned_payout_per_party",
            ),
        ]
        indexes = [models.Index(fields=["party", "currency"], name="payout_of_party")]

    def __str__(self) -> str:
        return self.end_to_end_id

    @property
    def end_to_end_id(self) -> str:
        """Return its name on every bank's side (EndToEndId)."""
        return f"OCN-PAYOUT-{self.pk:08}"


class PayoutLine(models.Model):
    """What a payout pays of a document; the line without one is what was kept back (fees etc.)."""

    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="lines")
    document = models.ForeignKey(
        Document, on_delete=models.PROTECT, null=True, blank=True, related_name="payout_lines"
    )
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)

    class Meta:
        verbose_name = _("payout line")
        verbose_name_plural = _("payout lines")
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["payout", "document"],
                nulls_distinct=False,
                name="one_payout_line_per_document",
            ),
            models.CheckConstraint(condition=~Q(amount=0), name="payout_line_is_not_zero"),
        ]

    def __str__(self) -> str:
        return f"{self.payout}: {self.amount.normalize():f}"


class PaymentStatus(models.Model):
    """What the bank has said of a payout at the bank (pain.002): taken on, or rejected."""

    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="statuses")
    report = models.CharField(_("id of the report"), max_length=35)
    code = models.CharField(_("status"), max_length=4)
    reason = models.CharField(_("reason"), max_length=140, blank=True)
    imported_by = models.ForeignKey(
        USER, verbose_name=_("imported by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    imported_at = models.DateTimeField(_("imported at"), default=timezone.now)

    class Meta:
        verbose_name = _("status at the bank")
        verbose_name_plural = _("statuses at the bank")
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["payout", "report", "code"], name="payment_status_told_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.reason}".strip()
