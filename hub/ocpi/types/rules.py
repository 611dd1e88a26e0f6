"""What OCPI 2.2.1 asks of several members of one object at once.

Refused is only what leaves an object without a meaning: nobody could tell when a location opens,
whom an unpublished one is shown to, or which connector is to start. Taken as it comes, on purpose:

- regular_hours beside twentyfourseven, publish_allowed_to beside publish: the flag decides;
- an exceptional period or a status schedule that ends before it begins: it covers nothing;
- a time zone, country, currency or language that no list knows, an evse_id of another form;
- an energy mix that does not add up to 100, a charging rate of more than one decimal;
- a tariff whose limits exclude each other (it never applies), a step_size of 0;
- everything commercial about a CDR, such as a credit without a reference, dimensions that are for
  sessions only, ids over 36: it is kept, and held or flagged by the rules for CDRs.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, get_args

from msgspec import Struct
from msgspec.structs import fields

from hub.ocpi.errors import Problem
from hub.ocpi.types.commands import StartSession
from hub.ocpi.types.locations import Hours, PublishTokenType, RegularHours


def broken(kind: type[Struct], body: dict[str, Any], path: str = "$") -> Iterator[Problem]:
    """Yield the rules that a body breaks; its structure is known to be that of its kind."""
    for member, text in _RULES.get(kind, _no_rule)(body):
        yield Problem(path + member, text)
    for name, inner in _members_with_rules(kind):
        value = body.get(name)
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from broken(inner, item, f"{path}.{name}[{index}]")
        elif value is not None:
            yield from broken(inner, value, f"{path}.{name}")


Said = Iterator[tuple[str, str]]  # the path of a member below the object, or "", and what is wrong


def _no_rule(body: dict[str, Any]) -> Said:
    yield from ()


def _hours(body: dict[str, Any]) -> Said:
    """mod_locations, Hours."""
    if not body["twentyfourseven"] and not body.get("regular_hours"):
        yield "", "regular_hours is required unless twentyfourseven is true"


def _regular_hours(body: dict[str, Any]) -> Said:
    """mod_locations, RegularHours: hours past midnight are two of them."""
    if body["period_end"] <= body["period_begin"]:
        yield ".period_end", "must be later than period_begin"


def _publish_token(body: dict[str, Any]) -> Said:
    """mod_locations, PublishTokenType."""
    if not body.keys() & {"uid", "visual_number", "group_id"}:
        yield "", "one of uid, visual_number and group_id is required"
    if "uid" in body and "type" not in body:
        yield "", "type is required with uid"
    if "visual_number" in body and "issuer" not in body:
        yield "", "issuer is required with visual_number"


def _start_session(body: dict[str, Any]) -> Said:
    """mod_commands, StartSession."""
    if "connector_id" in body and "evse_uid" not in body:
        yield "", "evse_uid is required with connector_id"


_RULES: dict[type[Struct], Callable[[dict[str, Any]], Said]] = {
    Hours: _hours,
    RegularHours: _regular_hours,
    PublishTokenType: _publish_token,
    StartSession: _start_session,
}


@cache
def _members_with_rules(kind: type[Struct]) -> list[tuple[str, type[Struct]]]:
    """Return the members of a kind below which there are rules: there are few, so it is cheap."""
    found = ((field.name, _struct_in(field.type)) for field in fields(kind))
    return [
        (name, inner)
        for name, inner in found
        if inner and (inner in _RULES or _members_with_rules(inner))
    ]


def _struct_in(hint: Any) -> type[Struct] | None:
    """Return the Struct that a member is, or is a list of."""
    if isinstance(hint, type) and issubclass(hint, Struct):
        return hint
    return next(filter(None, map(_struct_in, get_args(hint))), None)
