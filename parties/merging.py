"""Partial changes: what a PATCH, or a PUT of an EVSE or connector, makes of a whole object.

Pure: bodies in, bodies out. A member of a PATCH replaces that of the object, whether it is a text,
a list or an object: it is the whole value of a field. A null removes it. Only EVSEs and connectors
are merged, by their key, and charging periods are appended.
Source: OCPI 2.2.1, transport_and_format, "PATCH"; mod_locations and mod_sessions, "PATCH Method".
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from hub.ocpi import json, times, types, validation
from hub.ocpi.errors import Invalid, Problem

Body = Mapping[str, Any]
Path = tuple[str, ...]  # of a part in its object: (), (EVSE,) or (EVSE, connector)
PERIODS = "charging_periods"
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Level:
    """The parts of one depth: the member that lists them, what names each, their wire type."""

    member: str
    key: str
    kind: type[Struct]


EVSES = Level("evses", "uid", types.EVSE)
CONNECTORS = Level("connectors", "id", types.Connector)
LEVELS = (EVSES, CONNECTORS)
KEYS = {level.member: level.key for level in LEVELS}


@dataclass(frozen=True)
class Amendment:
    """What an owner tells of a part of an object: the body it sent, and what that is about.

    A PATCH is about the part that `tail` (the rest of the URL) names. A PUT is about one of a
    `level`, inside of what `tail` names; the body names it.
    """

    method: str
    tail: str
    body: Body
    level: Level | None = None

    def path(self, whole: Body) -> Path | None:
        """Return where the part is, or is to be; None when the object has no such place."""
        found = located(whole, self.tail)
        if self.level is None or found is None:
            return found
        inner = (*found, self.body[self.level.key])
        return inner if LEVELS.index(self.level) == len(found) else None

    def change(self, path: Path, before: Body, after: Body) -> dict[str, Any] | None:
        """Return it as receivers are told it, or None when they need the whole object.

        They do when partners read it in different ways: a null, a list that is merged here, or
        charging periods of which some had come before.
        """
        given = len(self.body.get(PERIODS) or []) if self.method == "PATCH" else 0
        if self.method == "PATCH" and (None in self.body.values() or KEYS.keys() & self.body):
            return None
        if given and given != len(after.get(PERIODS) or []) - len(before.get(PERIODS) or []):
            return None
        return {"method": self.method, "path": list(path), "body": self.body}


def located(whole: Body, tail: str) -> Path | None:
    """Return the path of the stored part that the rest of a URL names; ids may hold slashes."""
    if not tail or not tail.isascii():
        return None if tail else ()
    evses = sorted(whole.get("evses") or [], key=lambda evse: -len(evse["uid"]))
    for evse in evses:
        uid, rest = evse["uid"], tail[len(evse["uid"]) :]
        if tail.upper() == uid.upper():
            return (uid,)
        if tail.upper().startswith(f"{uid.upper()}/"):
            at = position(evse["connectors"], "id", rest[1:])
            if at is not None:
                return (uid, evse["connectors"][at]["id"])
    return None


def part_at(whole: Body, path: Path) -> Body | None:
    """Return the part at a path, or None."""
    part: Body = whole
    for level, name in zip(LEVELS, path, strict=False):
        items = part.get(level.member) or []
        at = position(items, level.key, name)
        if at is None:
            return None
        part = items[at]
    return part


def placed(whole: Body, path: Path, part: Body, levels: Sequence[Level] = LEVELS) -> Body:
    """Return the whole object with a part at a path, in place of what is there or as a new one.

    What is around the part is as new as the part, unless it is newer.
    """
    if not path:
        return part
    level, (name, *rest) = levels[0], path
    items = list(whole.get(level.member) or [])
    at = position(items, level.key, name)
    if at is None:
        items.append(part)
    else:
        items[at] = placed(items[at], tuple(rest), part, levels[1:])
    stamp = max(whole["last_updated"], part["last_updated"], key=_instant)
    return {**whole, level.member: items, "last_updated": stamp}


def patched(before: Body, change: Body, kind: type[Struct], fixed: Collection[str]) -> Body:
    """Return an object after a PATCH.

    `fixed` names the members that tell it from others. Raises Invalid, with all that is wrong,
    when the PATCH would change one of those or leave the object invalid.
    """
    wrong = [name for name in fixed if name in change and not same(change[name], before[name])]
    if wrong:
        problems = [Problem(f"$.{name}", "a PATCH does not change this") for name in wrong]
        raise Invalid("this is about another object than the URL", problems=problems)
    after = merged(before, {name: change[name] for name in change if name not in fixed})
    validation.check(kind, after)
    return after


def merged(before: Body, change: Body) -> dict[str, Any]:
    """Return the members of an object with those of a change in their place."""
    after = dict(before)
    for name, value in change.items():
        if isinstance(value, list) and name in {*KEYS, PERIODS}:
            after[name] = _with(name, before.get(name) or [], value, change.get("last_updated"))
        elif value is not None:
            after[name] = value
        elif name != PERIODS:
            after.pop(name, None)
    return after


def _with(name: str, items: list[Any], given: list[Any], stamp: Any) -> list[Any]:
    if name == PERIODS:
        return appended(items, given)
    return _joined(items, given, KEYS[name], stamp)


def appended(periods: list[Any], more: list[Any]) -> list[Any]:
    """Return charging periods with those added that are not there yet."""
    known = {json.canonical(period) for period in periods}
    found = list(periods)
    for period in more:
        text = json.canonical(period)
        if text not in known:
            known.add(text)
            found.append(period)
    return found


def _joined(parts: list[Any], changes: list[Any], key: str, stamp: Any) -> list[Any]:
    """Return parts with changes of some of them, and new ones; all as new as told."""
    found = list(parts)
    places = {part[key].upper(): at for at, part in reversed(list(enumerate(parts)))}
    for item in changes:
        name = item.get(key) if isinstance(item, dict) else None
        if not isinstance(name, str) or not name.isascii():
            found.append(item)  # which validation refuses
            continue
        at, change = places.setdefault(name.upper(), len(found)), {"last_updated": stamp, **item}
        if at == len(found):
            found.append(change)
        else:
            found[at] = merged(found[at], {**change, key: found[at][key]})
    return found


def is_older(change: Body, part: Body | None) -> bool:
    """Tell whether what is told of a part is older than what is known of it."""
    return part is not None and _instant(change["last_updated"]) < _instant(part["last_updated"])


def position(items: Sequence[Body], key: str, name: Any) -> int | None:
    """Return where in a list the one with a name is; names are CiStrings."""
    return next((at for at, item in enumerate(items) if same(item.get(key), name)), None)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same CiString; what is not ASCII folds into nothing."""
    if not isinstance(one, str) or not isinstance(other, str) or not other.isascii():
        return False
    return one.isascii() and one.upper() == other.upper()


def _instant(text: str) -> datetime:
    """Read the stamp of a part; one that does not exist, which the pattern admits, is no time."""
    try:
        return times.parse(text)
    except ValueError:
        return NEVER
