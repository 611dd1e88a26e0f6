"""The load: a steady stream of writes, and a record of what became of each.

Every object belongs to one thread, so its versions are told one after the other, as one charge
point or one back office does.
"""

import base64
import http.client
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from hub.ocpi import json
from tests import objects
from tests.faults.receivers import version
from tests.objects import Owner

PATIENCE = 20.0  # seconds: a caller of the hub waits for it
THREADS = 8
chance = random.Random()  # noqa: S311 - another run, another timing
STATUSES = ("AVAILABLE", "CHARGING", "BLOCKED", "OUTOFORDER", "RESERVED")


@dataclass(frozen=True)
class Write:
    """One write and what the hub said; status 0 when it said nothing."""

    key: str
    version: str
    at: float
    seconds: float
    status: int
    code: int | None
    retry_after: str | None = None
    error: str = ""

    @property
    def accepted(self) -> bool:
        """Tell whether the hub has taken it."""
        return 200 <= self.status < 300 and self.code == 1000


@dataclass(frozen=True)
class Call:
    """A call to be made by a platform, and what it is to bring about."""

    method: str
    path: str
    body: Mapping[str, Any]
    key: str
    version: str


class Line:
    """A keep-alive connection of a platform to the hub."""

    def __init__(self, url: str, token: str) -> None:
        self.address = urlsplit(url).netloc
        encoded = base64.b64encode(token.encode()).decode()
        self.headers = {"Authorization": f"Token {encoded}", "Content-Type": "application/json"}
        self.connection: http.client.HTTPConnection | None = None

    def make(self, call: Call) -> Write:
        """Make a call once and tell what became of it; nothing is repeated."""
        started, at = time.monotonic(), time.time()
        try:
            status, code, retry_after = self._exchange(call)
        except (OSError, http.client.HTTPException, json.JsonError) as error:
            self.hang_up()
            seconds = time.monotonic() - started
            return Write(call.key, call.version, at, seconds, 0, None, error=repr(error))
        seconds = time.monotonic() - started
        return Write(call.key, call.version, at, seconds, status, code, retry_after)

    def _exchange(self, call: Call) -> tuple[int, int | None, str | None]:
        content = json.dumps(call.body)
        response = self._ask(call.method, f"/ocpi/2.2.1/{call.path}", content).getresponse()
        content = response.read()
        code = None
        if response.headers.get_content_type() == "application/json":
            code = json.loads(content).get("status_code")
        if response.will_close:
            self.hang_up()
        return response.status, code, response.headers["Retry-After"]

    def _ask(self, method: str, path: str, content: bytes) -> http.client.HTTPConnection:
        """Send a request; a kept connection that was closed meanwhile is opened again, as usual."""
        if self.connection is not None:
            try:
                self.connection.request(method, path, content, self.headers)
                return self.connection
            except (BrokenPipeError, ConnectionResetError):
                self.hang_up()
        self.connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        self.connection.request(method, path, content, self.headers)
        return self.connection

    def hang_up(self) -> None:
        """Close the connection; the next call opens another."""
        if self.connection:
            self.connection.close()
        self.connection = None


class Clock:
    """Instants in OCPI's form that never repeat."""

    def __init__(self) -> None:
        self._last = datetime(2000, 1, 1, tzinfo=UTC)

    def stamp(self) -> str:
        """Return the present instant, or the next millisecond after the last one."""
        self._last = max(datetime.now(UTC), self._last + timedelta(milliseconds=1))
        return self._last.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self._last.microsecond // 1000:03}Z"


# What is written


class Evses:
    """A location of a CPO, whose EVSEs change their status all the time."""

    def __init__(self, owner: Owner, uid: str, evses: int) -> None:
        self.owner, self.uid, self.clock = owner, uid, Clock()
        self.uids = [f"{uid}E{number}" for number in range(evses)]

    def first(self) -> Iterator[Call]:
        """Publish the location."""
        stamp = self.clock.stamp()
        evses = [objects.evse(uid=uid, last_updated=stamp) for uid in self.uids]
        body = objects.location(self.owner, id=self.uid, evses=evses, last_updated=stamp)
        yield self._call("PUT", "", body, self.uids[0], evses[0])

    def next(self) -> Call:
        """Change the status of an EVSE."""
        uid = chance.choice(self.uids)
        body = {"status": chance.choice(STATUSES), "last_updated": self.clock.stamp()}
        return self._call("PATCH", f"/{uid}", body, uid, body)

    def _call(self, method: str, tail: str, body: Any, uid: str, evse: Any) -> Call:
        place = f"{self.owner.country_code}/{self.owner.party_id}/{self.uid}"
        path = f"receiver/locations/{place}{tail}"
        return Call(method, path, body, f"evse/{place}/{uid}", version(evse, "status"))


