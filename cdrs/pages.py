"""The CDR explorer of the portal: the list, one CDR with its price explained, what is held."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from cdrs import claims, explorer, exporting, telling
from cdrs.explorer import Cursor, Filters, Side
from cdrs.models import Cdr, CdrQuerySet, Decision, Finding
from cdrs.portal_forms import FilterForm
from cdrs.pricing import Refused
from cdrs.pricing.explanation import explain
from cdrs.pricing.rendering import as_html
from hub import portal
from hub.ocpi import json
from parties.models import Delivery
from parties.people import trail
from parties.people.access import Area
from parties.people.shell import Seat, page, show


def side_of(request: HttpRequest, seat: Seat) -> Side:
    """Return the side that is asked for; else the one that the party is on."""
    asked = request.GET.get("side", "")
    if asked in Side.values:
        return Side(asked)
    return Side.SOLD if seat.sells or not seat.buys else Side.BOUGHT


def sides_of(seat: Seat) -> list[Side]:
    """Return the sides that a party is on."""
    return [side for side, on in ((Side.SOLD, seat.sells), (Side.BOUGHT, seat.buys)) if on]


@require_safe
@page(Area.CDRS)
def cdrs(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show the CDRs that a person looks for, with exact totals per currency."""
    side = side_of(request, seat)
    form = FilterForm(request.GET, seat.party, side)
    context: dict[str, Any] = {"side": side, "sides": sides_of(seat), "form": form}
    if form.is_valid():
        found = explorer.matching(explorer.of_party(seat.party, side), side, form.filters)
        shown = explorer.page_of(found, _cursor(request))
        context |= {
            "rows": [(cdr, telling.status_of(cdr), _partner(cdr, side)) for cdr in shown.rows],
            "newer": shown.newer,
            "older": shown.older,
            "totals": explorer.totals(found),
            "narrowed": form.narrowed,
        }
    status = 200 if form.is_valid() else 422
    return show(request, seat, "portal/cdrs.html", context, here="portal_cdrs", status=status)


def _cursor(request: HttpRequest) -> Cursor | None:
    if after := request.GET.get("after"):
        return Cursor.read(after)
    return Cursor.read(request.GET.get("before", ""), back=True)


def _partner(cdr: Cdr, side: Side) -> Any:
    return getattr(cdr, side.other)


