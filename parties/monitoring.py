"""What the database knows of the hub's work, asked when Prometheus asks; so it holds for all hosts.

Names and labels are those of docs/operations.md. Receivers are parties, never drivers.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection
from prometheus_client.core import GaugeMetricFamily, Metric

from hub import health

Rows = Iterable[tuple[Any, ...]]


def collect() -> Iterator[Metric]:
    """Yield the figures; raises DatabaseError."""
    owed = list(_rows(_OWED))
    labels = ["receiver", "cls"]
    yield _gauge("owed_rows", "What receivers are owed", labels, [row[:3] for row in owed])
    ages = [(*row[:2], row[3]) for row in owed]
    yield _gauge("oldest_owed_age_seconds", "Since when they are owed it", labels, ages)
    yield _gauge("parked_total", "Deliveries that wait for a person", ["receiver"], _rows(_PARKED))
    yield _gauge("breaker_state", "Whether a receiver is paused", ["receiver"], _rows(_PAUSED))
    yield _gauge("invariant_failures", "Breaches found last night", [], _rows(_BREACHES))
    yield _gauge("pg_oldest_xmin_age", "Transactions since the oldest in use", [], _rows(_XMIN))
    yield _gauge("pg_dead_tuples", "Rows to be vacuumed", ["table"], _rows(_DEAD))
    offset = [(health.clock_offset(),)]
    yield _gauge("clock_offset", "Seconds that this host is ahead of the database", [], offset)


def _gauge(name: str, meaning: str, labels: list[str], rows: Rows) -> GaugeMetricFamily:
    """Return a metric of rows: the labels, then the value."""
    found = GaugeMetricFamily(name, meaning, labels=labels)
    for *values, figure in rows:
        found.add_metric([str(value) for value in values], float(figure or 0))
    return found


def _rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


_OF_RECEIVER = """
    JOIN parties_role AS role ON role.id = delivery.receiver_id
    JOIN parties_party AS party ON party.id = role.party_id
"""
_RECEIVER = "party.country_code || '*' || party.party_id"
_OWED = f"""
    SELECT {_RECEIVER}, CASE WHEN delivery.module = 'cdrs' THEN 'MONEY' ELSE 'STATE' END,
        count(*), extract(epoch FROM now() - min(delivery.owed_since))
    FROM parties_delivery AS delivery {_OF_RECEIVER}
    WHERE delivery.state = 'live' AND delivery.wanted > delivery.acknowledged
    GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - names only
_PARKED = f"""
    SELECT {_RECEIVER}, count(*) FROM parties_delivery AS delivery {_OF_RECEIVER}
    WHERE delivery.state = 'parked' GROUP BY 1 ORDER BY 1
"""  # noqa: S608 - names only
_PAUSED = f"""
    SELECT {_RECEIVER}, max((platform.paused_until > now())::int)
    FROM parties_role AS role JOIN parties_party AS party ON party.id = role.party_id
    JOIN parties_platform AS platform ON platform.id = role.platform_id GROUP BY 1 ORDER BY 1
"""  # noqa: S608 - names only
_BREACHES = "SELECT failures FROM parties_inspection ORDER BY id DESC LIMIT 1"
_XMIN = "SELECT max(age(backend_xmin)) FROM pg_stat_activity"
_DEAD = """
    SELECT relname, n_dead_tup FROM pg_stat_user_tables
    WHERE relname IN ('parties_delivery', 'parties_exchange', 'cdrs_cdr', 'locations_location')
"""
