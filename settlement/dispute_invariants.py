"""What must hold of disputes at any time: what they hold, and what has become of them."""

from collections.abc import Iterator
from typing import Any

from django.db import connection

# Each check is a query whose rows are (subject, text); none if all is well. Sets, never loops.
HELD = """
SELECT d.reference || ', CDR ' || c.uid, CASE WHEN c.period_id IS NOT NULL
    THEN 'is in a month, though it is disputed (I14)' ELSE 'is disputed, but not held' END
FROM settlement_disputecdr i JOIN settlement_dispute d ON d.id = i.dispute_id
JOIN cdrs_cdr c ON c.id = i.cdr_id
WHERE i.open AND d.effect = 'hold' AND (c.state <> 'held' OR c.period_id IS NOT NULL
    OR NOT EXISTS (SELECT FROM cdrs_finding f
        WHERE f.cdr_id = c.id AND f.code = 'contested' AND f.cleared_at IS NULL))
"""
LET_GO = """
SELECT d.reference || ', CDR ' || c.uid, 'is still contested, though the dispute is over'
FROM settlement_disputecdr i JOIN settlement_dispute d ON d.id = i.dispute_id
JOIN cdrs_cdr c ON c.id = i.cdr_id
JOIN cdrs_finding f ON f.cdr_id = c.id AND f.code = 'contested' AND f.cleared_at IS NULL
WHERE NOT i.open AND d.effect = 'hold' AND c.state = 'held' AND f.found_at <= d.ended_at
    AND NOT EXISTS (SELECT FROM settlement_disputecdr o WHERE o.cdr_id = c.id AND o.open)
"""
ONE_EACH = """
SELECT 'CDR ' || c.uid, count(*) || ' open disputes of one claimant (I15)'
FROM settlement_disputecdr i JOIN cdrs_cdr c ON c.id = i.cdr_id
WHERE i.open GROUP BY c.id, c.uid, i.claimant_id HAVING count(*) > 1
UNION ALL
SELECT d.reference, 'is between others than the parties of its CDRs'
FROM settlement_disputecdr i JOIN settlement_dispute d ON d.id = i.dispute_id
JOIN cdrs_cdr c ON c.id = i.cdr_id
WHERE (c.owner_id, c.emsp_id) IS DISTINCT FROM (
    CASE WHEN d.by_cpo THEN d.claimant_id ELSE d.respondent_id END,
    CASE WHEN d.by_cpo THEN d.respondent_id ELSE d.claimant_id END)
"""
SETTLED = """
SELECT d.reference || ', CDR ' || c.uid, CASE
    WHEN d.effect = 'hold' AND c.state <> 'discarded' THEN 'is settled, but not dropped'
    WHEN d.effect = 'credit_note' AND k.id IS NULL THEN 'is settled, but not credited'
    ELSE 'is settled, but not replaced by what was agreed' END
FROM settlement_disputecdr i JOIN settlement_dispute d ON d.id = i.dispute_id
JOIN cdrs_cdr c ON c.id = i.cdr_id
LEFT JOIN cdrs_cdr k ON k.id = i.credit_id AND k.credit_of_id = c.id
LEFT JOIN cdrs_cdr r ON r.id = i.replacement_id AND r.credit_of_id IS NULL
WHERE NOT i.open AND d.granted IS NOT NULL AND i.agreed <> i.total AND (
    d.effect = 'hold' AND c.state <> 'discarded'
    OR d.effect = 'credit_note' AND k.id IS NULL
    OR i.agreed > 0 AND r.total_excl_vat IS DISTINCT FROM i.agreed)
"""
IN_TIME = """
SELECT reference, 'is ' || state || ' and has been due since ' || due_at
FROM settlement_dispute
WHERE state IN ('open', 'countered', 'rejected', 'accepted', 'ruled')
    AND due_at < now() - interval '1 day'
"""


def disputed_cdrs_are_held() -> Iterator[tuple[Any, str]]:
    """What is disputed before it is frozen is in no month, and comes back only afterwards (I14)."""
    yield from _rows(HELD)
    yield from _rows(LET_GO)


def disputes_are_between_two() -> Iterator[tuple[Any, str]]:
    """A CDR is disputed by its own parties, and by each in one open dispute at most (I15)."""
    return _rows(ONE_EACH)


def settled_disputes_have_their_effect() -> Iterator[tuple[Any, str]]:
    """What was granted has been dropped or credited, and replaced by exactly what was agreed."""
    return _rows(SETTLED)


def disputes_go_on() -> Iterator[tuple[Any, str]]:
    """No dispute stands still where silence, or the hub itself, was to decide a day ago."""
    return _rows(IN_TIME)


def _rows(query: str) -> Iterator[tuple[Any, str]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return iter(cursor.fetchall())


CHECKS = (
    disputed_cdrs_are_held,
    disputes_are_between_two,
    settled_disputes_have_their_effect,
    disputes_go_on,
)
