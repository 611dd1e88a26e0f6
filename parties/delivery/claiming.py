"""Which debts are due, and taking the next of many platforms at once, in one statement.

Nobody waits for a lock here: what somebody else is at now is passed over.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from hub.ocpi.messages import Address

LOCK = 0x0C9D  # the advisory locks of drains: (LOCK, platform)
LEASE = 30  # seconds, longer than any call: a lost drain's calls are over when it ends


class Room(NamedTuple):
    """How much a platform may be sent now: in all, states, CDRs."""

    platform: int
    total: int
    states: int
    cdrs: int


class Debt(NamedTuple):
    """A delivery that was claimed, as it was before; `lease` is the mark of its claim."""

    pk: int
    platform: int
    receiver: int
    kind: str
    party: int
    country_code: str
    party_id: str
    module: str
    object_id: int
    wanted: int
    acknowledged: int
    attempts: int
    refusals: int
    doubtful: bool
    first_try: bool
    owed_since: datetime
    lease: datetime

    @property
    def address(self) -> Address:
        """Return the receiver's address."""
        return Address(self.country_code, self.party_id)


def due_platforms(among: Collection[int] | None = None) -> list[int]:
    """Return the platforms for which something can be sent now, of some or of all."""
    return [row[0] for row in _all(_DUE, [among is None, list(among or ())])]


def claim(rooms: Sequence[Room]) -> list[Debt]:
    """Lease the next debts of platforms: CDRs first, then what is due longest."""
    if not rooms:
        return []
    columns = [list(column) for column in zip(*rooms, strict=True)]
    return [Debt(*row) for row in _all(_CLAIM, [*columns, LEASE])]


def hold(platforms: Collection[int]) -> set[int]:
    """Try, without waiting, to be the only drain of platforms; return of which we are.

    The locks belong to the connection and die with it.
    """
    rows = _all(_HOLD, [LOCK, list(platforms)]) if platforms else []
    return {row[0] for row in rows if row[1]}


def let_go(platforms: Collection[int]) -> None:
    """Let other drains have platforms."""
    if platforms:
        _all(_LET_GO, [LOCK, list(platforms)])


def _all(statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


_HOLD = "SELECT id, pg_try_advisory_lock(%s, id) FROM unnest(%s::int[]) AS id"
_LET_GO = "SELECT pg_advisory_unlock(%s, id) FROM unnest(%s::int[]) AS id"

# What may be sent now: of `delivery` to `role`, at the time `clock.now`
_SENDABLE = """
    delivery.receiver_id = role.id AND delivery.state = 'live'
    AND delivery.wanted > delivery.acknowledged AND delivery.next_attempt_at <= (TABLE clock)
    AND (delivery.leased_until IS NULL OR delivery.leased_until < (TABLE clock))
    AND EXISTS (SELECT FROM parties_endpoint AS endpoint
        WHERE endpoint.platform_id = role.platform_id AND endpoint.module = delivery.module
            AND endpoint.interface = 'RECEIVER')
    AND (delivery.follows IS NULL OR NOT EXISTS (SELECT FROM parties_delivery AS first
        WHERE first.receiver_id = delivery.receiver_id AND first.module = delivery.module
            AND first.object_id = delivery.follows AND first.acknowledged < first.wanted))
"""
_OPEN = """
    platform.state = 'connected'
    AND (platform.paused_until IS NULL OR platform.paused_until <= (TABLE clock))
"""
_CLOCK = "clock AS MATERIALIZED (SELECT clock_timestamp())"
_DUE = f"""
    WITH {_CLOCK}
    SELECT platform.id FROM parties_platform AS platform
    WHERE {_OPEN} AND (%s OR platform.id = ANY(%s)) AND EXISTS (
        SELECT FROM parties_role AS role CROSS JOIN LATERAL (
            SELECT FROM parties_delivery AS delivery WHERE {_SENDABLE} LIMIT 1) AS found
        WHERE role.platform_id = platform.id)
    ORDER BY platform.id
"""  # noqa: S608 - of constants
_NEXT = f"""
    SELECT delivery.id, delivery.next_attempt_at, delivery.leased_until IS NULL AS untouched,
        {{money}} AS money
    FROM parties_delivery AS delivery
    WHERE {_SENDABLE} AND delivery.module {{which}} 'cdrs'
    ORDER BY delivery.next_attempt_at LIMIT lane.{{room}} FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608 - of constants
_CLAIM = f"""
    WITH {_CLOCK},
    lane AS (
        SELECT * FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::int[])
            AS lane (platform, total, states, cdrs)
    ), found AS MATERIALIZED (
        SELECT lane.*, next.*, row_number() OVER (
            PARTITION BY lane.platform, next.money ORDER BY next.next_attempt_at) AS nth
        FROM lane
        JOIN parties_platform AS platform ON platform.id = lane.platform AND {_OPEN}
        JOIN parties_role AS role ON role.platform_id = lane.platform
        CROSS JOIN LATERAL (
            SELECT * FROM ({_NEXT.format(money="true", which="=", room="cdrs")}) AS cdrs
            UNION ALL
            SELECT * FROM ({_NEXT.format(money="false", which="<>", room="states")}) AS states
        ) AS next
    ), ranked AS (
        SELECT id, untouched, total, row_number() OVER (
            PARTITION BY platform ORDER BY money DESC, next_attempt_at) AS place
        FROM found WHERE nth <= CASE WHEN money THEN cdrs ELSE states END
    )
    UPDATE parties_delivery AS delivery
    SET leased_until = (TABLE clock) + make_interval(secs => %s)
    FROM ranked, parties_role AS role JOIN parties_party AS party ON party.id = role.party_id
    WHERE ranked.place <= ranked.total AND delivery.id = ranked.id
        AND role.id = delivery.receiver_id
    RETURNING delivery.id, role.platform_id, role.id, role.role, party.id, party.country_code,
        party.party_id, delivery.module, delivery.object_id, delivery.wanted,
        delivery.acknowledged, delivery.attempts, delivery.refusals, delivery.doubtful,
        ranked.untouched, delivery.owed_since, delivery.leased_until
"""  # noqa: S608 - of constants
