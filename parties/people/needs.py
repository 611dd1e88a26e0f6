"""What people and connections need somebody for."""

from collections.abc import Iterator

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from hub.portal import Need
from parties.models import Platform
from parties.people.access import Area
from parties.people.shell import GUARDED, Seat, is_protected


def of(seat: Seat) -> Iterator[Need]:
    """Say what is left to do about people and connections."""
    if seat.access in GUARDED and not is_protected(seat.person):
        yield Need(
            title=_("Protect your login"),
            text=_("Money is decided about here, and your password alone opens it."),
            button=_("Add a second factor"),
            url=reverse("mfa_activate_totp"),
            otherwise=_("In a live hub nothing is shown to you before that.")
            if settings.SANDBOX
            else "",
        )
    if seat.may(Area.MESSAGES):
        yield from _connections(seat)


def _connections(seat: Seat) -> Iterator[Need]:
    away = (Platform.State.OFFLINE, Platform.State.SUSPENDED, Platform.State.INVITED)
    for platform in Platform.objects.filter(roles__party=seat.party, state__in=away).distinct():
        names = {"name": platform.name, "state": platform.get_state_display()}
        yield Need(
            title=_("%(name)s is %(state)s") % names,
            text=_("What others send you waits until your platform answers again.")
            if platform.state == Platform.State.OFFLINE
            else _("Your platform neither sends nor receives anything now."),
            button=_("How to connect"),
            url=reverse("developers"),
        )
