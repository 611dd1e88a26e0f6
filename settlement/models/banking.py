"""Bank accounts, and what the bank says: statements and their lines."""

from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from stdnum import bic, iban
from stdnum.exceptions import ValidationError as BadNumber
from stdnum.us import rtn

from hub.money import is_currency
from hub.states import Stateful
from parties.models import Party

USER = settings.AUTH_USER_MODEL


class BankAccountQuerySet(models.QuerySet["BankAccount"]):
    """Bank accounts."""

    def in_use(self) -> "BankAccountQuerySet":
        """Keep those that were verified and not replaced since."""
        return self.filter(verified_at__isnull=False, ended_at=None)


class BankAccount(models.Model):
    """Where a party (nobody: the hub) is paid in a currency.

    A row never changes: another account is another row, which a second person verifies and which
    then ends the one before. Money may go there from `usable_from`, two days later in live.
    """

    party = models.ForeignKey(
        Party,
        verbose_name=_("party"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="bank_accounts",
        help_text=_("empty: the hub itself"),
    )
    currency = models.CharField(_("currency"), max_length=3)
    holder = models.CharField(_("account holder"), max_length=70)
    iban = models.CharField(_("IBAN"), max_length=34, blank=True)
    routing_number = models.CharField(
        _("routing number"), max_length=9, blank=True, help_text=_("ABA, where there is no IBAN")
    )
    account_number = models.CharField(
        _("account number"), max_length=34, blank=True, help_text=_("where there is no IBAN")
    )
    bic = models.CharField("BIC", max_length=11, blank=True)
    seeded = models.BooleanField(_("made up by the sandbox"), default=False, editable=False)
    created_by = models.ForeignKey(
        USER,
        verbose_name=_("entered by"),
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="+",
    )
    created_at = models.DateTimeField(_("entered at"), default=timezone.now, editable=False)
    verified_by = models.ForeignKey(
        USER,
        verbose_name=_("verified by"),
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="+",
    )
    verified_at = models.DateTimeField(_("verified at"), null=True, editable=False)
    usable_from = models.DateTimeField(_("usable from"), null=True, editable=False)
    ended_at = models.DateTimeField(_("ended at"), null=True, editable=False)

    objects = BankAccountQuerySet.as_manager()

    class Meta:
        verbose_name = _("bank account")
        verbose_name_plural = _("bank accounts")
        ordering = ["party", "currency", "-pk"]
        permissions = [("verify_bankaccount", _("Can verify a bank account"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(seeded=True, verified_at__isnull=False, verified_by=None)
                | Q(seeded=False, verified_at=None, verified_by=None)
                | (
                    Q(seeded=False, verified_at__isnull=False, created_by__isnull=False)
                    & ~Q(verified_by=F("created_by"))
                    & Q(verified_by__isnull=False)
                ),
                name="account_verified_by_a_second_person",
                violation_error_message=_("a second person verifies a bank account"),
            ),
            models.CheckConstraint(
                condition=Q(verified_at=None, usable_from=None)
                | Q(usable_from__gte=F("verified_at")),
                name="account_usable_once_verified",
            ),
            models.CheckConstraint(
                condition=~Q(iban="") & Q(account_number="", routing_number="")
                | Q(iban="") & ~Q(account_number=""),
                name="account_has_an_iban_or_a_number",
                violation_error_message=_("give an IBAN, or else an account number"),
            ),
            models.CheckConstraint(
                condition=Q(currency__regex="^[A-Z]{3}$"), name="bank_account_currency_plain"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.holder}, {self.number} ({self.currency})"

    @property
    def number(self) -> str:
        """Return the IBAN, or the number of an account that has none."""
        return self.iban or self.account_number

    @property
    def masked(self) -> str:
        """Return the number with all but its end hidden."""
        return f"…{self.number[-4:]}"

    def clean(self) -> None:
        """Check the numbers by their check digits, and spell them as they are sent to a bank."""
        problems: dict[str, str] = {}
        for name, (kind, known) in NUMBERS.items():
            if value := getattr(self, name):
                try:
                    setattr(self, name, kind.validate(value))
                except BadNumber:
                    problems[name] = known
        self.currency = self.currency.upper()
        if not is_currency(self.currency):
            problems["currency"] = str(_("this is not a currency of ISO 4217"))
        if problems:
            raise ValidationError(problems)


NUMBERS = {
    "iban": (iban, str(_("this is not an IBAN: its check digits or its length are wrong"))),
    "bic": (bic, str(_("this is not a BIC"))),
    "routing_number": (rtn, str(_("this is not a routing number: its check digit is wrong"))),
}


class BankStatement(models.Model):
    """A statement of one of the hub's accounts, as the bank sent it (camt.053)."""

    account = models.ForeignKey(
        BankAccount, verbose_name=_("account"), on_delete=models.PROTECT, related_name="statements"
    )
    ident = models.CharField(_("id of the bank"), max_length=35)
    currency = models.CharField(_("currency"), max_length=3)
    opened_with = models.DecimalField(_("opening balance"), max_digits=18, decimal_places=4)
    closed_with = models.DecimalField(_("closing balance"), max_digits=18, decimal_places=4)
    opened_on = models.DateField(_("opening date"))
    closed_on = models.DateField(_("closing date"))
    sha256 = models.CharField("SHA-256", max_length=64)
    imported_by = models.ForeignKey(
        USER, verbose_name=_("imported by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    imported_at = models.DateTimeField(_("imported at"), default=timezone.now)

    class Meta:
        verbose_name = _("bank statement")
        verbose_name_plural = _("bank statements")
        ordering = ["-closed_on", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "ident", "sha256"], name="bank_statement_imported_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.account.masked} {self.ident}"


class BankLine(Stateful):
    """One booking of the bank; positive is money that came, negative money that went."""

    class State(models.TextChoices):
        OPEN = "open", _("to be matched")
        MATCHED = "matched", _("matched")

    TRANSITIONS: ClassVar = {
        State.OPEN: frozenset({State.MATCHED}),
        State.MATCHED: frozenset({State.OPEN}),  # a match that was wrong
    }

    statement = models.ForeignKey(BankStatement, on_delete=models.PROTECT, related_name="lines")
    account_no = models.CharField(_("account"), max_length=34)
    currency = models.CharField(_("currency"), max_length=3)
    key = models.CharField(_("reference of the bank"), max_length=90)
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)
    booked_on = models.DateField(_("booked on"))
    value_on = models.DateField(_("value date"))
    end_to_end_id = models.CharField(_("end-to-end id"), max_length=35, blank=True)
    batch_id = models.CharField(_("id of the payment file"), max_length=35, blank=True)
    remittance = models.TextField(_("remittance information"), blank=True)
    counterparty = models.CharField(_("counterparty"), max_length=140, blank=True)
    counterparty_account = models.CharField(_("its account"), max_length=34, blank=True)
    return_reason = models.CharField(_("reason of return"), max_length=140, blank=True)
    state = models.CharField(_("state"), max_length=7, choices=State.choices, default=State.OPEN)

    class Meta:
        verbose_name = _("bank line")
        verbose_name_plural = _("bank lines")
        ordering = ["-booked_on", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account_no", "currency", "key"], name="bank_line_booked_once"
            ),
            models.CheckConstraint(condition=~Q(amount=0), name="bank_line_is_not_zero"),
            models.CheckConstraint(
                condition=Q(state__in=["open", "matched"]), name="bank_line_state_known"
            ),
        ]
        indexes = [
            models.Index(fields=["booked_on"], condition=Q(state="open"), name="bank_line_to_match")
        ]

    def __str__(self) -> str:
        return f"{self.booked_on} {self.amount.normalize():f} {self.currency} {self.counterparty}"
