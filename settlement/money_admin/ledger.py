"""The ledger: entries, the trial balance, and the account statement of a party."""

import datetime as dt
import secrets
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.money import is_currency
from hub.readonly import ReadOnlyInline
from parties.models import Party
from settlement.banking.exchange import convert
from settlement.ledger import balances
from settlement.models import Account, Entry, FxRate, Leg
from settlement.money_admin.desk import (
    Ask,
    Deed,
    MoneyAdmin,
    NotDone,
    amount_of,
    asked_export,
    export_links,
    spelled,
)


class LegInline(ReadOnlyInline):
    """Debits and credits."""

    model = Leg
    fields = readonly_fields = ("no", "account", "debit", "credit")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Leg]:
        """Fetch the accounts along."""
        rows: QuerySet[Leg] = super().get_queryset(request)
        return rows.select_related("account__party")

    @admin.display(description=_("debit"))
    def debit(self, row: Leg) -> str:
        """Return the amount of a debit."""
        return spelled(row.amount, row.account.currency) if row.amount > 0 else ""

    @admin.display(description=_("credit"))
    def credit(self, row: Leg) -> str:
        """Return the amount of a credit."""
        return spelled(-row.amount, row.account.currency) if row.amount < 0 else ""


class EntryAdmin(MoneyAdmin):
    """The journal."""

    list_display = ("idem_key", "booked_on", "cause", "text", "currency")
    list_filter = ("cause", "currency", "booked_on")
    search_fields = ("idem_key", "text")
    inlines = (LegInline,)
    fields = readonly_fields = (
        *("idem_key", "booked_on", "cause", "text", "currency", "document", "created_at"),
    )
    columns = (
        (_("key"), lambda row: row.idem_key),
        (_("booked on"), lambda row: row.booked_on),
        (_("cause"), lambda row: row.cause),
        (_("text"), lambda row: row.text),
        (_("currency"), lambda row: row.currency),
        (_("debits"), lambda row: sum(leg.amount for leg in row.legs.all() if leg.amount > 0)),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entry]:
        """Leave the snapshots of the documents where they are."""
        rows: QuerySet[Entry] = super().get_queryset(request)
        return rows.select_related("document").defer("document__snapshot").prefetch_related("legs")


def _convert(request: HttpRequest, row: Account) -> str:
    """Convert a part of what a party is owed; the key of the form lets it happen once."""
    quote = request.POST.get("to", "").strip().upper()
    key = request.POST.get("key", "")
    if row.party is None or not is_currency(quote) or quote == row.currency or not key:
        raise NotDone(_("Enter another currency, for instance USD."))
    bought = convert(
        row.party,
        amount_of(request),
        base=row.currency,
        quote=quote,
        on=timezone.localdate(),
        key=key[:40],
    )
    return gettext("Converted into %s.") % f"{spelled(bought, quote)} {quote}"


