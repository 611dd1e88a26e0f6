"""The settlement cockpit: where a month is, what is left, what blocks it, and its next step.

Everything is read from the database, so a reload shows how far a close has come, whoever does it.
Months that are not frozen yet are counted by index; the others by their cells.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import PermissionDenied
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Concat
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cdrs.models import Cdr, Period
from hub import charts
from hub.readonly import ReadOnlyAdmin
from settlement import clearing, preflight, tasks
from settlement.calendar import closable_from, schedule
from settlement.models import Cell, CloseRun, DisputeCdr, DocumentFile, DocumentLine
from settlement.models.disputes import Effect

State = Period.State
MOVING = (State.FROZEN, State.ISSUING, State.ISSUED)  # nobody is waited for
REFRESH = 5  # seconds
BEFORE_PAPER = (State.OPEN, State.GRACE, State.FROZEN, State.STATEMENT)
LARGEST = 10
COUNT, TEXTS = BigIntegerField(), ArrayField(CharField())


class Step(NamedTuple):
    """What a button does, and what it says before it does it."""

    name: Any  # a text that is translated when it is shown
    warning: Any


NEXT: dict[str, Step] = {
    State.OPEN: Step(_("Freeze the CDRs"), _("CDRs that come later are settled in a later month.")),
    State.GRACE: Step(
        _("Freeze the CDRs"), _("CDRs that come later are settled in a later month.")
    ),
    State.FROZEN: Step(_("Publish the statements"), _("Every party sees what it has coming.")),
    State.STATEMENT: Step(
        _("End the time for answers"),
        _("Silence approves what nobody has answered. From then on nothing can be revised."),
    ),
    State.ISSUING: Step(_("Issue the documents"), _("Documents get their final numbers.")),
    State.ISSUED: Step(_("Render what is missing"), _("Documents get their files.")),
}


class Progress(NamedTuple):
    """How much of a piece of work is done."""

    name: str
    done: int
    of: int


@admin.register(Period)
class PeriodAdmin(ReadOnlyAdmin):
    """Months: what is in them, and their close."""

    list_display = (
        *("__str__", "state", "cdrs", "held", "totals"),
        *("opened_at", "frozen_at", "closed_at"),
    )
    list_filter = ("state",)
    fields = readonly_fields = (
        *("month", "state", "cdrs", "held", "totals"),
        *("opened_at", "grace_until", "frozen_at", "closed_at", "close"),
    )
    change_form_template = "admin/settlement/period.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Period]:
        """Count and add up in the same query."""
        rows: QuerySet[Period] = super().get_queryset(request)
        return rows.select_related("close_run").annotate(
            cdr_count=Coalesce(_while_thawed(_counted(), _counted_in_cells(), COUNT), 0),
            held_count=Coalesce(_held(), 0),
            currency_totals=_while_thawed(_totals(), _totals_of_cells(), TEXTS),
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the close, and its single steps."""
        view = self.admin_site.admin_view
        return [
            path("<int:period_id>/close", view(self.close_month), name="settlement_close_period"),
            path("<int:period_id>/next", view(self.next_step), name="settlement_next_step"),
            *super().get_urls(),
        ]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """Show the cockpit; while a close is at work the page comes again by itself."""
        period = context["original"]
        context |= cockpit(period)
        context["may_close"] = _may_close(request) and period.state in NEXT
        answer = super().render_change_form(request, context, *args, **options)
        if period.state in MOVING:
            answer["Refresh"] = str(REFRESH)
        return answer

    def close_month(self, request: HttpRequest, period_id: int) -> HttpResponse:
        """Ask once more, then have a worker close the month to the end."""
        period = self._asked_for(request, period_id)
        if request.method == "POST":
            tasks.close_period.delay(period.pk)
            return self._requested(request, period, str(_("Close requested.")))
        warning = _(
            "Closing freezes the month's CDRs, takes silence for approval of the statements, issues"
            " the documents under their final numbers and cannot be undone."
        )
        return self._question(request, period, Step(_("Close this month"), warning))

    def next_step(self, request: HttpRequest, period_id: int) -> HttpResponse:
        """Ask once more, then have a worker take the next step, if it still is the next."""
        period = self._asked_for(request, period_id)
        if period.state not in NEXT:
            return HttpResponseRedirect(_url(period))
        if request.method == "POST":
            tasks.next_step.delay(period.pk, request.POST.get("state", ""))
            return self._requested(request, period, str(NEXT[period.state].name))
        return self._question(request, period, NEXT[period.state])

    def _asked_for(self, request: HttpRequest, period_id: int) -> Period:
        if not _may_close(request):
            raise PermissionDenied
        return get_object_or_404(self.get_queryset(request), pk=period_id)

    def _question(self, request: HttpRequest, period: Period, step: Step) -> HttpResponse:
        first = closable_from(period.month)
        context = {
            **self.admin_site.each_context(request),
            "title": step.name,
            "step": step,
            "period": period,
            "checks": list(preflight.checks(period)) if period.state in BEFORE_PAPER else [],
            "ties": preflight.ties(period),
            "blockers": clearing.blockers(period, timezone.now()),
            "closable_from": first,
            "early": period.thawed and timezone.now() < first,
        }
        return TemplateResponse(request, "admin/settlement/close_period.html", context)

    def _requested(self, request: HttpRequest, period: Period, what: str) -> HttpResponse:
        self.log_change(request, period, what)
        text = _("A worker is at it: this page shows how far it has come.")
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(_url(period))

    @admin.display(description=_("CDRs"))
    def cdrs(self, period: Any) -> int:
        """Return how many CDRs are settled in it."""
        return int(period.cdr_count)

    @admin.display(description=_("held"))
    def held(self, period: Any) -> int:
        """Return how many CDRs of the month are held."""
        return int(period.held_count)

    @admin.display(description=_("totals excl. VAT"))
    def totals(self, period: Any) -> str:
        """Return the exact totals per currency."""
        return ", ".join(period.currency_totals)

    @admin.display(description=_("close"))
    def close(self, period: Period) -> str:
        """Return how far the close has come."""
        return str(period.close_run) if hasattr(period, "close_run") else "-"


