"""How a simulated partner misbehaves, on demand."""

from dataclasses import dataclass
from enum import Enum
from threading import Lock


class Fault(Enum):
    """What goes wrong."""

    OK = "ok"
    ERROR500 = "error500"  # HTTP 500 and no envelope
    HANG = "hang"  # takes the request and never answers
    DRIP = "drip"  # sends the body of its answer a byte at a time
    DRIP_HEAD = "drip_head"  # sends all of its answer a byte at a time
    GARBAGE = "garbage"  # HTTP 200 and HTML
    NOISE = "noise"  # bytes that are no HTTP
    HUGE = "huge"  # an answer of 64 MiB
    REDIRECT = "redirect"  # HTTP 302 to a place that does the same
    REFUSE = "refuse"  # an envelope with 2001
    NOT_FOUND = "not_found"  # HTTP 404 in an envelope
    UNAUTHORIZED = "unauthorized"  # HTTP 401
    CLOSE = "close"  # hangs up


@dataclass
class Mood:
    """The knob: which fault, in which module (all when empty), how often (always when None)."""

    fault: Fault = Fault.OK
    module: str = ""
    times: int | None = None

    def __post_init__(self) -> None:
        self._lock = Lock()

    def next(self, module: str) -> Fault:
        """Return the fault of the next request for a module."""
        with self._lock:
            if self.fault is Fault.OK or self.module not in {"", module} or self.times == 0:
                return Fault.OK
            if self.times is not None:
                self.times -= 1
            return self.fault
