"""What the database knows of the hub's work, asked when Prometheus asks; so it holds for all hosts.

Names and labels are those of docs/operations.md. Receivers are platforms, never drivers.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from hub import health
from parties import delivery
from parties.models import Platform

ATTEMPTS = "attempts:"
Rows = Iterable[tuple[Any, ...]]


def collect() -> Iterator[Metric]:
    """Yield the figures; raises DatabaseError."""
    yield from _of_delivery()
    yield _gauge("invariant_failures", "Breaches found last night", [], _rows(_BREACHES))
    yield _gauge("pg_oldest_xmin_age", "Transactions since the oldest in use", [], _rows(_XMIN))
    yield _gauge("pg_dead_tuples", "Rows to be vacuumed", ["table"], _rows(_DEAD))
    offset = [(health.clock_offset(),)]
    yield _gauge("clock_offset", "Seconds that this host is ahead of the database", [], offset)


def _of_delivery() -> Iterator[Metric]:
    found = delivery.figures()
    labels = ["receiver", "cls"]
    owed = [(item.platform, item.kind.upper(), item.rows) for item in found.backlogs]
    ages = [(item.platform, item.kind.upper(), item.oldest_age) for item in found.backlogs]
    paused = [(pk, pk in found.pauses) for pk in Platform.objects.values_list("pk", flat=True)]
    parked = [(found.given_up.get("parked"),)]
    yield _gauge("owed_rows", "What receivers are owed", labels, owed)
    yield _gauge("oldest_owed_age_seconds", "Since when they are owed it", labels, ages)
    yield _gauge("breaker_state", "Whether a receiver is paused", ["receiver"], paused)
    yield _gauge("parked_total", "Deliveries that wait for a person", [], parked)
    sweeper = found.totals.get("sweeper_found", 0)
    yield CounterMetricFamily("sweeper_found", "Receivers that nobody was woken for", sweeper)
    attempts = CounterMetricFamily("attempts", "Attempts to deliver", labels=["outcome"])
    for name, count in found.totals.items():
        if name.startswith(ATTEMPTS):
            attempts.add_metric([name.removeprefix(ATTEMPTS)], count)
    yield attempts


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


_BREACHES = "SELECT failures FROM parties_inspection ORDER BY id DESC LIMIT 1"
_XMIN = "SELECT max(age(backend_xmin)) FROM pg_stat_activity"
_DEAD = """
    SELECT relname, n_dead_tup FROM pg_stat_user_tables
    WHERE relname IN ('parties_delivery', 'parties_exchange', 'cdrs_cdr', 'locations_location')
"""
