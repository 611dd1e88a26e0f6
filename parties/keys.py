"""Tokens: made, digested for those we verify, sealed for those we must present.

A platform has one token for all calls. When it is replaced, the one before stays good until the
new one is used, or for GRACE: an answer that is lost on its way locks nobody out.
"""

import base64
import hashlib
import logging
import re
import secrets
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.utils import timezone

from parties.models import Key, Platform

logger = logging.getLogger(__name__)
INVITATION_LIFE = timedelta(days=7)
GRACE = timedelta(minutes=15)
NO_PREVIOUS: dict[str, Any] = {"previous_sealed_token": "", "previous_until": None}
NOTED_EVERY = timedelta(minutes=1)  # how often the use of a token is written down
_LIVES = {
    Key.Purpose.INVITATION: INVITATION_LIFE,
    Key.Purpose.OFFERED: GRACE,
    Key.Purpose.PREVIOUS: GRACE,
}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SCHEME = re.compile(r"^(?:(?:Token|Bearer)\s+)?(\S+)$", re.IGNORECASE)


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


def pseudonym(value: str) -> str:
    """Return what stands for a driver's identifier in the journal; its case does not matter."""
    text = value.strip().upper().encode()
    return hashlib.blake2b(text, key=_secret(b"pseudonym"), digest_size=6).hexdigest()


class Gone(Exception):
    """The token was revoked or used up in the meantime."""


def issue(platform: Platform, purpose: Key.Purpose) -> str:
    """Issue a token to a platform and return it, the only time it is seen."""
    token = new_token()
    Key.objects.create(
        platform=platform,
        purpose=purpose,
        digest=digest(token),
        hint=token[-4:],
        expires_at=_end_of(purpose),
    )
    _log("token issued", platform.pk, purpose=purpose)
    return token


def succeed(key: Key) -> str:
    """Issue the token that follows a key: an invitation is used up, any other is now the previous.

    All other keys of the platform end. Call in a transaction that holds the platform's row.
    Raises Gone when the key is no longer good itself.
    """
    platform = key.platform
    _retire(platform, keep=key.pk)
    rows = platform.keys.filter(pk=key.pk, used_at__isnull=True)
    if key.purpose == Key.Purpose.INVITATION:
        changed = rows.filter(purpose=key.purpose).update(used_at=timezone.now())
    else:
        changed = rows.update(
            purpose=Key.Purpose.PREVIOUS, expires_at=_end_of(Key.Purpose.PREVIOUS)
        )
    if not changed:
        raise Gone
    return issue(platform, Key.Purpose.ACCESS)


def promote(key: Key) -> None:
    """Make a token that was offered the one for all calls; the present one is now the previous.

    Call in a transaction that holds the platform's row. Raises Gone when the offer is over.
    """
    platform = key.platform
    if platform.keys.filter(pk=key.pk, purpose=Key.Purpose.ACCESS).exists():
        return
    present = platform.keys.filter(purpose=Key.Purpose.ACCESS).first()
    _retire(platform, keep=key.pk, spare=present.pk if present else None)
    platform.keys.filter(purpose=Key.Purpose.ACCESS).update(
        purpose=Key.Purpose.PREVIOUS, expires_at=_end_of(Key.Purpose.PREVIOUS)
    )
    offered = platform.keys.filter(pk=key.pk, purpose=Key.Purpose.OFFERED)
    if not offered.update(purpose=Key.Purpose.ACCESS, expires_at=None, last_used_at=None):
        raise Gone
    _log("token taken into use", platform.pk)


def revoke(platform: Platform, *purposes: Key.Purpose) -> None:
    """End the tokens of a platform at once: those for some purposes, or all of them.

    Invitations that were used up stay on record.
    """
    keys = platform.keys.filter(used_at__isnull=True)
    count, _ = (keys.filter(purpose__in=purposes) if purposes else keys).delete()
    if count:
        _log("tokens revoked", platform.pk, count=count)


def note_use(key: Key) -> None:
    """Note that a token is used, once a minute; the first use of a new one ends the previous."""
    now, last = timezone.now(), key.last_used_at
    if last and now - last < NOTED_EVERY:
        return
    Key.objects.filter(pk=key.pk).update(last_used_at=now)
    key.last_used_at = now
    if last is None and key.purpose == Key.Purpose.ACCESS:
        revoke(key.platform, Key.Purpose.PREVIOUS)


def forget_expired() -> None:
    """Delete what has run out: passing keys, and tokens of partners from before a change."""
    now, passing = timezone.now(), (Key.Purpose.PREVIOUS, Key.Purpose.OFFERED)
    Key.objects.filter(purpose__in=passing, expires_at__lt=now).delete()
    Platform.objects.filter(previous_until__lt=now).update(**NO_PREVIOUS)


def forget_previous(platform: Platform) -> None:
    """Forget a partner's token from before its last change: the new one works."""
    Platform.objects.filter(pk=platform.pk).update(**NO_PREVIOUS)
    platform.previous_sealed_token, platform.previous_until = "", None


def previous_token(platform: Platform) -> str:
    """Return a partner's token from before its last change while it may be tried, else nothing."""
    until = platform.previous_until
    return unseal(platform.previous_sealed_token) if until and until > timezone.now() else ""


def candidates(header: str) -> list[tuple[str, str]]:
    """Return what an Authorization header may mean, as (token, form), the likelier first.

    OCPI 2.2.1 wants `Token` and the token in Base64; many partners send it plain, without padding,
    in the URL-safe alphabet, with a newline inside the encoding, or without the word before it.
    """
    match = _SCHEME.match(header.strip())
    if not match:
        return []
    given = match.group(1)
    decoded = (decode(given) or "").strip()
    return ([(decoded, "base64")] if decoded else []) + [(given, "plain")]


def _end_of(purpose: Key.Purpose) -> datetime | None:
    life = _LIVES.get(purpose)
    return timezone.now() + life if life else None


def _retire(platform: Platform, *, keep: int, spare: int | None = None) -> None:
    """End all keys but these, and but used invitations, which stay on record."""
    platform.keys.exclude(pk__in=[keep, spare or keep]).filter(used_at__isnull=True).delete()


def _log(what: str, platform: int, **more: Any) -> None:
    """Say what became of tokens; which token it was is nobody's business."""
    logger.info(what, extra={"platform": platform, **more})


def decode(text: str) -> str | None:
    """Decode a token's Base64, of either alphabet and padded or not; None when it is none."""
    standard = text.replace("-", "+").replace("_", "/")
    try:
        raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
        return raw.decode("ascii")
    except ValueError:  # no Base64, or not of ASCII
        return None


def _secret(purpose: bytes) -> bytes:
    return hashlib.blake2b(settings.SECRET_KEY.encode(), person=purpose, digest_size=32).digest()


def _fernet() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_secret(b"seal")))
