"""The ledger: accounts, and entries whose legs add up to zero. Nothing of it ever changes.

A leg's amount is positive for a debit and negative for a credit. An entry is in one currency, as
are the accounts of its legs; money changes currency by two entries through `fx_clearing`.
"""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from parties.models import Party
from settlement.models.documents import Document


class Account(models.Model):
    """One currency of one kind of thing, of a party or of the hub alone."""

    class Kind(models.TextChoices):
        BANK = "bank", _("bank")
        IN_TRANSIT = "payout_in_transit", _("payouts in transit")
        UNIDENTIFIED = "unidentified", _("bank lines not yet matched")
        RECEIVABLE = "emsp_receivable", _("receivable from eMSPs")
        PAYABLE = "cpo_payable", _("payable to CPOs")
        INPUT_VAT = "input_vat", _("input VAT")
        OUTPUT_VAT = "output_vat", _("output VAT")
        PURCHASES = "purchases", _("purchases of charging")
        SALES = "sales", _("sales of charging")
        FEES = "fee_revenue", _("hub fees")
        BAD_DEBT = "bad_debt", _("bad debt")
        BANK_CHARGES = "bank_charges", _("bank charges and differences")
        FX_CLEARING = "fx_clearing", _("currency clearing")

    OF_PARTIES: ClassVar = (Kind.RECEIVABLE, Kind.PAYABLE)

    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    party = models.ForeignKey(
        Party,
        verbose_name=_("party"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    currency = models.CharField(_("currency"), max_length=3)

    class Meta:
        verbose_name = _("ledger account")
        verbose_name_plural = _("ledger accounts")
        ordering = ["kind", "currency", "party"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "party", "currency"],
                nulls_distinct=False,
                name="one_account_per_kind_party_currency",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["emsp_receivable", "cpo_payable"], party__isnull=False)
                | Q(
                    kind__in=[
                        *("bank", "payout_in_transit", "unidentified", "input_vat", "output_vat"),
                        *("purchases", "sales", "fee_revenue", "bad_debt", "bank_charges"),
                        "fx_clearing",
                    ],
                    party__isnull=True,
                ),
                name="account_kind_known_and_of_its_owner",
            ),
            models.CheckConstraint(
                condition=Q(currency__regex="^[A-Z]{3}$"), name="account_currency_plain"
            ),
        ]

    def __str__(self) -> str:
        of = f" {self.party}" if self.party else ""
        return f"{self.kind}{of} {self.currency}"


class Entry(models.Model):
    """Something that happened to money, once: `idem_key` makes a second booking of it impossible.

    A column `txid` that only the database fills names the transaction that may add legs.
    """

    class Cause(models.TextChoices):
        DOCUMENT = "document", _("document")
        RECEIPT = "receipt", _("money received")
        MATCH = "match", _("bank line matched")
        UNMATCHED = "unmatched", _("bank line not yet matched")
        UNDONE = "undone", _("match of a bank line undone")
        PAYOUT = "payout", _("payout")
        BANK = "payout_booked", _("payout booked by the bank")
        RETURN = "return", _("payout returned or rejected")
        SET_OFF = "set_off", _("set-off")
        WRITE_OFF = "write_off", _("written off")
        FX = "fx", _("currency exchange")

    idem_key = models.CharField(_("key"), max_length=60, unique=True)
    cause = models.CharField(_("cause"), max_length=15, choices=Cause.choices)
    currency = models.CharField(_("currency"), max_length=3)
    booked_on = models.DateField(_("booked on"))
    text = models.CharField(_("text"), max_length=140, blank=True)
    document = models.ForeignKey(
        Document,
        verbose_name=_("document"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="entries",
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        ordering = ["-booked_on", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    cause__in=[
                        *("document", "receipt", "match", "unmatched", "undone", "payout"),
                        *("payout_booked", "return", "set_off", "write_off", "fx"),
                    ]
                ),
                name="entry_cause_known",
            ),
        ]
        indexes = [models.Index(fields=["booked_on"], name="entry_by_day")]

    def __str__(self) -> str:
        return self.idem_key


class Leg(models.Model):
    """One side of an entry: a debit (positive) or a credit (negative) of an account."""

    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="legs")
    no = models.PositiveSmallIntegerField(_("leg"))
    account = models.ForeignKey(
        Account, verbose_name=_("account"), on_delete=models.PROTECT, related_name="legs"
    )
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=4)

    class Meta:
        verbose_name = _("leg")
        verbose_name_plural = _("legs")
        ordering = ["no"]
        constraints = [
            models.UniqueConstraint(fields=["entry", "no"], name="leg_number_used_once"),
            models.CheckConstraint(condition=~Q(amount=0), name="leg_is_not_zero"),
        ]

    def __str__(self) -> str:
        return f"{self.entry} / {self.no}"


class FxRate(models.Model):
    """What one unit of a currency was worth in another on a day, and who says so."""

    on = models.DateField(_("on"))
    base = models.CharField(_("from"), max_length=3)
    quote = models.CharField(_("to"), max_length=3)
    rate = models.DecimalField(_("rate"), max_digits=18, decimal_places=8)
    source = models.CharField(_("source"), max_length=40, default="ECB")

    class Meta:
        verbose_name = _("exchange rate")
        verbose_name_plural = _("exchange rates")
        ordering = ["-on", "base", "quote"]
        constraints = [
            models.UniqueConstraint(fields=["on", "base", "quote"], name="one_rate_a_day"),
            models.CheckConstraint(
                condition=Q(rate__gt=0) & ~Q(base=F("quote")), name="rate_of_two_currencies"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.on}: 1 {self.base} = {self.rate.normalize():f} {self.quote} ({self.source})"
