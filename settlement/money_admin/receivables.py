"""What eMSPs owe: the list, by age, and what is given up."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub import charts
from hub.readonly import ReadOnlyInline
from settlement.banking import receivables, writeoffs
from settlement.models import (
    Allocation,
    BillingContact,
    Receivable,
    Reminder,
    SetOff,
    WriteOff,
)
from settlement.money_admin.desk import (
    Ask,
    Deed,
    MoneyAdmin,
    amount_of,
    asked_export,
    change_url,
    export_links,
    person,
    reason_of,
    spelled,
)

CHARTED = 15
SERIES = (_("not due"), _("1 to 14 days late"), _("over 14 days late"))


class AllocationInline(ReadOnlyInline):
    """What was taken off."""

    model = Allocation
    fields = readonly_fields = ("created_at", "by", "settled")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Allocation]:
        """Fetch the receipts along."""
        rows: QuerySet[Allocation] = super().get_queryset(request)
        return rows.select_related("receipt")

    @admin.display(description=_("by"))
    def by(self, row: Allocation) -> str:
        """Return what settled it."""
        return f"{row.receipt.get_cause_display()}, {row.receipt.received_on}"

    @admin.display(description=_("amount"))
    def settled(self, row: Allocation) -> str:
        """Return the amount."""
        return spelled(row.amount, row.receipt.currency)


class ReminderInline(ReadOnlyInline):
    """What was told."""

    model = Reminder
    fields = readonly_fields = ("level", "created_at", "sent_at", "sent_to")


def _propose(request: HttpRequest, row: Receivable) -> str:
    writeoffs.propose_receivable(row, amount_of(request), reason_of(request), person(request))
    return gettext("Proposed. A second person has to approve it.")


class ReceivableAdmin(MoneyAdmin):
    """Receivables."""

    list_display = ("document", "party", "due_on", "late", "state", "total", "left", "currency")
    list_filter = ("state", "currency", ("party", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("document", "party", "settled")
    search_fields = ("document__number", "party__party_id", "party__name")
    date_hierarchy = "due_on"
    inlines = (AllocationInline, ReminderInline)
    fields = readonly_fields = (
        *("link", "party", "currency", "total", "left", "due_on", "late", "state"),
    )
    columns = (
        (_("document"), lambda row: row.document.number),
        (_("party"), lambda row: str(row.party)),
        (_("due on"), lambda row: row.due_on),
        (_("state"), lambda row: row.state),
        (_("currency"), lambda row: row.currency),
        (_("amount"), lambda row: row.amount),
        (_("open amount"), lambda row: row.settled.open),
    )
    deeds = {
        "write-off": Deed(
            _("Propose to write it off"),
            "settlement.add_writeoff",
            lambda row: row.state in Receivable.UNPAID,
            _propose,
            (Ask("amount", _("Amount")), Ask("reason", _("Reason"))),
            grave=True,
        )
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Receivable]:
        """Leave the snapshots of the documents where they are."""
        rows: QuerySet[Receivable] = super().get_queryset(request)
        return rows.select_related(*self.list_select_related).defer("document__snapshot")

    def more_urls(self) -> list[URLPattern]:
        """Add the page by age."""
        view = self.admin_site.admin_view(self.by_age)
        return [path("ageing/", view, name="settlement_receivable_ageing")]

    def links(self, request: HttpRequest) -> list[tuple[str, Any]]:
        """Lead to the page by age."""
        return [(self.url("ageing"), _("By age"))]

    def by_age(self, request: HttpRequest) -> HttpResponse:
        """Show what is owed, by how late it is."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        ages = receivables.by_age(timezone.localdate())
        names = [name for name, _limit in receivables.BUCKETS]
        rows = [[age.party, age.currency, *age.amounts, age.total] for age in ages]
        header = [_("party"), _("currency"), *names, _("total")]
        return asked_export(request, "receivables-by-age", header, rows) or self.page(
            request,
            "ageing.html",
            _("Receivables by age"),
            names=names,
            rows=[_shown(age) for age in ages],
            totals=[_shown(total) for total in _totals(ages)],
            charts=[charts.bars(chart) for chart in _charts(ages)],
            suspended=list(receivables.suspended()),
            exports=export_links(request),
        )

    @admin.display(description=_("document"))
    def link(self, row: Receivable) -> SafeString:
        """Lead to the document."""
        return format_html('<a href="{}">{}</a>', change_url(row.document), row.document)

    @admin.display(description=_("days late"))
    def late(self, row: Receivable) -> str:
        """Return how late it is, while it is not paid."""
        days = (timezone.localdate() - row.due_on).days
        return str(days) if days > 0 and row.state in Receivable.UNPAID else "-"

    @admin.display(description=_("amount"), ordering="amount")
    def total(self, row: Receivable) -> str:
        """Return the amount."""
        return spelled(row.amount, row.currency)

    @admin.display(description=_("open amount"), ordering="settled__open")
    def left(self, row: Receivable) -> str:
        """Return what is open."""
        return spelled(row.settled.open, row.currency)


def _shown(age: receivables.Age) -> dict[str, Any]:
    listed = reverse("admin:settlement_receivable_changelist")
    query = f"?party__id__exact={age.party_pk}&currency__exact={age.currency}"
    return {
        "party": age.party,
        "currency": age.currency,
        "url": f"{listed}{query}",
        "amounts": [spelled(amount, age.currency) for amount in age.amounts],
        "total": spelled(age.total, age.currency),
        "late": age.overdue > 0,
    }


