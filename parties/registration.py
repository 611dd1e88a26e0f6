"""The credentials that partners give and take: POST, PUT and GET as the hub answers them.

The outgoing calls come first and outside any transaction; what they brought is then stored in one,
together with the new token, so that a handshake that fails changes nothing on either side.
Source: OCPI 2.2.1, credentials.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from hub.ocpi import client
from hub.ocpi.errors import CannotUseApi, Invalid, MethodNotAllowed, OcpiError, Unauthorized
from hub.ocpi.messages import Address
from parties import clientinfo, delivery, handshake, keys, proposals, waking
from parties.authentication import Caller, admit
from parties.handshake import Found, UnknownHost
from parties.models import Dialect, Endpoint, Key, Party, Pause, Platform, Role
from parties.ourselves import credentials_for

logger = logging.getLogger(__name__)
_State = Platform.State
READ_AGAIN = timedelta(minutes=5)  # until versions that could not be read are tried again
ASKED = (
    ". Nothing has changed; the hub's staff have been asked: repeat this when they have approved it"
)
WHEN_INVITED, WHEN_REGISTERED = "GET, POST", "GET, PUT, DELETE"  # the methods, for Allow


class ForeignRoles(Invalid):
    """Credentials name roles that are not assigned to the platform."""

    def __init__(self, roles: list[dict[str, Any]]) -> None:
        names = [f"{item['country_code']}*{item['party_id']} as {item['role']}" for item in roles]
        super().__init__(f"roles: {', '.join(names[:5])}: not assigned to this platform")
        self.roles = roles


@dataclass(frozen=True)
class Terms:
    """What a handshake has brought: the partner's credentials, and what was found behind them.

    `found` is nothing where a quick-start connection could not be called back.
    """

    token: str
    url: str
    version: str
    token_form: str
    claimed: list[dict[str, Any]]
    roles: list[Role]
    found: Found | None


def register(caller: Caller, credentials: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Complete the handshake that a partner's POST credentials begins; return our credentials.

    Raises MethodNotAllowed when the platform is registered already, Invalid for roles that are not
    assigned to it, CannotUseApi, UnsupportedVersion or MissingEndpoints when calling back fails,
    and CannotUseApi when another handshake of the platform is under way.
    """
    require_invitation(caller)
    return _exchange(caller, credentials, version)


def require_invitation(caller: Caller) -> None:
    """Raise MethodNotAllowed unless the caller's token is that of an invitation."""
    if caller.key.purpose != Key.Purpose.INVITATION:
        raise MethodNotAllowed("already registered", allow=WHEN_REGISTERED)


