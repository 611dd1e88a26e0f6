"""From a token to the platform that holds it, and to the parties behind that.

All of it is read in one round trip, and anew for each request: a token that was revoked a moment
ago opens nothing, and a role that was withdrawn speaks for nobody.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from hub import locks, statements
from hub.ocpi.errors import Unauthorized
from hub.statements import Columns
from parties import alive, keys, throttling
from parties.models import Key, Party, Platform, Role

HANDSHAKE = 0x0C9F  # the advisory locks of handshakes: (HANDSHAKE, platform)
_SAME_ANSWER = "unknown or expired token"


@dataclass(frozen=True)
class Caller:
    """Who is calling: the platform with its roles, the key it showed, and how the token came."""

    platform: Platform
    key: Key
    token_form: str
    token: str
    roles: tuple[Role, ...]

    @property
    def is_authenticated(self) -> bool:
        """Tell DRF that there is somebody."""
        return True


class TokenAuthentication(BaseAuthentication):
    """Authenticates by OCPI's credentials token, Base64 or plain."""

    def authenticate(self, request: Request) -> tuple[Caller, Key]:
        """Return the caller, who is alive; every failure is the same 401, or raises TooMany."""
        django_request = request._request
        throttling.before(django_request)
        try:
            found = find(request.headers.get("Authorization", ""))
        except Unauthorized:
            throttling.stranger(django_request)
            raise
        alive.heard(found.platform)
        return found, found.key

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge, so that a refusal is a 401."""
        return "Token"


def find(header: str) -> Caller:
    """Find the caller of an Authorization header or raise Unauthorized."""
    if not header:
        raise Unauthorized("Authorization: Token <credentials token> is missing")
    tokens = {keys.digest(token): (token, form) for token, form in keys.candidates(header)}
    likely, unlikely = [*tokens, b"", b""][:2]  # no digest is empty
    found = statements.first_rows(_CALLER, [likely, unlikely, timezone.now()])
    if not found:
        raise Unauthorized(_SAME_ANSWER)
    *values, roles = found[0]
    key, platform = _KEY.made(values[: len(_KEY)]), _PLATFORM.made(values[len(_KEY) :])
    key.platform = platform
    token, form = tokens[bytes(key.digest)]
    keys.note_use(key)
    return Caller(platform, key, form, token, tuple(_roles(platform, roles)))


def _roles(platform: Platform, text: str) -> Iterator[Role]:
    """Make a platform's roles of what the statement tells of them, each with its party."""
    for pk, kind, *party in msgspec.json.decode(text):
        role = Role(pk=pk, role=kind, platform=platform)
        role.party = Party.from_db(DEFAULT_DB_ALIAS, _OF_PARTY, party)
        role._state.adding, role._state.db = False, DEFAULT_DB_ALIAS
        yield role


def admit(caller: Caller) -> None:
    """Let a caller into the modules; raises Unauthorized when its token does not open them.

    An invitation does not, nor does a token that the hub has just offered. Only when the hub never
    heard how its offer to a registered partner went, the partner's use of it is the answer.
    """
    if not caller.key.opens_modules and not _took_the_offer(caller):
        raise Unauthorized("a registration token is good for versions and credentials only")


def _took_the_offer(caller: Caller) -> bool:
    """Take an offered token into use if nobody waits for the partner's answer any more."""
    if caller.key.purpose != Key.Purpose.OFFERED:
        return False
    with locks.alone(HANDSHAKE, caller.platform.pk) as alone:
        return alone and _promoted(caller)


@transaction.atomic
def _promoted(caller: Caller) -> bool:
    platform = Platform.objects.select_for_update().get(pk=caller.platform.pk)
    if not platform.registered:
        return False
    try:
        keys.promote(caller.key)
    except keys.Gone:
        return False
    caller.key.refresh_from_db()
    keys.note_use(caller.key)
    return True


_KEY, _PLATFORM = Columns(Key, "key"), Columns(Platform, "platform")
_OF_PARTY = ("id", "country_code", "party_id", "name")  # the rest is read when it is asked for
_CALLER = f"""
    SELECT {_KEY.text}, {_PLATFORM.text}, (
        SELECT coalesce(jsonb_agg(jsonb_build_array(
            role.id, role.role, {", ".join(f"party.{name}" for name in _OF_PARTY)}
        ) ORDER BY role.id), '[]')
        FROM parties_role AS role JOIN parties_party AS party ON party.id = role.party_id
        WHERE role.platform_id = platform.id)
    FROM parties_key AS key JOIN parties_platform AS platform ON platform.id = key.platform_id
    WHERE key.digest IN (%s::bytea, %s::bytea) AND key.used_at IS NULL
        AND (key.expires_at IS NULL OR key.expires_at > %s::timestamptz)
        AND platform.state <> 'suspended'
    ORDER BY key.id LIMIT 1
"""  # noqa: S608 - names of columns only
