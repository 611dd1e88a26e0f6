"""A party's statements in the portal: what a month comes to, and what it says to that in time."""

from collections.abc import Sequence

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdrs.explorer import Side
from cdrs.models import Period
from cdrs.telling import Status
from hub import portal
from parties.models import Role
from parties.people import trail
from parties.people.access import Area, May
from parties.people.shell import Seat, page, show
from settlement import statements
from settlement.models import Statement, StatementLine

ROWS = 50  # on a page
State, Kind = Statement.State, StatementLine.Kind
TAGS: dict[str, str] = {State.PUBLISHED: "action", State.APPROVED: "ok", State.SILENT: "ok"}
OPEN = (State.PUBLISHED, State.APPROVED)


class ObjectForm(forms.Form):
    """What is wrong with lines of a statement."""

    reason = forms.CharField(
        label=gettext_lazy("What is wrong with the ticked lines"),
        max_length=200,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Up to 200 characters. The other side reads it."),
    )


def status_of(statement: Statement) -> Status:
    """Say where a statement is."""
    tag = TAGS.get(statement.state, "closed")
    return Status(tag, capfirst(statement.get_state_display()))


@require_safe
@page(Area.PAPERS)
def listing(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show the party's statements, the last month first."""
    rows = Statement.objects.filter(party=seat.party).select_related("period")
    ordered = rows.order_by("-period__month", "role", "currency", "-version")
    shown = Paginator(ordered, ROWS).get_page(request.GET.get("page"))
    context = {"page": shown, "rows": [(row, status_of(row), _waits(row)) for row in shown]}
    return show(request, seat, "portal/statements.html", context, here="portal_statements")


def _waits(statement: Statement) -> bool:
    """Tell whether it can still be answered."""
    return statement.state in OPEN and statement.period.state == Period.State.STATEMENT


def _of(seat: Seat, statement_id: int) -> Statement:
    rows = Statement.objects.filter(party=seat.party).select_related("period", "party")
    return get_object_or_404(rows, pk=statement_id)


@require_safe
@page(Area.PAPERS)
def statement(request: HttpRequest, seat: Seat, statement_id: int) -> HttpResponse:
    """Show one statement: how it adds up, and lines that lead to their CDRs."""
    return _shown(request, seat, _of(seat, statement_id), ObjectForm())


def _shown(
    request: HttpRequest,
    seat: Seat,
    found: Statement,
    form: ObjectForm,
    ticked: Sequence[int] = (),
) -> HttpResponse:
    side = Side.SOLD if found.role == Role.Kind.CPO else Side.BOUGHT
    lines = found.lines.select_related("counterparty", "corrects", "objection").order_by("no")
    latest = Statement.objects.current().filter(
        period=found.period, party=found.party, role=found.role, currency=found.currency
    )
    waits = _waits(found)
    context = {
        "statement": found,
        "side": side,
        "status": status_of(found),
        "lines": [(line, _query(line, found, side), line.pk in ticked) for line in lines],
        "waits": waits,
        "may_act": waits and seat.may(Area.PAPERS, May.ACT),
        "latest": latest.exclude(pk=found.pk).first(),
        "form": form,
    }
    status = 422 if form.errors else 200
    return show(
        request, seat, "portal/statement.html", context, here="portal_statements", status=status
    )


def _query(line: StatementLine, found: Statement, side: Side) -> str:
    """Return the filters that show the CDRs of a line in the explorer."""
    if line.counterparty is None or line.supply_month is None:
        return ""
    filters = {
        "side": side.value,
        "state": "accepted",
        "settled": str(found.period),
        "month": f"{line.supply_month:%Y-%m}",
        "partner": line.counterparty.address.code,
        "currency": found.currency,
        "country": line.country,
        "kind": "supply" if line.kind == Kind.SUPPLY else "credit",
    }
    return urlencode(filters)


@require_POST
@page(Area.PAPERS, May.ACT)
def approve(request: HttpRequest, seat: Seat, statement_id: int) -> HttpResponse:
    """Approve a statement."""
    found = _of(seat, statement_id)
    try:
        with transaction.atomic():
            statements.approve(found, seat.person, timezone.now())
            _note(request, seat, found, "statement_approved")
    except statements.CannotAnswer as error:
        messages.warning(request, capfirst(str(error)))
    else:
        messages.success(request, _("You have approved the statement of %s.") % found.period)
    return HttpResponseRedirect(seat.url("portal_statement", statement_id=found.pk))


@require_http_methods(["POST"])
@page(Area.PAPERS, May.ACT)
def object_to(request: HttpRequest, seat: Seat, statement_id: int) -> HttpResponse:
    """Object to lines; their CDRs leave the month, and another version follows."""
    found, form = _of(seat, statement_id), ObjectForm(request.POST)
    ticked = [portal.number(key) for key in request.POST.getlist("line")]
    lines = list(found.lines.filter(pk__in=ticked).select_related("statement", "counterparty"))
    if form.is_valid() and not lines:
        form.add_error(None, _("Tick the lines that are wrong."))
    if not form.is_valid():
        return _shown(request, seat, found, form, ticked)
    try:
        with transaction.atomic():
            now = timezone.now()
            made = statements.object_to(lines, form.cleaned_data["reason"], seat.person, now)
            _note(request, seat, found, "statement_objected", lines=len(lines))
    except statements.CannotAnswer as error:
        form.add_error(None, capfirst(str(error)))
        return _shown(request, seat, found, form, ticked)
    messages.success(request, _("The CDRs of these lines are held, and have left the month."))
    own = [row for row in made if (row.party_id, row.role) == (found.party_id, found.role)]
    same = [row.pk for row in own if row.currency == found.currency]
    return HttpResponseRedirect(
        seat.url("portal_statement", statement_id=same[0] if same else found.pk)
    )


def _note(request: HttpRequest, seat: Seat, found: Statement, deed: str, **details: object) -> None:
    trail.note(
        seat.party, Area.PAPERS, deed, person=seat.person, request=request,
        subject=f"{found.period} {found.role} {found.currency}", version=found.version, **details,
    )  # fmt: skip