def update(caller: Caller, credentials: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Replace both tokens, as a partner's PUT credentials asks; return our credentials.

    The connection goes over to the version whose endpoint was called. Raises as `register` does,
    and MethodNotAllowed when the platform is not registered; then nothing has changed.
    """
    require_registration(caller)
    return _exchange(caller, credentials, version)


def require_registration(caller: Caller) -> None:
    """Raise MethodNotAllowed unless the caller's token is that of a registered platform."""
    try:
        admit(caller)
    except Unauthorized as error:
        raise MethodNotAllowed("not registered yet: POST first", allow=WHEN_INVITED) from error


def push_only() -> list[Platform]:
    """Return the platforms that were registered without their URL answering."""
    return list(Platform.objects.filter(state=_State.PUSH_ONLY).order_by("pk"))


def try_again(platform: Platform) -> bool:
    """Connect a push-only platform whose URL answers by now; return whether it did."""
    return _read_again(platform, _State.PUSH_ONLY)


def read_versions(platform: Platform) -> bool:
    """Read the endpoints of a connected platform anew, as its answers say that they have moved.

    Return whether that was possible; what was paused for it goes on then.
    """
    done = _read_again(platform, _State.CONNECTED)
    again = None if done else timezone.now() + READ_AGAIN
    Platform.objects.filter(pk=platform.pk).update(reread_at=again)
    if done:
        Platform.objects.filter(pk=platform.pk, pause_reason=Pause.GONE).update(**Platform.WELL)
        waking.wake([platform.pk])
    return done


def _read_again(platform: Platform, state: str) -> bool:
    """Call a platform back and connect it by what it shows, if it is still in a state then."""
    token = keys.unseal(platform.sealed_token)
    try:
        with wishes_kept(platform, {"url": platform.versions_url}):
            found = _call_back(platform, token, platform.versions_url, platform.version)
    except OcpiError:
        return False
    with transaction.atomic():
        locked = locked_platform(platform)
        if locked.state != state or locked.sealed_token != platform.sealed_token:
            return False
        _keep(locked, found)
        clientinfo.move(locked, _State.CONNECTED)
    return True


def claimed_roles(platform: Platform, claimed: list[dict[str, Any]]) -> list[Role]:
    """Return the assigned roles that credentials name, as many as they like.

    Raises Invalid for one that comes twice or is the hub's own, ForeignRoles for any other.
    """
    assigned = {
        (role.party.address, role.role): role for role in platform.roles.select_related("party")
    }
    names = [(Address.of(item["country_code"], item["party_id"]), item["role"]) for item in claimed]
    if len(set(names)) < len(names):
        raise Invalid("roles: the same role twice")
    if any(role == "HUB" for _, role in names):
        raise Invalid("roles: HUB is the role of this hub alone")
    foreign = [item for item, name in zip(claimed, names, strict=True) if name not in assigned]
    if foreign:
        raise ForeignRoles(foreign)
    return [assigned[name] for name in names]


def locked_platform(platform: Platform) -> Platform:
    """Return the platform with its row locked, and broadcasts before that; in a transaction."""
    delivery.pause_broadcasts()
    return Platform.objects.select_for_update().get(pk=platform.pk)


def store(platform: Platform, terms: Terms) -> None:
    """Store what a handshake has brought, to be sure in the transaction that changes our token.

    `platform` is locked. What its deliveries failed at before does not count any more.
    """
    now, found = timezone.now(), terms.found
    platform.versions_url, platform.version = terms.url, terms.version
    platform.token_form, platform.proposal = terms.token_form, None
    platform.registered_at = now
    for name, value in Platform.WELL.items():
        setattr(platform, name, value)
    _replace_token(platform, terms.token, now)
    if found and platform.hosts:
        _require_still_approved(platform, found)
    if not found and not settings.SANDBOX:  # there, its hosts are fixed when it answers
        platform.hosts = platform.hosts or handshake.require_approved([terms.url], None)
    platform.save()
    _name(terms)
    if found:
        _keep(platform, found)
    else:
        platform.endpoints.all().delete()
    clientinfo.move(platform, _State.CONNECTED if found else _State.PUSH_ONLY)
    logger.info("platform registered", extra={"platform": platform.pk, "state": platform.state})


def _exchange(caller: Caller, credentials: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Call the owner of valid credentials back, store it all, and return ours."""
    platform = caller.platform
    with wishes_kept(platform, credentials):
        roles = claimed_roles(platform, credentials["roles"])
        _require_usable(platform, credentials["url"])
        with handshake.turn(platform):
            found = _discover(platform, credentials["token"], credentials["url"], version)
            terms = Terms(
                token=credentials["token"],
                url=credentials["url"],
                version=version,
                token_form=found.token_form if found else caller.token_form,
                claimed=credentials["roles"],
                roles=roles,
                found=found,
            )
            return _complete(caller, terms)


@contextmanager
def wishes_kept(platform: Platform, credentials: Mapping[str, Any]) -> Iterator[None]:
    """Keep for the staff what the partner may not do by itself."""
    try:
        yield
    except UnknownHost as error:
        proposals.keep(platform, credentials, hosts=error.hosts)
        error.message += ASKED
        raise
    except ForeignRoles as error:
        proposals.keep(platform, credentials, roles=error.roles)
        error.message += ASKED
        raise


def _require_usable(platform: Platform, url: str) -> None:
    """Refuse a URL that may not be called; in the sandbox the guide's placeholder will do."""
    try:
        handshake.require_approved([url], platform.hosts)
    except UnknownHost:
        raise
    except CannotUseApi:
        if not (settings.SANDBOX and platform.dialect == Dialect.QUICKSTART):
            raise


def _discover(platform: Platform, token: str, url: str, version: str) -> Found | None:
    """Call the partner back; on a quick-start connection an unreachable URL is no obstacle.

    Neither is a hub without a free seat: the URL is tried again later.
    """
    try:
        with handshake.seat():
            return _call_back(platform, token, url, version)
    except UnknownHost:
        raise
    except OcpiError:
        if platform.dialect == Dialect.QUICKSTART:
            return None
        raise


def _call_back(platform: Platform, token: str, url: str, version: str) -> Found:
    peer = client.Peer(token, client.BASE64, tuple(platform.hosts) or None)
    calls = handshake.Calls(platform, peer)
    return handshake.discover(calls, url, handshake.ACCEPTED[version])[1]


@transaction.atomic
def _complete(caller: Caller, terms: Terms) -> dict[str, Any]:
    """Store everything; of several changes of one platform at once the first one wins."""
    platform = locked_platform(caller.platform)
    try:
        token = keys.succeed(caller.key)
    except keys.Gone as error:
        raise Unauthorized("this token has just been replaced or revoked") from error
    store(platform, terms)
    return credentials_for(platform, token)


def _replace_token(platform: Platform, token: str, now: datetime) -> None:
    """Take a partner's new token for us; the one before is tried for a while if this one fails."""
    before = keys.unseal(platform.sealed_token)
    platform.sealed_token = keys.seal(token)
    keep = platform.registered and before not in {"", token}
    platform.previous_sealed_token = keys.seal(before) if keep else ""
    platform.previous_until = now + keys.GRACE if keep else None


def _require_still_approved(platform: Platform, found: Found) -> None:
    """Refuse hosts that staff, or another first handshake, have decided about meanwhile."""
    if unknown := set(found.hosts) - set(platform.hosts):
        raise UnknownHost(sorted(unknown))


def _name(terms: Terms) -> None:
    for role, item in zip(terms.roles, terms.claimed, strict=True):
        details = item["business_details"]
        Party.objects.filter(pk=role.party_id).update(
            business_details=details, name=details["name"]
        )


def _keep(platform: Platform, found: Found) -> None:
    """Store what calling back brought; the sweep then sends what the platform has missed."""
    platform.token_form = found.token_form
    platform.hosts = platform.hosts or found.hosts
    platform.save(update_fields=["token_form", "hosts"])
    platform.endpoints.all().delete()
    Endpoint.objects.bulk_create(
        Endpoint(
            platform=platform, module=item["identifier"], interface=item["role"], url=item["url"]
        )
        for item in found.endpoints
    )
    for role in platform.roles.all():
        delivery.owe_everything(role)
    clientinfo.owe_all(platform)