def cockpit(period: Period) -> dict[str, Any]:
    """Return what the page of a month says besides its columns."""
    run = CloseRun.objects.filter(period=period).first()
    pictured = _largest(period)
    return {
        "timeline": list(_timeline(period, run)),
        "run": run,
        "quiet": run is not None and timezone.now() - run.heartbeat_at > dt.timedelta(minutes=5),
        "progress": list(_progress(period)),
        "statements": clearing.answers(period),
        "checks": list(preflight.checks(period)) if period.state in BEFORE_PAPER else [],
        "ties": preflight.ties(period),
        "blockers": clearing.blockers(period, timezone.now()),
        "next_step": NEXT.get(period.state),
        "largest": pictured,
        "chart": _chart(pictured),
        "moving": period.state in MOVING,
        "disputes": _disputes(period),
    }


def _disputes(period: Period) -> int:
    """Count the disputes that hold CDRs of a month."""
    items = DisputeCdr.objects.filter(open=True, cdr__month=period.month)
    return items.filter(dispute__effect=Effect.HOLD).values("dispute").distinct().count()


def _timeline(period: Period, run: CloseRun | None) -> Iterator[tuple[str, Any, Any]]:
    """Yield the steps with when they were reached, and when the calendar wants them."""
    days = schedule(period)
    yield gettext("opened"), period.opened_at, None
    yield gettext("over; late CDRs come until"), period.grace_until, days.grace_until
    wanted = {CloseRun.Step.FROZEN: days.freeze_at, CloseRun.Step.ISSUED: days.issue_by}
    times = run.times if run else {}
    for step in CloseRun.Step:
        told = times.get(step.value)
        yield str(step.label), told and dt.datetime.fromisoformat(told), wanted.get(step)
    yield gettext("closed"), period.closed_at, None


def _progress(period: Period) -> Iterator[Progress]:
    """Count what is done, while there is something to count."""
    cells = period.cells.count()
    if cells:
        billed = DocumentLine.objects.filter(cell__period=period).count()
        yield Progress(gettext("cells on documents"), billed, 2 * cells)
    documents = period.documents.count()
    if documents:
        filed = DocumentFile.objects.filter(document__period=period, kind=DocumentFile.Kind.PDF)
        yield Progress(gettext("documents with their PDF"), filed.count(), documents)
    out = period.statements.current()
    if published := out.count():
        answered = published - out.unanswered().count()
        yield Progress(gettext("statements answered"), answered, published)


def _largest(period: Period) -> list[Any]:
    """Return the CPOs that sell most, by currency; of cells, so after the freeze only."""
    rows = period.cells.order_by().values("cpo__country_code", "cpo__party_id", "currency")
    supplies, credits = Sum("net", filter=Q(credit=False)), Sum("net", filter=Q(credit=True))
    summed = rows.annotate(
        supplied=Coalesce(supplies, Value(0), output_field=Cell._meta.get_field("net")),
        credited=Coalesce(credits, Value(0), output_field=Cell._meta.get_field("net")),
        cdrs=Sum("cdr_count"),
    )
    return list(summed.order_by("-supplied", "cpo__country_code", "cpo__party_id")[:LARGEST])


def _chart(rows: list[Any]) -> SafeString | str:
    if not rows:
        return ""
    name = "{cpo__country_code}*{cpo__party_id} {currency}".format
    return charts.bars(
        charts.Bars(
            title=gettext("What the largest CPOs sell"),
            description=gettext("Net of supplies and of credits, rounded to whole units."),
            series=[gettext("supplies"), gettext("credits")],
            rows=[
                charts.Row(name(**row), [int(row["supplied"]), -int(row["credited"])])
                for row in rows
            ],
        )
    )


def _may_close(request: HttpRequest) -> bool:
    return request.user.has_perm("settlement.close_period")


def _url(period: Period) -> str:
    return reverse("admin:cdrs_period_change", args=[period.pk])


# Counting: of months that are not frozen the CDRs by index, of others the cells


def _while_thawed(cdrs: Any, cells: Any, kind: Any) -> Case:
    return Case(When(state__in=Period.THAWED, then=cdrs), default=cells, output_field=kind)


def _settled() -> QuerySet[Cdr]:
    return Cdr.objects.filter(period=OuterRef("pk")).order_by()


def _cells() -> QuerySet[Cell]:
    return Cell.objects.filter(period=OuterRef("pk")).order_by()


def _counted() -> Subquery:
    return Subquery(_settled().values("period").annotate(n=Count("*")).values("n"))


def _counted_in_cells() -> Subquery:
    return Subquery(_cells().values("period").annotate(n=Sum("cdr_count")).values("n"))


def _held() -> Subquery:
    held = Cdr.objects.filter(month=OuterRef("month"), state=Cdr.State.HELD).order_by()
    return Subquery(held.values("month").annotate(n=Count("*")).values("n"))


def _totals() -> ArraySubquery:
    return _told(_settled().order_by("currency").values("currency"), Sum("total_excl_vat"))


def _totals_of_cells() -> ArraySubquery:
    return _told(_cells().order_by("currency").values("currency"), Sum("total"))


def _told(grouped: QuerySet[Any, Any], total: Sum) -> ArraySubquery:
    spelled = Concat(F("currency"), Value(" "), Cast(total, CharField()))
    return ArraySubquery(grouped.annotate(told=spelled).values("told"))
