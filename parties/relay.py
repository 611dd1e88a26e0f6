"""Errands: requests that are answered at once and whose result comes later.

Commands, and what is asked about charging profiles. In the place of the caller's `response_url`
the hub puts a URL of its own, with a secret; what comes there goes on to the caller's URL. Nothing
is ever asked twice. Source: OCPI 2.2.1, mod_commands and mod_charging_profiles.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from hub import egress
from hub.ocpi.errors import Invalid, NotConnected, NotFound, OcpiError
from hub.ocpi.messages import Ids
from hub.ocpi.versions import SENDER, is_own
from hub.states import WrongState
from parties import forwarding, keys
from parties.forwarding import Outgoing, Relayed
from parties.models import Errand, Platform, Role

LIFE = timedelta(days=1)  # of a callback; that of a reservation lives so long after its end
LONGEST = timedelta(days=31)
REPLAY = timedelta(days=1)  # how long the same request is recognised
LOST = timedelta(minutes=1)  # after which nobody can be waiting for an answer any more
RESULTS = 20  # of one errand: a few are honest, a flood is not
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
    now, secret = timezone.now(), secrets.token_urlsafe(32)
    _forget(order.fingerprint, now)
    try:
        with transaction.atomic():
            errand = Errand.objects.create(
                digest=keys.digest(secret),
                fingerprint=order.fingerprint,
                module=order.module,
                action=order.action,
                subject=order.subject,
                sender=order.sender,
                receiver=order.receiver,
                response_url=order.response_url,
                correlation_id=order.correlation_id,
                created_at=now,
                expires_at=_expiry(now, order.until),
            )
    except IntegrityError as error:
        known = find(order.fingerprint)
        if known is None:
            raise
        raise Repeated(known) from error
    return errand, f"{settings.HUB_BASE_URL}/ocpi/callback/{secret}"


def find(fingerprint: bytes) -> Errand | None:
    """Return the errand of the same request, if it came within a day."""
    recent = Errand.objects.filter(created_at__gt=timezone.now() - REPLAY)
    return _joined(recent).filter(fingerprint=fingerprint).first()


def note_answer(errand: Errand, answer: Relayed) -> None:
    """Keep what was answered; the state follows from it, unless the result was quicker."""
    content = {"http": answer.http, "code": answer.code, "message": answer.message}
    changes: dict[str, Any] = {
        "answer": {**content, "data": answer.data},
        "answered_at": timezone.now(),
    }
    try:
        errand.move_to(_state_after(answer), **changes)
    except WrongState:
        Errand.objects.filter(pk=errand.pk).update(**changes)


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


def give_up() -> int:
    """Note that those were not answered whose process was stopped meanwhile; return how many."""
    now, lost = timezone.now(), Errand.objects.filter(state=Errand.State.RECEIVED)
    stopped = lost.filter(created_at__lt=now - LOST, answer__isnull=True)
    return stopped.update(state=Errand.State.TIMEOUT, answered_at=now)


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


def deliver(errand: Errand, content: bytes, result: Mapping[str, Any], until: float) -> Relayed:
    """Keep a result and pass it on to the one who asked; return what that one answers.

    Raises NotConnected, TimedOut or HubError when it cannot be passed on; it is kept then. Raises
    Invalid for more results than any honest request has.
    """
    now = timezone.now()
    more = Errand.objects.filter(pk=errand.pk, results__lt=RESULTS)
    if not more.update(results=F("results") + 1):
        raise Invalid(f"{RESULTS} results have come for this request, and no more are taken")
    errand.move_to(Errand.State.DONE, result=result, result_at=now, delivered_at=None)
    outgoing = Outgoing(
        "POST",
        errand.module,
        SENDER,
        sender=errand.receiver,
        receiver=errand.sender,
        content=content,
        ids=Ids(correlation=errand.correlation_id),
        until=until,
    )
    platform = errand.sender.platform
    if platform.state != Platform.State.CONNECTED:
        raise NotConnected(f"{platform} is not connected")
    answer = forwarding.call(platform, outgoing, errand.response_url, secret=True)
    relayed = forwarding.relayed(answer, "POST")
    Errand.objects.filter(pk=errand.pk, result_at=now).update(delivered_at=timezone.now())
    return relayed


def _host(url: str) -> str:
    return egress.check_url(url, None) if url else ""


def _joined(errands: QuerySet[Errand]) -> QuerySet[Errand]:
    return errands.select_related(
        "sender__party", "sender__platform", "receiver__party", "receiver__platform"
    )


def _forget(fingerprint: bytes, now: datetime) -> None:
    """Let a request be made again that was made more than a day ago."""
    old = Errand.objects.filter(fingerprint=fingerprint, created_at__lte=now - REPLAY)
    old.update(fingerprint=None)


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
    return bool(errand.created_at < timezone.now() - LOST)
