"""Any valid object of OCPI 2.2.1, made by hypothesis from the wire types themselves.

    @wire.examples(20)
    @given(wire.objects(types.Location, country_code="NL", party_id="CPO"))
    def test_...(body):

A body is what a partner would send: a dict as `hub.ocpi.json.loads` returns it.
"""

import operator
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct

from hub.ocpi import times, types

SOME = 2  # as many items as a list gets
STRUCTS = [
    kind
    for kind in vars(types).values()
    if isinstance(kind, type) and issubclass(kind, Struct) and kind is not Struct
]


def examples(number):
    """Try so many examples, the same in every run."""
    return settings(
        derandomize=True,
        deadline=None,
        max_examples=number,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def objects(kind: type[Struct], **fixed: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Make valid bodies of a kind; `fixed` members are always there, as a value or a strategy."""
    given = {
        name: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for name, value in fixed.items()
    }
    return st.builds(operator.or_, _objects(kind), st.fixed_dictionaries(given))


# How the wire types are made


@dataclass(frozen=True)
class Member:
    """One field of a Struct: `type` without its None and its list."""

    name: str
    type: Any
    optional: bool
    listed: bool
    at_least: int

    @property
    def struct(self) -> bool:
        """Whether it is an object, or a list of them."""
        return isinstance(self.type, type) and issubclass(self.type, Struct)


@cache
def members(kind: type[Struct]) -> list[Member]:
    """Return the fields of a Struct in their order."""
    hints = get_type_hints(kind, include_extras=True)
    return [_member(name, hints[name]) for name in kind.__struct_fields__]


def meta(hint: Any) -> Meta:
    """Return the limits of a type; those of a plain one are empty."""
    return hint.__metadata__[0] if hasattr(hint, "__metadata__") else Meta()


def _member(name: str, hint: Any) -> Member:
    optional = hint is Any or NoneType in get_args(hint)
    inner = get_args(hint)[0] if NoneType in get_args(hint) else hint
    bare = getattr(inner, "__origin__", inner) if hasattr(inner, "__metadata__") else inner
    if get_origin(bare) is not list:
        return Member(name, inner, optional, False, 0)
    return Member(name, get_args(bare)[0], optional, True, meta(inner).min_length or 0)


# What is made

ASCII = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
PRINTABLE = st.characters(min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\x7f")
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
ALPHABETS = {
    meta(types.CiString36).pattern: ASCII,
    meta(types.Id36).pattern: ASCII,
    meta(types.CredentialsToken).pattern: VISIBLE,
    meta(types.String255).pattern: PRINTABLE,
    None: ANY,
}


def _instants() -> st.SearchStrategy[str]:
    """Spell instants as partners do: with milliseconds, without, also without a zone."""
    since = st.timedeltas(timedelta(0), timedelta(days=30_000))
    written = since.map(lambda passed: times.render(datetime(2010, 1, 1, tzinfo=UTC) + passed))
    seconds = written.map(lambda text: text[:19])
    return written | seconds.map("{}Z".format) | seconds | st.just("1970-1-1T00:00:00Z")


def _degrees(limit: int) -> st.SearchStrategy[str]:
    return st.builds(
        lambda degrees, places: f"{Decimal(degrees).scaleb(-7):.{places}f}",
        st.integers(-limit * 10**7, limit * 10**7),
        st.integers(5, 7),
    )


def _decimals() -> st.SearchStrategy[Decimal]:
    return st.builds(
        lambda digits, places: Decimal(digits).scaleb(-places),
        st.integers(-(10**9), 10**9),
        st.integers(0, 4),
    )


PARTICULAR: dict[Any, st.SearchStrategy[Any]] = {
    types.DateTime: _instants(),
    types.LocalTime: st.times().map("{:%H:%M}".format),
    types.LocalDate: st.dates(date(2010, 1, 1), date(2099, 12, 31)).map(str),
    types.Latitude: _degrees(90),
    types.Longitude: _degrees(180),
    types.Url: st.text(VISIBLE, max_size=40).map("https://partner.example/{}".format),
    types.Number: _decimals(),
    bool: st.booleans(),
    Any: st.sampled_from(
        ["text", 7, True, Decimal("1.50"), [], {"a": [Decimal("0.10"), "\u00e9"]}]
    ),
}


@cache
def values(hint: Any) -> st.SearchStrategy[Any]:
    """Make valid values of a type of the wire."""
    if hint in PARTICULAR:
        return PARTICULAR[hint]
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _objects(hint)
    limits = meta(hint)
    if getattr(hint, "__origin__", hint) is int:
        return st.integers(limits.ge or 0, limits.le or 10**6)
    if limits.pattern not in ALPHABETS:
        return st.from_regex(re.compile(limits.pattern, re.ASCII), fullmatch=True)
    return _texts(limits)


def _texts(limits: Meta) -> st.SearchStrategy[str]:
    """Make short texts, and some as long as may be."""
    least, most = limits.min_length or 0, limits.max_length or 20
    short = st.text(ALPHABETS[limits.pattern], min_size=least, max_size=min(most, 12))
    texts = short | short | short.map(lambda text: (text * most)[:most])
    return texts.filter(lambda text: text not in {".", ".."})


@cache
def _objects(kind: type[Struct]) -> st.SearchStrategy[dict[str, Any]]:
    required = {item.name: _member_values(item) for item in members(kind) if not item.optional}
    optional = {item.name: _member_values(item) for item in members(kind) if item.optional}
    return st.fixed_dictionaries(required, optional=optional).map(_MENDED.get(kind, dict))


def _member_values(member: Member) -> st.SearchStrategy[Any]:
    one = values(member.type)
    return st.lists(one, min_size=member.at_least, max_size=SOME) if member.listed else one


# What the members of one object owe each other (see hub/ocpi/types/rules.py)


def _hours(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "twentyfourseven": body["twentyfourseven"] or not body.get("regular_hours")}


def _regular_hours(body: dict[str, Any]) -> dict[str, Any]:
    begin, end = sorted([body["period_begin"], body["period_end"]])
    if begin == end:
        begin, end = "00:00", "23:59"
    return {**body, "period_begin": begin, "period_end": end}


def _publish_token(body: dict[str, Any]) -> dict[str, Any]:
    needed = {"type": "RFID"} if "uid" in body else {"group_id": "G1"}
    if "visual_number" in body:
        needed["issuer"] = "Somebody"
    return {**needed, **body}


def _start_session(body: dict[str, Any]) -> dict[str, Any]:
    return {"evse_uid": "E1", **body} if "connector_id" in body else body


_MENDED: dict[type[Struct], Any] = {
    types.Hours: _hours,
    types.RegularHours: _regular_hours,
    types.PublishTokenType: _publish_token,
    types.StartSession: _start_session,
}
