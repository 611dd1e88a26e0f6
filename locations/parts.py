"""Which location, EVSE or connector a path names: ids may hold slashes, and come decoded.

What is stored decides; and for what is new, the body.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Length, Upper
from msgspec import Struct

from hub import statements
from hub.ocpi import types
from hub.ocpi.errors import Invalid, UnknownLocation
from hub.statements import Columns
from locations.models import Location
from parties import merging
from parties.merging import Body

KINDS: tuple[type[Struct], ...] = (types.Location, types.EVSE, types.Connector)


def kind_of(body: Any, tail: str) -> type[Struct]:
    """Return what a body put at a path is meant to be; where it does not say, the depth tells."""
    members = body.keys() if isinstance(body, dict) else set()
    if "uid" in members:
        return types.EVSE
    if members & {"standard", "format", "power_type"}:
        return types.Connector
    if members & {"country_code", "party_id", "publish"}:
        return types.Location
    return KINDS[min(tail.count("/"), 2)]


def outside(tail: str, name: str) -> str:
    """Return the path around the part that a path and a body name; raise Invalid if they differ."""
    around = tail[: -len(name) - 1]
    if not tail.isascii() or not tail.isprintable():
        raise Invalid("an id has printable ASCII characters only")
    if tail.upper() != f"{around}/{name}".upper() or not around:
        raise Invalid(f"the body is that of {name}, the URL's end is another")
    return around


def split(owner: int, tail: str) -> tuple[Location, str]:
    """Return the stored location that a path begins with, and the rest of the path.

    Raises UnknownLocation when there is none. Of several, the longest whose parts go on as the
    path does.
    """
    heads = _heads(tail)
    found = [_LOCATION.made(row) for row in statements.rows(_BY_HEAD, [owner, heads])]
    if len(found) > 1:
        found = [item for item, _ in _leading(found, tail)] or found
    if not found:
        raise UnknownLocation("no such location: put it first")
    return found[0], tail[len(found[0].uid) + 1 :]


def named(rows: QuerySet[Any], tail: str) -> QuerySet[Any]:
    """Keep the locations whose ids a path may begin with, the longest first."""
    fitting: QuerySet[Any] = rows.alias(head=Upper("uid")).filter(head__in=_heads(tail))
    return fitting.order_by(Length("uid").desc())


def _heads(tail: str) -> list[str]:
    """Return the ids, in upper case, that a path may begin with."""
    if not tail.isascii():
        return []
    cuts = [at for at, character in enumerate(tail) if character == "/"]
    return [tail.upper(), *(tail[:cut].upper() for cut in cuts)]


def _leading(rows: Iterable[Any], tail: str) -> list[tuple[Any, Body]]:
    """Return the locations in which a path leads to something, and what that is."""
    found = []
    for item in rows:
        path = merging.located(item.body, tail[len(item.uid) + 1 :])
        part = None if path is None else merging.part_at(item.body, path)
        if part is not None:
            found.append((item, part))
    return found


def read(rows: QuerySet[Any], tail: str) -> Body:
    """Return the location, EVSE or connector that a path names.

    Raises UnknownLocation when there is none, Invalid when several parties have one.
    """
    found = _leading(named(rows, tail), tail)
    if not found:
        raise UnknownLocation("no such location, EVSE or connector")
    if len({item.owner_id for item, _ in found}) > 1:
        raise Invalid("several parties have a location with this id: say whose in OCPI-to-*")
    return found[0][1]


_LOCATION = Columns(Location, "location")
_BY_HEAD = f"""
    SELECT {_LOCATION.text} FROM locations_location AS location
    WHERE owner_id = %s AND upper(uid) = ANY(%s::text[]) ORDER BY length(uid) DESC
"""  # noqa: S608 - names of columns only
