"""An object and what is owed of it, written in one statement.

So it goes for what everybody may know: the statement takes the network as it is, writes the row on
condition that it is not newer or has not been changed, and owes the new version to all receivers.
It is one round trip and one commit. Where the condition does not hold nothing is written, and
`owned` looks at the row under its lock.

The lock that joining takes alone is taken by `parties_network` (migration 0019) before anything is
written and before receivers are looked up: who joins is owed the object by us or reads it itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hub import statements
from hub.ocpi import json
from parties import delivery, policy
from parties.models import OwnedObject, Role

JSON = ("body", "raw", "change")


@dataclass(frozen=True)
class Written:
    """The row's version as it was written, how many roles are owed it, and whom to wake."""

    version: int
    receivers: int
    awake: list[int]

    @property
    def created(self) -> bool:
        """Tell whether there was no such object before."""
        return self.version == 1


def put(
    model: type[OwnedObject], sender: Role, values: Mapping[str, Any], *, newest: bool
) -> Written | None:
    """Insert an object, or replace one that is present, different and not newer.

    With `newest` it counts as the newest whatever it says. Return None when nothing was written.
    """
    return _written(_put(model), model, sender, {**values, "newest": newest})


def replace(item: OwnedObject, sender: Role, values: Mapping[str, Any]) -> Written | None:
    """Replace an object as it was read; return None when somebody has changed it since."""
    seen = {"id": item.pk, "version": item.version}
    return _written(_replace(type(item)), type(item), sender, {**values, **seen})


def _written(
    statement: str, model: type[OwnedObject], sender: Role, values: Mapping[str, Any]
) -> Written | None:
    texts = {name: _text(values[name]) for name in JSON}
    network = {"module": model.module, "kinds": _kinds(sender.role), "sender": sender.party_id}
    found = statements.rows(statement, {**values, **texts, **network})
    return Written(*found[0]) if found else None


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value).decode()


@cache
def _kinds(role: str) -> str:
    """Return the roles that a role's objects go to, as PostgreSQL writes an array."""
    return f"{{{','.join(sorted(policy.BROADCAST_TO[role]))}}}"


# The statements, one of each for a model


@cache
def _put(model: type[OwnedObject]) -> str:
    replaced = ", ".join(f"{name} = EXCLUDED.{name}" for name in _contents(model))
    names = ["owner_id", "uid", *model.IDENTITY, "complete", "version", *_contents(model)]
    values = ["%(sender)s", "%(uid)s", *map(_mark, model.IDENTITY), "true", "1"]
    values += [_mark(name) for name in _contents(model)]
    identity = ", ".join(["owner_id", "upper(uid)", *model.IDENTITY])
    return _with_debts(
        f"""
        INSERT INTO {model._meta.db_table} AS held ({", ".join(names)})
        SELECT {", ".join(values)} FROM network
        ON CONFLICT ({identity}) DO UPDATE SET {replaced}, version = held.version + 1
        WHERE {_present(model)}
            AND (%(newest)s OR held.last_updated <= EXCLUDED.last_updated)
            AND held.body <> EXCLUDED.body
            AND (EXCLUDED.raw IS NULL OR held.raw IS DISTINCT FROM EXCLUDED.raw)
        RETURNING held.id, held.version"""  # noqa: S608 - names of columns only
    )


@cache
def _replace(model: type[OwnedObject]) -> str:
    replaced = ", ".join(f"{name} = {_mark(name)}" for name in _contents(model))
    return _with_debts(
        f"""
        UPDATE {model._meta.db_table} AS held SET {replaced}, version = held.version + 1
        FROM network WHERE held.id = %(id)s AND held.version = %(version)s
        RETURNING held.id, held.version"""  # noqa: S608 - names of columns only
    )


def _with_debts(written: str) -> str:
    owed = delivery.OWED.format(
        what="receiver, %(module)s, kept.id, kept.version",
        whence="network, kept, unnest(network.receivers) AS receiver",
    )
    return f"""
        WITH network AS MATERIALIZED (
            SELECT * FROM parties_network(%(module)s, %(kinds)s::text[], %(sender)s::bigint)
        ), kept AS ({written}), owed AS ({owed})
        SELECT kept.version, cardinality(network.receivers), network.awake FROM network, kept"""  # noqa: S608


def _contents(model: type[OwnedObject]) -> Iterable[str]:
    """Return the columns that follow what the owner tells."""
    return (*model.COLUMNS, *JSON, "last_updated", "received_at")


def _present(model: type[OwnedObject]) -> str:
    """Return the condition that the owner has not deleted the object: it would come back."""
    deletable = any(field.name == "deleted_at" for field in model._meta.concrete_fields)
    return "held.deleted_at IS NULL" if deletable else "true"


def _mark(name: str) -> str:
    return f"%({name})s::jsonb" if name in JSON else f"%({name})s"
