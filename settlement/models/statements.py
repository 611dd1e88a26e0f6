"""What parties see of a month before any number is issued, and what they say to it."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cdrs.models import Period
from hub.money import minor_unit
from hub.states import Stateful
from parties.models import Party, Role


class StatementQuerySet(models.QuerySet["Statement"]):
    """Statements."""

    def current(self) -> "StatementQuerySet":
        """Keep the last version of each."""
        return self.exclude(state__in=[Statement.State.OBJECTED, Statement.State.SUPERSEDED])

    def unanswered(self) -> "StatementQuerySet":
        """Keep those on which nobody has said anything yet."""
        return self.filter(state=Statement.State.PUBLISHED)


class Statement(Stateful):
    """What a party is to be paid, or to pay, for a month in a currency; one version of it.

    Amounts are net of VAT. To a CPO `net` is what it has earned less fees, to an eMSP what it has
    bought and fees. An objection never edits: the CDRs go out of the month, and a version follows.
    """

    class State(models.TextChoices):
        PUBLISHED = "published", _("awaits approval")
        APPROVED = "approved", _("approved")
        SILENT = "silent", _("approved by silence")
        OBJECTED = "objected", _("objected to, revised")
        SUPERSEDED = "superseded", _("revised because the other side objected")

    TRANSITIONS: ClassVar = {
        State.PUBLISHED: frozenset(
            {State.APPROVED, State.SILENT, State.OBJECTED, State.SUPERSEDED}
        ),
        State.APPROVED: frozenset({State.OBJECTED, State.SUPERSEDED}),
        State.SILENT: frozenset({State.SUPERSEDED}),
        State.OBJECTED: frozenset(),
        State.SUPERSEDED: frozenset(),
    }

    period = models.ForeignKey(Period, on_delete=models.PROTECT, related_name="statements")
    party = models.ForeignKey(
        Party, verbose_name=_("party"), on_delete=models.PROTECT, related_name="statements"
    )
    role = models.CharField(
        _("role"), max_length=4, choices=[(Role.Kind.CPO, "CPO"), (Role.Kind.EMSP, "eMSP")]
    )
    currency = models.CharField(_("currency"), max_length=3)
    version = models.PositiveSmallIntegerField(_("version"), default=1)
    opening = models.DecimalField(_("opening balance"), max_digits=18, decimal_places=4, default=0)
    net = models.DecimalField(_("this month, net"), max_digits=18, decimal_places=4)
    closing = models.DecimalField(_("closing balance"), max_digits=18, decimal_places=4)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.PUBLISHED
    )
    published_at = models.DateTimeField(_("published at"), default=timezone.now)
    respond_by = models.DateTimeField(_("silence approves at"))
    answered_at = models.DateTimeField(_("answered at"), null=True)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("person"),
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
    )

    objects = StatementQuerySet.as_manager()

    class Meta:
        verbose_name = _("statement")
        verbose_name_plural = _("statements")
        ordering = ["-period__month", "party", "role", "currency", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["period", "party", "role", "currency", "version"],
                name="one_statement_per_version",
            ),
            models.UniqueConstraint(
                fields=["period", "party", "role", "currency"],
                condition=Q(state__in=["published", "approved", "silent"]),
                name="one_statement_stands",
            ),
            models.CheckConstraint(
                condition=Q(closing=F("opening") + F("net")), name="statement_adds_up"
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=["published", "approved", "silent", "objected", "superseded"]
                ),
                name="statement_state_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.period}, {self.party} {self.role} {self.currency}, {self.version}"

    @property
    def decimals(self) -> int:
        """Return how many decimals its currency has."""
        return -minor_unit(self.currency).adjusted()


class StatementLine(models.Model):
    """A cell or a fee on a statement, as it was when that version was published."""

    class Kind(models.TextChoices):
        SUPPLY = "supply", _("charging sessions")
        CREDIT = "credit", _("credits of this month")
        CORRECTION = "correction", _("credits of an earlier month")
        FEE = "fee", _("fee of the hub")

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines")
    no = models.PositiveIntegerField(_("line"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    counterparty = models.ForeignKey(Party, on_delete=models.PROTECT, null=True, related_name="+")
    supply_month = models.DateField(_("month of supply"), null=True)
    country = models.CharField(_("country of supply"), max_length=2, blank=True)
    corrects = models.ForeignKey(Period, on_delete=models.PROTECT, null=True, related_name="+")
    cdrs = models.PositiveIntegerField(_("CDRs"), default=0)
    energy_kwh = models.DecimalField(_("energy (kWh)"), max_digits=18, decimal_places=4, default=0)
    total = models.DecimalField(_("exact total"), max_digits=18, decimal_places=4, default=0)
    net = models.DecimalField(_("net"), max_digits=18, decimal_places=4)
    text = models.CharField(_("text"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("line of a statement")
        verbose_name_plural = _("lines of statements")
        ordering = ["no"]
        constraints = [
            models.UniqueConstraint(fields=["statement", "no"], name="statement_line_used_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["supply", "credit", "correction", "fee"]),
                name="statement_line_kind_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.statement} / {self.no}"


class Objection(models.Model):
    """What a party has against a line: its CDRs are held, and have left the month."""

    line = models.OneToOneField(StatementLine, on_delete=models.PROTECT, related_name="objection")
    reason = models.CharField(_("reason"), max_length=200)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("person"),
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
    )
    cdrs = models.PositiveIntegerField(_("CDRs held"))
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("objection")
        verbose_name_plural = _("objections")
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="objection_has_a_reason")
        ]

    def __str__(self) -> str:
        return f"{self.line}: {self.reason}"
