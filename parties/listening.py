"""What is noted of every request to /ocpi: the exchange itself, and how its sender speaks."""

import logging
import time
from collections.abc import Callable
from datetime import datetime

import msgspec
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from hub import metrics
from hub.ocpi.errors import OcpiError
from hub.ocpi.messages import Route
from parties import journal, quirks
from parties.authentication import Caller
from parties.journal import Draft
from parties.models import Exchange

logger = logging.getLogger(__name__)
CONFIGURATION = frozenset({"", "versions", "credentials", "hubclientinfo"})  # no routing headers


class JournalMiddleware:
    """Outermost around /ocpi, so that refusals of every kind are seen as they leave."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, then note; what goes wrong with the note is not the caller's trouble."""
        if not request.path_info.startswith("/ocpi"):
            return self.get_response(request)
        at, started = timezone.now(), time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - started
        metrics.inbound(getattr(getattr(request, "ocpi_view", None), "module", ""), seconds)
        if getattr(response, "is_quiet", False):
            return response
        try:
            milliseconds = round(seconds * 1000)
            journal.record(_draft(request, response, at, milliseconds))
            _note_quirks(request)
        except Exception:
            logger.exception("an exchange could not be noted")
        return response


def _note_quirks(request: HttpRequest) -> None:
    caller = _caller(request)
    if caller is None:
        return
    view = request.ocpi_view  # type: ignore[attr-defined]
    functional = view.module not in CONFIGURATION
    found = quirks.of_request(request.headers, caller.token, functional=functional)
    content_type = request.META.get("CONTENT_TYPE", "")
    found |= quirks.of_body(content_type, getattr(request, "_body", b""))
    owner = [view.kwargs.get(name, "") for name in ("country_code", "party_id")]
    if owner != [part.upper() for part in owner]:
        found[quirks.Habit.LOWER_CASE] = "/".join(owner)
    quirks.note(caller.platform.pk, {**found, **view.quirks})


def _draft(
    request: HttpRequest, response: HttpResponseBase, at: datetime, milliseconds: int
) -> Draft:
    """Return a request to the hub and its answer as a draft."""
    view = getattr(request, "ocpi_view", None)
    caller = _caller(request)
    answer = getattr(response, "content", b"")
    code, message = _told(response, answer)
    return Draft(
        Exchange.Direction.IN,
        request.method or "",
        request.get_full_path(),
        ids=request.ocpi_ids,  # type: ignore[attr-defined]
        route=_route(request),
        module=getattr(view, "module", ""),
        interface=getattr(view, "interface", ""),
        platform=caller.platform.pk if caller else None,
        request=getattr(request, "_body", b""),  # what was read of it
        answer=answer,
        http=response.status_code,
        code=code,
        outcome=message,
        decision=response.headers.get("X-Hub-Decision", ""),
        milliseconds=milliseconds,
        at=at,
    )


def _caller(request: HttpRequest) -> Caller | None:
    """Return who was found to call, if anybody; never asks again."""
    view = getattr(request, "ocpi_view", None)
    caller = getattr(getattr(view, "request", None), "_user", None)
    return caller if isinstance(caller, Caller) else None


def _route(request: HttpRequest) -> Route:
    try:
        return Route.from_headers(request.headers)
    except OcpiError:
        return Route()


def _told(response: HttpResponseBase, content: bytes) -> tuple[int | None, str]:
    """Return the status code and message of our own answer."""
    envelope = getattr(response, "data", None)
    if not isinstance(envelope, dict):
        envelope = msgspec.json.decode(content)
    return envelope["status_code"], envelope.get("status_message", "")
