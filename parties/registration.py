"""Joining the network: invitations, and the credentials handshake.

Source: OCPI 2.2.1, credentials, "Registration". The outgoing calls come first and outside any
transaction; what they brought is then stored in one, together with the use of the invitation, so
that a failed handshake changes nothing and leaves the invitation good.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from hub import egress, locks
from hub.ocpi import client, validation
from hub.ocpi.errors import (
    CannotUseApi,
    Invalid,
    MethodNotAllowed,
    OcpiError,
    UnsupportedVersion,
)
from hub.ocpi.messages import Address
from hub.ocpi.types import Credentials, Version
from hub.ocpi.types import Endpoint as WireEndpoint
from parties import clientinfo, delivery, keys
from parties.authentication import Caller
from parties.models import Dialect, Endpoint, Key, Party, Platform, Role

logger = logging.getLogger(__name__)
LOCK = 0x0C9F  # the advisory locks of handshakes: (LOCK, platform)
CALL_SECONDS = 6.0
HANDSHAKE_SECONDS = 20.0  # for all calls of one handshake together
SEATS = 2  # of the 24 threads of a web process (hub/supervisor.py): the others stay free
_seats = BoundedSemaphore(SEATS)
COMPATIBLE = {"2.2.1": ("2.2.1",), "2.2": ("2.2.1", "2.2")}


class InvitationError(Exception):
    """The party cannot be invited; the message says why."""


@dataclass(frozen=True)
class Found:
    """What the partner's versions and details said, and the form its token worked in."""

    version: str
    token_form: str
    endpoints: list[dict[str, Any]]
    hosts: list[str]


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
    party, _ = Party.objects.get_or_create(
        country_code=address.country_code,
        party_id=address.party_id,
        defaults={"name": name, "business_details": {"name": name}},
    )
    for role in roles:
        _assign(party, role, platform)
    clientinfo.refresh(platform)
    return party, join or keys.issue(platform, Key.Purpose.INVITATION)


