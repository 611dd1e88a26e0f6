"""Passing a request on to one party, and its answer back.

What goes on is what came: the tail of the path, the query and the body to the byte, under the same
routing headers and the same correlation id. What comes back is the far side's answer, unless it is
none. A web thread waits meanwhile (no transaction does), so the time is limited, and so is the
number of requests that may wait: together, for one platform, and by one. The limits are those of
one web process; with several of them a platform may have as many times its share.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import quote

from hub import egress, metrics
from hub.ocpi import client
from hub.ocpi.errors import HubError, NotConnected, TimedOut
from hub.ocpi.messages import Ids, Route
from hub.ocpi.versions import is_own
from parties import calling
from parties.models import Platform, Role

SECONDS = 9.8  # that a caller waits at most, who gives up after 10
UNRESERVED = "%!$&'()*+,;=:@/?~[]"  # what a query string keeps; all else in it is encoded
PAGE_BYTES = 8 * 1024 * 1024  # of a list of another party
TOGETHER = 10  # requests that wait at once, of the 24 threads of a web process
URGENT = 6  # of its threads for real-time authorisation
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
    """Counts the requests that wait in this process: together, for each platform, and by each.

    Nobody takes, as caller or as receiver, more lanes than are left for the others: of ten the
    first platform gets five, a second one three of the rest. So two that work together leave some.
    """

    def __init__(self, together: int) -> None:
        self.together = together
        self._callers: Counter[int] = Counter()
        self._receivers: Counter[int] = Counter()
        self._timeouts: Counter[int] = Counter()
        self._lock = Lock()

    @property
    def share(self) -> int:
        """Return the most that one platform can have."""
        return (self.together + 1) // 2

    @contextmanager
    def lane(self, caller: Platform, receiver: Platform) -> Iterator[None]:
        """Take a lane from one platform to another.

        Raises NotConnected at once when none is free for them.
        """
        self._enter(caller, receiver)
        try:
            yield
        finally:
            with self._lock:
                self._callers[caller.pk] -= 1
                self._receivers[receiver.pk] -= 1

    @contextmanager
    def timed(self, receiver: Platform) -> Iterator[None]:
        """Count the timeouts in a row of a platform that is called meanwhile."""
        timeouts = 0
        try:
            yield
        except TimedOut:
            timeouts = self._timeouts[receiver.pk] + 1
            raise
        finally:
            self._timeouts[receiver.pk] = timeouts

    def _enter(self, caller: Platform, receiver: Platform) -> None:
        with self._lock:
            left = self.together - self._callers.total()
            waiting, asking = self._receivers[receiver.pk], self._callers[caller.pk]
            hangs = self._timeouts[receiver.pk] >= PATIENCE
            if left < 1:
                raise NotConnected("too many requests wait for partners: try again in a moment")
            if waiting >= (1 if hangs else left):
                raise NotConnected(
                    f"{receiver} leaves {waiting} requests waiting already: try again in a moment"
                )
            if asking >= left:
                raise NotConnected(
                    f"{caller} has {asking} requests waiting already: await an answer first"
                )
            self._callers[caller.pk] += 1
            self._receivers[receiver.pk] += 1


lanes = Lanes(TOGETHER)
urgent = Lanes(URGENT)


def lanes_of(outgoing: Outgoing) -> Lanes:
    """Return the lanes of a request: a driver at the pole waits behind nobody's command."""
    authorize = outgoing.module == "tokens" and outgoing.method == "POST"
    return urgent if authorize else lanes


def lane(outgoing: Outgoing) -> AbstractContextManager[None]:
    """Take a lane for a request; raises NotConnected at once when none is free."""
    return lanes_of(outgoing).lane(outgoing.sender.platform, outgoing.receiver.platform)


def forward(outgoing: Outgoing) -> client.Answer:
    """Pass a request on and return the answer, whatever it says.

    Raises NotConnected (4003), TimedOut (4002), or HubError (4000) where the platform does not
    offer the interface.
    """
    return call(outgoing, url_of(outgoing))


def base_of(outgoing: Outgoing) -> str:
    """Return where the receiver offers the interface of a request; raises as `forward` does."""
    platform = outgoing.receiver.platform
    return calling.endpoint_of(platform, outgoing.module, outgoing.interface)


def url_of(outgoing: Outgoing, base: str = "") -> str:
    """Return the URL that a request goes on to; `base` is what `base_of` returns."""
    base = base or base_of(outgoing)
    query = quote(outgoing.query, safe=UNRESERVED, encoding="latin-1")
    return client.join(base, *outgoing.path) + (f"?{query}" if query else "")


def call(outgoing: Outgoing, url: str) -> client.Answer:
    """Call any URL of the receiver on behalf of somebody who waits; raises as `forward` does."""
    with lane(outgoing):
        return send(outgoing, url)


def send(outgoing: Outgoing, url: str) -> client.Answer:
    """Call any URL of the receiver, in a lane that is taken already."""
    platform = outgoing.receiver.platform
    if is_own(url):
        raise HubError(f"{platform} names a URL of the hub itself")
    seconds = outgoing.until - time.monotonic()
    if seconds <= 0:
        raise TimedOut("the time for this request is over")
    message = calling.Call(
        outgoing.method,
        url,
        module=outgoing.module,
        interface=outgoing.interface,
        body=outgoing.content,
        route=outgoing.route,
        ids=outgoing.ids.next(),
        seconds=seconds,
        largest=PAGE_BYTES if outgoing.method == "GET" else egress.BODY_LIMIT,
    )
    with lanes_of(outgoing).timed(platform), _timed(outgoing.module):
        return calling.ask(platform, message)


@contextmanager
def _timed(module: str) -> Iterator[None]:
    """Note how long a party takes to answer, if it is a command that it is passed."""
    started = time.monotonic()
    try:
        yield
    except TimedOut:
        if module == "commands":
            metrics.COMMAND_TIMEOUT.inc()
        raise
    finally:
        if module == "commands":
            metrics.COMMAND_LATENCY.observe(time.monotonic() - started)


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
