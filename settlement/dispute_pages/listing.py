"""The list of a party's disputes: by whose turn it is, the nearest deadline first."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from cdrs.pages import sides_of
from parties.models import Party
from parties.people import trail
from parties.people.access import Area, May
from parties.people.shell import Seat, page, show
from settlement import exports
from settlement.dispute_pages.forms import FilterForm
from settlement.dispute_pages.words import status_of, until
from settlement.models import Dispute, DisputeCdr, DisputeEvent, DisputeQuerySet, Draft

ROWS = 50  # on a page


class Tab(NamedTuple):
    """A part of the list, with how many are in it."""

    name: str
    title: Promise
    disputes: int = 0


TABS = (
    Tab("answer", _("Needs your answer")),
    Tab("waiting", _("Waiting")),
    Tab("hub", _("With the hub")),
    Tab("closed", _("Closed")),
)


def in_tab(party: Party, name: str) -> DisputeQuerySet:
    """Return the disputes of a party that stand under a tab."""
    own = Dispute.objects.visible_to(party)
    return {
        "answer": own.needs_answer(party),
        "waiting": own.waiting(party),
        "hub": own.with_hub(),
        "closed": own.closed(),
    }[name]


@require_safe
@page(Area.DISPUTES)
def disputes(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show the disputes of the party, those that need an answer first."""
    tabs = [tab._replace(disputes=in_tab(seat.party, tab.name).count()) for tab in TABS]
    chosen = _chosen(request, tabs)
    form = FilterForm(request.GET, seat.party, sides_of(seat))
    rows = _filtered(in_tab(seat.party, chosen), form, seat.party)
    shown = Paginator(_with_facts(rows), ROWS).get_page(request.GET.get("page"))
    context = {
        "tabs": tabs,
        "chosen": chosen,
        "form": form,
        "narrowed": form.is_valid() and any(form.cleaned_data.values()),
        "page": shown,
        "rows": [
            (row, status_of(row, seat.party), row.other(seat.party), until(row)) for row in shown
        ],
        "drafts": _drafts(seat),
        "may_act": seat.may(Area.DISPUTES, May.ACT),
    }
    status = 200 if form.is_valid() else 422
    return show(
        request, seat, "portal/disputes.html", context, here="portal_disputes", status=status
    )


def _chosen(request: HttpRequest, tabs: Sequence[Tab]) -> str:
    """Return the tab that is asked for; else the first that has something in it."""
    asked = request.GET.get("tab", "")
    if asked in {tab.name for tab in tabs}:
        return asked
    return next((tab.name for tab in tabs if tab.disputes), tabs[0].name)


def _drafts(seat: Seat) -> list[Draft]:
    """Return what this person has begun and not sent."""
    rows = Draft.objects.filter(party=seat.party, person=seat.person, about=None, opened=None)
    return list(rows)


def _filtered(rows: DisputeQuerySet, form: FilterForm, party: Party) -> DisputeQuerySet:
    if not form.is_valid():
        return rows.none()
    told = form.cleaned_data
    if other := form.partners.get(told["partner"]):
        rows = rows.filter(Q(claimant=other) | Q(respondent=other))
    if told["role"]:
        rows = rows.filter(**{told["role"]: party})
    if told["reason"]:
        rows = rows.filter(reason=told["reason"])
    if q := told["q"].strip():
        rows = rows.filter(
            Q(reference__iexact=q) | Q(pk__in=_about(q, party).order_by().values("pk"))
        )
    return rows


def _about(uid: str, party: Party) -> DisputeQuerySet:
    return Dispute.objects.visible_to(party).filter(items__cdr__uid__iexact=uid)


def _with_facts(rows: DisputeQuerySet) -> Any:
    """Fetch what a row shows, the nearest deadline first: sides, how many CDRs, what was last."""
    joined = rows.select_related("claimant", "respondent")
    items = DisputeCdr.objects.filter(dispute=OuterRef("pk")).order_by().values("dispute")
    events = DisputeEvent.objects.filter(dispute=OuterRef("pk")).order_by("-pk")
    counted = joined.annotate(
        cdrs=Subquery(items.annotate(n=Count("pk")).values("n")),
        last=Subquery(events.values("at")[:1]),
    )
    return counted.order_by(F("due_at").asc(nulls_last=True), "-last", "-pk")


COLUMNS = (
    *("reference", "role", "partner", "cdrs", "reason", "ask", "currency", "total", "asked"),
    *("offered", "granted", "effect", "state", "due_at", "opened_at", "last_activity", "ended_at"),
)


@require_safe
@page(Area.DISPUTES)
def export(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Hand the list out as CSV, filtered as it is shown; without a tab, all of it."""
    form = FilterForm(request.GET, seat.party, sides_of(seat))
    asked = request.GET.get("tab", "")
    known = {tab.name for tab in TABS}
    rows = in_tab(seat.party, asked) if asked in known else Dispute.objects.visible_to(seat.party)
    found = list(_with_facts(_filtered(rows, form, seat.party))[: exports.ROWS])
    name = f"disputes-{seat.code}"
    trail.note(
        seat.party, Area.DISPUTES, "exported", person=seat.person, subject=f"{name}.csv",
        request=request, rows=len(found),
    )  # fmt: skip
    return exports.download(name, "csv", COLUMNS, _cells(found, seat.party))


def _cells(rows: Sequence[Any], party: Party) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        role = "claimant" if row.claimant_id == party.pk else "respondent"
        yield (
            *(row.reference, role, row.other(party).address.code, row.cdrs, row.reason, row.ask),
            *(row.currency, row.total, row.asked, row.offered, row.granted, row.effect, row.state),
            *(row.due_at, row.opened_at, row.last, row.ended_at),
        )
