"""Pages of the hub's own lists, read as the texts that the database holds.

What a party may see is said once, by the ORM, and compiled once for each kind of question; the
pages are then read by a statement. To count a long list, or to find a place deep in it, takes the
database as long as fifty pages would: of lists beyond LONG a process remembers for some seconds
how long they are, and where pages began. Objects come at the end of a list, so a place that is a
little old differs from its number by what was withdrawn meanwhile, as between any two pages.
"""

import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from threading import Lock
from typing import Any

from django.db.models import QuerySet

from hub import statements
from hub.ocpi.messages import Address
from hub.ocpi.pagination import Page
from parties.models import OwnedObject, Role

PAGE_BYTES = 4 * 1024 * 1024
LONG = 10_000  # objects of a list, beyond which its length is remembered
DEEP = 1_000  # offset from which on a place is remembered
FRESH = 10.0  # seconds
PLACES = 20_000  # remembered by a process
Dates = tuple[tuple[str, datetime], ...]  # conditions on them


@dataclass(frozen=True)
class Question:
    """Which objects of a model are asked for: a statement that returns their ids."""

    table: str
    statement: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Part:
    """A page: the bodies from its start on, and how long the whole list is."""

    texts: list[str]
    total: int


def question(rows: QuerySet[Any]) -> Question:
    """Compile what is asked for."""
    statement, values = rows.order_by().values("pk").query.sql_with_params()
    return Question(rows.model._meta.db_table, statement, tuple(values))


@lru_cache(maxsize=2_000)
def visible(
    model: type[OwnedObject], reader: tuple[str, int], owner: Address | None, dates: Dates
) -> Question:
    """Return what a role (kind and party) may see of a model, of one owner if that is given."""
    kind, party = reader
    rows = model.rows().visible_to(Role(role=kind, party_id=party))
    return question(dated(of_owner(rows, owner), dates))


def of_owner(rows: QuerySet[Any], owner: Address | None) -> QuerySet[Any]:
    """Keep the objects of one owner, if one is given."""
    if owner is None:
        return rows
    return rows.filter(owner__country_code=owner.country_code, owner__party_id=owner.party_id)


def dated(rows: QuerySet[Any], dates: Dates) -> QuerySet[Any]:
    """Keep the objects whose dates are those that a page asks for."""
    return rows.filter(**dict(dates))


def read(asked: Question, page: Page) -> Part:
    """Read one page: 4 MiB of bodies at most, or a single larger one."""
    first = _places.recall((asked, page.offset))
    skipped = page.offset if first is None else 0
    values = [*asked.values, first or 0, skipped, page.limit + 1, page.limit, PAGE_BYTES]
    found = statements.rows(_PAGE.format(table=asked.table, asked=asked.statement), values)
    texts = [text for _, text, _ in found if text is not None]
    end = page.offset + len(texts)
    for place, (item, *_) in enumerate(found, page.offset):
        if place >= DEEP and place in {page.offset, end}:
            _places.keep((asked, place), item)
    more = bool(found) and found[0][2] > len(texts)
    if not more and (texts or not page.offset):
        return Part(texts, end)
    total = _total(asked)
    return Part(texts, max(total, end + 1) if more else total)


def _total(asked: Question) -> int:
    """Return how many objects there are."""
    known = _totals.recall(asked)
    if known is not None:
        return known
    ((total,),) = statements.rows(_TOTAL.format(asked=asked.statement), asked.values)
    if total > LONG:
        _totals.keep(asked, total)
    return int(total)


class Memory:
    """Numbers that are worth remembering for some seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def keep(self, key: Hashable, value: int) -> None:
        """Remember a number, and forget the oldest when there are too many."""
        with self._lock:
            self._known[key] = time.monotonic() + FRESH, value
            self._known.move_to_end(key)
            while len(self._known) > PLACES:
                self._known.popitem(last=False)

    def recall(self, key: Hashable) -> int | None:
        """Return a number, unless it is too old."""
        until, value = self._known.get(key, (0.0, 0))
        return value if time.monotonic() < until else None


_totals, _places = Memory(), Memory()
_TOTAL = "SELECT count(*) FROM ({asked}) AS asked"
_PAGE = """
    WITH asked AS (
        SELECT asked.id FROM ({asked}) AS asked (id)
        WHERE asked.id >= %s ORDER BY asked.id OFFSET %s LIMIT %s
    ), written AS MATERIALIZED (
        SELECT id, body::text AS text FROM {table} WHERE id IN (SELECT id FROM asked)
    )
    SELECT id, CASE WHEN place <= %s THEN text END, (SELECT count(*) FROM asked)
    FROM (
        SELECT id, text, row_number() OVER (ORDER BY id) AS place,
            sum(length(text)) OVER (ORDER BY id) - length(text) AS before
        FROM written
    ) AS item
    WHERE before < %s ORDER BY id
"""
