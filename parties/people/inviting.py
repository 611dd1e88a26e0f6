"""Let people in: by invitation, or by hand; change what they may, and let them go."""

import secrets
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from parties import keys
from parties.models import Access, Invitation, Membership, Party, User
from parties.people import letters, trail
from parties.people.access import Area

LIFE = timedelta(days=7)
OPEN_MOST = 50  # invitations of a party at a time


class CannotInvite(Exception):
    """The invitation, or the change, cannot be made; the message says why."""


class NoInvitation(Exception):
    """There is no such invitation, or it was used, revoked or has expired."""


@transaction.atomic
def invite(
    party: Party, email: str, access: str, *, by: User | None, request: HttpRequest | None = None
) -> tuple[Invitation, str]:
    """Invite somebody and write to them; return the invitation and its secret.

    An earlier invitation of theirs is revoked. Raises CannotInvite.
    """
    email = email.strip().lower()
    Party.objects.select_for_update().get(pk=party.pk)
    if Membership.objects.filter(party=party, person__email=email).exists():
        raise CannotInvite(_("%(email)s is a member already.") % {"email": email})
    open_ones = Invitation.objects.filter(party=party, accepted_at=None, revoked_at=None)
    open_ones.filter(email=email).update(revoked_at=timezone.now())
    if open_ones.count() >= OPEN_MOST:
        raise CannotInvite(_("Too many invitations are open: revoke some first."))
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        party=party,
        email=email,
        access=access,
        digest=keys.digest(secret),
        invited_by=by,
        expires_at=timezone.now() + LIFE,
    )
    _write(invitation, secret)
    trail.note(
        party, Area.PEOPLE, "invited", person=by, subject=email, request=request, access=access
    )
    return invitation, secret


def _write(invitation: Invitation, secret: str) -> None:
    party, by = invitation.party, invitation.invited_by
    names = {
        "inviter": by.email if by else _("The hub"),
        "party": party.name,
        "code": party.address.code,
        "access": invitation.get_access_display(),
    }
    until = f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC"
    content = letters.Content(
        subject=_("Join %(party)s") % names,
        paragraphs=[
            _("%(inviter)s invites you to %(party)s (%(code)s), with the access “%(access)s”.")
            % names,
            _("The link works once, until %(until)s. After that, ask for a new one.")
            % {"until": until},
            _("If you do not know what this is about, do nothing: nobody comes in without it."),
        ],
        button=_("Accept the invitation"),
        path=reverse("portal_invitation", args=[secret]),
    )
    letters.write(invitation.email, "invitation", content, code=party.address.code)


def found(secret: str) -> Invitation:
    """Return the invitation that a secret opens; raises NoInvitation."""
    rows = Invitation.objects.select_related("party", "invited_by")
    invitation = rows.filter(digest=keys.digest(secret)).first()
    if invitation is None or not _good(invitation):
        raise NoInvitation
    return invitation


def _good(invitation: Invitation) -> bool:
    used = invitation.accepted_at or invitation.revoked_at
    return not used and not invitation.expired


@transaction.atomic
def accept(invitation: Invitation, person: User, request: HttpRequest | None) -> Membership:
    """Give a person the place they are invited to, once; raises NoInvitation.

    Whoever holds the link reads the mail of the address: so the address is proven.
    """
    now = timezone.now()
    rows = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if not rows.filter(expires_at__gt=now, email=person.email).update(accepted_at=now):
        raise NoInvitation
    prove(person)
    place, _made = Membership.objects.get_or_create(
        person=person, party=invitation.party, defaults={"access": invitation.access}
    )
    trail.note(
        invitation.party,
        Area.PEOPLE,
        "joined",
        person=person,
        subject=person.email,
        request=request,
        access=place.access,
    )
    return place


@transaction.atomic
def enlist(invitation: Invitation, name: str, password: str, request: HttpRequest) -> User:
    """Make the person that an invitation is for, and give them their place; raises NoInvitation."""
    person, made = User.objects.get_or_create(
        email=invitation.email, defaults={"first_name": name[:150]}
    )
    if not made:
        raise NoInvitation
    person.set_password(password)
    person.save(update_fields=["password"])
    accept(invitation, person, request)
    return person


def prove(person: User) -> None:
    """Note that a person reads the mail of their address."""
    EmailAddress.objects.update_or_create(
        user=person, email=person.email, defaults={"verified": True, "primary": True}
    )


@transaction.atomic
def revoke(invitation: Invitation, *, by: User, request: HttpRequest | None = None) -> None:
    """Make the link of an invitation worthless; raises CannotInvite if it was used."""
    rows = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if not rows.update(revoked_at=timezone.now()):
        raise CannotInvite(_("This invitation was used or revoked already."))
    trail.note(
        invitation.party,
        Area.PEOPLE,
        "invitation_revoked",
        person=by,
        subject=invitation.email,
        request=request,
    )


@transaction.atomic
def change(place: Membership, access: str, *, by: User, request: HttpRequest | None = None) -> None:
    """Change what a person may at a party; raises CannotInvite for the last owner."""
    locked = _locked(place)
    if access == locked.access:
        return
    if access != Access.OWNER:
        _keep_an_owner(locked)
    before, locked.access = locked.access, access
    locked.save(update_fields=["access"])
    _noted(locked, "access_changed", by, request, before=before, after=access)


@transaction.atomic
def dismiss(place: Membership, *, by: User, request: HttpRequest | None = None) -> None:
    """Take a person's place at a party away; raises CannotInvite for the last owner."""
    locked = _locked(place)
    _keep_an_owner(locked)
    _noted(locked, "removed", by, request, before=locked.access)
    locked.delete()


@transaction.atomic
def place(person: User, party: Party, access: str) -> Membership:
    """Give a person a place at a party by hand, or another access there."""
    made, created = Membership.objects.update_or_create(
        person=person, party=party, defaults={"access": access}
    )
    prove(person)
    trail.note(
        party, Area.PEOPLE, "placed", subject=person.email, access=access, already=not created
    )
    return made


def _locked(place: Membership) -> Membership:
    """Lock the party, so that of two last owners not both can go; return the place as it is."""
    Party.objects.select_for_update().get(pk=place.party_id)
    rows = Membership.objects.select_related("party", "person")
    locked = rows.filter(pk=place.pk).first()
    if locked is None:
        raise CannotInvite(_("This person has left already."))
    return locked


def _keep_an_owner(place: Membership) -> None:
    if place.access != Access.OWNER:
        return
    others = Membership.objects.filter(party=place.party_id, access=Access.OWNER)
    if not others.exclude(pk=place.pk).exists():
        raise CannotInvite(_("The last owner of a party stays: make somebody else an owner first."))


def _noted(
    place: Membership, deed: str, by: User, request: HttpRequest | None, **told: str
) -> None:
    trail.note(
        place.party,
        Area.PEOPLE,
        deed,
        person=by,
        subject=place.person.email,
        request=request,
        **told,
    )
