"""Passing a request on to one party, and its answer back.

What goes on is what came: the tail of the path, the query and the body to the byte, under the same
routing headers and the same correlation id. What comes back is the far side's answer, unless it is
none. A web thread waits meanwhile (no transaction does), so the time is limited, and so is the
number of requests that one platform, or all of them together, may keep waiting.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import quote

from hub import egress
from hub.ocpi import client
from hub.ocpi.errors import HubError, NotConnected, TimedOut
from hub.ocpi.messages import Ids, Route
from hub.ocpi.versions import is_own
from parties import calling
from parties.models import Platform, Role

SECONDS = 10.0
UNRESERVED = "%!$&'()*+,;=:@/?~[]"  # what a query string keeps; all else in it is encoded
PAGE_BYTES = 8 * 1024 * 1024  # of a list of another party
EACH, TOGETHER = 6, 12  # of the 24 threads of a web process (hub/supervisor.py), which has a twin
URGENT = (4, 4)  # of them for real-time authorisation
PATIENCE = 3  # timeouts in a row after which a platform has one lane, until it answers again


@dataclass(frozen=True)
class Outgoing:
    """A request as it goes on: from whom to whom, what, and until when (monotonic clock)."""

    method: str
    module: str
    interface: str
    sender: Role
    receiver: Role
    path: tuple[str, ...] = ()
    query: str = ""
    content: bytes | None = None
    ids: Ids = field(default_factory=Ids)
    until: float = field(default_factory=lambda: time.monotonic() + SECONDS)

    @property
    def route(self) -> Route:
        """Return the routing headers: requester and receiver, never the hub."""
        return Route(to=self.receiver.party.address, sender=self.sender.party.address)


@dataclass(frozen=True)
class Relayed:
    """What the requester is answered: the far side's words under the hub's HTTP status."""

    http: int
    code: int
    message: str
    data: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Tell whether the far side says success."""
        return 1000 <= self.code < 2000


class Lanes:
    """Counts the requests that wait in this process, per platform and together."""

    def __init__(self, each: int, together: int) -> None:
        self.each, self.together = each, together
        self._waiting: Counter[int] = Counter()
        self._timeouts: Counter[int] = Counter()
        self._lock = Lock()

    @contextmanager
    def lane(self, platform: Platform) -> Iterator[None]:
        """Take a lane to a platform; raises NotConnected at once when none is free."""
        self._enter(platform)
        timeouts = 0
        try:
            yield
        except TimedOut:
            timeouts = 1
            raise
        finally:
            with self._lock:
                self._waiting[platform.pk] -= 1
                self._timeouts[platform.pk] = timeouts and self._timeouts[platform.pk] + 1

    def _enter(self, platform: Platform) -> None:
        with self._lock:
            waiting, hangs = self._waiting[platform.pk], self._timeouts[platform.pk] >= PATIENCE
            if waiting >= (1 if hangs else self.each):
                raise NotConnected(f"{platform} leaves {waiting} requests waiting already")
            if self._waiting.total() >= self.together:
                raise NotConnected("too many requests wait for partners, try again in a minute")
            self._waiting[platform.pk] += 1


lanes = Lanes(EACH, TOGETHER)
urgent = Lanes(*URGENT)


def lanes_of(outgoing: Outgoing) -> Lanes:
    """Return the lanes of a request: a driver at the pole waits behind nobody's command."""
    authorize = outgoing.module == "tokens" and outgoing.method == "POST"
    return urgent if authorize else lanes


def forward(outgoing: Outgoing) -> client.Answer:
    """Pass a request on and return the answer, whatever it says.

    Raises NotConnected (4003), TimedOut (4002), or HubError (4000) where the platform does not
    offer the interface.
    """
    platform = outgoing.receiver.platform
    return call(platform, outgoing, url_of(outgoing))


def url_of(outgoing: Outgoing) -> str:
    """Return the URL that a request goes on to, at the same interface of the receiver."""
    base = calling.endpoint_of(outgoing.receiver.platform, outgoing.module, outgoing.interface)
    query = quote(outgoing.query, safe=UNRESERVED, encoding="latin-1")
    return client.join(base, *outgoing.path) + (f"?{query}" if query else "")


def call(
    platform: Platform, outgoing: Outgoing, url: str, *, secret: bool = False
) -> client.Answer:
    """Call any URL of a platform on behalf of somebody who waits; raises as `forward` does.

    A `secret` URL is a capability, which the journal does not show.
    """
    if is_own(url):
        raise HubError(f"{platform} names a URL of the hub itself")
    seconds = outgoing.until - time.monotonic()
    if seconds <= 0:
        raise TimedOut("the time for this request is over")
    with lanes_of(outgoing).lane(platform):
        return calling.ask(
            platform,
            calling.Call(
                outgoing.method,
                url,
                module=outgoing.module,
                interface=outgoing.interface,
                body=outgoing.content,
                route=outgoing.route,
                ids=outgoing.ids.next(),
                seconds=seconds,
                secret=secret,
                largest=PAGE_BYTES if outgoing.method == "GET" else egress.BODY_LIMIT,
            ),
        )


def relayed(answer: client.Answer, method: str, *, missing: int = 0) -> Relayed:
    """Return what the requester is told of an answer.

    The far side's own code and data go through, 404 and 405 of a GET too. `missing` is the code of
    a 404 without an envelope, where that says something. Raises NotConnected when the far side
    refuses the hub itself (a 401 of theirs is none of ours), HubError for what is no answer of
    OCPI.
    """
    _refuse_refusal(answer)
    if answer.code is None:
        return _bare(answer, method, missing)
    if not 1000 <= answer.code < 5000:
        raise HubError(f"the receiver answers with the status code {answer.code}")
    succeeded = 200 <= answer.http < 300
    if answer.code < 2000 and not succeeded:
        raise HubError(f"the receiver answers HTTP {answer.http}, and OCPI {answer.code}")
    return Relayed(_http(answer, method), answer.code, answer.message, answer.data, answer.headers)


def _refuse_refusal(answer: client.Answer) -> None:
    if answer.http in {401, 403}:
        raise NotConnected(f"the receiver refuses the hub's call (HTTP {answer.http})")
    if answer.http == 429:
        raise NotConnected("the receiver asks for fewer requests (HTTP 429)")


def _bare(answer: client.Answer, method: str, missing: int) -> Relayed:
    """Read an answer without an envelope: what little it says."""
    if answer.http == 404 and (missing or method == "GET"):
        return Relayed(404, missing or 2000, "the receiver has no such object")
    if answer.http == 405 and method == "GET":
        return Relayed(405, 2000, "the receiver does not offer this")
    if method != "GET" and answer.silent:
        return Relayed(200, 1000, "Success")
    raise HubError(f"the receiver answers HTTP {answer.http} without an OCPI envelope")


def _http(answer: client.Answer, method: str) -> int:
    """Return the HTTP status for an answer in an envelope."""
    if answer.http == 404 or (answer.http == 405 and method == "GET"):
        return answer.http
    return 201 if answer.http == 201 else 200
