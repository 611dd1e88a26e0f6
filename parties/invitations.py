"""Who may register, and as what: platforms are invited, and roles assigned, by the hub alone."""

import logging
from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.utils import timezone

from hub.ocpi.messages import Address
from parties import clientinfo, keys
from parties.models import Dialect, Key, Party, Platform, Role

logger = logging.getLogger(__name__)
_State = Platform.State


class InvitationError(Exception):
    """This cannot be done with the party, role or platform; the message says why."""


@transaction.atomic
def invite(
    address: Address,
    roles: Iterable[str],
    name: str,
    *,
    dialect: str = Dialect.OCPI,
    host: str = "",
    join: str = "",
) -> tuple[Party, str]:
    """Register a party in its roles and return it with the one-time token of its platform.

    `join` is the token of an earlier, unused invitation whose platform the party shares; `host`
    fixes the host that the platform's URLs may name. Raises InvitationError.
    """
    platform = _invited(join) if join else Platform(name=name, dialect=dialect)
    if host:
        platform.hosts = [*platform.hosts, host]
    platform.save()
    party = party_at(address, name)
    for role in roles:
        assign(platform, party, role)
    return party, join or keys.issue(platform, Key.Purpose.INVITATION)


@transaction.atomic
def reinvite(platform: Platform, *, host: str = "") -> str:
    """Invite a platform again and return the one-time token; an earlier one ends.

    Of use where an answer to a registration was lost, where an invitation ran out, and for whoever
    left. A connection that works goes on working until the new token has been used. `host` takes
    the place of the hosts that were approved.
    """
    locked = Platform.objects.select_for_update().get(pk=platform.pk)
    if host:
        locked.hosts = [host]
        locked.save(update_fields=["hosts"])
    keys.revoke(locked, Key.Purpose.INVITATION)
    if locked.state == _State.SUSPENDED:
        clientinfo.move(locked, _State.INVITED)
    logger.info("platform invited again", extra={"platform": locked.pk, "state": locked.state})
    return keys.issue(locked, Key.Purpose.INVITATION)


@transaction.atomic
def assign(platform: Platform, party: Party, role: str) -> Role:
    """Let a party act in a role through a platform. Raises InvitationError."""
    if role not in Role.Kind.values:
        raise InvitationError(f"{role} is not a role ({', '.join(Role.Kind.values)})")
    assigned, new = Role.objects.get_or_create(
        party=party, role=role, defaults={"platform": platform}
    )
    if not new:
        raise InvitationError(f"{party} is registered as {role} already")
    clientinfo.refresh(platform)
    _log("role assigned", assigned)
    return assigned


@transaction.atomic
def withdraw(role: Role) -> None:
    """Take a role from its party, unless something on record depends on it.

    Raises InvitationError: CDRs were delivered to it, or it is the only one of its platform.
    """
    if not Role.objects.filter(platform=role.platform_id).exclude(pk=role.pk).exists():
        raise InvitationError(f"{role} is the only role of its platform: suspend the platform")
    if role.deliveries.filter(module="cdrs").exists():
        raise InvitationError(f"{role} was sent CDRs, which stay on record")
    _log("role withdrawn", role)
    clientinfo.withdraw(role)
    try:
        with transaction.atomic():
            role.delete()
    except IntegrityError as error:
        raise InvitationError(f"{role} has a part in what is on record") from error


def party_at(address: Address, name: str) -> Party:
    """Return the party of an address, with this name if it is new."""
    party, _ = Party.objects.get_or_create(
        country_code=address.country_code,
        party_id=address.party_id,
        defaults={"name": name, "business_details": {"name": name}},
    )
    return party


def platform_of(address: Address, role: str = "") -> Platform:
    """Return the platform of a party, in one of its roles if it has several.

    Raises InvitationError when there is none, or more than one.
    """
    roles = Role.objects.at(address).select_related("platform")
    found = {item.platform for item in (roles.filter(role=role) if role else roles)}
    if not found:
        raise InvitationError(f"{address} has no role {role or 'in the network'}")
    if len(found) > 1:
        raise InvitationError(f"{address} has several platforms: name one of its roles")
    return found.pop()


def _invited(join: str) -> Platform:
    unused = Key.objects.filter(purpose=Key.Purpose.INVITATION, used_at__isnull=True)
    key = unused.filter(digest=keys.digest(join), expires_at__gt=timezone.now()).first()
    if key is None:
        raise InvitationError("no unused invitation has this token")
    return key.platform


def _log(what: str, role: Role) -> None:
    ids = {"platform": role.platform_id, "party": role.party_id, "role": role.role}
    logger.info(what, extra=ids)
