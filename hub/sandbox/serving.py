"""A small HTTP server on loopback, which can also fail in interesting ways."""

import logging
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from requests.structures import CaseInsensitiveDict

from hub.ocpi import json
from hub.sandbox.faults import Fault
from hub.sandbox.inbox import Received

logger = logging.getLogger(__name__)
HANG_SECONDS = 120.0
DRIP_SECONDS = 0.2  # per byte
HUGE = 64 * 1024 * 1024  # bytes
SPACE = b" " * 65536
NOISE = bytes(range(256)) * 2


@dataclass(frozen=True)
class Reply:
    """An answer, and the way it is given."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault = Fault.OK

    @classmethod
    def of(cls, status: int, value: Any, **headers: str) -> "Reply":
        """Return an answer in JSON."""
        return cls(status, json.dumps(value), headers)


Application = Callable[[Received], Reply]


def by_prefix(applications: Mapping[str, Application]) -> Application:
    """Return the application that hands a request over by the first segment of its path."""

    def application(received: Received) -> Reply:
        prefix, *rest = received.path or ("",)
        if prefix not in applications:
            return Reply.of(404, {"error": "nothing is served here"})
        return applications[prefix](replace(received, path=tuple(rest)))

    return application


class Server(ThreadingHTTPServer):
    """Serves an application at 127.0.0.1, on any free port unless one is named."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, application: Application, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.application = application
        self.stopped = Event()
        self._connections: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        """Serve in a thread of its own."""
        Thread(target=self.serve_forever, args=(0.02,), daemon=True, name="partner").start()

    def stop(self) -> None:
        """Stop serving, on connections that are kept alive too."""
        self.stopped.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Keep the connection in mind while it lasts."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong here; callers may hang up when they like."""
        if not isinstance(sys.exception(), OSError):
            logger.exception("a request could not be answered")


class Handler(BaseHTTPRequestHandler):
    """Turns requests into `Received` and replies into bytes, one write each."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer(self) -> None:
        """Answer the request."""
        reply = self.server.application(self._received())
        match reply.fault:
            case Fault.HANG:
                self._leave(HANG_SECONDS)
            case Fault.CLOSE:
                self._leave(0)
            case Fault.NOISE:
                self.wfile.write(NOISE)
                self._leave(0)
            case Fault.HUGE:
                self._head(reply, HUGE)
                self._pour(HUGE)
            case Fault.DRIP_HEAD:
                self._drip(b"HTTP/1.1 200 OK\r\n" + b"X-Drop: drip\r\n" * 1000)
            case Fault.DRIP:
                self._head(reply, len(reply.content))
                self._drip(reply.content)
            case _:
                self._head(reply, len(reply.content))
                self.wfile.write(reply.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def _received(self) -> Received:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        return Received(
            method=self.command,
            path=tuple(unquote(segment) for segment in parts.path.split("/") if segment),
            query=dict(parse_qsl(parts.query)),
            headers=CaseInsensitiveDict(self.headers.items()),
            content=self.rfile.read(length),
        )

    def _head(self, reply: Reply, length: int) -> None:
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", **reply.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _leave(self, seconds: float) -> None:
        """Hang up after a while, without an answer."""
        self.server.stopped.wait(seconds)
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _pour(self, length: int) -> None:
        """Send so many bytes, as fast as they are taken."""
        for _ in range(0, length, len(SPACE)):
            self.wfile.write(SPACE)

    def _drip(self, content: bytes) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.stopped.wait(DRIP_SECONDS) or time.monotonic() > deadline:
                break
