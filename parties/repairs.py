"""Repairs of bodies that are not quite valid, driven by the wire types.

A body is checked strictly first. Only where that fails, and the platform is not `strict`, what the
hub knows how to read is put right: spelling, never content. What money is made of (prices, costs,
VAT and the like) is left as it came, and so is everything that has more than one reading.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from hub.countries import alpha_3
from hub.ocpi import times, types, validation
from hub.ocpi.errors import Invalid, Problem

Kind = type[msgspec.Struct]
MONEY = frozenset({types.Price, types.PriceComponent})
TOLD = 5  # repairs named in an answer; the others are counted
PLACES = 50  # repairs noted with their place
_MISSING = re.compile(r"\w+ is required")


class Repair(StrEnum):
    """What can be repaired."""

    DATE = "date"
    NUMBER = "number in quotes"
    BOOLEAN = "boolean in quotes"
    TEXT = "text without quotes"
    EMPTY = "empty text for nothing"
    COORDINATE = "coordinate"
    COUNTRY = "country in two letters"
    STATUS = "RESERVED for RESERVATION"
    ROLE = "MSP for EMSP"
    ONE_FOR_LIST = "one object for a list"
    LIST_OF_ONE = "a list of one for the object"


# What decides how much a CDR costs, or whether it takes another one back, is read as it was sent.
BARRED: dict[Kind, frozenset[Repair]] = {
    types.CDR: frozenset({Repair.NUMBER, Repair.BOOLEAN, Repair.LIST_OF_ONE})
}
Leaf = tuple[Repair, Callable[[Any, Any], Any]]


@dataclass
class Mended:
    """A body after its repairs, what it was before, and where each of them was made."""

    body: Any
    sent: Any = None
    made: list[tuple[str, Repair]] = field(default_factory=list)  # (path, repair)

    @property
    def told(self) -> list[str]:
        """Return the repairs in words, the first few of them with their place."""
        named = [f"{path.removeprefix('$.')} ({repair})" for path, repair in self.made[:TOLD]]
        more = len(self.made) - len(named)
        return [*named, f"{more} more"] if more else named

    @property
    def message(self) -> str:
        """Return them as the status message of an answer."""
        return f"Accepted; normalised: {', '.join(self.told)}"[:500]

    @property
    def quirks(self) -> dict[str, str]:
        """Return the repairs as quirks of the platform, each with its first place."""
        return {f"repair: {repair}": path for path, repair in reversed(self.made)}


def accepted(kind: Kind, body: Any, *, strict: bool, partial: bool = False) -> Mended:
    """Return a body that passes as a wire type, repaired if need be and allowed.

    Of a `partial` body (a PATCH) members may be missing. Raises Invalid with all problems of the
    body as it came.
    """
    found = _problems(kind, body, partial)
    if not found:
        return Mended(body, body)
    mended = Mended(body) if strict else mend(kind, body)
    if not mended.made or _problems(kind, mended.body, partial):
        raise Invalid(f"not a valid {kind.__name__}", problems=found)
    return mended


def mend(kind: Kind, body: Any) -> Mended:
    """Return a copy of a body with everything repaired that can and may be."""
    found = Mended(None, body)
    found.body = _object(kind, body, "$", found)
    if BARRED.get(kind, frozenset()) & {repair for _, repair in found.made}:
        return Mended(body, body)
    del found.made[PLACES:]
    return found


def closest(kinds: Sequence[Kind], body: Any) -> Kind:
    """Return which of several types a part of a body is most like, by its members."""
    names = body.keys() if isinstance(body, dict) else set()
    return max(kinds, key=lambda kind: len(names & _members(kind).keys()))


def _problems(kind: Kind, body: Any, partial: bool) -> list[Problem]:
    found = validation.problems(kind, body)
    return [item for item in found if not (partial and _MISSING.fullmatch(item.problem))]


# What a type says of its members


@dataclass(frozen=True)
class Member:
    """A member of an object: its type without what may be absent, and whether it may."""

    hint: Any
    optional: bool


@cache
def _members(kind: Kind) -> dict[str, Member]:
    hints = get_type_hints(kind, include_extras=True)
    return {item.encode_name: _member(hints[item.name]) for item in msgspec.structs.fields(kind)}


def _member(hint: Any) -> Member:
    if get_origin(hint) in {Union, UnionType}:
        inner = [item for item in get_args(hint) if item is not NoneType]
        return Member(inner[0] if len(inner) == 1 else Any, optional=True)
    return Member(hint, optional=False)


def _bare(hint: Any) -> Any:
    """Return a type without its annotations."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _title(hint: Any) -> str:
    """Return the name that a type of basic.py has in the specification, if it has one."""
    metas = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((meta.title for meta in metas if isinstance(meta, msgspec.Meta) and meta.title), "")


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


# The walk


def _object(kind: Kind, value: Any, path: str, found: Mended) -> Any:
    if kind in MONEY:
        return value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        found.made.append((path, Repair.LIST_OF_ONE))
        value = value[0]
    if not isinstance(value, dict):
        return value
    return dict(_mended_members(kind, value, path, found))


