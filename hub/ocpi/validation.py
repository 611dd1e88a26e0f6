"""Structural validation: every problem of a body at once, each with its JSON path.

First each member by itself, then, of a body that is whole, what its members owe each other.
"""

from functools import cache
from typing import Any

import jsonschema_rs
import msgspec

from hub.ocpi.errors import Invalid, Problem
from hub.ocpi.types import rules

MAX_PROBLEMS = 50
MAX_ITEMS = 10_000


def check(kind: type[msgspec.Struct], body: Any) -> None:
    """Check a body against a wire type.

    A null counts as absent (OCPI 2.2.1, terminology, cardinality) and unknown fields pass.
    Raises Invalid with all problems, 50 at most.
    """
    found = problems(kind, body)
    if found:
        raise Invalid(f"not a valid {kind.__name__}", problems=found)


def problems(kind: type[msgspec.Struct], body: Any) -> list[Problem]:
    """Return what is wrong with a body as a wire type, in the order of the body."""
    validator = _validator(kind)
    value = without_nulls(body)
    if validator.is_valid(value):
        return list(rules.broken(kind, value))[:MAX_PROBLEMS]
    errors = list(validator.iter_errors(value))[:MAX_PROBLEMS]
    return [Problem(_path(error.instance_path), _reason(error)) for error in errors]


def without_nulls(value: Any) -> Any:
    """Return the value without the members that are null.

    Raises Invalid for a list that no honest object has.
    """
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        if len(value) > MAX_ITEMS:
            raise Invalid(f"a list has at most {MAX_ITEMS} items")
        return [without_nulls(item) for item in value]
    return value


@cache
def _validator(kind: type[msgspec.Struct]) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(_wire_schema(msgspec.json.schema(kind)))


def _wire_schema(node: Any) -> Any:
    """Turn the schema of a Struct into the wire's: optional is absent, decimals are numbers."""
    if isinstance(node, list):
        return [_wire_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "decimal":
        return {"type": "number"}
    if "anyOf" in node:
        return _wire_schema(next(item for item in node["anyOf"] if item != {"type": "null"}))
    return {key: _wire_schema(item) for key, item in node.items() if key != "default"}


def _path(steps: list[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _reason(error: jsonschema_rs.ValidationError) -> str:
    """Say what is wrong in words, without echoing a long value."""
    name = error.kind.name
    if name == "required":
        return f"{getattr(error.kind, 'property', 'a field')} is required"
    if name == "minItems":
        return "at least one item is required"
    shown = repr(str(error.instance)[:40])
    if name == "enum":
        allowed = ", ".join(map(str, getattr(error.kind, "options", [])))
        return f"{shown} is not one of {allowed}" if len(allowed) < 200 else f"{shown} is not known"
    if name == "pattern":
        return f"{shown} is not well-formed (as {str(getattr(error.kind, 'pattern', ''))[:80]})"
    return str(error.message)[:120]
