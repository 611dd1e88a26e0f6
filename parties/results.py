"""Results of errands: taken into the hub's custody when they come, brought to who asked.

Whoever calls back is answered at once: a 2xx means that the hub has the result, not that the other
side has it. OCPI has nothing that depends on the answer to a result, and who asked may hang. The
result is then brought at least once, the last one of an errand winning over those before, until
nobody can be waiting any more. The truth is the table of errands; a task only wakes who brings, and
the sweep finds what nobody was woken for.

What is never answered because the hub was stopped in between is ended here, too: the caller is told
TIMEOUT, as it got no answer at all, and nothing is asked twice.
Source: OCPI 2.2.1, mod_commands, "CommandResponse Object" and "CommandResult Object".
"""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from hub import egress, locks
from hub.ocpi import json
from hub.ocpi.errors import Invalid
from hub.ocpi.messages import Ids, Route
from hub.ocpi.versions import SENDER
from parties import calling, delivery, waking
from parties.delivery import Outcome, tallies
from parties.delivery.outcomes import jittered
from parties.models import Errand, Platform

logger = logging.getLogger(__name__)
LOCK = 0x0CA0  # the advisory locks of who brings results: (LOCK, platform)
IN_FLIGHT = 4  # results on their way to one platform
SECONDS = 10.0  # for one of them
LEASE = timedelta(seconds=30)  # longer than that
GRACE = timedelta(seconds=60)  # after the time in which the CPO promised a result
LONGEST = timedelta(minutes=10)  # for a result to come, or to be brought
LONGEST_PAUSE = 30.0  # seconds between two tries
REFUSALS = 3  # the caller may not know its own request yet when the CPO is quick
TAKEN = frozenset({Outcome.ACKNOWLEDGED, Outcome.REFUSED})  # somebody is there
RESULTS = 20  # of one errand: a few are honest, a flood is not
LOST = timedelta(seconds=30)  # after which nobody can be waiting for an answer any more
UNHEARD = {
    "result": "TIMEOUT",
    "message": [
        {
            "language": "en",
            "text": "the hub was stopped while this command was under way; it is not given again",
        }
    ],
}


@dataclass(frozen=True)
class Carried:
    """A result on its way: which one of its errand, and how its receiver took it."""

    errand: Errand
    outcome: Outcome
    answer: str


def take(errand: Errand, content: bytes, result: Mapping[str, Any]) -> None:
    """Keep a result, to the byte and as it was read, and have it brought.

    Raises Invalid for more results than any honest request has.
    """
    rows = Errand.objects.filter(pk=errand.pk, results__lt=RESULTS)
    rows = rows.exclude(state=Errand.State.REFUSED)
    changes = _owed(timezone.now(), patience(errand.answer), content, result)
    if not rows.update(state=Errand.State.DONE, **changes):
        raise Invalid(f"{RESULTS} results have come for this request, and no more are taken")
    waking.start("parties.bring_results", errand.sender.platform_id)


def patience(answer: Mapping[str, Any] | None) -> timedelta:
    """Return how long a result may take, given the answer: what it promised, and a minute."""
    data = answer["data"] if answer else None
    promised = data.get("timeout") if isinstance(data, dict) else None
    if not isinstance(promised, int) or isinstance(promised, bool):
        return LONGEST
    return min(timedelta(seconds=min(max(promised, 0), 3600)) + GRACE, LONGEST)


def platforms_due() -> list[int]:
    """Return the platforms to which a result can be brought now."""
    rows = _due().order_by("sender__platform_id")
    return list(rows.values_list("sender__platform_id", flat=True).distinct())


def bring(platform_id: int) -> int:
    """Bring a platform the results that it is owed, until none is due; return how many were tried.

    Returns at once when somebody else is at it, and when of several at once none was answered: then
    the sweep comes back to it, and this thread serves others meanwhile.
    """
    tried = 0
    with locks.alone(LOCK, platform_id) as alone:
        while alone and (batch := _claim(platform_id)):
            carried = _carry(batch)
            _book(carried)
            tried += len(carried)
            if not any(item.outcome in TAKEN for item in carried):
                break
    return tried


def sweep() -> list[int]:
    """End what nobody waits for any more; return the platforms to bring results to."""
    give_up()
    _note_overdue()
    _expire()
    return platforms_due()


def give_up() -> int:
    """End the errands whose process was stopped before it had an answer; return how many.

    Of a command the caller is told by a result; those of charging profiles know no TIMEOUT.
    """
    now = timezone.now()
    lost = Errand.objects.filter(state=Errand.State.RECEIVED, created_at__lt=now - LOST)
    told = lost.filter(module="commands")
    count = told.update(
        state=Errand.State.TIMEOUT, **_owed(now, LONGEST, json.dumps(UNHEARD), UNHEARD)
    )
    count += lost.update(state=Errand.State.TIMEOUT)
    if count:
        logger.warning("requests were lost with a process of the hub", extra={"count": count})
    return count


