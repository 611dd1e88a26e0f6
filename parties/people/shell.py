"""The shell of the portal: who sits where, what they may see, and the frame around each page.

The fetch is the check: a page of a party is reached through the membership of who asks, and what
is not theirs is not there (404), whether it exists or not.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple

from allauth.core.exceptions import ReauthenticationRequired
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from parties.models import Access, Membership, Party, Role, User
from parties.people.access import Area, May, level
from parties.people.presence import came_lately

View = Callable[..., HttpResponse]
GUARDED = {Access.OWNER, Access.FINANCE}  # need a second factor where the hub is live


@dataclass(frozen=True)
class Seat:
    """A person's place at a party, with all the places that they have."""

    person: User
    party: Party
    access: Access
    roles: frozenset[str]
    places: tuple[Membership, ...]

    @property
    def code(self) -> str:
        """Return the party as it stands in addresses."""
        return self.party.address.code

    @property
    def sells(self) -> bool:
        """Tell whether the party has CDRs of its own: it runs charge points."""
        return Role.Kind.CPO in self.roles

    @property
    def buys(self) -> bool:
        """Tell whether the party is billed for CDRs: it has drivers."""
        return bool(self.roles & set(Role.WITH_DRIVERS))

    @property
    def access_name(self) -> str:
        """Return the access in words."""
        return str(self.access.label)

    def may(self, area: str, may: May = May.READ) -> bool:
        """Tell whether this person may see an area here, or act in it."""
        return level(self.access, area) >= may

    def url(self, name: str, **arguments: Any) -> str:
        """Return the address of one of the party's pages."""
        return reverse(name, kwargs={"code": self.code, **arguments})


def seat_of(person: User, code: str) -> Seat:
    """Return a person's place at a party; raises Http404 if they have none."""
    places = tuple(
        person.memberships.select_related("party").order_by(
            "party__country_code", "party__party_id"
        )
    )
    for place in places:
        if place.party.address.code == code:
            roles = place.party.roles.order_by().values_list("role", flat=True)
            return Seat(person, place.party, Access(place.access), frozenset(roles), places)
    raise Http404


def page(area: Area, may: May = May.READ) -> Callable[[View], View]:
    """Make a view of the party in its address, for those who may see the area, or act in it."""

    def decorated(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, code: str, **kwargs: Any) -> HttpResponse:
            if not isinstance(request.user, User):
                return redirect_to_login(request.get_full_path())
            seat = seat_of(request.user, code)
            if not seat.may(area, may):
                raise Http404
            if must_protect(seat):
                return HttpResponseRedirect(reverse("mfa_activate_totp"))
            response = view(request, seat, **kwargs)
            add_never_cache_headers(response)
            return response

        return guarded

    return decorated


def person_only(
    view: Callable[[HttpRequest, User], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Make a view of whoever is logged in."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if isinstance(request.user, User):
            return view(request, request.user)
        return redirect_to_login(request.get_full_path())

    return guarded


def must_protect(seat: Seat) -> bool:
    """Tell whether a person has to set up a second factor before anything else."""
    return bool(settings.MFA_REQUIRED and seat.access in GUARDED and not is_protected(seat.person))


def is_protected(person: User) -> bool:
    """Tell whether a person logs in with a second factor."""
    return bool(get_mfa_adapter().is_mfa_enabled(person))


# The frame


class Link(NamedTuple):
    """A page in the navigation, for those who may see its area."""

    title: Promise
    name: str
    area: Area
    icon: str


LINKS = (
    Link(_("Home"), "portal_home", Area.CDRS, "home"),
    Link(_("CDRs"), "portal_cdrs", Area.CDRS, "list"),
    Link(_("Held CDRs"), "portal_held", Area.CDRS, "pause"),
    Link(_("Disputes"), "portal_disputes", Area.DISPUTES, "scales"),
    Link(_("Month preview"), "portal_preview", Area.PAPERS, "clock"),
    Link(_("Statements"), "portal_statements", Area.PAPERS, "check"),
    Link(_("Documents"), "portal_documents", Area.PAPERS, "paper"),
    Link(_("People"), "portal_people", Area.PEOPLE, "people"),
    Link(_("Audit trail"), "portal_trail", Area.TRAIL, "trail"),
)


class Entry(NamedTuple):
    """A link as it is shown; `here` where the page belongs to it."""

    title: Promise
    url: str
    icon: str
    here: bool


def navigation(seat: Seat, here: str) -> Iterator[Entry]:
    """Return the pages that a person may see at their party."""
    for link in LINKS:
        if seat.may(link.area):
            yield Entry(link.title, seat.url(link.name), link.icon, link.name == here)


def show(
    request: HttpRequest,
    seat: Seat,
    template: str,
    context: dict[str, Any] | None = None,
    *,
    here: str = "",
    status: int = 200,
) -> HttpResponse:
    """Render a page of the portal in its frame; `here` is the page of the navigation it is in."""
    frame = {"seat": seat, "navigation": list(navigation(seat, here))}
    return render(request, template, {**frame, **(context or {})}, status=status)


def gathered(names: Iterable[str], seat: Seat) -> list[Any]:
    """Return what the apps have to say on the first page, in their order."""
    return [item for name in names for item in import_string(name)(seat)]


# Deeds that want to be confirmed


def confirmed(view: View) -> View:
    """Ask for the password again before a POST by somebody who logged in a while ago.

    What they wanted is done after that, without their typing it again.
    """

    @wraps(view)
    def guarded(request: HttpRequest, seat: Seat, **kwargs: Any) -> HttpResponse:
        confirm(request)
        return view(request, seat, **kwargs)

    return guarded


def confirm(request: HttpRequest) -> None:
    """Raise ReauthenticationRequired for a POST by somebody who logged in a while ago."""
    if request.method == "POST" and not came_lately(request):
        raise ReauthenticationRequired