def _totals(ages: list[receivables.Age]) -> list[receivables.Age]:
    sums: dict[str, receivables.Age] = {}
    for age in ages:
        empty = [Decimal()] * len(age.amounts)
        total = sums.setdefault(
            age.currency, receivables.Age(gettext("All"), 0, age.currency, empty)
        )
        for place, amount in enumerate(age.amounts):
            total.amounts[place] += amount
    return list(sums.values())


def _charts(ages: list[receivables.Age]) -> list[charts.Bars]:
    """Return a chart per currency, of those that owe most."""
    found = []
    for total in _totals(ages):
        own = [age for age in ages if age.currency == total.currency][:CHARTED]
        told = gettext("%(total)s %(currency)s open, %(late)s of it late") % {
            "total": spelled(total.total, total.currency),
            "currency": total.currency,
            "late": spelled(total.overdue, total.currency),
        }
        title = gettext("What is owed to the hub in %s, by age") % total.currency
        bars = [charts.Row(age.party, _three(age), _shown(age)["url"]) for age in own]
        found.append(charts.Bars(title, told, [str(name) for name in SERIES], bars))
    return found


def _three(age: receivables.Age) -> list[int]:
    parts = (age.amounts[:1], age.amounts[1:3], age.amounts[3:])
    return [round(sum(part, Decimal())) for part in parts]


def _approve(request: HttpRequest, row: WriteOff) -> str:
    writeoffs.approve(row, person(request), request.POST.get("seen", ""))
    return gettext("Approved and booked.")


def _refuse(request: HttpRequest, row: WriteOff) -> str:
    writeoffs.refuse(row, person(request))
    return gettext("Refused.")


def _is_proposed(row: WriteOff) -> bool:
    return row.state == WriteOff.State.PROPOSED


class WriteOffAdmin(MoneyAdmin):
    """Write-offs: proposed by one, decided by another."""

    list_display = ("__str__", "total", "reason", "state", "created_by", "approved_by")
    list_filter = ("state",)
    list_select_related = ("receivable__document", "bank_line", "created_by", "approved_by")
    fields = readonly_fields = (
        *("subject", "total", "reason", "state", "created_by", "created_at"),
        *("approved_by", "approved_at", "approved_sha256"),
    )
    deeds = {
        "approve": Deed(
            _("Approve and book"),
            "settlement.approve_writeoff",
            _is_proposed,
            _approve,
            shown=lambda row: {"seen": writeoffs.digest(row)},
        ),
        "refuse": Deed(
            _("Refuse"), "settlement.approve_writeoff", _is_proposed, _refuse, grave=True
        ),
    }

    @admin.display(description=_("of"))
    def subject(self, row: WriteOff) -> SafeString:
        """Lead to what is given up."""
        of = row.receivable or row.bank_line
        return format_html('<a href="{}">{}</a>', change_url(of), of) if of else SafeString("-")

    @admin.display(description=_("amount"))
    def total(self, row: WriteOff) -> str:
        """Return the amount with its currency."""
        of = row.receivable or row.bank_line
        return f"{spelled(row.amount, of.currency)} {of.currency}" if of else str(row.amount)


class ReminderAdmin(MoneyAdmin):
    """Reminders."""

    list_display = ("receivable", "level", "created_at", "sent_at", "sent_to")
    list_filter = ("level", ("sent_at", admin.EmptyFieldListFilter))
    list_select_related = ("receivable__document",)
    fields = readonly_fields = ("receivable", "level", "created_at", "sent_at", "sent_to")


class SetOffAdmin(MoneyAdmin):
    """Set-offs; the page of one is the note about it, to print."""

    list_display = ("number", "party", "booked_on", "total", "currency")
    list_filter = ("currency", ("party", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("party",)
    fields = readonly_fields = ("number", "party", "booked_on", "total", "settles", "note")
    columns = (
        (_("number"), lambda row: row.number),
        (_("party"), lambda row: str(row.party)),
        (_("booked on"), lambda row: row.booked_on),
        (_("amount"), lambda row: row.amount),
        (_("currency"), lambda row: row.currency),
    )

    @admin.display(description=_("amount"))
    def total(self, row: SetOff) -> str:
        """Return the amount."""
        return f"{spelled(row.amount, row.currency)} {row.currency}"

    @admin.display(description=_("settles"))
    def settles(self, row: SetOff) -> str:
        """Return the invoices that it settles."""
        parts = row.receipt.allocations.select_related("receivable__document")
        return ", ".join(
            f"{part.receivable}: {spelled(part.amount, row.currency)}" for part in parts
        )

    @admin.display(description=_("note"))
    def note(self, row: SetOff) -> str:
        """Return what the two sides agreed on."""
        return gettext(
            "By the set-off clause of the agreement this amount of what the hub owes the party"
            " is set off against what the party owes the hub. No money is moved."
        )


class BillingContactAdmin(admin.ModelAdmin[BillingContact]):
    """Who is written to about bills."""

    list_display = ("party", "email")
    list_select_related = ("party",)
    search_fields = ("party__party_id", "party__name", "email")


PAGES = (
    (Receivable, ReceivableAdmin),
    (WriteOff, WriteOffAdmin),
    (Reminder, ReminderAdmin),
    (SetOff, SetOffAdmin),
    (BillingContact, BillingContactAdmin),
)