def delay(attempts: int) -> timedelta:
    """Return how long to wait before the next try: some seconds, growing, with jitter."""
    return jittered(min(LONGEST_PAUSE, 2.0 ** min(attempts, 10)))


def _owed(
    now: datetime, wait: timedelta, content: bytes, result: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what changes when a result has to be brought: it is the last one, and due now."""
    return {
        "results": F("results") + 1,
        "result": result,
        "content": content,
        "result_state": Errand.ResultState.OWED,
        "result_at": now,
        "result_until": now + wait,
        "attempts": 0,
        "next_attempt_at": now,
        "delivered_at": None,
        "last_answer": "",
    }


def _due() -> QuerySet[Errand]:
    now = timezone.now()
    return Errand.objects.filter(
        Q(leased_until__isnull=True) | Q(leased_until__lt=now),
        result_state=Errand.ResultState.OWED,
        next_attempt_at__lte=now,
        result_until__gt=now,
        sender__platform__state=Platform.State.CONNECTED,
    )


@transaction.atomic
def _claim(platform_id: int) -> list[Errand]:
    """Lease the next results for a platform; what is due longest comes first."""
    due = _due().filter(sender__platform_id=platform_id).order_by("next_attempt_at", "pk")
    joined = due.select_related("sender__party", "sender__platform", "receiver__party")
    batch = list(joined.select_for_update(of=("self",), skip_locked=True)[:IN_FLIGHT])
    rows = Errand.objects.filter(pk__in=[errand.pk for errand in batch])
    rows.update(leased_until=timezone.now() + LEASE)
    return batch


def _carry(batch: list[Errand]) -> list[Carried]:
    """Call all at once; no thread of these needs the database."""
    line = calling.Line(batch[0].sender.platform)
    with ThreadPoolExecutor(len(batch)) as pool:
        carried = list(pool.map(lambda errand: _call(line, errand), batch))
    line.keep()
    return carried


def _call(line: calling.Line, errand: Errand) -> Carried:
    """Make a call; everything that can go wrong outside is an outcome."""
    assert errand.content is not None  # noqa: S101 - a CheckConstraint says so
    call = calling.Call(
        "POST",
        errand.response_url,
        errand.module,
        SENDER,
        bytes(errand.content),
        Route(to=errand.sender.party.address, sender=errand.receiver.party.address),
        Ids(correlation=errand.correlation_id),
        seconds=SECONDS,
        secret=True,
    )
    try:
        answer = line.make(call)
    except (egress.EgressDeniedError, egress.EgressFailedError) as error:
        return Carried(errand, Outcome.TRANSIENT, str(error)[:255])
    said = f"HTTP {answer.http}, OCPI {answer.code}: {answer.message}"[:255]
    return Carried(errand, delivery.judge(answer, "POST"), said)


@transaction.atomic
def _book(carried: list[Carried]) -> None:
    """Note how it went; a result that came meanwhile stays owed."""
    for item in sorted(carried, key=lambda item: item.errand.pk):
        row = Errand.objects.filter(pk=item.errand.pk)
        same = row.filter(results=item.errand.results, result_state=Errand.ResultState.OWED)
        if not same.update(**_changes(item), last_answer=item.answer, leased_until=None):
            row.update(leased_until=None)


def _changes(carried: Carried) -> dict[str, Any]:
    now, attempts = timezone.now(), carried.errand.attempts + 1
    if carried.outcome is Outcome.ACKNOWLEDGED:
        brought = Errand.ResultState.BROUGHT
        return {
            "result_state": brought,
            "attempts": attempts,
            "delivered_at": now,
            "content": None,
        }
    changes: dict[str, Any] = {"attempts": attempts, "next_attempt_at": now + delay(attempts)}
    if carried.outcome is Outcome.REFUSED and attempts >= REFUSALS:
        logger.warning("a result was refused", extra={"errand": carried.errand.pk})
        changes |= {"result_state": Errand.ResultState.REFUSED, "content": None}
    return changes


def _note_overdue() -> None:
    rows = Errand.objects.filter(state=Errand.State.ACCEPTED, result_until__lte=timezone.now())
    if count := rows.update(state=Errand.State.OVERDUE):
        logger.info("results are overdue", extra={"count": count})


def _expire() -> None:
    """Give up results that nobody can be waiting for any more; what is under way is let end."""
    now = timezone.now()
    unleased, expired = Q(leased_until__isnull=True) | Q(leased_until__lt=now), 0
    owed = Errand.objects.filter(unleased, result_state="owed", result_until__lte=now)
    for pk, receiver in owed.values_list("pk", "sender__platform_id"):
        row = owed.filter(pk=pk)
        if row.update(result_state=Errand.ResultState.EXPIRED, content=None, leased_until=None):
            facts = {"errand": pk, "platform": receiver}
            logger.warning("a result could not be brought in time", extra=facts)
            expired += 1
    tallies.add({"results:expired": expired})
    tallies.write()
