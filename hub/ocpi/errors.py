"""The errors of OCPI: one family, each with its HTTP status and OCPI status code."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a body: where (a JSON path) and what."""

    path: str
    problem: str


class OcpiError(Exception):
    """An answer other than success.

    `message` is one printable line for `status_message`; `problems` become `data`.
    Source: OCPI 2.2.1, status_codes.
    """

    http_status = 200
    status_code = 2000

    def __init__(self, message: str, *, problems: list[Problem] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems or []

    @property
    def data(self) -> list[dict[str, str]] | None:
        """Return the problems as the list that goes into the envelope, or nothing."""
        found = [{"path": item.path, "problem": item.problem} for item in self.problems]
        return found or None

    @property
    def line(self) -> str:
        """Return the message followed by the first problem."""
        if not self.problems:
            return self.message
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"{self.message}: {first.path}: {first.problem}{more}"


class NotJson(OcpiError):
    """The body is not JSON: the one semantic error with an HTTP status of its own."""

    http_status, status_code = 400, 2001


class Ambiguous(OcpiError):
    """A header that must come once came twice: a proxy may have read another value than we."""

    http_status, status_code = 400, 2001


class Misdirected(OcpiError):
    """The request names another host than the hub's."""

    http_status = 400


class Unauthorized(OcpiError):
    """No token, or one that is not (or no longer) valid here."""

    http_status = 401


class Forbidden(OcpiError):
    """The platform is known but may not use this interface."""

    http_status = 403


class NotFound(OcpiError):
    """No such object for this caller."""

    http_status = 404


class UnknownLocation(NotFound):
    """No such location for this caller."""

    status_code = 2003


class UnknownToken(NotFound):
    """No such token for this caller."""

    status_code = 2004


class MethodNotAllowed(OcpiError):
    """The method makes no sense here, or not in the state the connection is in."""

    http_status = 405

    def __init__(self, message: str, *, allow: str = "") -> None:
        super().__init__(message)
        self.allow = allow


class TooLarge(OcpiError):
    """The body is larger than the hub reads."""

    http_status = 413


class TooSlow(OcpiError):
    """The body did not arrive in the time that it may take."""

    http_status = 408


class Later(OcpiError):
    """Not now: the same request may be made again after some seconds.

    A `quiet` one is the next of a row, which nobody needs to read about.
    """

    http_status, status_code = 503, 3000

    def __init__(self, message: str, *, seconds: int, quiet: bool = False) -> None:
        super().__init__(message)
        self.seconds, self.quiet = seconds, quiet


class Busy(Later):
    """The hub has too much in hand, or too little room."""


class TooMany(Later):
    """The caller makes more requests than it may; the code is one of the range for custom ones."""

    http_status, status_code = 429, 2900


class Invalid(OcpiError):
    """Parameters or fields are invalid or missing."""

    status_code = 2001


class NotEnoughInformation(OcpiError):
    """The hub cannot tell whom the message is for, or lacks what it needs to answer."""

    status_code = 2002


class CannotUseApi(OcpiError):
    """The hub could not use the partner's interface during the handshake."""

    status_code = 3001


class UnsupportedVersion(OcpiError):
    """The partner does not offer the version it registers for."""

    status_code = 3002


class MissingEndpoints(OcpiError):
    """The partner offers none of the endpoints that the hub could use."""

    status_code = 3003


class HubError(OcpiError):
    """The hub cannot route this message: the receiver does not offer what it asks for."""

    status_code = 4000


class UnknownReceiver(OcpiError):
    """The addressed party is not one the caller can reach."""

    status_code = 4001


class TimedOut(OcpiError):
    """The receiver of a forwarded message did not answer in time."""

    status_code = 4002


class NotConnected(OcpiError):
    """The receiver is known but cannot be reached now."""

    status_code = 4003


STATUS_BY_HTTP: dict[int, Any] = {
    400: (2000, "bad request"),
    403: (2000, "not allowed (is the URL the https one?)"),
    404: (2000, "no such resource"),
    405: (2000, "method not allowed"),
    413: (2000, "the body is too large"),
}