def register(caller: Caller, credentials: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Complete the handshake that a partner's POST credentials begins; return our credentials.

    Raises MethodNotAllowed when the platform is registered already, Invalid for bad credentials
    or foreign roles, CannotUseApi or UnsupportedVersion when calling back fails, and CannotUseApi
    when another handshake of the platform is under way.
    """
    if caller.key.purpose != Key.Purpose.INVITATION:
        raise MethodNotAllowed("already registered", allow="GET")
    validation.check(Credentials, credentials)
    roles = _claimed_roles(caller.platform, credentials["roles"])
    with _turn(caller.platform):
        found = _discover(caller.platform, credentials["token"], credentials["url"], version)
        return _complete(caller, credentials, roles, found, version)


def credentials_for(token: str) -> dict[str, Any]:
    """Return the hub's credentials as the holder of a token sees them."""
    return {
        "token": token,
        "url": f"{settings.HUB_BASE_URL}/ocpi/versions",
        "roles": [
            {
                "role": "HUB",
                "business_details": {"name": settings.HUB_NAME},
                "party_id": settings.HUB_PARTY_ID,
                "country_code": settings.HUB_COUNTRY_CODE,
            }
        ],
    }


def push_only() -> list[Platform]:
    """Return the platforms that were registered without their URL answering."""
    return list(Platform.objects.filter(state=Platform.State.PUSH_ONLY).order_by("pk"))


def try_again(platform: Platform) -> bool:
    """Connect a push-only platform whose URL answers by now; return whether it did."""
    token = keys.unseal(platform.sealed_token)
    try:
        found = _call_back(platform, token, platform.versions_url, platform.version)
    except OcpiError:
        return False
    with transaction.atomic():
        _keep(platform, found)
        clientinfo.move(platform, Platform.State.CONNECTED)
    return True


def _invited(token: str) -> Platform:
    unused = Key.objects.filter(purpose=Key.Purpose.INVITATION, used_at__isnull=True)
    key = unused.filter(digest=keys.digest(token), expires_at__gt=timezone.now()).first()
    if key is None:
        raise InvitationError("no unused invitation has this token")
    return key.platform


def _assign(party: Party, role: str, platform: Platform) -> None:
    if role not in Role.Kind.values:
        raise InvitationError(f"{role} is not a role ({', '.join(Role.Kind.values)})")
    if not Role.objects.get_or_create(party=party, role=role, defaults={"platform": platform})[1]:
        raise InvitationError(f"{party} is registered as {role} already")


def _claimed_roles(platform: Platform, claimed: list[dict[str, Any]]) -> list[Role]:
    """Return the assigned roles that the credentials name; a foreign one is refused."""
    assigned = {
        (role.party.address, role.role): role for role in platform.roles.select_related("party")
    }
    names = [(Address.of(item["country_code"], item["party_id"]), item["role"]) for item in claimed]
    if len(set(names)) < len(names):
        raise Invalid("roles: the same role twice")
    for address, role in names:
        if (address, role) not in assigned:
            raise Invalid(f"roles: {address} as {role} is not assigned to this platform")
    return [assigned[name] for name in names]


@contextmanager
def _turn(platform: Platform) -> Iterator[None]:
    """Let one handshake of a platform run at a time, so that an invitation takes one seat only."""
    with locks.alone(LOCK, platform.pk) as alone:
        if not alone:
            raise CannotUseApi("another handshake of this platform is under way")
        yield


@contextmanager
def _seat() -> Iterator[None]:
    """Take one of the few seats for handshakes, so that partners who hang stop nobody else."""
    if not _seats.acquire(blocking=False):
        raise CannotUseApi("too many handshakes at once, try again in a minute")
    try:
        yield
    finally:
        _seats.release()


def _discover(platform: Platform, token: str, url: str, version: str) -> Found | None:
    """Call the partner back; on a quick-start connection an unreachable URL is no obstacle.

    Neither is a hub without a free seat: the URL is tried again later.
    """
    try:
        with _seat():
            return _call_back(platform, token, url, version)
    except OcpiError:
        if platform.dialect == Dialect.QUICKSTART:
            return None
        raise


def _call_back(platform: Platform, token: str, url: str, version: str) -> Found:
    """Read the partner's versions and details, within HANDSHAKE_SECONDS in all."""
    until = time.monotonic() + HANDSHAKE_SECONDS
    peer, answer = _versions(platform, token, url, until)
    entry = _mutual(_data(answer, list, url), version)
    details = _data(_get(peer, str(entry["url"]), until), dict, "version details")
    endpoints = _endpoints(details)
    urls = [url, str(entry["url"]), *(str(item["url"]) for item in endpoints)]
    return Found(
        str(entry["version"]), peer.token_form, endpoints, _hosts(urls, platform.hosts or None)
    )


def _versions(
    platform: Platform, token: str, url: str, until: float
) -> tuple[client.Peer, client.Answer]:
    """Ask for the versions, with the token in Base64, then plain; return what was answered."""
    peer = client.Peer(token, client.BASE64, tuple(platform.hosts) or None)
    answer = _get(peer, url, until)
    if answer.http == 401:
        peer = replace(peer, token_form=client.PLAIN)
        answer = _get(peer, url, until)
    return peer, answer


def _get(peer: client.Peer, url: str, until: float) -> client.Answer:
    """Make one call in what is left of the handshake's time (`until`, of the monotonic clock)."""
    seconds = min(CALL_SECONDS, until - time.monotonic())
    if seconds <= 0:
        raise CannotUseApi(f"{url}: not called, the time of this handshake is over")
    try:
        return client.send("GET", url, peer=peer, seconds=seconds)
    except (egress.EgressDeniedError, egress.EgressFailedError) as error:
        raise CannotUseApi(f"{url}: {error}") from error


def _data(answer: client.Answer, kind: type, what: str) -> Any:
    if not answer.succeeded or not isinstance(answer.data, kind):
        raise CannotUseApi(f"{what}: HTTP {answer.http}, {answer.message or 'no data'}")
    return answer.data


def _mutual(offered: list[Any], version: str) -> dict[str, Any]:
    valid = [item for item in offered if not validation.problems(Version, item)]
    if not valid:
        raise CannotUseApi("the versions list holds no version with its URL")
    entries = {item["version"]: item for item in valid}
    for wanted in COMPATIBLE[version]:
        if wanted in entries:
            return dict(entries[wanted])
    raise UnsupportedVersion(f"{version} is not among the versions that the partner offers")


def _endpoints(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the well-formed endpoints of modules; unknown ones stay, they do no harm."""
    listed = details.get("endpoints")
    entries = listed if isinstance(listed, list) else []
    return [item for item in entries if not validation.problems(WireEndpoint, item)]


def _hosts(urls: Iterable[str], approved: list[str] | None) -> list[str]:
    try:
        return sorted({egress.check_url(url, approved) for url in urls})
    except egress.EgressDeniedError as error:
        raise CannotUseApi(f"endpoints: {error}") from error


@transaction.atomic
def _complete(
    caller: Caller,
    credentials: Mapping[str, Any],
    roles: list[Role],
    found: Found | None,
    version: str,
) -> dict[str, Any]:
    """Store everything and use the invitation up; of two handshakes at once one wins."""
    platform = caller.platform
    delivery.pause_broadcasts()  # before any row is locked
    invitation = Key.objects.filter(pk=caller.key.pk, used_at__isnull=True)
    if not invitation.update(used_at=timezone.now()):
        raise MethodNotAllowed("already registered", allow="GET")
    platform.versions_url, platform.version = credentials["url"], version
    platform.sealed_token = keys.seal(credentials["token"])
    platform.token_form, platform.registered_at = caller.token_form, timezone.now()
    platform.save()
    _name(roles, credentials["roles"])
    state = Platform.State.CONNECTED if found else Platform.State.PUSH_ONLY
    if found:
        _keep(platform, found)
    clientinfo.move(platform, state)
    logger.info("platform registered", extra={"platform": platform.pk, "state": state})
    return credentials_for(keys.issue(platform, Key.Purpose.ACCESS))


def _name(roles: list[Role], claimed: list[dict[str, Any]]) -> None:
    for role, item in zip(roles, claimed, strict=True):
        details = item["business_details"]
        Party.objects.filter(pk=role.party_id).update(
            business_details=details, name=details["name"]
        )


def _keep(platform: Platform, found: Found) -> None:
    """Store what calling back brought; the sweep then sends what the platform has missed."""
    delivery.pause_broadcasts()
    platform.token_form, platform.hosts = found.token_form, found.hosts
    platform.save(update_fields=["token_form", "hosts"])
    platform.endpoints.all().delete()
    Endpoint.objects.bulk_create(
        Endpoint(
            platform=platform, module=item["identifier"], interface=item["role"], url=item["url"]
        )
        for item in {(item["identifier"], item["role"]): item for item in found.endpoints}.values()
    )
    for role in platform.roles.all():
        delivery.owe_everything(role)
