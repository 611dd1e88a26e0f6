"""Whoever lets money settle takes turns.

A payment locks what a party owes, a payout what it is owed, a set-off both, and a bank statement
has payments and returns of many parties in any order. No order of locks fits all of them; each
holds its locks for milliseconds, a statement of the bank for seconds.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection, transaction

P = ParamSpec("P")
R = TypeVar("R")
LOCK = 0x4D4F  # of pg_advisory_xact_lock(class, 0)


def in_turn(work: Callable[P, R]) -> Callable[P, R]:
    """Do work in a transaction that waits for every other one of its kind to end."""

    @wraps(work)
    @transaction.atomic
    def done(*args: P.args, **options: P.kwargs) -> R:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [LOCK])
        return work(*args, **options)

    return done
