"""How often a platform may call, and a stranger: what is too much is refused before it costs much.

A platform has `RATE_LIMIT` calls a second over all its connections, and twice that at once. CDRs
and results of commands are always taken: both sides lose when they are lost. An address may show
`STRANGER_LIMIT` bad tokens a second; then it is refused unread, but for those whose token was good
a minute ago, as a partner may sit behind the same proxy as who guesses. No command is given more
than once a second for one EVSE, connector or token, and twice at once.
Source: docs/ocpi-conformance.md, X-03.
"""

import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from hub import limits, metrics, peers
from hub.ocpi.errors import TooMany

ALWAYS = frozenset({("cdrs", "POST")})  # results come by URLs without a token
KNOWN_SECONDS = 60.0
KNOWN_HEADERS = 10_000
_known: dict[int, tuple[int, float]] = {}  # hash of a good Authorization -> platform, until when


def before(request: HttpRequest) -> None:
    """Refuse, before anything is looked up, who was refused a moment ago; raises TooMany."""
    if not settings.RATE_LIMIT and not settings.STRANGER_LIMIT:
        return
    platform, until = _known.get(_mark(request), (0, 0.0))
    if platform and time.monotonic() < until:
        if not _always(request) and limits.refuses(_of(platform), settings.RATE_LIMIT):
            raise _too_many("this platform", quiet=True)
    elif limits.refuses(_from(request), settings.STRANGER_LIMIT):
        raise _too_many("this address", quiet=True)


def stranger(request: HttpRequest) -> None:
    """Count a call with a token that is none; raises TooMany."""
    metrics.AUTH_FAIL.inc()
    if not limits.allows(_from(request), settings.STRANGER_LIMIT):
        raise _too_many("this address")


def platform(request: HttpRequest, platform_id: int) -> None:
    """Count a call of a platform; raises TooMany."""
    if not settings.RATE_LIMIT and not settings.STRANGER_LIMIT:
        return
    if len(_known) >= KNOWN_HEADERS:
        _known.clear()
    _known[_mark(request)] = (platform_id, time.monotonic() + KNOWN_SECONDS)
    if not _always(request) and not limits.allows(_of(platform_id), settings.RATE_LIMIT):
        raise _too_many("this platform")


def command(kind: str, body: Mapping[str, Any], platform_id: int) -> None:
    """Count a command, given more than once a second for one EVSE or token; raises TooMany."""
    if not settings.RATE_LIMIT:
        return
    place = [body.get(name) for name in ("location_id", "evse_uid", "connector_id")]
    for subject in (place, [(body.get("token") or {}).get("uid")]):
        if any(subject) and not limits.allows(_about(kind, platform_id, subject), 1):
            metrics.RATE_LIMITED.labels("command").inc()
            raise TooMany(f"{kind} comes too often for the same EVSE or token", seconds=1)


def _about(kind: str, platform_id: int, subject: list[Any]) -> str:
    """Return the key of a subject, which may be a driver's: nobody reads it out of Redis."""
    text = f"{settings.SECRET_KEY} {kind} {platform_id} {subject}"
    return f"command:{blake2b(text.encode(), digest_size=12).hexdigest()}"


def _too_many(who: str, *, quiet: bool = False) -> TooMany:
    metrics.RATE_LIMITED.labels(who.split()[-1]).inc()
    return TooMany(f"{who} calls too often, try again in a second", seconds=1, quiet=quiet)


def _always(request: HttpRequest) -> bool:
    module = getattr(getattr(request, "ocpi_view", None), "module", "")
    return (module, request.method) in ALWAYS


def _mark(request: HttpRequest) -> int:
    return hash(request.META.get("HTTP_AUTHORIZATION", ""))


def _of(platform_id: int) -> str:
    return f"platform:{platform_id}"


def _from(request: HttpRequest) -> str:
    return f"address:{peers.address(request)}"


def forget() -> None:
    """Know nobody any more."""
    _known.clear()
