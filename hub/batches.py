"""Deleting many rows without long locks."""

from typing import Any

from django.db.models import QuerySet

BATCH = 1_000


def delete(rows: QuerySet[Any]) -> int:
    """Delete rows to which nothing refers, a batch at a time; return how many.

    Each batch is a statement, and outside of transactions a commit, of its own.
    """
    deleted = 0
    while batch := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        deleted += rows.model._default_manager.filter(pk__in=batch)._raw_delete(rows.db)
    return deleted
