"""Payouts and their batches: proposed by one person, approved by another, then to the bank."""

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.money import ZERO
from hub.readonly import ReadOnlyInline
from settlement.banking import batches, payouts, returns
from settlement.models import PaymentStatus, Payout, PayoutBatch, PayoutLine
from settlement.money_admin.desk import (
    Ask,
    Deed,
    MoneyAdmin,
    NotDone,
    change_url,
    person,
    reason_of,
    spelled,
)

State = PayoutBatch.State


class PaymentStatusInline(ReadOnlyInline):
    """What the bank has said of a payout."""

    model = PaymentStatus
    fields = readonly_fields = ("code", "reason", "report", "imported_by", "imported_at")


class PayoutLineInline(ReadOnlyInline):
    """What a payout pays."""

    model = PayoutLine
    fields = readonly_fields = ("of", "total")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PayoutLine]:
        """Fetch the documents along."""
        rows: QuerySet[PayoutLine] = super().get_queryset(request)
        return rows.select_related("document", "payout").defer("document__snapshot")

    @admin.display(description=_("of"))
    def of(self, row: PayoutLine) -> str:
        """Return the document, or what the rest is."""
        return str(row.document or _("fees, credit notes, set-offs and what was carried"))

    @admin.display(description=_("amount"))
    def total(self, row: PayoutLine) -> str:
        """Return the amount."""
        return spelled(row.amount, row.payout.currency)


def _reject(request: HttpRequest, row: Payout) -> str:
    again = returns.give_up(row, Payout.State.REJECTED, reason_of(request))
    return gettext("Taken back; planned again as %s.") % again if again else gettext("Taken back.")


def _take_out(request: HttpRequest, row: Payout) -> str:
    batches.take_out(row)
    return gettext("Taken out of its batch, which needs approval again.")


