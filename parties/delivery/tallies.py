"""Counting what happens, over all processes and for good: kept in memory first, written at times.

Losing a second of it when a process is killed is accepted.
"""

from collections import Counter
from collections.abc import Mapping
from threading import Lock

from django.db import connection

from parties.models import Tally

_lock = Lock()
_counted: Counter[str] = Counter()


def add(counts: Mapping[str, int]) -> None:
    """Count things by their names."""
    with _lock:
        _counted.update({name: number for name, number in counts.items() if number})


def write() -> None:
    """Write down what was counted."""
    with _lock:
        taken = sorted(_counted.items())
        _counted.clear()
    if taken:
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [list(column) for column in zip(*taken, strict=True)])


def total() -> dict[str, int]:
    """Return how often each thing has happened, as far as it was written down."""
    return dict(Tally.objects.values_list("name", "total"))


_ADD = """
    INSERT INTO parties_tally (name, total) SELECT * FROM unnest(%s::text[], %s::bigint[])
    ON CONFLICT (name) DO UPDATE SET total = parties_tally.total + EXCLUDED.total
"""
