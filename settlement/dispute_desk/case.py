"""The pages of the desk: the list, the case, the ruling, and its second pair of eyes."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub import portal
from parties.models import Party
from settlement.dispute_desk.forms import NoteForm, RulingForm
from settlement.dispute_desk.queue import Queue, dearer, time_left
from settlement.dispute_pages.facts import events_of, items_of
from settlement.dispute_pages.outcomes import outcome
from settlement.dispute_pages.words import until
from settlement.disputes import files, opening, ruling, telling
from settlement.disputes.moving import CannotDispute, State, money
from settlement.models import Dispute, DisputeEvent, Evidence, Ruling
from settlement.money_admin.desk import Deed, MoneyAdmin, person

DECIDE, APPROVE = "settlement.decide_dispute", "settlement.approve_ruling"
SHOWN = 50  # CDRs of a case


def _assign(request: HttpRequest, row: Dispute) -> str:
    ruling.assign(row, person(request))
    return gettext("It is yours.")


def _leave(request: HttpRequest, row: Dispute) -> str:
    ruling.assign(row, None)
    return gettext("It is nobody's now.")


def _proposed(row: Dispute) -> Ruling | None:
    return row.rulings.filter(state=Ruling.State.PROPOSED).first()


def _ruling(request: HttpRequest) -> int:
    return portal.number(request.POST.get("ruling", ""))


def _approve(request: HttpRequest, row: Dispute) -> str:
    waiting = get_object_or_404(Ruling, dispute=row, pk=_ruling(request))
    ruling.approve(waiting, person(request), timezone.now())
    return gettext("Approved: the ruling is in force, and both sides are written to.")


def _refuse(request: HttpRequest, row: Dispute) -> str:
    waiting = get_object_or_404(Ruling, dispute=row, pk=_ruling(request))
    ruling.refuse(waiting, person(request), timezone.now())
    return gettext("Refused: anybody may rule again.")


def _waiting(row: Dispute) -> bool:
    return row.state == State.ESCALATED and _proposed(row) is not None


def _shown(row: Dispute) -> dict[str, str]:
    waiting = _proposed(row)
    return {"ruling": str(waiting.pk)} if waiting else {}


class DisputeAdmin(MoneyAdmin):
    """Disputes, the nearest deadline first; the case of each."""

    list_display = (
        *("reference", "state", "left", "claimant", "respondent", "reason", "cdr_count"),
        *("asked_for", "proposal", "assignee"),
    )
    list_filter = (Queue, "reason", "currency", "effect")
    list_select_related = ("claimant", "respondent", "assignee")
    list_per_page = 50
    search_fields = ("reference", "claimant__party_id", "respondent__party_id")
    ordering = (F("due_at").asc(nulls_last=True), "-pk")
    actions = ("take",)
    columns = (
        (_("reference"), lambda row: row.reference),
        (_("state"), lambda row: row.state),
        (_("deadline"), lambda row: row.due_at),
        (_("claimant"), lambda row: str(row.claimant)),
        (_("respondent"), lambda row: str(row.respondent)),
        (_("reason"), lambda row: row.reason),
        (_("currency"), lambda row: row.currency),
        (_("asked"), lambda row: row.asked),
        (_("granted"), lambda row: row.granted),
        (_("assignee"), lambda row: str(row.assignee or "")),
    )
    deeds = {
        "take": Deed(
            _("Assign it to me"),
            DECIDE,
            lambda row: row.assignee_id is None and not row.is_over,
            _assign,
        ),
        "leave": Deed(
            _("Take the assignment away"),
            DECIDE,
            lambda row: row.assignee_id is not None and not row.is_over,
            _leave,
            grave=True,
        ),
        "approve": Deed(_("Approve the ruling"), APPROVE, _waiting, _approve, shown=_shown),
        "refuse": Deed(
            _("Refuse the ruling"), APPROVE, _waiting, _refuse, shown=_shown, grave=True
        ),
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dispute]:
        """Count the CDRs, and add up what the hub's own price says, in the same query."""
        rows: QuerySet[Dispute] = super().get_queryset(request)
        return rows.annotate(n=Count("items", distinct=True), off=Subquery(dearer()))

    def more_urls(self) -> list[URLPattern]:
        """Add the ruling, the notes and the files."""
        view, name = self.admin_site.admin_view, "settlement_dispute"
        return [
            path("<int:pk>/rule/", view(self.rule), name=f"{name}_rule"),
            path("<int:pk>/note/", view(self.note), name=f"{name}_note"),
            path("<int:pk>/files/<int:file>/", view(self.file), name=f"{name}_file"),
        ]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Allow those who may rule."""
        return request.user.has_perm(DECIDE)

    @admin.action(description=_("Assign to me"), permissions=["decide"])
    def take(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> None:
        """Have somebody look after several disputes."""
        chosen = list(queryset.exclude(state__in=Dispute.OVER))
        for dispute in chosen:
            ruling.assign(dispute, person(request))
        self.message_user(request, gettext("%d are yours.") % len(chosen), messages.SUCCESS)

    # One case

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a case: its facts, both sides, what the rules say, and what can be done."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = get_object_or_404(self._rows(), pk=portal.number(object_id))
        return self._case(request, found)

    def _rows(self) -> QuerySet[Dispute]:
        return Dispute.objects.select_related("claimant", "respondent", "assignee", "opened_by")

    def _case(
        self, request: HttpRequest, found: Dispute, form: RulingForm | None = None, **more: Any
    ) -> HttpResponse:
        items = list(found.items.order_by("pk")[:SHOWN])
        may_rule = (
            request.user.has_perm(DECIDE)
            and found.state == State.ESCALATED
            and _proposed(found) is None
        )
        context = {
            "dispute": found,
            "items": items_of(items),
            "left": found.items.count() - len(items),
            "sides": _sides(found),
            "events": events_of(found, None),
            "sealed": _files(found).filter(party=None),
            "until": until(found),
            "consequence": telling.consequence(found),
            "money_now": telling.money_now(found),
            "proposal": _proposal(found),
            "rulings": found.rulings.select_related("proposed_by", "second"),
            "form": form or (RulingForm() if may_rule else None),
            "notes": found.notes.select_related("person"),
            "note_form": NoteForm() if request.user.has_perm(DECIDE) else None,
            "offers": self.offers(request, found),
            **more,
        }
        return self.page(request, "dispute.html", found.reference, **context)

    def rule(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what a ruling comes to; rule once that was seen."""
        found = get_object_or_404(self._rows(), pk=pk)
        if request.method != "POST" or not request.user.has_perm(DECIDE):
            raise PermissionDenied
        form = RulingForm(request.POST)
        if not form.is_valid():
            return self._case(request, found, form)
        told = form.cleaned_data
        try:
            granted = ruling.granted(found, told["outcome"], told["amount"])
        except CannotDispute as error:
            form.add_error("amount", str(error))
            return self._case(request, found, form)
        mark = f"{told['outcome']} {granted.normalize():f}"
        if told["seen"] != mark:
            form.data = form.data.copy()  # type: ignore[attr-defined]
            form.data["seen"] = mark  # type: ignore[index]
            seen = _effect(found, granted)
            return self._case(request, found, form, preview=seen)
        return self._ruled(request, found, form)

    def _ruled(self, request: HttpRequest, found: Dispute, form: RulingForm) -> HttpResponse:
        told = form.cleaned_data
        try:
            made = ruling.rule(
                found, told["outcome"], told["amount"], told["reasons"], person(request),
                timezone.now(),
            )  # fmt: skip
        except CannotDispute as error:
            form.add_error(None, str(error))
            found.refresh_from_db()
            return self._case(request, found, form)
        self.log_change(request, found, f"Ruled: {made.outcome}.")
        text = _("Ruled; both sides are written to.")
        if made.needs_second:
            text = _("Proposed: above the limit, a second person has to approve it.")
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(self.url("change", found.pk))

    def note(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Write an internal note."""
        found = get_object_or_404(Dispute, pk=pk)
        if request.method != "POST" or not request.user.has_perm(DECIDE):
            raise PermissionDenied
        form = NoteForm(request.POST)
        if not form.is_valid():
            self.message_user(request, _("Write something."), messages.ERROR)
        else:
            ruling.jot(found, person(request), form.cleaned_data["text"], timezone.now())
            self.message_user(request, _("Noted, for staff only."), messages.SUCCESS)
        return HttpResponseRedirect(self.url("change", pk) + "#notes")

    def file(self, request: HttpRequest, pk: int, file: int) -> HttpResponse:
        """Hand out evidence that was scanned, and note who took it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        clean = Evidence.objects.filter(state=Evidence.State.CLEAN)
        found = get_object_or_404(clean, dispute=pk, pk=file)
        self.log_change(request, found.dispute, f"Downloaded {found.name}, {found.sha256}.")
        kind = files.CONTENT_TYPES[Evidence.Type(found.type)]
        return portal.attachment(bytes(found.content), found.name, kind)

    # The columns of the queue

    @admin.display(description=_("time left"), ordering="due_at")
    def left(self, row: Dispute) -> str:
        """Return how long there is to act, and who has to."""
        return time_left(row.due_at, timezone.now()) if row.due_at else "-"

    @admin.display(description=_("CDRs"))
    def cdr_count(self, row: Any) -> int:
        """Return how many CDRs it is about."""
        return int(row.n)

    @admin.display(description=_("asked for"), ordering="asked")
    def asked_for(self, row: Dispute) -> str:
        """Return the amount."""
        return money(row.asked, row.currency) if row.asked else row.get_ask_display()

    @admin.display(description=_("the hub's price"))
    def proposal(self, row: Any) -> str:
        """Return what the hub's own price says about the claim."""
        if not row.off:
            return gettext("says nothing")
        off = -row.off if row.by_cpo else row.off
        text = gettext("supports it by %s") if off > 0 else gettext("speaks against it by %s")
        return text % money(abs(off), row.currency)


def _files(found: Dispute) -> QuerySet[Evidence]:
    return found.evidence.select_related("party").defer("content")


def _said(found: Dispute, party: Party) -> QuerySet[DisputeEvent]:
    rows = found.events.filter(party=party).exclude(text="")
    return rows.select_related("person").order_by("pk")


def _sides(found: Dispute) -> list[dict[str, Any]]:
    """Return both sides with what they have said and shown."""
    return [
        {
            "role": role,
            "party": party,
            "said": _said(found, party),
            "files": _files(found).filter(party=party),
        }
        for role, party in (
            (_("Claimant"), found.claimant),
            (_("Respondent"), found.respondent),
        )
    ]


def _proposal(found: Dispute) -> str:
    """Say what the hub's own price proves."""
    items = list(found.items.select_related("cdr")[: opening.MOST])
    off = opening.asked_by_price([item.cdr for item in items], by_cpo=found.by_cpo)
    if off is None:
        return gettext("It does not prove each of these CDRs wrong in the claimant's favour.")
    told = {"off": money(off, found.currency), "asked": money(found.asked, found.currency)}
    if off >= found.asked:
        return gettext("It supports the claim: %(off)s is proven, %(asked)s is asked for.") % told
    return gettext("It supports %(off)s of the %(asked)s that is asked for.") % told


def _effect(found: Dispute, granted: Decimal) -> dict[str, Any]:
    """Say what a ruling would do, to the CDRs and to both sides."""
    return {
        **outcome(found, granted, timezone.now()),
        "granted": money(granted, found.currency),
        "second": found.asked > settings.RULING_LIMIT,
    }
