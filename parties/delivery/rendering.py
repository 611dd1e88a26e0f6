"""From debts to requests: each object as it is now, read once for all who are owed it.

The body travels as the text that the database holds. What a receiver may not see (any more) is not
sent: the second line of defence, after whoever owed it.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import BigIntegerField, Func, TextField
from django.db.models.functions import Cast

from hub.ocpi import client, json
from hub.ocpi.messages import Route
from hub.ocpi.versions import RECEIVER
from parties import calling, quirks
from parties.delivery.claiming import Debt
from parties.delivery.outcomes import Outcome, Verdict
from parties.delivery.owing import ROUTED, UNROUTED
from parties.models import OwnedObject, Role
from parties.routing import hub_address

logger = logging.getLogger(__name__)
SECONDS = {"cdrs": 20.0}
Urls = Mapping[tuple[int, str], str]  # (platform, module) -> its Receiver endpoint
Lines = Mapping[int, calling.Line]


@dataclass(frozen=True)
class Shipment:
    """What is sent for a debt: the object's version and the call; `partial` is a change alone."""

    debt: Debt
    version: int
    call: calling.Call
    partial: bool = False


@dataclass(frozen=True)
class Result:
    """What became of a debt; without a version nothing was sent."""

    debt: Debt
    verdict: Verdict
    version: int = 0
    partial: bool = False


def render(debts: Sequence[Debt], lines: Lines, urls: Urls) -> Iterator[Shipment | Result]:
    """Yield for each debt what is to be sent, or why nothing can be.

    At an error that is about one of them, the others are rendered all the same.
    """
    by_module = defaultdict(list)
    for debt in debts:
        by_module[debt.module].append(debt)
    for module, some in by_module.items():
        try:
            with transaction.atomic():
                found = _read(module, some)
        except Exception as error:
            if isinstance(error, OperationalError | InterfaceError):
                raise  # the database is not there, which is about none of them
            if len(some) == 1:
                yield _poisoned(some[0])
                continue
            for debt in some:
                yield from render([debt], lines, urls)
        else:
            yield from (_rendered(debt, found, lines, urls) for debt in some)


@dataclass(frozen=True)
class _Found:
    """The objects of a module, and which debts may be paid."""

    items: Mapping[int, Any]
    payable: frozenset[int]


def _read(module: str, debts: Sequence[Debt]) -> _Found:
    model: type[OwnedObject] = apps.get_model(settings.OCPI_MODELS[module])
    rows = model.rows().select_related("owner").defer("body", "raw")
    rows = rows.annotate(text=Cast("body", TextField()))
    return _Found(rows.in_bulk({debt.object_id for debt in debts}), _payable(model, debts))


def _payable(model: type[OwnedObject], debts: Sequence[Debt]) -> frozenset[int]:
    """Return the debts whose receivers may see the object now, not when it was owed."""
    by_kind = defaultdict(list)
    for debt in debts:
        by_kind[debt.kind].append((debt.pk, debt.object_id, debt.party))
    found: set[int] = set()
    with connection.cursor() as cursor:
        for kind, rows in by_kind.items():
            statement, values = _visible(model, kind)
            cursor.execute(statement, [*map(list, zip(*rows, strict=True)), *values])
            found.update(row[0] for row in cursor.fetchall())
    return frozenset(found)


class _Reader(Func):
    """A column of the reader in whose place a statement asks what is visible."""

    arity = 0
    output_field = BigIntegerField()


@cache
def _visible(model: type[OwnedObject], kind: str) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that asks `visible_to` for many readers of one kind at once."""
    reader = Role(role=kind)
    reader.party_id = _Reader(template="reader.party")
    rows = model.rows().visible_to(reader).filter(pk=_Reader(template="reader.object"))
    inner, values = rows.order_by().values("pk").query.sql_with_params()
    return (
        "SELECT reader.debt FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])"  # noqa: S608
        f" AS reader (debt, object, party) WHERE EXISTS ({inner})"
    ), values


def _rendered(debt: Debt, found: _Found, lines: Lines, urls: Urls) -> Shipment | Result:
    try:
        item = found.items[debt.object_id]
        if not item.deleted and debt.pk not in found.payable:
            return _foreign(debt, item)
        return _shipment(debt, item, lines[debt.platform], urls[debt.platform, debt.module])
    except Exception:
        return _poisoned(debt)


def _poisoned(debt: Debt) -> Result:
    """Give the others way to what the hub itself fails at; the traceback is in the log."""
    logger.exception("a delivery cannot be rendered", extra={"delivery": debt.pk})
    words = f"not sent: the hub fails at it (delivery {debt.pk} in its log)"
    return Result(debt, Verdict(Outcome.POISON, words))


def _foreign(debt: Debt, item: OwnedObject) -> Result:
    ids = {"delivery": debt.pk, "object": item.pk, "party": debt.party}
    ids["payer"] = getattr(item, "emsp_id", None)
    level = logging.ERROR if item.module in ROUTED else logging.INFO  # published before, perhaps
    logger.log(level, "delivery to a party that it is not for", extra={"kind": item.module, **ids})
    words = "not sent: it is for another party than this receiver"
    return Result(debt, Verdict(Outcome.FOREIGN, words))


def _shipment(debt: Debt, item: Any, line: calling.Line, base: str) -> Shipment:
    sender = item.owner.address if item.module in ROUTED else hub_address()
    whole = quirks.no_patch(item.module) in line.known
    method, path, body, partial = _message(debt, item, whole)
    routed = item.module not in UNROUTED
    call = calling.Call(
        method,
        client.join(base, *path) + item.query,
        debt.module,
        RECEIVER,
        body,
        Route(to=debt.address, sender=sender) if routed else Route(),
        seconds=SECONDS.get(debt.module, 10.0),
    )
    return Shipment(debt, item.version, call, partial)


def _message(debt: Debt, item: Any, whole: bool) -> tuple[str, Iterable[str], bytes | None, bool]:
    """Return method, path and body of what a receiver is told of an object, and if it is a part.

    Of one that it lacks nothing of but the last change, that change, once, unless it wants objects
    whole. What may have arrived is not repeated: charging periods would be appended twice.
    """
    if item.deleted:
        return "DELETE", item.path, None, False
    if item.module == "cdrs":
        return "POST", [], item.text.encode(), False
    untried = debt.attempts == 0 and debt.first_try and not debt.doubtful
    if item.change and untried and item.version == debt.acknowledged + 1 and not whole:
        change = item.change
        path = [*item.path, *change["path"]]
        return change["method"], path, json.dumps(change["body"]), True
    return "PUT", item.path, item.text.encode(), False
