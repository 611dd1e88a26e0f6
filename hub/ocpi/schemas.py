"""The JSON schemas of the wire, from the types that validate: what the reference shows.

Unlike the schemas of `validation.py` they name what has a name, and let optional members be null.
"""

from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from hub.ocpi import types
from hub.ocpi.operations import OPERATIONS, Partial
from hub.ocpi.types import basic, enums

REF = "#/components/schemas/"
ENUMS = {
    frozenset(get_args(kind)): name
    for name, kind in vars(enums).items()
    if get_origin(kind) is Literal
}


def of(kind: Any) -> dict[str, Any]:
    """Return the schema of what an operation takes or brings; an object is referred to."""
    if isinstance(kind, Partial):
        return {"$ref": f"{REF}{kind.kind.__name__}Change"}
    if isinstance(kind, tuple):
        return {"anyOf": [of(item) for item in kind]}
    (found,), _ = msgspec.json.schema_components([kind], ref_template=REF + "{name}")
    return _wire(found)  # type: ignore[no-any-return]


@cache
def everything() -> dict[str, Any]:
    """Return the schemas of all objects, their changes, the enumerations and the envelope."""
    kinds = [
        kind
        for kind in vars(types).values()
        if isinstance(kind, type) and issubclass(kind, Struct) and kind is not Struct
    ]
    _, found = msgspec.json.schema_components(kinds, ref_template=REF + "{name}")
    objects = {name: _wire(schema) for name, schema in sorted(found.items())}
    del objects["Envelope"]
    return {**objects, **_changes(objects), **_enumerations(), **_strings(), **_envelopes()}


def _changes(objects: dict[str, Any]) -> dict[str, Any]:
    """Return what a PATCH takes: any members, and the time of the change."""
    kinds = {item.body.kind for item in OPERATIONS.values() if isinstance(item.body, Partial)}
    return {
        f"{name}Change": {
            **objects[name],
            "title": f"{name}Change",
            "description": f"Any members of {name}; last_updated is required.",
            "required": ["last_updated"],
        }
        for name in sorted(kind.__name__ for kind in kinds)
    }


def _enumerations() -> dict[str, Any]:
    """Return the enumerations, their values in the order of the specification."""
    return {
        name: {"type": "string", "enum": list(get_args(vars(enums)[name]))}
        for name in sorted(ENUMS.values())
    }


def _strings() -> dict[str, Any]:
    """Return the strings that have a name: dates, URLs, codes."""
    kinds = [kind for kind in vars(basic).values() if get_origin(kind) is Annotated]
    found = [msgspec.json.schema(kind) for kind in kinds]
    return {schema["title"]: schema for schema in found if "title" in schema}


def _envelopes() -> dict[str, Any]:
    problem = {"type": "object", "properties": {"path": {}, "problem": {}}}
    data = {"anyOf": [{"type": "array", "items": problem}, {"type": "object"}]}
    text = "It did not work: status_message says why, data may list the problems with their paths."
    return {
        "Success": _envelope("It worked.", {"minimum": 1000, "maximum": 1999}),
        "Refusal": _envelope(text, {"minimum": 2000, "maximum": 4999}, data=data),
    }


def _envelope(text: str, code: dict[str, int], **members: Any) -> dict[str, Any]:
    head = {
        "status_code": {"type": "integer", **code},
        "status_message": {"type": "string"},
        "timestamp": {"$ref": f"{REF}DateTime"},
    }
    return {
        "type": "object",
        "description": text,
        "properties": {**members, **head},
        "required": ["status_code", "timestamp"],
    }


def _wire(node: Any) -> Any:
    """Turn a schema of msgspec into the wire's: decimals are numbers, nothing has a default.

    Enumerations and named strings are referred to.
    """
    if isinstance(node, list):
        return [_wire(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "decimal":
        return {"type": "number"}
    name = ENUMS.get(frozenset(node.get("enum", ()))) or node.get("title")
    if name and node.get("type") != "object":
        return {"$ref": f"{REF}{name}"}
    return {key: _wire(item) for key, item in node.items() if key != "default"}