def _mended_members(
    kind: Kind, value: dict[str, Any], path: str, found: Mended
) -> Iterator[tuple[str, Any]]:
    members = _members(kind)
    for name, item in value.items():
        member, place = members.get(name), f"{path}.{name}"
        if member is None or item is None:
            yield name, item
        elif item == "" and member.optional and not _admits_nothing(member.hint):
            found.made.append((place, Repair.EMPTY))
        else:
            yield name, _value(member.hint, item, place, found)


def _value(hint: Any, value: Any, path: str, found: Mended) -> Any:
    bare = _bare(hint)
    if _is_struct(bare):
        return _object(bare, value, path, found)
    if get_origin(bare) is list:
        return _list(get_args(bare)[0], value, path, found)
    return _leaf(hint, bare, value, path, found)


def _leaf(hint: Any, bare: Any, value: Any, path: str, found: Mended) -> Any:
    known = _NAMED.get(_title(hint)) or _TYPED.get(bare)
    if known and (better := known[1](value, hint)) is not None:
        found.made.append((path, known[0]))
        return better
    return value


def _list(hint: Any, value: Any, path: str, found: Mended) -> Any:
    if isinstance(value, dict) and value and _is_struct(_bare(hint)):
        found.made.append((path, Repair.ONE_FOR_LIST))
        value = [value]
    if not isinstance(value, list):
        return value
    return [_value(hint, item, f"{path}[{place}]", found) for place, item in enumerate(value)]


def _admits_nothing(hint: Any) -> bool:
    """Tell whether an empty text is a value of a type."""
    metas = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    if _bare(hint) is not str:
        return False
    return all(
        not meta.min_length and (not meta.pattern or re.search(meta.pattern, "") is not None)
        for meta in metas
    )


# The repairs: each returns the better value, or None where it does not apply

_INSTANT = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)[Tt ](\d\d):(\d\d)(?::(\d\d))?(?:[.,](\d{1,9}))?"
    r" ?(?:[Zz]|(?:([+-])(\d\d):?(\d\d)))?"
)
_PLAIN = re.compile(r"-?\d{1,15}(\.\d{1,15})?")
_DEGREES = re.compile(r"-?\d{1,3}(\.\d{1,30})?")
_BOOLEANS = {"true": True, "false": False}
_ROLES = {"MSP": "EMSP", "EMP": "EMSP"}


def _fits(value: Any, hint: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(hint.__metadata__[0].pattern, value) is not None


def _date(value: Any, hint: Any) -> str | None:
    """Return an instant in UTC: of any RFC 3339 spelling, cut to milliseconds."""
    if not isinstance(value, str) or _fits(value, hint):
        return None
    parts = _INSTANT.fullmatch(value.strip())
    return _utc(*parts.groups(default="")) if parts else None


def _utc(
    year: str, month: str, day: str, hour: str, minute: str, second: str, fraction: str, *zone: str
) -> str | None:
    sign, hours, minutes = zone
    offset = f"{sign}{hours}:{minutes}" if sign else "+00:00"
    clock = f"{hour}:{minute}:{second or '00'}.{fraction[:3]:0<3}{offset}"
    try:
        return times.render(datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{clock}"))
    except (ValueError, OverflowError):
        return None


def _number(value: Any, hint: Any) -> Decimal | None:
    text = value.strip() if isinstance(value, str) else ""
    return Decimal(text) if _PLAIN.fullmatch(text) else None


def _integer(value: Any, hint: Any) -> int | None:
    number = _number(value, hint)
    return int(number) if number is not None and number == int(number) else None


def _boolean(value: Any, hint: Any) -> bool | None:
    return _BOOLEANS.get(value.lower()) if isinstance(value, str) else None


def _text(value: Any, hint: Any) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _coordinate(value: Any, hint: Any) -> str | None:
    """Return degrees with 5 to 7 decimals, as text; nothing where there is no such place."""
    text = str(value).strip().replace(",", ".").removeprefix("+")
    if _fits(value, hint) or not _DEGREES.fullmatch(text):
        return None
    degrees = Decimal(text)
    if abs(degrees) > (90 if _title(hint) == "Latitude" else 180):
        return None
    decimals = min(max(len(text.partition(".")[2]), 5), 7)
    return f"{degrees.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):f}"


def _country(value: Any, hint: Any) -> str | None:
    two = isinstance(value, str) and re.fullmatch(r"[A-Za-z]{2}", value)
    return (alpha_3(value) or None) if two else None


def _status(value: Any, hint: Any) -> str | None:
    return "RESERVATION" if value == "RESERVED" else None


def _role(value: Any, hint: Any) -> str | None:
    return _ROLES.get(value) if isinstance(value, str) else None


# By the name that the specification gives a type, else by the type itself
_NAMED: dict[str, Leaf] = {
    "DateTime": (Repair.DATE, _date),
    "Latitude": (Repair.COORDINATE, _coordinate),
    "Longitude": (Repair.COORDINATE, _coordinate),
    "Country": (Repair.COUNTRY, _country),
}
_TYPED: dict[Any, Leaf] = {
    Decimal: (Repair.NUMBER, _number),
    int: (Repair.NUMBER, _integer),
    bool: (Repair.BOOLEAN, _boolean),
    str: (Repair.TEXT, _text),
    types.SessionStatus: (Repair.STATUS, _status),
    types.Role: (Repair.ROLE, _role),
}