class PayoutAdmin(MoneyAdmin):
    """Payouts, and those that wait for a batch."""

    list_display = ("__str__", "party", "total", "currency", "execute_on", "state", "in_batch")
    list_filter = ("state", "currency", ("party", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("party", "batch", "bank_account")
    search_fields = ("party__party_id", "party__name")
    inlines = (PayoutLineInline, PaymentStatusInline)
    fields = readonly_fields = (
        *("end_to_end_id", "party", "total", "currency", "to", "execute_on", "state"),
        *("in_batch", "retry_of", "failed_because", "bank_line", "created_at"),
    )
    columns = (
        (_("payout"), str),
        (_("party"), lambda row: str(row.party)),
        (_("amount"), lambda row: row.amount),
        (_("currency"), lambda row: row.currency),
        (_("not before"), lambda row: row.execute_on),
        (_("state"), lambda row: row.state),
        (_("batch"), lambda row: str(row.batch or "")),
        (_("paid to"), lambda row: row.bank_account.number),
    )
    deeds = {
        "take-out": Deed(
            _("Take it out of its batch"),
            "settlement.change_payoutbatch",
            lambda row: bool(row.batch and row.batch.state in {State.DRAFT, State.APPROVED}),
            _take_out,
        ),
        "reject": Deed(
            _("The bank has rejected it"),
            "settlement.change_payout",
            lambda row: row.state == Payout.State.SUBMITTED,
            _reject,
            (Ask("reason", _("Reason of the bank")),),
            grave=True,
        ),
    }

    def more_urls(self) -> list[URLPattern]:
        """Add the page of what waits."""
        view = self.admin_site.admin_view(self.waiting)
        return [path("waiting/", view, name="settlement_payout_waiting")]

    def links(self, request: HttpRequest) -> list[tuple[str, Any]]:
        """Lead to what waits."""
        return [(self.url("waiting"), _("Waiting for a batch"))]

    def waiting(self, request: HttpRequest) -> HttpResponse:
        """Show what could be paid, by currency and day; propose a batch, or plan anew."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._proposed(request)
        return self.page(
            request,
            "waiting.html",
            _("Payouts waiting for a batch"),
            groups=[(row, spelled(row.total, row.currency)) for row in batches.waiting()],
            may=request.user.has_perm("settlement.add_payoutbatch"),
            batches=PayoutBatch.objects.filter(
                state__in=[State.DRAFT, State.APPROVED, State.FILED]
            ).order_by("pk"),
        )

    def _proposed(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm("settlement.add_payoutbatch"):
            raise PermissionDenied
        if "plan" in request.POST:
            return self._planned(request)
        try:
            day = dt.date.fromisoformat(request.POST.get("execute_on", ""))
            batch = batches.propose(request.POST.get("currency", ""), day, person(request))
        except (ValueError, batches.CannotBatch) as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(self.url("waiting"))
        self.log_addition(request, batch, "Proposed.")
        self.message_user(request, _("Proposed. A second person has to approve it."))
        return HttpResponseRedirect(change_url(batch))

    def _planned(self, request: HttpRequest) -> HttpResponse:
        plans = payouts.plan(timezone.now())
        left = [plan for plan in plans if plan.why and plan.amount > 0]
        told = gettext("%(planned)d payouts are planned, %(left)d balances are carried forward.")
        counts = {"planned": sum(plan.payout is not None for plan in plans), "left": len(left)}
        self.message_user(request, told % counts, messages.SUCCESS)
        for plan in left[:10]:
            amount = spelled(plan.amount, plan.currency)
            self.message_user(request, f"{plan.party}: {amount} {plan.currency}: {plan.why}")
        return HttpResponseRedirect(self.url("waiting"))

    @admin.display(description=_("amount"), ordering="amount")
    def total(self, row: Payout) -> str:
        """Return the amount."""
        return spelled(row.amount, row.currency)

    @admin.display(description=_("paid to"))
    def to(self, row: Payout) -> SafeString:
        """Lead to the account."""
        return format_html('<a href="{}">{}</a>', change_url(row.bank_account), row.bank_account)

    @admin.display(description=_("batch"), ordering="batch")
    def in_batch(self, row: Payout) -> SafeString:
        """Lead to the batch."""
        if row.batch is None:
            return SafeString("-")
        return format_html('<a href="{}">{}</a>', change_url(row.batch), row.batch)


def _approve(request: HttpRequest, row: PayoutBatch) -> str:
    """Have the total typed and the password given once more: nobody approves by a stray click."""
    try:
        typed = Decimal(request.POST.get("total", "").replace(",", ""))
    except InvalidOperation:
        raise NotDone(_("Type the total of the batch, for instance 1234.50.")) from None
    if typed != batches.total(row):
        raise NotDone(_("That is not the total of the batch."))
    if not person(request).check_password(request.POST.get("password", "")):
        raise NotDone(_("That is not your password."))
    batches.approve(row, person(request), request.POST.get("seen", ""))
    return gettext("Approved.")


def _drop(request: HttpRequest, row: PayoutBatch) -> str:
    batches.drop(row, reason_of(request))
    return gettext("Dropped; its payouts are planned anew.")


def _file(request: HttpRequest, row: PayoutBatch) -> str:
    batches.make_file(row)
    return gettext("The payment file is made.")


def _submit(request: HttpRequest, row: PayoutBatch) -> str:
    batches.submit(row, person(request))
    return gettext("Noted: the bank has the file, and the payouts are booked.")


class PayoutBatchAdmin(MoneyAdmin):
    """Batches: one button per step, and what an approver should look at first."""

    change_form_template = "admin/settlement/batch.html"
    list_display = (
        *("__str__", "state", "payout_count", "total", "currency", "execute_on"),
        *("created_by", "approved_by"),
    )
    list_filter = ("state", "currency")
    list_select_related = ("created_by", "approved_by")
    fields = readonly_fields = (
        *("message_id", "state", "currency", "account", "execute_on", "created_by", "created_at"),
        *("approved_by", "approved_at", "approved_sha256", "refused_because"),
        *("file_link", "file_sha256", "submitted_by", "submitted_at"),
    )
    deeds = {
        "approve": Deed(
            _("Approve"),
            "settlement.approve_payoutbatch",
            lambda row: row.state == State.DRAFT,
            _approve,
            (
                Ask("total", _("Total, typed by you"), help=_("as shown above")),
                Ask("password", _("Your password"), "password"),
            ),
            lambda row: {"seen": batches.digest(row)},
        ),
        "file": Deed(
            _("Make the payment file"),
            "settlement.change_payoutbatch",
            lambda row: row.state == State.APPROVED,
            _file,
        ),
        "submit": Deed(
            _("The bank has the file"),
            "settlement.change_payoutbatch",
            lambda row: row.state == State.FILED,
            _submit,
        ),
        "drop": Deed(
            _("Drop this batch"),
            "settlement.change_payoutbatch",
            lambda row: row.state in {State.DRAFT, State.APPROVED},
            _drop,
            (Ask("reason", _("Reason")),),
            grave=True,
        ),
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[PayoutBatch]:
        """Count and add up in the same query; leave the files where they are."""
        rows: QuerySet[PayoutBatch] = super().get_queryset(request)
        return rows.defer("file").annotate(n=Count("payouts"), sum=Sum("payouts__amount"))

    def more_urls(self) -> list[URLPattern]:
        """Add the download."""
        view = self.admin_site.admin_view(self.download)
        return [path("<int:pk>/file/", view, name="settlement_payoutbatch_file")]

    def links(self, request: HttpRequest) -> list[tuple[str, Any]]:
        """Lead to what waits."""
        return [(reverse("admin:settlement_payout_waiting"), _("Waiting for a batch"))]

    def download(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Hand the payment file out to those who may take it to the bank, and note who took it."""
        if not request.user.has_perm("settlement.change_payoutbatch"):
            raise PermissionDenied
        batch = get_object_or_404(PayoutBatch, pk=pk)
        if batch.file is None:
            raise Http404
        self.log_change(request, batch, f"Downloaded {batch.file_sha256}.")
        disposition = content_disposition_header(True, f"{batch.message_id}.xml") or ""
        headers = {"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff"}
        return HttpResponse(bytes(batch.file), content_type="application/xml", headers=headers)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """Show the payouts, what is unusual about them, and the steps."""
        batch = context["original"]
        rows = batch.payouts.select_related("party", "bank_account").order_by("pk")
        context["payouts"] = [
            (row, change_url(row), spelled(row.amount, row.currency)) for row in rows
        ]
        context["batch_total"] = spelled(batches.total(batch), batch.currency)
        context["remarks"] = batches.remarks(batch) if batch.state == State.DRAFT else []
        context["steps"] = _steps(batch)
        return super().render_change_form(request, context, *args, **options)

    @admin.display(description=_("payouts"))
    def payout_count(self, row: Any) -> int:
        """Return how many payouts there are."""
        return int(row.n)

    @admin.display(description=_("total"))
    def total(self, row: Any) -> str:
        """Return the sum."""
        return spelled(row.sum or ZERO, row.currency)

    @admin.display(description="pain.001")
    def file_link(self, row: PayoutBatch) -> SafeString:
        """Lead to the file."""
        if not row.file_sha256:
            return SafeString("-")
        url = reverse("admin:settlement_payoutbatch_file", args=[row.pk])
        return format_html('<a href="{}">{}.xml</a>', url, row.message_id)


def _steps(batch: PayoutBatch) -> list[dict[str, Any]]:
    """Return the steps of a batch with who took them and when; the first open one is the next."""
    steps = [
        (_("Proposed"), batch.created_by, batch.created_at),
        (_("Approved by a second person"), batch.approved_by, batch.approved_at),
        (_("Payment file made"), "", batch.filed_at),
        (_("Handed to the bank"), batch.submitted_by, batch.submitted_at),
        (_("Booked by the bank"), "", batch.state == State.COMPLETED),
    ]
    done = [bool(at) for _name, _who, at in steps]
    return [
        {
            "name": name,
            "who": who,
            "at": at if isinstance(at, dt.datetime) else None,
            "done": bool(at),
            "next": batch.state != State.DROPPED and not at and all(done[:place]),
        }
        for place, (name, who, at) in enumerate(steps)
    ]


PAGES: tuple[tuple[type[Model], Any], ...] = (
    (PayoutBatch, PayoutBatchAdmin),
    (Payout, PayoutAdmin),
)
