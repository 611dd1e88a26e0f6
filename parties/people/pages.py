"""The pages of people: the first one, who else is here, the audit trail, and the way in."""

import csv
import io
from collections.abc import Iterator

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub import portal
from hub.ocpi import times
from hub.spreadsheets import safe
from parties.models import Access, Invitation, Membership, TrailEntry, User
from parties.people import inviting, trail
from parties.people.access import MATRIX, Area, May
from parties.people.deeds import deed_in_words
from parties.people.forms import AccessForm, EnlistForm, InviteForm
from parties.people.shell import (
    Seat,
    confirmed,
    gathered,
    is_protected,
    page,
    person_only,
    show,
)

ENTRIES = 50  # of the trail on a page


@require_safe
@never_cache
@person_only
def entrance(request: HttpRequest, person: User) -> HttpResponse:
    """Lead a person to their party, or let them choose one of theirs."""
    places = list(person.memberships.select_related("party").order_by("party__name"))
    if len(places) == 1:
        return HttpResponseRedirect(_home_of(places[0]))
    told = [(place, _home_of(place)) for place in places]
    return render(request, "portal/entrance.html", {"places": told})


def _home_of(place: Membership) -> str:
    return f"/app/{place.party.address.code}/"


@require_safe
@page(Area.CDRS)
def home(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show what needs somebody, by deadline, and how things are."""
    needs = gathered(settings.PORTAL_NEEDS, seat)
    needs.sort(key=lambda need: (need.due_at is None, need.due_at and need.due_at.timestamp()))
    cards = gathered(settings.PORTAL_CARDS, seat)
    context = {"needs": needs, "cards": cards}
    return show(request, seat, "portal/home.html", context, here="portal_home")


# Who is here


@require_safe
@page(Area.PEOPLE)
def people(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show the people of the party, who is invited, and the form to invite."""
    return _people(request, seat, InviteForm())


def _people(request: HttpRequest, seat: Seat, form: InviteForm, status: int = 200) -> HttpResponse:
    protected = Authenticator.objects.filter(user=OuterRef("person"))
    members = Membership.objects.filter(party=seat.party).select_related("person")
    invited = Invitation.objects.filter(party=seat.party, accepted_at=None, revoked_at=None)
    context = {
        "members": members.annotate(protected=Exists(protected)),
        "invitations": invited.select_related("invited_by"),
        "form": form,
        "matrix": _matrix(),
        "accesses": Access.choices,
    }
    return show(request, seat, "portal/people.html", context, here="portal_people", status=status)


def _matrix() -> Iterator[tuple[str, list[str]]]:
    words = {May.NOTHING: "", May.READ: _("see"), May.ACT: _("see and act")}
    for area, row in MATRIX.items():
        yield str(area.label), [words[row[access]] for access in Access]


@require_POST
@page(Area.PEOPLE, May.ACT)
@confirmed
def invite(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Invite somebody by e-mail."""
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _people(request, seat, form, status=422)
    told = form.cleaned_data
    try:
        inviting.invite(seat.party, told["email"], told["access"], by=seat.person, request=request)
    except inviting.CannotInvite as error:
        form.add_error("email", str(error))
        return _people(request, seat, form, status=422)
    messages.success(request, _("%(email)s is invited; the link works for 7 days.") % told)
    return HttpResponseRedirect(seat.url("portal_people"))


@require_POST
@page(Area.PEOPLE, May.ACT)
@confirmed
def revoke(request: HttpRequest, seat: Seat, invitation_id: int) -> HttpResponse:
    """Make the link of an invitation worthless."""
    invitation = get_object_or_404(Invitation, pk=invitation_id, party=seat.party)
    try:
        inviting.revoke(invitation, by=seat.person, request=request)
    except inviting.CannotInvite as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The invitation of %s is revoked.") % invitation.email)
    return HttpResponseRedirect(seat.url("portal_people"))


@require_http_methods(["GET", "HEAD", "POST"])
@page(Area.PEOPLE, May.ACT)
@confirmed
def member(request: HttpRequest, seat: Seat, member_id: int) -> HttpResponse:
    """Show one person of the party, and change what they may."""
    place = _place(seat, member_id)
    form = AccessForm(request.POST or None, initial={"access": place.access})
    if request.method == "POST" and form.is_valid():
        try:
            inviting.change(place, form.cleaned_data["access"], by=seat.person, request=request)
        except inviting.CannotInvite as error:
            form.add_error("access", str(error))
        else:
            messages.success(request, _("%s has another access now.") % place.person.email)
            return HttpResponseRedirect(seat.url("portal_people"))
    status = 422 if form.errors else 200
    return show(
        request,
        seat,
        "portal/member.html",
        {"place": place, "form": form},
        here="portal_people",
        status=status,
    )


@require_POST
@page(Area.PEOPLE, May.ACT)
@confirmed
def remove(request: HttpRequest, seat: Seat, member_id: int) -> HttpResponse:
    """Take a person's place at the party away."""
    place = _place(seat, member_id)
    try:
        inviting.dismiss(place, by=seat.person, request=request)
    except inviting.CannotInvite as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(seat.url("portal_member", member_id=member_id))
    messages.success(request, _("%s has no access any more.") % place.person.email)
    own = place.person_id == seat.person.pk
    return HttpResponseRedirect("/app/" if own else seat.url("portal_people"))


def _place(seat: Seat, member_id: int) -> Membership:
    rows = Membership.objects.select_related("person", "party")
    return get_object_or_404(rows, pk=member_id, party=seat.party)


# The way in


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters("password")
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """Show an invitation to whoever has its link, and let them accept it."""
    try:
        found = inviting.found(secret)
        return _invited(request, found)
    except inviting.NoInvitation:
        return render(request, "portal/invitation_over.html", status=404)


def _invited(request: HttpRequest, found: Invitation) -> HttpResponse:
    person = request.user
    if isinstance(person, User):
        return _accepted_by(request, found, person)
    if User.objects.filter(email=found.email).exists():
        return _shown(request, found, known=True)
    return _enlisted(request, found)


def _accepted_by(request: HttpRequest, found: Invitation, person: User) -> HttpResponse:
    """Let a person who is logged in accept, if it is for them."""
    if person.email != found.email:
        return _shown(request, found, other=person.email)
    if request.method == "POST":
        return HttpResponseRedirect(_home_of(inviting.accept(found, person, request)))
    return _shown(request, found, mine=True)


def _enlisted(request: HttpRequest, found: Invitation) -> HttpResponse:
    """Make an account for somebody new, and log them in."""
    form = EnlistForm(found.email, request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _shown(request, found, form=form, status=422 if form.errors else 200)
    told = form.cleaned_data
    person = inviting.enlist(found, told["name"], told["password"], request)
    get_adapter(request).login(request, person)
    record_authentication(request, person, method="password")
    trail.note_everywhere(person, "logged_in", request)
    return HttpResponseRedirect(f"/app/{found.party.address.code}/")


def _shown(
    request: HttpRequest, found: Invitation, *, status: int = 200, **context: object
) -> HttpResponse:
    told = {"invitation": found, "code": found.party.address.code, **context}
    return render(request, "portal/invitation.html", told, status=status)


@require_safe
@never_cache
@person_only
def account(request: HttpRequest, person: User) -> HttpResponse:
    """Show a person what is theirs: password, second factor, parties."""
    places = person.memberships.select_related("party").order_by("party__name")
    context = {
        "places": [(place, _home_of(place)) for place in places],
        "protected": is_protected(person),
    }
    return render(request, "portal/account.html", context)


# The audit trail


@require_safe
@page(Area.TRAIL)
def audit(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show who did what at the party, as far as this person may know."""
    entries = _filtered(request, trail.visible(seat.party, seat.access))
    shown = Paginator(entries, ENTRIES).get_page(request.GET.get("page"))
    rows = [(entry, deed_in_words(entry)) for entry in shown]
    context = {"page": shown, "rows": rows, "q": request.GET.get("q", "")}
    return show(request, seat, "portal/trail.html", context, here="portal_trail")


@require_safe
@page(Area.TRAIL)
def audit_export(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Hand the trail out as CSV, with the digests that chain it."""
    entries = list(trail.visible(seat.party, seat.access)[: settings.EXPORT_ROWS])
    name = f"audit-{seat.code}.csv"
    trail.note(
        seat.party, Area.TRAIL, "exported", person=seat.person, subject=name, request=request,
        rows=len(entries),
    )  # fmt: skip
    return portal.attachment(_as_csv(entries), name, "text/csv; charset=utf-8")


def _filtered(request: HttpRequest, entries: QuerySet[TrailEntry]) -> QuerySet[TrailEntry]:
    if q := request.GET.get("q", "").strip():
        return entries.filter(who__iexact=q) | entries.filter(subject__iexact=q)
    return entries


def _as_csv(entries: list[TrailEntry]) -> bytes:
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(
        ("number", "at", "who", "area", "deed", "what", "details", "from", "previous", "digest")
    )
    for item in entries:
        words = map(safe, (item.who, item.area, item.deed, item.subject, item.details))
        chain = (item.address, item.previous, item.digest)
        writer.writerow((item.seq, times.render(item.at), *words, *chain))
    return sheet.getvalue().encode()
