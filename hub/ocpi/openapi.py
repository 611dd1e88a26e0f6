"""The OpenAPI 3.1 document of everything below /ocpi.

Which calls there are is read from the URLs, what they take and bring from `operations.py`, and the
objects from the wire types that validate. drf-spectacular was tried: it finds the paths, but what
it asks of a view (serializers, renderers, pagination) is not there, so that each body, answer,
header and callback would have to be told to it by hand, and it cuts optional parts of paths short.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.regex_helper import normalize

from hub.ocpi import schemas, types, versions
from hub.ocpi.operations import OPERATIONS, QUICK_START, RESULTS, Operation
from hub.ocpi.schemas import REF

VERSIONED = "ocpi/{version}"
ROUTED = ("OCPI-to-country-code", "OCPI-to-party-id")
SENT = ("OCPI-from-country-code", "OCPI-from-party-id", "X-Request-ID", "X-Correlation-ID")
ERRORS = {
    "400": "The body is not JSON, or a header came twice.",
    "401": "No token, or one that is not valid here.",
    "403": "Your role may not use this interface.",
    "404": "There is no such thing for you.",
    "405": "Not now: the connection is not in the state for it.",
    "413": "The body is too large.",
    "500": "The hub failed; it is logged under the X-Request-ID.",
    "503": "The hub is busy with its database; try again.",
}
PLACES = {
    "version": "The version of OCPI; the objects are the same.",
    "country_code": "Of the owner.",
    "party_id": "Of the owner.",
    "command": "What is to be done.",
    "secret": "As the hub gave it to you.",
}
MODULES = (
    "versions",
    "credentials",
    "locations",
    "tariffs",
    "tokens",
    "sessions",
    "cdrs",
    "commands",
    "chargingprofiles",
    "hubclientinfo",
    "callbacks",
)
INTRODUCTION = """\
Roaming by OCPI 2.2.1 through this hub. Send your token as `Authorization: Token <Base64>`. Every
answer is an envelope. HTTP 200 with a `status_code` of 2000 or more is a refusal, and `data` then
lists what is wrong, each with its path. Leave out the OCPI-to headers for the hub itself, or name
the party that a message is for; pushes come to you from the hub for the parties that own the
objects, although the hub's credentials name none but itself."""


class Call(NamedTuple):
    """One method at one path of the URLconf: `path` has its parameters in braces."""

    method: str
    path: str
    parameters: tuple[str, ...]
    view: type[Any]

    @property
    def key(self) -> str:
        """Return the key of the operation: without version, every parameter as {}."""
        path = self.path.removeprefix(VERSIONED).removeprefix("ocpi").strip("/")
        for name in self.parameters:
            path = path.replace(f"{{{name}}}", "{}")
        return f"{self.method} {path}"

    @property
    def operation(self) -> Operation:
        """Return what the call takes and brings; of an unknown one, what its view says."""
        key = self.key
        if key.split(" ")[1].startswith("2.2/"):
            return QUICK_START.get(key.replace("2.2/", "", 1)) or self._undescribed()
        return OPERATIONS.get(key) or self._undescribed()

    def _undescribed(self) -> Operation:
        return Operation((self.view.__doc__ or "").split("\n")[0])

    @property
    def module(self) -> str:
        """Return the module that the call belongs to."""
        if self.view.module:
            return str(self.view.module)
        last = self.path.rstrip("}").replace("{", "").split("/")[-1]
        return {"credentials": "credentials", "secret": "callbacks"}.get(last, "versions")

    @property
    def routed(self) -> bool:
        """Tell whether routing headers are used: on functional modules alone."""
        return self.module not in {"versions", "credentials", "hubclientinfo", "callbacks"}


