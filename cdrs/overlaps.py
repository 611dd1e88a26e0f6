"""Sessions at one EVSE at the same time, over all CDRs: one pass in the order of an index."""

from typing import NamedTuple

from django.db import connection, transaction

FIND = """
SELECT owner_id, evse, uid, before FROM (
    SELECT owner_id, upper(evse_uid) COLLATE "C" AS evse, uid, started_at,
        max(ended_at) OVER earlier AS until, lag(uid) OVER evses AS before
    FROM cdrs_cdr o
    WHERE evse_uid NOT IN ('', '#NA') AND state <> 'discarded' AND credit_of_id IS NULL
        AND total_excl_vat >= 0
        AND NOT EXISTS (SELECT FROM cdrs_cdr k WHERE k.credit_of_id = o.id
            AND k.credit_of_id IS NOT NULL)
    WINDOW evses AS (PARTITION BY owner_id, upper(evse_uid) COLLATE "C"
        ORDER BY started_at),
        earlier AS (evses ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) each
WHERE started_at < until
"""
IN_MEMORY = "SET LOCAL work_mem = '256MB'"


class Overlap(NamedTuple):
    """A CDR that starts before an earlier one at its EVSE has ended; `before` is the last one."""

    owner_id: int
    evse_uid: str
    uid: str
    before: str


def find() -> list[Overlap]:
    """Return all overlaps; a million CDRs are sorted in memory."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(IN_MEMORY)
        cursor.execute(FIND)
        return [Overlap(*row) for row in cursor]
