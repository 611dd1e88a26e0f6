"""The entry of the web server: a request is taken in whole before one of the few threads is.

Threads are few, for each holds a connection to the database, and slow clients are many. So a body
is read without one, with a deadline and within a share of the memory, and only a complete request
gets a thread, in which Django answers it by WSGI. Refused here, without a thread, is what is too
slow, too large, framed in two ways, or more than can wait.

The server means its applications to run on an event loop. Waking that for every step costs more
than the steps do, so whichever thread brings news of a request goes on with it there and then.
Measured with an application that does nothing: 0.08 ms of CPU a request more than WSGI straight
from the server (0.2 ms by the event loop), where a client that sends half a body keeps a thread
until it hangs up.
"""

import os
import shutil
import socket
import stat
import sys
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Lock, Thread
from typing import Any, ClassVar, NoReturn, cast

from django.conf import settings
from granian.rsgi import (  # type: ignore[attr-defined]  # it does, only not in so many words
    HTTPProtocol,
    ProtocolClosed,
    ProtocolError,
    Scope,
)

from hub import metrics
from hub.ocpi.envelope import MAX_BODY, PROTECTION, error_response
from hub.ocpi.errors import Ambiguous, Busy, OcpiError, TooLarge, TooSlow
from hub.ocpi.messages import Ids
from hub.wsgi import application

THREADS = 24  # of each web process: most wait for partners (parties/forwarding.py has limits)
WAITING = 400  # requests that may wait for one of them
MIB = 1024 * 1024
BODY_SECONDS = 10.0  # for a body to arrive,
SLOWEST = MIB  # and a second more for every so many bytes
SMALL = 64 * 1024  # bytes of a body for which there is always room
UPLOAD = 24 * MIB  # of a body with files, on pages for people
MEMORY = 64 * MIB  # for the bodies that are larger, of all requests of the process
UNREAD_SECONDS = 10  # that a client may leave an answer lying

READING = frozenset({"GET", "HEAD", "OPTIONS"})
PLAIN = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}  # no HTTP_ in WSGI

Headers = list[tuple[str, str]]
Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

ENVIRON: Environ = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "granian",
    "wsgi.errors": sys.stderr,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


class Reception:
    """Takes requests in and has threads answer them (an RSGI application)."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.room = Room()
        self.disk = Disk(settings.DATA_DIR, settings.DISK_RESERVE * MIB)

    def __rsgi_init__(self, loop: AbstractEventLoop) -> None:
        """Begin work in a web process."""
        go_on_at_once(loop)
        self.threads = ThreadPoolExecutor(THREADS, "request")
        for watch in (cancel_the_late, hang_up_on_the_deaf):
            Thread(target=watch, daemon=True, name=watch.__name__).start()

    def __rsgi_del__(self, loop: AbstractEventLoop) -> None:
        """End work."""
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer a request."""
        share = Share(self.room)
        try:
            environ = environ_of(scope)
            self.disk.refuse_writes(environ)
            environ["wsgi.input"] = BytesIO(await read(protocol, environ, share))
            share.wait()
            await Turn(self.threads)
            protocol.response_bytes(*called(self.application, environ))
        except OcpiError as error:
            refuse(scope, protocol, error)
        except (ProtocolClosed, ProtocolError):  # the client went away
            protocol.response_empty(400, [])
        finally:
            share.give_back()


class Room:
    """What is left for requests: places in the queue for threads, memory for large bodies."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.places, self.memory = THREADS + WAITING, MEMORY


class Share:
    """What one request takes of that."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.places = self.memory = 0

    def take(self, size: int) -> None:
        """Have memory for a body of a size; raises Busy when there is none."""
        if size <= max(SMALL, self.memory):
            return
        with self.room.lock:
            more = size - self.memory
            if more > self.room.memory:
                raise Busy("too many large requests at once, try again", seconds=5)
            self.room.memory -= more
            self.memory = size

    def wait(self) -> None:
        """Take a place in the queue; raises Busy when there is none."""
        with self.room.lock:
            if not self.room.places:
                raise Busy("too many requests at once, try again", seconds=1)
            self.room.places -= 1
            self.places = 1

    def give_back(self) -> None:
        """Let others have it."""
        with self.room.lock:
            self.room.places += self.places
            self.room.memory += self.memory
        self.places = self.memory = 0


