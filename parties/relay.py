"""Errands: requests that are answered at once and whose result comes later.

Commands, and what is asked about charging profiles. In the place of the caller's `response_url`
the hub puts a URL of its own, with a secret; what comes there is brought to the caller's URL (see
`results`). Nothing is ever asked twice.
Source: OCPI 2.2.1, mod_commands and mod_charging_profiles.
"""

import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from hub import batches, egress, statements
from hub.ocpi import json
from hub.ocpi.errors import Invalid, NotFound, OcpiError
from hub.ocpi.versions import is_own
from parties import keys, results
from parties.forwarding import Relayed
from parties.models import Errand, Platform, Role

LIFE = timedelta(days=1)  # of a callback; that of a reservation lives so long after its end
LONGEST = timedelta(days=31)
REPLAY = timedelta(days=1)  # how long the same request is recognised
POLL = 0.1  # seconds, while the same request is answered by another thread
REJECTED = {"result": "REJECTED", "timeout": 0}


class Repeated(Exception):
    """This very request came before; `errand` is what became of it."""

    def __init__(self, errand: Errand) -> None:
        super().__init__(str(errand))
        self.errand = errand


@dataclass(frozen=True)
class Order:
    """What is asked of whom, about what, and where the caller wants the result."""

    module: str
    action: str
    subject: str
    sender: Role
    receiver: Role
    response_url: str
    correlation_id: str
    fingerprint: bytes
    until: datetime | None = None  # that of a reservation


def check_response_url(url: str, platform: Platform) -> str:
    """Return a URL for results after it passed: on an approved host of the caller's platform.

    A platform that has none yet, because its URL did not answer, may name the host of that URL.
    Raises Invalid.
    """
    try:
        egress.check_url(url, platform.hosts or [_host(platform.versions_url)])
    except egress.EgressDeniedError as error:
        raise Invalid(f"response_url: {error}") from error
    if is_own(url):
        raise Invalid("response_url: this is a URL of the hub itself")
    return url


def begin(order: Order) -> tuple[Errand, str]:
    """Note an errand before it is run, and return it with the hub's URL for its results.

    Raises Repeated when the same request came within a day.
    """
    secret, now = secrets.token_urlsafe(32), timezone.now()
    errand = Errand(
        digest=keys.digest(secret),
        fingerprint=order.fingerprint,
        module=order.module,
        action=order.action,
        sender=order.sender,
        receiver=order.receiver,
        subject=order.subject,
        response_url=order.response_url,
        correlation_id=order.correlation_id,
        created_at=now,
        expires_at=_expiry(now, order.until),
    )
    while not _inserted(errand):
        if known := find(order.fingerprint):
            raise Repeated(known)
    return errand, f"{settings.HUB_BASE_URL}/ocpi/callback/{secret}"


def find(fingerprint: bytes) -> Errand | None:
    """Return the errand of the same request, if it came within a day.

    One that came before that is let go of, so that the request can be made again.
    """
    for pk, created_at in statements.rows(_KNOWN, [fingerprint]):
        if created_at > timezone.now() - REPLAY:
            return _joined(Errand.objects.all()).filter(pk=pk).first()
        Errand.objects.filter(pk=pk).update(fingerprint=None)
    return None


def note_answer(errand: Errand, answer: Relayed, forwarded_at: datetime) -> None:
    """Keep what was answered; the state follows from it, unless the result was quicker."""
    now, content = timezone.now(), {"http": answer.http, "code": answer.code}
    kept = {**content, "message": answer.message, "data": answer.data}
    changes = {
        "id": errand.pk,
        "state": _state_after(answer),
        "answer": json.dumps(kept).decode(),
        "forwarded_at": forwarded_at,
        "answered_at": now,
        "until": now + results.patience(kept),
    }
    statements.rows(_ANSWERED, changes)


def _inserted(errand: Errand) -> bool:
    """Insert an errand, and tell whether there was none of the same request."""
    for (pk,) in statements.rows(_INSERT, [getattr(errand, name) for name in _GIVEN]):
        errand.pk = pk
        errand._state.adding = False
    return errand.pk is not None


def answer_of(errand: Errand, until: float) -> Relayed | None:
    """Return what was answered to a request that came before.

    While another thread waits for that, wait too; None when it does not come in time.
    """
    while errand.answer is None:
        if time.monotonic() > until - POLL or _is_lost(errand):
            return None
        time.sleep(POLL)
        errand.refresh_from_db()
    return Relayed(**errand.answer)


def rejected(error: OcpiError) -> Relayed:
    """Return what is answered when a request is not passed on or not answered."""
    return Relayed(error.http_status, error.status_code, error.line, REJECTED)


def awaited(secret: str) -> Errand:
    """Return the errand that a callback belongs to; raises NotFound, without saying why."""
    rows = Errand.objects.exclude(state=Errand.State.REFUSED)
    current = rows.filter(digest=keys.digest(secret), expires_at__gt=timezone.now())
    errand = _joined(current).first()
    if errand is None:
        raise NotFound("nothing is awaited here (any more)")
    return errand


def forget(days: int) -> int:
    """Delete errands, and their results, so many days after they came; return how many.

    A reservation stays until so long after its end.
    """
    before = timezone.now() - timedelta(days=days) + LIFE
    return batches.delete(Errand.objects.filter(expires_at__lt=before))


def _host(url: str) -> str:
    return egress.check_url(url, None) if url else ""


def _joined(errands: QuerySet[Errand]) -> QuerySet[Errand]:
    return errands.select_related(
        "sender__party", "sender__platform", "receiver__party", "receiver__platform"
    )


def _expiry(now: datetime, until: datetime | None) -> datetime:
    wanted = max(now, until) if until else now
    return min(wanted + LIFE, now + LONGEST)


def _state_after(answer: Relayed) -> str:
    """Return the state after an answer; what never came back may have been received."""
    if answer.code >= 4000:
        return Errand.State.TIMEOUT
    result = answer.data.get("result") if isinstance(answer.data, dict) else None
    accepted = answer.succeeded and result == "ACCEPTED"
    return Errand.State.ACCEPTED if accepted else Errand.State.REFUSED


def _is_lost(errand: Errand) -> bool:
    """Tell whether nobody can be working on it any more: the hub was stopped meanwhile."""
    return bool(errand.created_at < timezone.now() - results.LOST)


_KNOWN = "SELECT id, created_at FROM parties_errand WHERE fingerprint = %s"
_GIVEN = (
    *("digest", "fingerprint", "module", "action", "sender_id", "receiver_id", "subject"),
    *("response_url", "correlation_id", "created_at", "expires_at", "state"),
    *("results", "result_state", "attempts", "last_answer"),
)
_INSERT = f"""
    INSERT INTO parties_errand ({", ".join(_GIVEN)}) VALUES ({", ".join(["%s"] * len(_GIVEN))})
    ON CONFLICT (fingerprint) DO NOTHING RETURNING id
"""  # noqa: S608 - names of columns only
_ANSWERED = """
    UPDATE parties_errand SET
        answer = %(answer)s::jsonb, forwarded_at = %(forwarded_at)s, answered_at = %(answered_at)s,
        state = CASE WHEN state = 'received' THEN %(state)s ELSE state END,
        result_until = CASE WHEN state = 'received' THEN %(until)s ELSE result_until END
    WHERE id = %(id)s
"""
