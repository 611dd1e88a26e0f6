"""Hand-written SQL for the few paths where the ORM costs more than the work itself.

A statement is prepared by the server once for each connection, and takes one round trip. Outside
a transaction it is one of its own, committed when it returns. What Django knows of the connection
(its transactions, its errors, the log of queries in tests) stays true.

Plans are kept for a minute, and at first for less: one that was made for an empty table reads all
of it, and nothing tells the server how that grows. Measured while the first 1,600 CDRs came in:
what the rules ask for takes 2.5 ms by the first plan, 0.6 ms by one made then.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    OperationalError,
    connections,
    models,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Cursor

FIRST, USUAL = 1.0, 60.0  # seconds for which plans are kept: the first, doubled up to the last

M = TypeVar("M", bound=models.Model)
Rows = list[tuple[Any, ...]]
Values = Sequence[Any] | Mapping[str, Any]


def rows(statement: str, values: Values) -> Rows:
    """Run a statement and return its rows; raises what Django raises."""
    return _rows(connections[DEFAULT_DB_ALIAS], statement, values)


def first_rows(statement: str, values: Values) -> Rows:
    """Run the first statement of a request, which only reads, and return its rows.

    It shows whether the connection is alive, instead of a question of its own: when it is dead the
    statement is run again on a new one.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        found = _rows(connection, statement, values)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block or connection.is_usable():
            raise
        connection.close()
        found = _rows(connection, statement, values)
    connection.health_check_done = True  # type: ignore[attr-defined]  # what Django would ask else
    return found


def _rows(connection: BaseDatabaseWrapper, statement: str, values: Values) -> Rows:
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    started = time.monotonic()
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        if _plans.are_old():
            cursor.execute("DISCARD PLANS")
        cursor.execute(statement, values, prepare=True)
        result = cursor.pgresult
        found = cursor.fetchall() if result and result.nfields else []
    if connection.queries_logged:
        took = f"{time.monotonic() - started:.3f}"
        connection.queries_log.append({"sql": statement, "time": took})
    return found


class _Plans(threading.local):
    """The plans of this thread's connection."""

    kept, until = FIRST, 0.0

    def are_old(self) -> bool:
        """Tell, once, that it is time to make them anew."""
        now = time.monotonic()
        if now < self.until:
            return False
        self.until, self.kept = now + self.kept, min(2 * self.kept, USUAL)
        return True


_plans = _Plans()


class Columns(Generic[M]):
    """The columns of a model as a statement reads them, and instances made of their values."""

    def __init__(self, model: type[M], alias: str) -> None:
        self._model = model
        fields = model._meta.concrete_fields
        self._names = [field.attname for field in fields]
        self._read = [
            (place, field.from_db_value)
            for place, field in enumerate(fields)
            if hasattr(field, "from_db_value")
        ]
        self.text = ", ".join(f'{alias}."{field.column}"' for field in fields)

    def __len__(self) -> int:
        return len(self._names)

    def made(self, values: Sequence[Any]) -> M:
        """Return an instance, given the values of its columns."""
        found = list(values)
        for place, read in self._read:
            found[place] = read(found[place], None, connections[DEFAULT_DB_ALIAS])
        return self._model.from_db(DEFAULT_DB_ALIAS, self._names, found)