@cache
def document() -> dict[str, Any]:
    """Return the whole document, but for the address of the hub (`servers`)."""
    found = list(calls())
    return {
        "openapi": "3.1.0",
        "info": {"title": "OCPI 2.2.1", "version": "2.2.1", "description": INTRODUCTION},
        "security": [{"token": []}],
        "tags": [{"name": name} for name in MODULES if name in {call.module for call in found}],
        "paths": _paths(found),
        "components": {
            "securitySchemes": {"token": _security()},
            "schemas": schemas.everything(),
            "parameters": _parameters(),
            "headers": _headers(),
            "responses": {code: _refusal(text) for code, text in ERRORS.items()},
        },
    }


def calls() -> Iterator[Call]:
    """Yield every call of the URLconf below /ocpi.

    A pattern without an end is the one that answers for what is not there; it is no call.
    """
    for pattern, view in _views(get_resolver(), ""):
        if not pattern.startswith("^ocpi") or not pattern.endswith(r"\Z"):
            continue
        for form, names in normalize(pattern):
            path = form % {name: f"{{{name}}}" for name in names}
            for method in view.actions.keys() - {"head"}:
                yield Call(method.upper(), path, tuple(names), view.cls)


def _views(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, Any]]:
    for item in resolver.url_patterns:
        pattern = prefix.removesuffix("?") + str(item.pattern).removeprefix("^" if prefix else "")
        if isinstance(item, URLResolver):
            yield from _views(item, pattern)
        elif isinstance(item, URLPattern) and hasattr(item.callback, "actions"):
            yield pattern, item.callback


def _paths(found: list[Call]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for call in sorted(found, key=lambda call: (call.path, call.method)):
        paths.setdefault(f"/{call.path}", {})[call.method.lower()] = _operation(call)
    return paths


def _operation(call: Call) -> dict[str, Any]:
    told = call.operation
    found = {
        "operationId": _id(call),
        "tags": [call.module],
        "summary": str(told.summary),
        "parameters": [*_places(call), *_queries(told), *_given_headers(call)],
        "responses": _responses(call, told),
        "x-interface": str(call.view.interface),
        "x-roles": sorted(call.view.admitted()),
    }
    if told.about:
        found["description"] = str(told.about)
    if told.body:
        found["requestBody"] = _body(told)
    if told.answer in (types.CommandResponse, types.ChargingProfileResponse):
        found["callbacks"] = {"result": {_response_url(call): {"post": _callback()}}}
    if call.path.startswith("ocpi/callback"):
        found["security"] = [{}, {"token": []}]
    return found


def _id(call: Call) -> str:
    words = call.path.replace("{", "").replace("}", "").replace(".", "_").split("/")[1:]
    return "_".join([call.method.lower(), *words])


def _places(call: Call) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _place(name),
            "description": PLACES.get(name, "The id; percent-encode what is not plain."),
        }
        for name in call.parameters
    ]


def _place(name: str) -> dict[str, Any]:
    """Return the schema of a parameter in a path."""
    if name == "version":
        return {"enum": list(versions.VERSIONS)}
    if name == "command":
        return schemas.of(types.CommandType)
    if name == "secret":
        return {"type": "string", "minLength": 43, "maxLength": 43, "pattern": "^[A-Za-z0-9_-]+$"}
    kinds = {"country_code": types.CountryCode, "party_id": types.PartyId}
    return dict(schemas.of(kinds.get(name, types.CiString39)))


def _queries(told: Operation) -> list[dict[str, Any]]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in told.query]


def _given_headers(call: Call) -> list[dict[str, Any]]:
    names = [*(ROUTED if call.routed else ()), *SENT] if call.routed else SENT[2:]
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _body(told: Operation) -> dict[str, Any]:
    content = {"application/json": {"schema": schemas.of(told.body)}}
    return {"required": not told.optional_body, "content": content}


def _responses(call: Call, told: Operation) -> dict[str, Any]:
    found = {"200": _answer(told, call)}
    if told.creates:
        found["201"] = _answer(told, call, "It is new.")
    codes = ["400", "401", "404", "413", "500", "503"]
    if call.view.admitted():
        codes.append("403")
    if call.module == "credentials":
        codes.append("405")
    return found | {code: {"$ref": f"#/components/responses/{code}"} for code in sorted(codes)}