class AccountAdmin(MoneyAdmin):
    """Accounts; the list leads to the trial balance and to the statements of parties."""

    list_display = ("name", "party", "currency", "balance")
    list_filter = ("kind", "currency", ("party", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("party",)
    fields = readonly_fields = ("kind", "party", "currency", "balance")
    deeds = {
        "convert": Deed(
            _("Convert by the latest rate"),
            "settlement.add_fxrate",
            lambda row: row.kind == Account.Kind.PAYABLE and row.sum < 0,
            _convert,
            (Ask("amount", _("Amount")), Ask("to", _("Into the currency"))),
            lambda row: {"key": secrets.token_hex(8)},
            grave=True,
        )
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        """Add up in the same query."""
        rows: QuerySet[Account] = super().get_queryset(request)
        return rows.annotate(sum=balances.balance_column())

    def more_urls(self) -> list[URLPattern]:
        """Add the two pages."""
        view = self.admin_site.admin_view
        return [
            path("trial-balance/", view(self.trial_balance), name="settlement_account_trial"),
            path("statement/", view(self.statement), name="settlement_account_statement"),
        ]

    def links(self, request: HttpRequest) -> list[tuple[str, Any]]:
        """Lead to the two pages."""
        return [
            (self.url("trial"), _("Trial balance")),
            (self.url("statement"), _("Account of a party")),
        ]

    def trial_balance(self, request: HttpRequest) -> HttpResponse:
        """Show the sums of every account, and that they add up to zero per currency."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        day = _day(request, "on", timezone.localdate())
        by_party = request.GET.get("by") == "party"
        rows = balances.trial_balance(day, by_party=by_party)
        header = [_("kind"), _("account"), _("party"), _("currency"), _("debit"), _("credit")]
        table = [list(row) for row in rows]
        name = f"trial-balance-{day}"
        return asked_export(request, name, [*header, _("balance")], table) or self.page(
            request,
            "trial_balance.html",
            _("Trial balance"),
            day=day,
            by_party=by_party,
            rows=[(row, *_spelled(row.currency, *row[4:])) for row in rows],
            totals=[
                (currency, *_spelled(currency, *sums), sums[2] == 0)
                for currency, *sums in balances.currency_sums(rows)
            ],
            exports=export_links(request),
        )

    def statement(self, request: HttpRequest) -> HttpResponse:
        """Show the account of a party: opening, what happened, closing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        parties = Party.objects.filter(pk__in=Account.objects.values("party"))
        context: dict[str, Any] = {"parties": parties.order_by("country_code", "party_id")}
        if chosen := request.GET.get("party"):
            told = self._told(request, chosen)
            if isinstance(told, HttpResponse):
                return told
            context |= told
        return self.page(request, "party_account.html", _("Account of a party"), **context)

    def _told(self, request: HttpRequest, chosen: str) -> HttpResponse | dict[str, Any]:
        party = get_object_or_404(Party, pk=chosen if chosen.isdigit() else 0)
        currencies = balances.currencies_of(party)
        currency = request.GET.get("currency") or (currencies[0] if currencies else "EUR")
        today = timezone.localdate()
        start = _day(request, "from", today.replace(month=1, day=1))
        end = _day(request, "to", today)
        told = balances.party_statement(party, currency, start, end)
        header = [_("booked on"), _("text"), _("cause"), _("amount"), _("balance")]
        table = [
            [start, _("opening balance"), "", "", told.opening],
            *([*movement] for movement in told.movements),
            [end, _("closing balance"), "", "", told.closing],
        ]
        name = f"account-{party.country_code}{party.party_id}-{currency}"
        return asked_export(request, name, header, table) or {
            "told": told,
            "opening": spelled(told.opening, currency),
            "closing": spelled(told.closing, currency),
            "rows": [(row, *_spelled(currency, row.amount, row.balance)) for row in told.movements],
            "sums": [(cause, spelled(amount, currency)) for cause, amount in told.totals],
            "currencies": currencies,
            "exports": export_links(request),
        }

    @admin.display(description=_("account"), ordering="kind")
    def name(self, row: Account) -> str:
        """Return the kind."""
        return str(row.get_kind_display())

    @admin.display(description=_("balance"))
    def balance(self, row: Any) -> str:
        """Return the balance, positive where debits prevail."""
        return spelled(row.sum, row.currency)


def _spelled(currency: str, *amounts: Any) -> list[str]:
    return [spelled(amount, currency) for amount in amounts]


def _day(request: HttpRequest, name: str, default: dt.date) -> dt.date:
    """Return the day of a parameter; one that is none does not exist."""
    try:
        return dt.date.fromisoformat(request.GET.get(name) or default.isoformat())
    except ValueError:
        raise Http404 from None


class FxRateAdmin(admin.ModelAdmin[FxRate]):
    """Exchange rates."""

    list_display = ("on", "base", "quote", "rate", "source")
    list_filter = ("base", "quote")


PAGES: tuple[tuple[type[Model], Any], ...] = (
    (Account, AccountAdmin),
    (Entry, EntryAdmin),
    (FxRate, FxRateAdmin),
)
