"""The API reference for readers: the OpenAPI document, turned into what its page shows."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from hub.ocpi import openapi, schemas
from hub.ocpi.examples import example

METHODS = ("get", "post", "put", "patch", "delete")
KINDS = {"integer": "int"}


class Type(NamedTuple):
    """What a value is: its name, whether that leads to a description, and its limits."""

    name: str
    linked: bool = False
    length: str = ""
    many: bool = False


class Field(NamedTuple):
    """A member of an object, or a parameter."""

    name: str
    type: Type
    cardinality: str
    text: str = ""
    is_header: bool = False


class Entry(NamedTuple):
    """One operation as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    about: str
    interface: str
    roles: list[str]
    fields: list[Field]
    body: list[Type]
    answer: list[Type]
    headers: list[str]
    sample_path: str
    sample_body: str


@cache
def contents() -> dict[str, Any]:
    """Return all that the page shows, but for the address of the hub."""
    found = schemas.everything()
    shared = openapi.document()["components"]["parameters"]
    return {
        "modules": [(tag["name"], _entries(tag["name"])) for tag in openapi.document()["tags"]],
        "objects": [_object(name, found[name]) for name in found if "properties" in found[name]],
        "enums": [(name, found[name]["enum"]) for name in found if "enum" in found[name]],
        "strings": [(name, found[name]) for name in found if "pattern" in found[name]],
        "headers": [_parameter(item) for item in shared.values() if item["in"] == "header"],
        "errors": sorted(openapi.ERRORS.items()),
    }


def _entries(module: str) -> list[Entry]:
    """Return the operations of a module."""
    found = [
        _entry(path, method, operation)
        for path, item in openapi.document()["paths"].items()
        for method, operation in item.items()
        if module in operation["tags"]
    ]
    return sorted(found, key=_place)


def _place(entry: Entry) -> tuple[bool, str, int]:
    """Return where an operation stands: those of the quick start come last."""
    return "/2.2/" in entry.path, entry.path, METHODS.index(entry.method.lower())


def _entry(path: str, method: str, operation: dict[str, Any]) -> Entry:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    answer = operation["responses"]["200"]
    return Entry(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        about=operation.get("description", ""),
        interface=operation["x-interface"].capitalize(),
        roles=operation["x-roles"],
        fields=[item for item in map(_parameter, operation["parameters"]) if not item.is_header],
        body=_types(body.get("schema")),
        answer=_types(_data(answer)),
        headers=[name for name in answer["headers"] if name in _PAGED],
        sample_path=_sample_path(path, operation["parameters"]),
        sample_body=_sample_body(body.get("schema")),
    )


_PAGED = {"Link", "X-Total-Count", "X-Limit", "Location"}


def _data(answer: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema of the data of a successful answer."""
    success = answer["content"]["application/json"]["schema"]["anyOf"][0]
    if "allOf" not in success:
        return None
    data: dict[str, Any] = success["allOf"][1]["properties"]["data"]
    return data


def _parameter(item: dict[str, Any]) -> Field:
    if "$ref" in item:
        item = openapi.document()["components"]["parameters"][item["$ref"].rsplit("/", 1)[1]]
    [kind] = _types(item["schema"])
    cardinality = "1" if item.get("required") else "?"
    text = item.get("description", "")
    return Field(item["name"], kind, cardinality, text, is_header=item["in"] == "header")


def _object(name: str, schema: dict[str, Any]) -> tuple[str, str, list[Field]]:
    required = set(schema.get("required", ()))
    text = schema.get("description", "").removesuffix(f", {name}.")
    return name, text, list(_members(schema["properties"], required))


def _members(properties: dict[str, Any], required: set[str]) -> Iterator[Field]:
    for name, schema in properties.items():
        kinds = _types(schema)
        many = any(kind.many for kind in kinds)
        least, most = ("+", "1") if name in required else ("*", "?")
        yield Field(name, kinds[0], least if many else most)


def _types(schema: dict[str, Any] | None) -> list[Type]:
    """Return the types that a schema admits, null left out."""
    if schema is None:
        return []
    if "anyOf" in schema:
        return [kind for item in schema["anyOf"] for kind in _types(item)]
    if "$ref" in schema:
        return [Type(schema["$ref"].removeprefix(schemas.REF), linked=True)]
    if schema.get("type") == "array":
        inner = _types(schema.get("items", {})) or [Type("object")]
        return [kind._replace(many=True) for kind in inner]
    if schema.get("type") == "null":
        return []
    return [_plain(schema)]


def _plain(schema: dict[str, Any]) -> Type:
    kind = str(schema.get("type", "any"))
    if "enum" in schema:
        return Type(" or ".join(schema["enum"]))
    if kind == "string":
        name = "CiString" if schema.get("pattern") == "^[ -~]*$" else "string"
        return Type(name, length=str(schema.get("maxLength", "")))
    bounds = [schema[name] for name in ("minimum", "maximum") if name in schema]
    return Type(KINDS.get(kind, kind), length=" to ".join(map(str, bounds)))


def _sample_path(path: str, parameters: list[dict[str, Any]]) -> str:
    """Return a path to paste: with the version 2.2.1, an example's ids, and the queries needed."""
    given = {item["name"]: item["schema"] for item in parameters if item.get("in") == "path"}
    for name, schema in given.items():
        value = "2.2.1" if name == "version" else example(schema, name)
        path = path.replace(f"{{{name}}}", str(value))
    shared = openapi.document()["components"]["parameters"]
    names = [item["$ref"].rsplit("/", 1)[1] for item in parameters if "$ref" in item]
    needed = [shared[name] for name in names if shared[name].get("required")]
    query = "&".join(f"{item['name']}={example(item['schema'], item['name'])}" for item in needed)
    return f"{path}?{query}" if query else path


def _sample_body(schema: dict[str, Any] | None) -> str:
    if schema is None:
        return ""
    text = json.dumps(example(schema), indent=1)
    # A list or object of plain values stays on its line.
    return re.sub(r"\n\s*([}\]])", r"\1", re.sub(r"([{\[])\n\s*", r"\1", text)).replace(
        "\n", "\n  "
    )
