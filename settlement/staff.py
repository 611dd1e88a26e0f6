"""The hub's own people: who may see and do what in the admin site."""

import secrets
from collections.abc import Mapping

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q, QuerySet

from parties.models import User
from parties.people import granting, inviting

ADMIN = "admin"
APPS = ("parties", "locations", "cdrs", "settlement")
_SEE = Q(codename__startswith="view_")
_WRITE = Q(codename__startswith="add_") | Q(codename__startswith="change_")
_MONEY = Q(content_type__app_label="settlement") & _WRITE
_APPROVE = Q(
    codename__in=(
        *("approve_payoutbatch", "approve_writeoff", "verify_bankaccount", "approve_ruling"),
    )
)
_DECIDE = Q(codename__in=("release_cdr", "discard_cdr", "judge_cdr"))
_RULE = Q(codename="decide_dispute")
MAY: Mapping[str, Q] = {
    "support": _SEE,
    "operations": _SEE
    | _DECIDE
    | _RULE
    | Q(content_type__app_label__in=("parties", "cdrs")) & _WRITE,
    "clerk": _SEE | _MONEY | _RULE,
    "approver": _SEE | _MONEY | _RULE | _APPROVE | Q(codename="close_period"),
}
ACCESS = (*MAY, ADMIN)


class NoSuchStaff(Exception):
    """Nobody can be given access like this; the message says why."""


@transaction.atomic
def grant(email: str, access: str, password: str = "") -> tuple[User, str]:
    """Make somebody a member of staff, or change their access and password; return both.

    Without a password a new one is made up. Raises NoSuchStaff.
    """
    if access not in ACCESS:
        raise NoSuchStaff(f"{access!r} is not an access ({', '.join(ACCESS)})")
    password = password or secrets.token_urlsafe(12)
    for problem in granting.problems(email, password):
        raise NoSuchStaff(problem)
    user, _ = User.objects.get_or_create(email=email.lower())
    user.is_staff, user.is_superuser, user.is_active = True, access == ADMIN, True
    user.set_password(password)
    user.save()
    inviting.prove(user)
    user.groups.set([] if access == ADMIN else [_group(access)])
    return user, password


def _group(access: str) -> Group:
    """Return the group of an access with the permissions that it has by now."""
    group, _ = Group.objects.get_or_create(name=access)
    group.permissions.set(_permissions(access))
    return group


def _permissions(access: str) -> QuerySet[Permission]:
    return Permission.objects.filter(MAY[access], content_type__app_label__in=APPS)
