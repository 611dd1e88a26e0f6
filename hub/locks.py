"""Locks that all processes of the hub share: PostgreSQL's advisory ones."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def alone(kind: int, key: int) -> Iterator[bool]:
    """Try, without waiting, to be the only one at a job, and tell whether we are.

    The lock belongs to the connection, not to a transaction, and dies with it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [kind, key])
        alone = bool(cursor.fetchone()[0])
        try:
            yield alone
        finally:
            if alone:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [kind, key])