class Sessions:
    """A session of a CPO that is told again and again, with more energy each time."""

    def __init__(self, owner: Owner, payer: Owner, uid: str) -> None:
        self.owner, self.payer, self.uid, self.clock = owner, payer, uid, Clock()
        self.energy = itertools.count(1)

    def first(self) -> Iterator[Call]:
        """Begin with nothing."""
        return iter(())

    def next(self) -> Call:
        """Tell the session as it is now."""
        changes = {"kwh": next(self.energy), "last_updated": self.clock.stamp()}
        body = objects.session(self.owner, self.payer, id=self.uid, **changes)
        place = f"{self.owner.country_code}/{self.owner.party_id}/{self.uid}"
        key, told = f"session/{place}", version(body, "kwh")
        return Call("PUT", f"receiver/sessions/{place}", body, key, told)


class Cdrs:
    """The CDRs of a CPO for one payer, each sent once."""

    def __init__(self, owner: Owner, payer: Owner, prefix: str) -> None:
        self.owner, self.payer, self.prefix, self.clock = owner, payer, prefix, Clock()
        self.numbers = itertools.count(1)

    def first(self) -> Iterator[Call]:
        """Begin with nothing."""
        return iter(())

    def next(self) -> Call:
        """Send the next CDR, of a session of its own."""
        uid = f"{self.prefix}-{next(self.numbers)}"
        changes = {"id": uid, "session_id": f"S{uid}", "last_updated": self.clock.stamp()}
        body = objects.cdr(self.owner, self.payer, **changes)
        key = f"cdr/{self.owner.country_code}/{self.owner.party_id}/{uid}"
        return Call("POST", "receiver/cdrs", body, key, version(body, "total_energy"))


class Tokens:
    """A token of an eMSP, blocked and released in turn."""

    def __init__(self, owner: Owner, uid: str, valid: Callable[[], bool]) -> None:
        self.owner, self.uid, self.valid, self.clock = owner, uid, valid, Clock()

    def first(self) -> Iterator[Call]:
        """Tell the token."""
        yield self.next()

    def next(self) -> Call:
        """Tell whether the token is valid now."""
        changes = {"valid": self.valid(), "last_updated": self.clock.stamp()}
        body = objects.token(self.owner, uid=self.uid, **changes)
        place = f"{self.owner.country_code}/{self.owner.party_id}/{self.uid}"
        path, told = f"receiver/tokens/{place}?type=RFID", version(body, "valid")
        return Call("PUT", path, body, f"token/{place}", told)


Source = Evses | Sessions | Cdrs | Tokens


# The load


@dataclass
class Driver:
    """Writes to the hub at a steady rate; `sources` are what each platform tells, by its party."""

    url: str
    tokens: dict[str, str]
    rate: float
    sources: Mapping[str, list[Source]]
    writes: list[Write] = field(default_factory=list)

    def prepare(self) -> None:
        """Tell everything once; who pays has to be known before who charges."""
        for party, sources in self.sources.items():
            line = Line(self.url, self.tokens[party])
            for source in sources:
                self.writes += [line.make(call) for call in source.first()]
        assert all(write.accepted for write in self.writes), self.writes

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write until the end of the context."""
        stop = Event()
        threads = [Thread(target=self._work, args=(n, stop)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _work(self, number: int, stop: Event) -> None:
        """Write what belongs to one thread: what is late is made up for, but not all at once."""
        lines = {party: Line(self.url, token) for party, token in self.tokens.items()}
        mine = self._shares(number)
        pause, due = THREADS / self.rate, time.monotonic() + chance.random()
        while not stop.wait(max(0.0, due - time.monotonic())):
            kind = chance.choices(list(mine), [SHARES[kind] for kind in mine])[0]
            party, source = chance.choice(mine[kind])
            self.writes.append(lines[party].make(source.next()))
            due = max(due + pause, time.monotonic() - 1)
        for line in lines.values():
            line.hang_up()

    def _shares(self, number: int) -> dict[type, list[tuple[str, Source]]]:
        """Return the sources of one thread, by their kind."""
        found: dict[type, list[tuple[str, Source]]] = {}
        counts: Counter[type] = Counter()
        for party, sources in self.sources.items():
            for source in sources:
                if counts[type(source)] % THREADS == number:
                    found.setdefault(type(source), []).append((party, source))
                counts[type(source)] += 1
        return found


SHARES: dict[type, int] = {Evses: 70, Sessions: 20, Cdrs: 5, Tokens: 5}
