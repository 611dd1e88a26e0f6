"""Logs as JSON lines, each with the ids of the request or task it belongs to."""

import logging
import traceback
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pythonjsonlogger.json import JsonFormatter

if TYPE_CHECKING:
    from collections.abc import Iterator

_bound: ContextVar[dict[str, str] | None] = ContextVar("bound", default=None)


@contextmanager
def bound(**ids: str) -> "Iterator[None]":
    """Add ids to every line logged inside."""
    mark = _bound.set({**(_bound.get() or {}), **ids})
    try:
        yield
    finally:
        _bound.reset(mark)


class JsonLines(JsonFormatter):
    """One event per line; values are encoded, so a partner's text cannot forge a line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Add the ids that are bound where the line is logged."""
        super().add_fields(log_data, record, message_dict)
        log_data.update(_bound.get() or {})


class WithoutPaths(logging.Filter):
    """Withholds the path of every request to /ocpi: it may name a driver's token.

    Django logs it in the text, in the request itself, and perhaps in an exception's message. What
    stays is the logger's name, method, status and the frames; the ids lead to the partner.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass, rewritten when it is about such a request."""
        request = getattr(record, "request", None)
        if getattr(request, "path_info", "").startswith("/ocpi"):
            _withhold(record, request)
        return True


def _withhold(record: logging.LogRecord, request: Any) -> None:
    del record.__dict__["request"]
    record.msg, record.args = "%s /ocpi/... was refused or failed", (request.method,)
    if record.exc_info:
        kind, _, frames = record.exc_info
        name = kind.__name__ if kind else ""
        record.exc_info, record.exc_text = None, "".join([*traceback.format_tb(frames), name])
