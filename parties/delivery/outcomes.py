"""What an answer means for a delivery, and how long to wait before the next try. Nothing is done.

Source: OCPI 2.2.1, status_codes and transport_and_format; RFC 9110, "Retry-After".
"""

import random
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum

from django.utils import timezone

from hub import egress
from hub.ocpi import client

MONEY = frozenset({"cdrs"})
MONEY_DELAYS = (5, 30, 120, 600, 1800, 3600, 7200, 14400)
MONEY_RARELY = 21600
STATE_LONGEST = 900.0
REFUSAL_DELAY = 60.0
LONGEST_THROTTLE = 3600.0
THROTTLE = 30.0  # where a partner does not say for how long
NOT_HERE = frozenset({405, 501})  # what a partner answers to a method that it does not have
EXISTS = re.compile(r"already|exist|duplicate", re.IGNORECASE)
CONFIRMED = "AMBIGUOUS-CONFIRMED"


class Outcome(Enum):
    """What became of a try, and what that says: of the object, of the moment, or of ourselves."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"  # this object
    TRANSIENT = "transient"  # now; it counts against the receiver
    UNREADABLE = "unreadable"  # not an OCPI envelope; it counts as well
    UNKNOWN = "unknown"  # no answer, but it may have arrived; it counts as well
    THROTTLED = "throttled"  # it asks for less
    AUTH = "auth"  # it does not know us any more
    GONE = "gone"  # there is no such endpoint any more
    POISON = "poison"  # the hub itself fails at it
    FOREIGN = "foreign"  # it is not for this receiver


FAILED = frozenset({Outcome.TRANSIENT, Outcome.UNREADABLE, Outcome.UNKNOWN})


@dataclass(frozen=True)
class Verdict:
    """An outcome in words; `pause` is for how long (s) a receiver wants to be left alone."""

    outcome: Outcome
    words: str
    http: int | None = None
    pause: float | None = None


def judge(answer: client.Answer, method: str = "PUT", *, doubtful: bool = False) -> Outcome:
    """Say what an answer means; who does not know what is deleted has nothing to delete.

    Acknowledged is a success of HTTP and OCPI, or one of HTTP with an empty body; and, where an
    earlier try may have arrived (`doubtful`), that what is posted exists already.
    """
    gone = method == "DELETE" and answer.http == 404
    if answer.succeeded or answer.silent or gone:
        return Outcome.ACKNOWLEDGED
    if doubtful and method == "POST" and says_it_exists(answer):
        return Outcome.ACKNOWLEDGED
    if answer.http in _BY_STATUS:
        return _BY_STATUS[answer.http]
    if answer.http == 503 and answer.headers.get("Retry-After"):
        return Outcome.THROTTLED
    client_error = 2000 <= (answer.code or 0) < 3000
    if (client_error and answer.http < 500) or answer.http in {400, 404, 405, 413, 422}:
        return Outcome.REFUSED
    unreadable = answer.code is None and 200 <= answer.http < 300
    return Outcome.UNREADABLE if unreadable else Outcome.TRANSIENT


def says_it_exists(answer: client.Answer) -> bool:
    """Tell whether a refusal says that the receiver has the object already."""
    refused = answer.http == 409 or (answer.http < 500 and 2000 <= (answer.code or 0) < 3000)
    return refused and (answer.http == 409 or bool(EXISTS.search(answer.message)))


def of_answer(answer: client.Answer, method: str, *, doubtful: bool) -> Verdict:
    """Return what an answer means, with its words."""
    outcome = judge(answer, method, doubtful=doubtful)
    words = f"HTTP {answer.http}, OCPI {answer.code}: {answer.message}"
    if outcome is Outcome.ACKNOWLEDGED and doubtful and says_it_exists(answer):
        words = f"{CONFIRMED}: {words}"
    pause = retry_after(answer) if outcome is Outcome.THROTTLED else None
    return Verdict(outcome, words[:255], answer.http, pause)


def of_failure(error: Exception) -> Verdict:
    """Return what it means that there is no answer: what was never sent has not arrived."""
    unsent = isinstance(error, egress.EgressDeniedError)
    return Verdict(Outcome.TRANSIENT if unsent else Outcome.UNKNOWN, str(error)[:255])


def retry_after(answer: client.Answer) -> float:
    """Return for how many seconds a receiver wants to be left alone: an hour at most."""
    told = answer.headers.get("Retry-After", "").strip()
    seconds = float(told) if told.isdigit() else _until(told)
    return min(LONGEST_THROTTLE, THROTTLE if seconds is None else max(1.0, seconds))


def delay(module: str, attempts: int, outcome: Outcome) -> timedelta:
    """Return how long to wait before the next try, with jitter."""
    if outcome is Outcome.REFUSED:
        seconds = REFUSAL_DELAY
    elif module in MONEY:
        short = attempts <= len(MONEY_DELAYS)
        seconds = MONEY_DELAYS[attempts - 1] if short else MONEY_RARELY
    else:
        seconds = min(STATE_LONGEST, 2.0 ** min(attempts, 30))
    return jittered(seconds)


def jittered(seconds: float) -> timedelta:
    """Return a time between half and all of so many seconds."""
    return timedelta(seconds=seconds * random.uniform(0.5, 1.0))  # noqa: S311


def _until(told: str) -> float | None:
    try:
        moment: datetime = parsedate_to_datetime(told)
    except ValueError:
        return None
    return (moment - timezone.now()).total_seconds() if moment.tzinfo else None


_BY_STATUS = {
    401: Outcome.AUTH,
    403: Outcome.AUTH,
    408: Outcome.TRANSIENT,
    410: Outcome.GONE,
    429: Outcome.THROTTLED,
}
