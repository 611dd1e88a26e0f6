"""Tokens: made, digested for those we verify, sealed for those we must present."""

import base64
import binascii
import hashlib
import re
import secrets
from datetime import timedelta

from cryptography.fernet import Fernet
from django.conf import settings
from django.utils import timezone

from parties.models import Key, Platform

INVITATION_LIFE = timedelta(days=7)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SCHEME = re.compile(r"^(?:Token|Bearer) (\S+)$", re.IGNORECASE)


def new_token() -> str:
    """Return a fresh token of 256 bits; its underscore keeps it from being valid Base64 itself."""
    return "och_" + "".join(secrets.choice(_ALPHABET) for _ in range(43))


def digest(token: str) -> bytes:
    """Return what is kept of a token that the hub verifies."""
    return hashlib.blake2b(token.encode(), key=_secret(b"digest"), digest_size=32).digest()


def seal(token: str) -> str:
    """Encrypt a token that the hub must present to a partner."""
    return _fernet().encrypt(token.encode()).decode()


def unseal(sealed: str) -> str:
    """Decrypt such a token; one that was never given is empty."""
    return _fernet().decrypt(sealed.encode()).decode() if sealed else ""


def issue(platform: Platform, purpose: Key.Purpose) -> str:
    """Issue a token to a platform and return it, the only time it is seen."""
    token = new_token()
    life = INVITATION_LIFE if purpose == Key.Purpose.INVITATION else None
    Key.objects.create(
        platform=platform,
        purpose=purpose,
        digest=digest(token),
        hint=token[-4:],
        expires_at=timezone.now() + life if life else None,
    )
    return token


def candidates(header: str) -> list[tuple[str, str]]:
    """Return what an Authorization header may mean, as (token, form), the likelier first.

    OCPI 2.2.1 wants the token in Base64; many partners send it plain, without padding, in the
    URL-safe alphabet, or with a newline inside the encoding.
    """
    match = _SCHEME.match(header.strip())
    if not match:
        return []
    given = match.group(1)
    decoded = _decoded(given)
    return ([(decoded, "base64")] if decoded else []) + [(given, "plain")]


def _decoded(text: str) -> str | None:
    standard = text.replace("-", "+").replace("_", "/")
    try:
        raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
        return raw.decode("ascii").strip() or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _secret(purpose: bytes) -> bytes:
    return hashlib.blake2b(settings.SECRET_KEY.encode(), person=purpose, digest_size=32).digest()


def _fernet() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_secret(b"seal")))
