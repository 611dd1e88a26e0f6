"""From a token to the platform that holds it."""

from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from hub.ocpi.errors import Unauthorized
from parties import alive, keys
from parties.models import Key, Platform

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
    return Caller(key.platform, key, form, token)