class Disk:
    """Whether there is room to write; 0 reserves a tenth of the disk, at most 2 GiB.

    Refused is what comes in, early: PostgreSQL still has room for what is under way, and a partner
    is told when to come again.
    """

    def __init__(self, folder: Path, reserve: int) -> None:
        self.folder, self.reserve = folder, reserve
        self.full, self.look_again = False, 0.0

    def refuse_writes(self, environ: Environ) -> None:
        """Refuse a call that would write when the disk is nearly full; raises Busy."""
        if environ["REQUEST_METHOD"] in READING or not environ["PATH_INFO"].startswith("/ocpi"):
            return
        if time.monotonic() > self.look_again:
            total, _, free = shutil.disk_usage(self.folder)
            self.full = free < (self.reserve or min(total // 10, 2048 * MIB))
            self.look_again = time.monotonic() + 1
        if self.full:
            raise Busy("the hub has no room to keep this now, try again", seconds=30)


# A request


def environ_of(scope: Scope) -> Environ:
    """Return what WSGI tells of a request; raises Ambiguous.

    Headers that come twice are joined by a comma, as WSGI servers do. A name with an underscore
    would be taken for its sister with hyphens, which a proxy may have set, so it is left out.
    """
    server, _, port = scope.server.rpartition(":")
    environ = ENVIRON | {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.url_scheme": scope.scheme,
    }
    known = scope.headers
    pairs = known.items()
    if len({name for name, _ in pairs}) < len(known.keys()):
        raise Ambiguous("a header holds more than printable ASCII")
    for name, value in pairs:
        if "_" not in name:
            _add(environ, PLAIN.get(name) or f"HTTP_{name.upper().replace('-', '_')}", value)
    return environ


def _add(environ: Environ, key: str, value: str) -> None:
    if key in environ:
        value = f"{environ[key]}{';' if key == 'HTTP_COOKIE' else ','}{value}"
    environ[key] = value


async def read(protocol: HTTPProtocol, environ: Environ, share: Share) -> bytes:
    """Read the body, in time and within limits; the environ then tells its length.

    Raises Ambiguous, TooLarge, TooSlow, Busy; ProtocolClosed or -Error when the client goes away.
    """
    declared, encoding = environ.get("CONTENT_LENGTH"), environ.pop("HTTP_TRANSFER_ENCODING", "")
    if encoding and (declared or encoding.lower() != "chunked"):
        raise Ambiguous("the length of the body is told in more than one way")
    length, most = int(declared or 0), most_bytes(environ)
    if length > most:
        raise TooLarge(f"a body has at most {most} bytes")
    if not encoding and not length:
        return b""
    until = time.monotonic() + BODY_SECONDS
    if encoding:
        body = await _chunks(protocol, share, until, most)
    else:
        share.take(length)
        body = await Within(protocol(), until + length / SLOWEST)
    environ["CONTENT_LENGTH"] = str(len(body))
    return body


def most_bytes(environ: Environ) -> int:
    """Return how long a body may be: messages of partners are short, people send files."""
    return MAX_BODY if environ["PATH_INFO"].startswith("/ocpi") else UPLOAD


async def _chunks(protocol: HTTPProtocol, share: Share, until: float, most: int) -> bytes:
    """Read a body of unknown length.

    The server gives an empty chunk at the end, and one more where the body broke off.
    """
    body, ends, chunks = bytearray(), 0, aiter(protocol)
    while True:
        try:
            chunk = await Within(anext(chunks), until + len(body) / SLOWEST)
        except StopAsyncIteration:
            break
        body += chunk
        ends += not chunk
        if len(body) > most:
            raise TooLarge(f"a body has at most {most} bytes")
        share.take(len(body))
    if ends > 1:
        raise Ambiguous("the body is not chunked as it should be")
    return bytes(body)


# An answer


def called(application: Application, environ: Environ) -> tuple[int, Headers, bytes]:
    """Call a WSGI application and return its whole answer."""
    begun: list[tuple[int, Headers]] = []

    def start(status: str, headers: Headers, failure: Any = None) -> None:
        begun[:] = [(int(status[:3]), headers)]

    parts = application(environ, start)
    try:
        body = b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    return *begun[0], body


def refuse(scope: Scope, protocol: HTTPProtocol, error: OcpiError) -> None:
    """Answer with an error, by an envelope where that is expected, and hang up."""
    if scope.path.startswith("/ocpi"):
        response = error_response(error)
        ids = Ids.from_headers(cast(Any, scope.headers)).headers()
        headers = [*response.items(), *ids.items(), *PROTECTION.items()]
        body = response.content
    else:
        headers, body = [("Content-Type", "text/plain")], f"{error.message}\n".encode()
    headers += [("Connection", "close"), ("X-Content-Type-Options", "nosniff")]
    metrics.REFUSED.labels(type(error).__name__).inc()
    protocol.response_bytes(error.http_status, headers, body)


# Going on with a request: the server's futures tell when, and `go_on` is called where they do


class Visit:
    """A request on its way: a coroutine that goes on wherever what it awaits is there."""

    __slots__ = ("awaited", "coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.coroutine = coroutine
        self.awaited: Any = None

    def go_on(self, *_: Any) -> None:
        """Go on until it awaits something else, or has ended."""
        awaited, self.awaited = self.awaited, None
        late = awaited is not None and awaited.cancelled()
        try:
            step = self.coroutine.throw(too_slow()) if late else self.coroutine.send(None)
        except StopIteration:
            return
        self.awaited = step
        step.add_done_callback(self.go_on)


class Turn:
    """Awaited, it has the request go on in one of the threads."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.threads = threads

    def __await__(self) -> Generator["Turn", None, None]:
        yield self

    def cancelled(self) -> bool:
        """Tell that it never is."""
        return False

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Have a thread call back."""
        self.threads.submit(callback)


class Within:
    """Awaits one of the server's futures until a time of the monotonic clock; raises TooSlow."""

    waiting: ClassVar[dict[Any, float]] = {}

    def __init__(self, future: Any, until: float) -> None:
        self.future, self.until = future, until

    def __await__(self) -> Generator[Any, None, bytes]:
        self.waiting[self.future] = self.until
        try:
            return bytes((yield from self.future.__await__()))
        finally:
            del self.waiting[self.future]


def too_slow() -> TooSlow:
    """Return what a request is refused with when its body has been awaited for too long."""
    return TooSlow("the body did not arrive in time")


def go_on_at_once(loop: AbstractEventLoop) -> None:
    """Have what the server gives to the loop done in its own thread, as far as it is a request."""

    def instead(schedule: Callable[..., Any]) -> Callable[..., Any]:
        def scheduled(callback: Callable[..., Any], *args: Any, **options: Any) -> Any:
            if args and isinstance(args[0], Coroutine):
                return Visit(args[0]).go_on()
            if isinstance(getattr(callback, "__self__", None), Visit):
                return callback()
            return schedule(callback, *args, **options)

        return scheduled

    for name in ("call_soon", "call_soon_threadsafe"):
        setattr(loop, name, instead(getattr(loop, name)))


def cancel_the_late() -> NoReturn:
    """Give up, once and again, what has been awaited for too long."""
    while True:
        time.sleep(0.5)
        now = time.monotonic()
        for future, until in list(Within.waiting.items()):
            if until < now:
                future.cancel()


# Connections


def hang_up_on_the_deaf() -> None:
    """Have the kernel close connections that nobody reads, once the server listens."""
    while hasattr(socket, "TCP_USER_TIMEOUT") and not limit_unread():
        time.sleep(0.2)


def limit_unread() -> bool:
    """Limit how long data may lie unread, for all connections to come; tell if we listen yet.

    The connections inherit it from the socket that listens, which the server opens by itself.
    """
    listeners = [found for found in _sockets() if found.getsockopt(*_LISTENS)]
    for listener in listeners:
        milliseconds = UNREAD_SECONDS * 1000
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return bool(listeners)


def _sockets() -> list[socket.socket]:
    """Return the TCP sockets of this process, duplicated."""
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # it was closed meanwhile
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                found.append(socket.socket(fileno=os.dup(number)))
    return [item for item in found if item.family in {socket.AF_INET, socket.AF_INET6}]


_LISTENS = (socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
rsgi = Reception(application)
