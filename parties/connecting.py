"""Registering with a partner that has invited the hub, and changing the tokens from our side.

The hub is the one that sends here: POST credentials, later PUT. Its token is in the database before
that (purpose `offered`), because the partner calls back with it before it answers.
Source: OCPI 2.2.1, credentials, "Registration" (the hub as Sender) and "Updating the credentials".
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from django.db import transaction

from hub.ocpi import client
from hub.ocpi.errors import CannotUseApi, OcpiError
from hub.ocpi.messages import Address
from hub.ocpi.types import Credentials
from hub.ocpi.types.basic import CredentialsToken
from parties import (
    calling,
    handshake,
    invitations,
    keys,
    leaving,
    proposals,
    registration,
    repairs,
)
from parties.handshake import Calls, Found, UnknownHost
from parties.invitations import InvitationError
from parties.models import Exchange, Key, Party, Platform, Role
from parties.ourselves import credentials_for
from parties.registration import ForeignRoles, Terms

logger = logging.getLogger(__name__)
_State = Platform.State
Joined = Callable[[Party], object]


class CannotConnect(Exception):
    """The partner could not be connected with, or its tokens not changed; the message says why."""


class Unclear(CannotUseApi):
    """The partner was sent our credentials, and nobody knows what it made of them."""


@dataclass(frozen=True)
class Plan:
    """With whom the hub registers: its roles, its versions URL, and the token that it gave us.

    `again` sends PUT in the place of POST, to a partner that takes us as registered already.
    """

    address: Address
    roles: Sequence[str]
    name: str
    url: str
    token: str
    hosts: list[str] = field(default_factory=list)
    again: bool = False


@dataclass(frozen=True)
class Answered:
    """What the partner answered: its credentials, and what was found at its end."""

    credentials: dict[str, Any]
    found: Found
    peer: client.Peer  # with the token by which the hub calls from now on


def connect(plan: Plan, *, joined: Joined = lambda party: None) -> Platform:
    """Register with a partner and return its platform, connected.

    `joined` is called with the party in the transaction that stores it.
    Raises CannotConnect; then nothing is left over on our side, so it can be repeated.
    """
    platform, new = _prepared(plan)
    peer = client.Peer(plan.token, client.BASE64, tuple(platform.hosts) or None)
    try:
        with _alone(platform), _offer(platform) as (key, token):
            method = "PUT" if plan.again else "POST"
            answered = _ask(Calls(platform, peer), plan.url, method, token)
            return _settled(platform, plan, key, answered, joined)
    finally:
        if new:
            _drop_unless_connected(platform)


def rotate(platform: Platform) -> str:
    """Change both tokens of a connection by PUT credentials; return a remark for the staff, if any.

    The endpoints are read anew, and the partner reads ours. Raises CannotConnect; then the tokens
    of before stay in force, and when the partner's answer got lost the new one stays on offer.
    """
    if not platform.registered or not platform.sealed_token:
        raise CannotConnect(f"{platform} is not registered")
    calls = Calls(platform, calling.peer_of(platform))
    with _alone(platform), _offer(platform, keep_if=Unclear) as (key, token):
        with registration.wishes_kept(platform, {"url": platform.versions_url}):
            answered = _ask(calls, platform.versions_url, "PUT", token)
        return _replaced(platform, key, answered)


@contextmanager
def _alone(platform: Platform) -> Iterator[None]:
    """Have the platform's turn and a seat; what goes wrong with the partner is CannotConnect."""
    try:
        with handshake.turn(platform), handshake.seat():
            yield
    except (OcpiError, InvitationError) as error:
        raise CannotConnect(getattr(error, "line", str(error))) from error
    except keys.Gone as error:
        raise CannotConnect(f"the tokens of {platform} have been revoked meanwhile") from error


@contextmanager
def _offer(
    platform: Platform, keep_if: type[Exception] | tuple[()] = ()
) -> Iterator[tuple[Key, str]]:
    """Have a token in the database for the partner; an offer that is not taken up ends."""
    keys.revoke(platform, Key.Purpose.OFFERED)
    token = keys.issue(platform, Key.Purpose.OFFERED)
    try:
        yield platform.keys.get(purpose=Key.Purpose.OFFERED), token
    except keep_if:
        raise
    except BaseException:
        keys.revoke(platform, Key.Purpose.OFFERED)
        raise


# The exchange with the partner


def _ask(calls: Calls, url: str, method: str, token: str) -> Answered:
    """Find the partner's endpoint for credentials, send ours there, and return its own."""
    calls, found = handshake.discover(calls, url, handshake.BEST_FIRST)
    where = found.credentials_url
    logger.info("our credentials are sent", extra={"platform": calls.platform.pk, "verb": method})
    try:
        ours = credentials_for(calls.platform, token)
        answer = calls.make(method, where, ours, handshake.HANDSHAKE_SECONDS)
    except CannotUseApi as error:
        raise Unclear(f"{error.message}. It is not known what the partner made of it") from error
    data = _accepted(answer, method)
    return Answered(data, found, replace(calls.peer, token=data["token"]))