def _answer(told: Operation, call: Call, text: str = "Done, or refused.") -> dict[str, Any]:
    """Return a response that is a success with its data, or a refusal."""
    success: dict[str, Any] = {"$ref": f"{REF}Success"}
    if told.answer:
        data = {"required": ["data"], "properties": {"data": schemas.of(told.answer)}}
        success = {"allOf": [success, data]}
    names = [*SENT[2:], *told.headers, *((*ROUTED, *SENT[:2], "X-Hub-Decision") * call.routed)]
    return {
        "description": text,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {
            "application/json": {"schema": {"anyOf": [success, {"$ref": f"{REF}Refusal"}]}}
        },
    }


def _refusal(text: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"{REF}Refusal"}}}
    return {"description": text, "content": content}


def _response_url(call: Call) -> str:
    place = "query.response_url" if "response_url" in call.operation.query else ""
    return f"{{$request.{place or 'body#/response_url'}}}"


def _callback() -> dict[str, Any]:
    content = {"application/json": {"schema": schemas.of(RESULTS)}}
    return {
        "summary": "The hub brings the result to you",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "Taken."}},
    }


def _security() -> dict[str, str]:
    return {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token`, a space, and your token in Base64 (plain is taken, too).",
    }


def _parameters() -> dict[str, Any]:
    """Return the parameters that several calls share."""
    number = {"type": "integer", "minimum": 0}
    queries = {
        "date_from": (schemas.of(types.DateTime), "Changed at this time or later."),
        "date_to": (schemas.of(types.DateTime), "Changed before this time."),
        "received_from": (
            schemas.of(types.DateTime),
            "The hub's own: told to the hub at this time or later, whenever it was changed.",
        ),
        "offset": (number, "How many to pass over."),
        "limit": ({**number, "minimum": 1}, "How many at most; the hub gives 100 at most."),
        "type": (schemas.of(types.TokenType), "The type of the token; RFID when left out."),
        "duration": (number, "Seconds that the profile should cover."),
        "response_url": (schemas.of(types.Url), "Where the result is to be brought."),
    }
    found: dict[str, dict[str, Any]] = {
        name: {"name": name, "in": "query", "description": text, "schema": schema}
        for name, (schema, text) in queries.items()
    }
    for name in ("duration", "response_url"):
        found[name]["required"] = True
    return found | {
        name: {"name": name, "in": "header", "description": text, "schema": schema}
        for name, (schema, text) in _HEADERS.items()
        if name in ROUTED + SENT
    }


def _headers() -> dict[str, Any]:
    return {name: {"description": text, "schema": item} for name, (item, text) in _HEADERS.items()}


_ID = {"type": "string", "maxLength": 255, "pattern": "^[A-Za-z0-9._:/+=@~{}-]+$"}
_HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "OCPI-to-country-code": (schemas.of(types.CountryCode), "The party that it is for."),
    "OCPI-to-party-id": (schemas.of(types.PartyId), "The party that it is for."),
    "OCPI-from-country-code": (schemas.of(types.CountryCode), "The party that it is from."),
    "OCPI-from-party-id": (schemas.of(types.PartyId), "The party that it is from."),
    "X-Request-ID": (_ID, "Names this message; repeated in the answer, made when absent."),
    "X-Correlation-ID": (_ID, "Names the chain of messages; repeated in the answer."),
    "X-Hub-Decision": ({"type": "string"}, "Where the hub sent it."),
    "X-Total-Count": ({"type": "integer"}, "How many there are in all."),
    "X-Limit": ({"type": "integer"}, "How many a page has at most."),
    "Link": ({"type": "string"}, 'The next page, rel="next"; absent on the last one.'),
    "Location": ({"type": "string"}, "Where you can read it back."),
}
