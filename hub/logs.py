"""Logs as JSON lines, each with the ids of the request or task it belongs to."""

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pythonjsonlogger.json import JsonFormatter

if TYPE_CHECKING:
    import logging
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
        self, log_data: dict[str, Any], record: "logging.LogRecord", message_dict: dict[str, Any]
    ) -> None:
        """Add the ids that are bound where the line is logged."""
        super().add_fields(log_data, record, message_dict)
        log_data.update(_bound.get() or {})
