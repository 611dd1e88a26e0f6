"""From a token to the platform that holds it."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from hub import locks
from hub.ocpi.errors import Unauthorized
from parties import alive, keys
from parties.models import Key, Platform

HANDSHAKE = 0x0C9F  # the advisory locks of handshakes: (HANDSHAKE, platform)
_SAME_ANSWER = "unknown or expired token"


@dataclass(frozen=True)
class Caller:
    """Who is calling: the platform, the key it showed, and the form the token came in."""

    platform: Platform
    key: Key
    token_form: str
    token: str

    @property
    def is_authenticated(self) -> bool:
        """Tell DRF that there is somebody."""
        return True


class TokenAuthentication(BaseAuthentication):
    """Authenticates by OCPI's credentials token, Base64 or plain."""

    def authenticate(self, request: Request) -> tuple[Caller, Key]:
        """Return the caller, who is alive; every failure is the same 401."""
        found = find(request.headers.get("Authorization", ""))
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
    key = (
        Key.objects.select_related("platform")
        .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now()))
        .filter(digest__in=tokens, used_at__isnull=True)
        .exclude(platform__state=Platform.State.SUSPENDED)
        .first()
    )
    if key is None:
        raise Unauthorized(_SAME_ANSWER)
    token, form = tokens[bytes(key.digest)]
    keys.note_use(key)
    return Caller(key.platform, key, form, token)


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
