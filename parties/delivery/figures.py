"""Figures of what is owed, for metrics, pages and staff: a few statements, whatever their size."""

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.models import Count

from parties.delivery import tallies
from parties.delivery.claiming import LOCK
from parties.models import Delivery, Party, Platform


@dataclass(frozen=True)
class Backlog:
    """What one platform is owed of one class (`money` or `state`); the age is in seconds."""

    platform: int
    name: str
    kind: str
    rows: int
    oldest_age: float


@dataclass(frozen=True)
class GivenUp:
    """What waits for a person: of whose object a receiver was not told, and why."""

    delivery: int
    module: str
    uid: str
    receiver: str
    state: str
    owed_since: Any
    reason: str


@dataclass(frozen=True)
class Figures:
    """How deliveries are doing.

    `given_up` counts them by state (`parked`, `rejected`), `pauses` names why platforms are paused
    now, `totals` is what was counted since the beginning: `attempts:<outcome>`, `sweeper_found`,
    `parked`, `rejected`, `confirmed`.
    """

    backlogs: list[Backlog]
    given_up: dict[str, int]
    pauses: dict[int, str]
    totals: dict[str, int]


def figures() -> Figures:
    """Return how deliveries are doing now."""
    given_up = Delivery.objects.exclude(state=Delivery.State.LIVE).values_list("state")
    paused = Platform.objects.exclude(pause_reason="").values_list("pk", "pause_reason")
    return Figures(backlogs(), dict(given_up.annotate(Count("pk"))), dict(paused), tallies.total())


def backlogs() -> list[Backlog]:
    """Return what each platform is owed, by class; reads what is owed and nothing else."""
    with connection.cursor() as cursor:
        cursor.execute(_BACKLOGS)
        return [Backlog(*row) for row in cursor.fetchall()]


def unattended() -> list[int]:
    """Return platforms for which something was due long ago while no drain was at them."""
    with connection.cursor() as cursor:
        cursor.execute(_ATTENDED, [LOCK])
        attended = {row[0] for row in cursor.fetchall()}
        cursor.execute(_OVERDUE)
        return [row[0] for row in cursor.fetchall() if row[0] not in attended]


def given_up_of(owner: Party) -> list[GivenUp]:
    """Return which objects of a party wait for a person instead of being sent, oldest first."""
    found = []
    for module, label in settings.OCPI_MODELS.items():
        rows = Delivery.objects.filter(module=module).exclude(state=Delivery.State.LIVE)
        own = apps.get_model(label)._default_manager.filter(owner=owner)
        uids = dict(own.filter(pk__in=rows.values("object_id")).values_list("pk", "uid"))
        mine = rows.filter(object_id__in=list(uids)).select_related("receiver__party")
        found += [
            GivenUp(
                row.pk,
                module,
                uids[row.object_id],
                str(row.receiver.party),
                row.state,
                row.owed_since,
                row.last_answer,
            )
            for row in mine
        ]
    return sorted(found, key=lambda item: item.owed_since)


_BACKLOGS = """
    SELECT platform.id, platform.name, CASE WHEN owed.money THEN 'money' ELSE 'state' END,
        sum(owed.rows)::bigint, extract(epoch FROM now() - min(owed.oldest))::float8
    FROM (
        SELECT receiver_id, module = 'cdrs' AS money, count(*) AS rows, min(owed_since) AS oldest
        FROM parties_delivery WHERE state = 'live' AND wanted > acknowledged GROUP BY 1, 2
    ) AS owed
    JOIN parties_role AS role ON role.id = owed.receiver_id
    JOIN parties_platform AS platform ON platform.id = role.platform_id
    GROUP BY platform.id, platform.name, owed.money ORDER BY platform.id, 3
"""
_ATTENDED = """
    SELECT objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND classid = %s
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_OVERDUE = """
    SELECT DISTINCT platform.id FROM parties_platform AS platform
    JOIN parties_role AS role ON role.platform_id = platform.id
    CROSS JOIN LATERAL (
        SELECT FROM parties_delivery AS delivery
        WHERE delivery.receiver_id = role.id AND delivery.state = 'live'
            AND delivery.wanted > delivery.acknowledged AND delivery.attempts = 0
            AND delivery.next_attempt_at < now() - interval '5 seconds'
            AND delivery.leased_until IS NULL AND delivery.follows IS NULL
            AND EXISTS (SELECT FROM parties_endpoint AS endpoint
                WHERE endpoint.platform_id = role.platform_id
                    AND endpoint.module = delivery.module AND endpoint.interface = 'RECEIVER')
        LIMIT 1) AS overdue
    WHERE platform.state = 'connected' AND platform.paused_until IS NULL
    ORDER BY platform.id
"""