@require_safe
@page(Area.CDRS)
def export(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Hand out the CDRs that a person looks for as CSV."""
    side = side_of(request, seat)
    form = FilterForm(request.GET, seat.party, side)
    if not form.is_valid():
        return HttpResponseRedirect(f"{seat.url('portal_cdrs')}?{request.GET.urlencode()}")
    found = explorer.matching(explorer.of_party(seat.party, side), side, form.filters)
    if found.order_by()[: settings.EXPORT_ROWS + 1].count() > settings.EXPORT_ROWS:
        text = _("That is more than %(most)s CDRs: narrow the filter, for instance to a month.")
        messages.error(request, text % {"most": f"{settings.EXPORT_ROWS:,}"})
        return HttpResponseRedirect(f"{seat.url('portal_cdrs')}?{request.GET.urlencode()}")
    content, count = exporting.written(found)
    name = f"cdrs-{seat.code}-{side}.csv"
    looked_for = {key: value for key, value in request.GET.items() if value}
    trail.note(
        seat.party,
        Area.CDRS,
        "exported",
        person=seat.person,
        subject=name,
        request=request,
        rows=count,
        filters=looked_for,
    )
    return portal.attachment(content, name, "text/csv; charset=utf-8")


# One CDR


@require_safe
@page(Area.CDRS)
def cdr(request: HttpRequest, seat: Seat, cdr_id: int) -> HttpResponse:
    """Show one CDR: claimed beside computed, why it costs that, what was found, and as JSON."""
    found, side = _one(seat, cdr_id)
    findings = list(found.findings.order_by("cleared_at", "pk"))
    context = {
        "cdr": found,
        "side": side,
        "status": telling.status_of(found),
        "partner": _partner(found, side),
        "findings": [_told(finding, side) for finding in findings],
        "timeline": _timeline(found),
        "sent": json.pretty(found.body),
        "raw": json.pretty(found.raw) if side is Side.SOLD and found.raw else "",
        **_price(found),
    }
    return show(request, seat, "portal/cdr.html", context, here="portal_cdrs")


def _one(seat: Seat, cdr_id: int) -> tuple[Any, Side]:
    """Fetch a CDR through what the party may see; raises Http404."""
    for side in (Side.SOLD, Side.BOUGHT):
        row = explorer.of_party(seat.party, side).filter(pk=cdr_id)
        joined = ("owner", "emsp", "period", "credit_of")
        if found := row.select_related(*joined).first():
            found.is_credited = explorer.credits_of(found).exists()
            found.open_findings = found.findings.filter(cleared_at=None)
            return found, side
    raise Http404


def _told(finding: Finding, side: Side) -> dict[str, Any]:
    holds = finding.severity == Finding.Severity.HOLD
    return {
        "finding": finding,
        "holds": holds,
        "rule": telling.rule_in_words(finding.code),
        "text": telling.finding_in_words(finding, side),
        "remedy": telling.remedy(finding.code, side) if holds and not finding.cleared_at else "",
    }


def _price(found: Cdr) -> dict[str, Any]:
    """Compare and explain, or say why the hub cannot; a credit takes back what was priced."""
    if found.credit:
        return {"unpriced": _("A credit is not priced: it takes back exactly what was charged.")}
    try:
        assessment = claims.assessed(found)
        explained = SafeString(as_html(explain(assessment.account)))
    except Refused as error:
        return {"unpriced": _("The hub cannot price it: %s") % error}
    parts = [assessment.costs, assessment.volumes]
    return {"assessment": assessment, "parts": parts, "explained": explained}


def _timeline(found: Cdr) -> list[tuple[Any, str]]:
    """Tell what happened to a CDR, in order."""
    events = [
        (found.started_at, _("The session started")),
        (found.ended_at, _("The session ended")),
        (found.received_at, _("The CDR came to the hub")),
    ]
    for verdict in found.verdicts.order_by("pk").only("at", "held", "rules", "cdr_id"):
        words = _("Judged: held") if verdict.held else _("Judged: to be settled")
        events.append((verdict.at, f"{words} ({verdict.rules})"))
    for decision in found.decisions.order_by("pk"):
        released = decision.action == Decision.Action.RELEASE
        words = _("Released by the hub's staff") if released else _("Discarded by the hub's staff")
        events.append((decision.at, words))
    events += _deliveries(found)
    return sorted(events, key=lambda event: event[0])


def _deliveries(found: Cdr) -> list[tuple[Any, str]]:
    rows = Delivery.objects.filter(module="cdrs", object_id=found.pk).exclude(acknowledged_at=None)
    rows = rows.select_related("receiver__party")
    return [
        (row.acknowledged_at, _("Taken by %s") % row.receiver.party)
        for row in rows
        if row.receiver.party_id == found.emsp_id
    ]


# What is held


@require_safe
@page(Area.CDRS)
def held(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show what is held, by cause, with what to do about it."""
    side = side_of(request, seat)
    groups = [
        {
            "cause": cause,
            "words": telling.rule_in_words(cause.code),
            "remedy": telling.remedy(cause.code, side),
        }
        for cause in explorer.causes(explorer.of_party(seat.party, side))
    ]
    totals = explorer.totals(_held(seat, side))
    context = {"side": side, "sides": sides_of(seat), "groups": groups, "totals": totals}
    return show(request, seat, "portal/held.html", context, here="portal_held")


def _held(seat: Seat, side: Side) -> CdrQuerySet:
    cdrs = explorer.of_party(seat.party, side)
    return explorer.matching(cdrs, side, Filters(state=Cdr.State.HELD))
