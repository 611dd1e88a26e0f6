"""Partners whose every byte a test decides: real HTTP servers that see paths as they were sent."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from parties import keys
from parties.models import Endpoint, Platform
from tests.speaking import Speaker, joined

TOKEN = "partner-s_token"


@dataclass(frozen=True)
class Seen:
    """A request as it came: the path with its slashes and query."""

    method: str
    path: str
    headers: Any
    body: bytes


@dataclass
class Said:
    """An answer to the byte."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def envelope(data: Any = None, code: int = 1000, status: int = 200, **headers: str) -> Said:
    """Return an answer as OCPI has it, but for the ids."""
    content = {"status_code": code, "timestamp": "2026-11-25T10:00:00Z"}
    if data is not None:
        content["data"] = data
    return Said(status, json.dumps(content).encode(), headers)


@dataclass
class Wire:
    """A served partner: what it saw, and the platform as the hub knows it."""

    url: str
    answer: Callable[[Seen], Said]
    seen: list[Seen] = field(default_factory=list)

    def platform(self, speaker: Speaker, **columns: Any) -> Platform:
        """Make a speaker's platform the one that is served here."""
        known = {"sealed_token": keys.seal(TOKEN), "hosts": [self.url.split("/")[2]], **columns}
        Platform.objects.filter(pk=speaker.platform.pk).update(**known)
        return speaker.platform


@contextmanager
def wire(answer: Callable[[Seen], Said]) -> Iterator[Wire]:
    """Serve a function that answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            seen = Seen(self.command, self.path, self.headers, self.rfile.read(length))
            found.seen.append(seen)
            said = found.answer(seen)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if said.status != 204:
                self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = reply  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Wire(f"http://127.0.0.1:{server.server_port}", answer)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def receiving(found: Wire, module: str, *, path: str = "", **columns: Any) -> Speaker:
    """Return an eMSP that receives a module at a served URL."""
    speaker = joined("DE", "EMP", "EMSP")
    platform = found.platform(speaker, **columns)
    url = f"{found.url}{path or '/' + module}"
    Endpoint.objects.create(platform=platform, module=module, interface="RECEIVER", url=url)
    return speaker
