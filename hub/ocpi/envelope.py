"""The envelope: what every answer under /ocpi looks like, whatever went wrong.

Source: OCPI 2.2.1, transport_and_format, "Response format"; status_codes.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson
from django.core.exceptions import DisallowedHost
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.security import SecurityMiddleware
from django.template.response import SimpleTemplateResponse
from django.urls import resolve
from rest_framework.renderers import BaseRenderer

from hub.ocpi import json, times
from hub.ocpi.errors import (
    STATUS_BY_HTTP,
    Ambiguous,
    Later,
    MethodNotAllowed,
    Misdirected,
    NotFound,
    NotJson,
    OcpiError,
    TooLarge,
)
from hub.ocpi.messages import Ids

logger = logging.getLogger(__name__)
Handler = Callable[[HttpRequest], HttpResponseBase]
MAX_BODY = 5 * 1024 * 1024
PROTECTION = {  # of an answer that a browser shows, though it is none for people
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
SINGLE_HEADERS = (
    "Authorization",
    "Content-Length",
    "OCPI-to-country-code",
    "OCPI-to-party-id",
    "OCPI-from-country-code",
    "OCPI-from-party-id",
)


class Stored:
    """Objects as JSON text straight from the database, passed through without parsing."""

    def __init__(self, texts: list[str] | str) -> None:
        self.texts = texts

    def fragment(self) -> Any:
        """Return what orjson writes out verbatim."""
        if isinstance(self.texts, str):
            return orjson.Fragment(self.texts)
        return [orjson.Fragment(text) for text in self.texts]


def envelope(
    data: Any = None, *, status_code: int = 1000, message: str = "Success"
) -> dict[str, Any]:
    """Return the envelope of an answer; without data the member is left out."""
    head = {
        "status_code": status_code,
        "status_message": message,
        "timestamp": times.render(times.now()),
    }
    return head if data is None else {"data": data, **head}


def encode(content: Mapping[str, Any]) -> bytes:
    """Write an envelope whose data may be Stored or hold decimals; it ends a terminal's line."""
    data = content.get("data")
    if isinstance(data, Stored):
        return orjson.dumps({**content, "data": data.fragment()}, option=orjson.OPT_APPEND_NEWLINE)
    return json.dumps(content) + b"\n"


class OcpiRenderer(BaseRenderer):
    """Writes what a view returns; the view has built the envelope already."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the bytes of an envelope."""
        return encode(data)


def error_response(error: OcpiError) -> HttpResponse:
    """Return the answer for an error."""
    content = envelope(error.data, status_code=error.status_code, message=error.line)
    response = HttpResponse(
        encode(content), status=error.http_status, content_type="application/json"
    )
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django would log the path
    if error.http_status == 401:
        response["WWW-Authenticate"] = "Token"
    if isinstance(error, MethodNotAllowed) and error.allow:
        response["Allow"] = error.allow
    if isinstance(error, Later):
        response["Retry-After"] = str(error.seconds)
        response.is_quiet = error.quiet  # type: ignore[attr-defined]  # for the journal
    return response


class OcpiMiddleware:
    """Outermost layer of /ocpi: message ids on everything, an envelope on everything.

    From here a call takes a short way: through Django's SecurityMiddleware to its view. The layers
    after this one are for people: they read cookies, choose a language, serve files. They would
    cost a push half as much again.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        secured: Any = SecurityMiddleware(convert_exception_to_response(_viewed))
        self._short = cast(Handler, convert_exception_to_response(secured))

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith("/ocpi"):
            return self.get_response(request)
        ids = Ids.from_headers(request.headers)
        request.ocpi_ids = ids  # type: ignore[attr-defined]
        response = self._answer(request)
        for name, value in {**ids.headers(), **PROTECTION}.items():
            response.headers[name] = value
        if not response.streaming:
            response.headers["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]
        return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        try:
            refuse_foreign_host(request)
            refuse_doubles(request)
            refuse_body_tricks(request)
        except OcpiError as error:
            return error_response(error)
        response = self._short(request)
        if response.get("Content-Type") == "application/json":
            return response
        return _enveloped(response)


def _viewed(request: HttpRequest) -> HttpResponseBase:
    """Call the view of a path, as Django does after its last layer."""
    match = resolve(request.path_info)
    request.resolver_match = match
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    return response.render() if isinstance(response, SimpleTemplateResponse) else response


def refuse_foreign_host(request: HttpRequest) -> None:
    """Refuse a request for another host than the hub's, before Django makes a page of it."""
    try:
        request.get_host()
    except DisallowedHost as error:
        logger.warning("a request for another host than the hub's was refused")
        raise Misdirected("this is not the host of the hub") from error


def refuse_doubles(request: HttpRequest) -> None:
    """Refuse a header that came twice; WSGI servers join the values with a comma."""
    for name in SINGLE_HEADERS:
        if "," in request.headers.get(name, ""):
            raise Ambiguous(f"the header {name} came more than once")


def refuse_body_tricks(request: HttpRequest) -> None:
    """Refuse, before anything is read, what is too large or not plain UTF-8 JSON."""
    if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
        raise NotFound("no such resource: a NUL character in the URL")
    if {".", ".."} & set(request.path_info.split("/")):
        raise NotFound("no such resource: . and .. are no ids")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > MAX_BODY:
        raise TooLarge(f"a body has at most {MAX_BODY} bytes")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise NotJson("a compressed body is not accepted")
    charset = request.content_params.get("charset", "utf-8") if request.content_params else "utf-8"
    if charset.strip('"').lower() not in {"utf-8", "utf8"}:
        raise NotJson("only UTF-8 is accepted")


def _enveloped(response: HttpResponseBase) -> HttpResponse:
    """Put an answer that Django made (an HTML page, mostly) into the envelope.

    A redirect would lose the body and the token of a call, so it becomes a refusal.
    """
    status = 403 if 300 <= response.status_code < 400 else response.status_code
    code, message = STATUS_BY_HTTP.get(status, (3000, "the hub failed to answer"))
    found = HttpResponse(
        encode(envelope(status_code=code, message=message)),
        status=status,
        content_type="application/json",
    )
    if response.has_header("Allow"):
        found["Allow"] = response["Allow"]
    return found
