"""What a partner makes of a change: what is told replaces what was known, as its own code would do.

Source: OCPI 2.2.1, mod_locations and mod_sessions, PUT and PATCH method of the Receiver interface.
"""

from collections.abc import Sequence
from typing import Any

from hub.ocpi.errors import Invalid, NotFound

Item = dict[str, Any]
PARTS = (("evses", "uid"), ("connectors", "id"))


def changed(
    item: Item | None,
    method: str,
    path: Sequence[str],
    body: Item,
    levels: Sequence[tuple[str, str]] = PARTS,
) -> Item:
    """Return an object after a PATCH, or after a PUT or PATCH of the part that a path names.

    Raises NotFound for what is not known, Invalid for a change that does not say when it was.
    """
    if "last_updated" not in body:
        raise Invalid("last_updated is required")
    if item is None and (path or method == "PATCH"):
        raise NotFound("not known here: put it first")
    if item is None or (not path and method == "PUT"):
        return body
    if not path:
        return _with(item, body)
    (member, key), (name, *rest) = levels[0], path
    parts = {part[key].upper(): part for part in item.get(member, [])}
    parts[name] = changed(parts.get(name), method, rest, body, levels[1:])
    return {**item, member: list(parts.values()), "last_updated": body["last_updated"]}


def _with(item: Item, body: Item) -> Item:
    """Return an object with the members of a PATCH; charging periods are appended."""
    periods = [*item.get("charging_periods", []), *body.get("charging_periods", [])]
    return {**item, **body, **({"charging_periods": periods} if periods else {})}