def _accepted(answer: client.Answer, method: str) -> dict[str, Any]:
    """Return the credentials of an answer; raises CannotUseApi for a no, else Unclear."""
    told = f"{method} credentials: HTTP {answer.http}, {answer.message or 'no message'}"
    if answer.http == 405 and method == "POST":
        raise CannotUseApi(
            f"{told}. The partner takes the hub as registered already: send PUT with the token it "
            "gave the hub then (--put), or have it delete that registration"
        )
    if answer.succeeded:
        return _with_token(handshake.data_of(answer, dict, told), told)
    no = answer.code is not None or 400 <= answer.http < 500
    raise CannotUseApi(told) if no else Unclear(f"{told}: it is not known what that means")


def _with_token(data: dict[str, Any], told: str) -> dict[str, Any]:
    try:
        msgspec.convert(data.get("token"), CredentialsToken)
    except msgspec.ValidationError as error:
        raise Unclear(f"{told}: credentials without a token that could be used") from error
    return data


def _terms(platform: Platform, answered: Answered) -> Terms:
    """Return what is to be stored; raises OcpiError when the partner's credentials do not fit."""
    found = answered.found
    theirs = repairs.accepted(Credentials, answered.credentials, strict=platform.strict).body
    roles = registration.claimed_roles(platform, theirs["roles"])
    handshake.require_approved([theirs["url"]], platform.hosts or found.hosts)
    return Terms(
        token=answered.peer.token,
        url=theirs["url"],
        version=found.version,
        token_form=found.token_form,
        claimed=theirs["roles"],
        roles=roles,
        found=found,
    )


# Registering


def _prepared(plan: Plan) -> tuple[Platform, bool]:
    """Return the platform to be connected, and whether it was made for that."""
    if unknown := set(plan.roles) - set(Role.Kind.values):
        raise CannotConnect(f"not a role of a partner: {', '.join(sorted(unknown))}")
    roles = Role.objects.at(plan.address).filter(role__in=plan.roles).select_related("platform")
    platforms = {role.platform for role in roles}
    if len(platforms) > 1:
        raise CannotConnect(f"the roles of {plan.address} are on several platforms")
    if not platforms:
        return Platform.objects.create(name=plan.name, hosts=plan.hosts), True
    platform = platforms.pop()
    if platform.state != _State.INVITED:
        raise CannotConnect(f"{plan.address} is {platform.get_state_display()} already")
    platform.hosts = plan.hosts or platform.hosts
    return platform, False


@transaction.atomic
def _drop_unless_connected(platform: Platform) -> None:
    """Delete a platform that was made for an attempt; what was said stays in the journal."""
    failed = Platform.objects.filter(pk=platform.pk, state=_State.INVITED, roles=None)
    if failed.exists():
        Exchange.objects.filter(platform=platform).update(platform=None)
        failed.delete()


def _settled(
    platform: Platform, plan: Plan, key: Key, answered: Answered, joined: Joined
) -> Platform:
    """Store the connection; if that is impossible, take it back at the partner, too."""
    try:
        return _stored(platform, plan, key, answered, joined)
    except BaseException as error:
        outcome = leaving.Goodbye(platform, answered.peer, answered.found.credentials_url).say()
        logger.warning("registration taken back; %s", outcome, extra={"platform": platform.pk})
        if isinstance(error, OcpiError | InvitationError):
            reason = getattr(error, "line", str(error))
            raise CannotConnect(f"{reason}. The registration was taken back; {outcome}") from error
        raise


@transaction.atomic
def _stored(
    platform: Platform, plan: Plan, key: Key, answered: Answered, joined: Joined
) -> Platform:
    locked = registration.locked_platform(platform)
    if locked.state != _State.INVITED:
        raise CannotUseApi(f"{locked} is {locked.get_state_display()} by now")
    locked.hosts = platform.hosts
    party = invitations.party_at(plan.address, plan.name)
    assigned = set(locked.roles.filter(party=party).values_list("role", flat=True))
    for role in plan.roles:
        if role not in assigned:
            invitations.assign(locked, party, role)
    keys.promote(key)
    registration.store(locked, _terms(locked, answered))
    joined(party)
    return locked


# Changing the tokens


@transaction.atomic
def _replaced(platform: Platform, key: Key, answered: Answered) -> str:
    """Store the new tokens, which the partner uses by now; what else it changed must wait."""
    locked = registration.locked_platform(platform)
    if not locked.registered:
        raise CannotUseApi(f"{locked} is {locked.get_state_display()} by now")
    keys.promote(key)
    try:
        registration.store(locked, _terms(locked, answered))
    except OcpiError as error:
        registration.store(locked, _as_before(locked, answered))
        _keep_wish(locked, answered, error)
        return f"the tokens were changed, but: {error.line}"
    return ""


def _as_before(platform: Platform, answered: Answered) -> Terms:
    found = answered.found
    return Terms(
        token=answered.peer.token,
        url=platform.versions_url,
        version=found.version,
        token_form=found.token_form,
        claimed=[],
        roles=[],
        found=found,
    )


def _keep_wish(platform: Platform, answered: Answered, error: OcpiError) -> None:
    if isinstance(error, UnknownHost):
        proposals.keep(platform, answered.credentials, hosts=error.hosts)
    elif isinstance(error, ForeignRoles):
        proposals.keep(platform, answered.credentials, roles=error.roles)
