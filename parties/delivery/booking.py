"""Writing down what became of debts, many at once, in one statement.

Nobody waits for a lock here: a debt that is being changed at this moment is booked the next time.
Only who has claimed a debt may book it.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from parties.delivery import tallies
from parties.delivery.outcomes import CONFIRMED, MONEY, Outcome, delay
from parties.delivery.rendering import Result
from parties.models import Delivery

logger = logging.getLogger(__name__)
MONEY_PATIENCE = timedelta(hours=72)
REFUSALS = 3
POISONED = 5  # tries of what the hub itself fails at
_State = Delivery.State


class Entry(NamedTuple):
    """What is written down of a debt; `version` is what was acknowledged, if anything was."""

    pk: int
    lease: Any
    wanted: int
    version: int | None = None
    state: str = _State.LIVE
    attempts: int = 0
    refusals: int = 0
    doubtful: bool = False
    wait: float = 0.0  # seconds
    answer: str = ""


def book(results: Sequence[Result]) -> set[int]:
    """Write down how debts went; return the ids of those that could be."""
    if not results:
        return set()
    entries = [entry(result) for result in results]
    with transaction.atomic(), connection.cursor() as cursor:
        columns = [list(column) for column in zip(*entries, strict=True)]
        cursor.execute(_BOOK, [columns[0], *columns])
        booked = {row[0] for row in cursor.fetchall()}
        _hold_back(cursor, [item.pk for item in entries if item.state == _State.PARKED])
    done = [result for result in results if result.debt.pk in booked]
    _tell(done, {item.pk: item for item in entries})
    return booked


def entry(result: Result) -> Entry:
    """Return what is to be written down of a result."""
    debt, verdict = result.debt, result.verdict
    told = Entry(debt.pk, debt.lease, debt.wanted, answer=verdict.words)
    if verdict.outcome is Outcome.ACKNOWLEDGED:
        return told._replace(version=result.version)
    refused = verdict.outcome is Outcome.REFUSED
    attempts, refusals = debt.attempts + 1, debt.refusals + 1 if refused else 0
    return told._replace(
        state=_state_after(result, attempts, refusals),
        attempts=attempts,
        refusals=refusals,
        doubtful=verdict.outcome is Outcome.UNKNOWN or (debt.doubtful and not refused),
        wait=_wait(result, attempts).total_seconds(),
    )


def _state_after(result: Result, attempts: int, refusals: int) -> str:
    """Return the state after a failure: a person must look where trying again is no use."""
    debt, outcome = result.debt, result.verdict.outcome
    poisoned = outcome is Outcome.POISON and attempts >= POISONED
    if outcome is Outcome.FOREIGN or refusals >= REFUSALS or poisoned:
        return _State.PARKED if debt.module in MONEY or poisoned else _State.REJECTED
    too_old = timezone.now() - debt.owed_since > MONEY_PATIENCE
    return _State.PARKED if debt.module in MONEY and too_old else _State.LIVE


def _wait(result: Result, attempts: int) -> timedelta:
    """Return how long to wait; not at all where a part was refused, as the whole may help."""
    outcome = result.verdict.outcome
    if result.partial and outcome is Outcome.REFUSED:
        return timedelta()
    if outcome in {Outcome.AUTH, Outcome.GONE, Outcome.THROTTLED}:
        return timedelta(seconds=1)  # the whole platform has a rest, which is what counts
    return delay(result.debt.module, attempts, outcome)


def _hold_back(cursor: Any, parked: list[int]) -> None:
    """Park what follows a parked debt, so that a person sees both."""
    if parked:
        cursor.execute(_HOLD_BACK, [parked])


def _tell(done: Iterable[Result], entries: Mapping[int, Entry]) -> None:
    """Count what happened, and tell people of what only they can mend."""
    counted: Counter[str] = Counter()
    for result in done:
        counted[f"attempts:{result.verdict.outcome.value}"] += 1
        counted["confirmed"] += result.verdict.words.startswith(CONFIRMED)
        state = entries[result.debt.pk].state
        if state != _State.LIVE:
            counted[state] += 1
            if result.verdict.outcome is not Outcome.FOREIGN:  # which was told when it was found
                _given_up(result, state)
    tallies.add(counted)


def _given_up(result: Result, state: str) -> None:
    """Tell staff that a debt is tried no more."""
    debt = result.debt
    facts = {"delivery": debt.pk, "kind": debt.module, "object": debt.object_id, "now": state}
    level = logging.ERROR if debt.module in MONEY else logging.WARNING
    logger.log(level, "a delivery is given up: %s", result.verdict.words, extra=facts)


# A newer version that became wanted meanwhile starts afresh: a failure does not touch it.
_BOOK = """
    WITH free AS MATERIALIZED (
        SELECT id FROM parties_delivery WHERE id = ANY(%s) FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE parties_delivery AS delivery SET
        acknowledged = greatest(
            delivery.acknowledged, least(delivery.wanted, coalesce(told.version, 0))),
        acknowledged_at = CASE WHEN told.version IS NULL THEN delivery.acknowledged_at
            ELSE clock_timestamp() END,
        attempts = CASE WHEN told.wanted = delivery.wanted THEN told.attempts
            ELSE delivery.attempts END,
        refusals = CASE WHEN told.wanted = delivery.wanted THEN told.refusals
            ELSE delivery.refusals END,
        state = CASE WHEN told.wanted = delivery.wanted THEN told.state ELSE delivery.state END,
        next_attempt_at = CASE WHEN told.wanted = delivery.wanted AND told.version IS NULL
            THEN clock_timestamp() + make_interval(secs => told.wait)
            ELSE delivery.next_attempt_at END,
        doubtful = told.doubtful, leased_until = NULL, last_answer = told.answer
    FROM free
    JOIN unnest(%s::bigint[], %s::timestamptz[], %s::int[], %s::int[], %s::text[], %s::int[],
            %s::int[], %s::bool[], %s::float8[], %s::text[])
        AS told (id, lease, wanted, version, state, attempts, refusals, doubtful, wait, answer)
        ON told.id = free.id
    WHERE delivery.id = free.id AND delivery.leased_until = told.lease
    RETURNING delivery.id
"""
_HOLD_BACK = """
    UPDATE parties_delivery AS later SET state = 'parked',
        last_answer = 'not sent: it follows delivery ' || first.id || ', which is parked'
    FROM parties_delivery AS first
    WHERE first.id = ANY(%s) AND first.state = 'parked' AND later.receiver_id = first.receiver_id
        AND later.module = first.module AND later.follows = first.object_id
        AND later.state = 'live' AND later.wanted > later.acknowledged
"""
