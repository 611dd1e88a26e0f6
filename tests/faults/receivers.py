"""Receivers of the hub's pushes, many in one process, each with a ledger of what it received.

    python -m tests.faults.receivers FOLDER URL NAME=ROLE ...

The process prints where it listens; URL is where others find it, if not there. Each receiver is
served below /NAME; a POST to /mood/NAME with the name of a mood turns its knob. A ledger is a file
of JSON lines, FOLDER/NAME.ledger, written at once.
"""

import asyncio
import base64
import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hub.ocpi import json
from hub.processes import mortal
from tests.faults import moods

ROOT = Path(__file__).resolve().parent.parent.parent
HEARS = {"CPO": ("tokens",), "EMSP": ("locations", "sessions", "cdrs")}


# What a message says


def versions(module: str, path: list[str], body: Any) -> dict[str, str]:
    """Return the versions that a message tells, by the keys of their objects.

    The unit of a location is an EVSE; an instant and a fact of the body make a version, so that
    later ones sort after earlier ones.
    """
    if module == "locations":
        country, party, uid, *part = path
        evses = [{"uid": part[0], **body}] if part else body["evses"]
        return {
            f"evse/{country}/{party}/{uid}/{evse['uid']}": version(evse, "status") for evse in evses
        }
    if module == "cdrs":
        path = [body["country_code"], body["party_id"], body["id"]]
    fact = {"sessions": "kwh", "tokens": "valid", "cdrs": "total_energy"}[module]
    return {"/".join([module.removesuffix("s"), *path[:3]]): version(body, fact)}


def version(item: Mapping[str, Any], fact: str) -> str:
    """Return a version: when the owner changed it, and what it says."""
    value = item[fact]
    said = value if isinstance(value, str | bool) else f"{float(value):.4f}"
    return f"{item['last_updated']} {said}"


# The server


@dataclass(frozen=True)
class Asked:
    """A request: the segments of its path, who asks, and the body."""

    method: str
    path: list[str]
    authorization: str
    content: bytes


class Receiver:
    """One receiver: its knob and its ledger."""

    def __init__(self, name: str, role: str, folder: Path) -> None:
        self.name, self.role, self.mood = name, role, moods.OK
        self.ledger = (folder / f"{name}.ledger").open("a", buffering=1)

    def note(self, asked: Asked, applied: bool) -> None:
        """Append a push to the ledger."""
        if asked.method == "GET":
            return
        _, _, module, *rest = asked.path
        told = versions(module, rest, json.loads(asked.content)) if asked.content else {}
        entry = {"at": time.time(), "method": asked.method, "applied": applied, "versions": told}
        self.ledger.write(json.dumps(entry).decode() + "\n")

    def endpoints(self, base: str) -> list[dict[str, str]]:
        """Return the endpoints of version details."""
        pairs = [("credentials", "SENDER"), *((module, "RECEIVER") for module in HEARS[self.role])]
        return [
            {"identifier": module, "role": role, "url": f"{base}/{module}"}
            for module, role in pairs
        ]


class Server:
    """Serves all receivers on one port."""

    def __init__(self, receivers: list[Receiver], url: str) -> None:
        self.receivers = {receiver.name: receiver for receiver in receivers}
        self.url = url

    async def serve(self) -> None:
        """Listen, say where, and answer for ever."""
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0, limit=2**22)
        _, port = server.sockets[0].getsockname()
        own = f"http://127.0.0.1:{port}"
        self.url = self.url or own
        print(own, flush=True)  # noqa: T201 - who started it reads it
        async with server:
            await server.serve_forever()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(OSError, asyncio.IncompleteReadError, moods.HungUp):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *lines = head.split("\r\n")
                pairs = (item.partition(":") for item in lines if item)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                content = await reader.readexactly(int(headers.get("content-length", 0)))
                method, target, _ = line.split(" ")
                path = target.partition("?")[0].strip("/").split("/")
                asked = Asked(method, path, headers.get("authorization", ""), content)
                await self.answer(writer, asked, lambda: not reader.at_eof())
                await writer.drain()
        writer.close()

    async def answer(
        self, writer: asyncio.StreamWriter, asked: Asked, waiting: Callable[[], bool]
    ) -> None:
        """Answer one request; what nobody waits for any more is not kept, as it may be late."""
        name, *path = asked.path
        if name == "mood":
            self.receivers[path[0]].mood = asked.content.decode()
            writer.write(moods.enveloped())
            return
        receiver = self.receivers.get(name)
        if receiver is None or asked.authorization not in authorizations(name):
            writer.write(moods.enveloped(code=2001, status="401 Unauthorized"))
            return
        mood = receiver.mood
        if mood not in moods.APPLIES:
            receiver.note(asked, applied=False)
        if mood != moods.OK:
            await moods.MOODS[mood](writer)
        if mood in moods.APPLIES:
            receiver.note(asked, applied=waiting())
        if mood == moods.OK:
            writer.write(moods.enveloped(self.shown(receiver, path)))

    def shown(self, receiver: Receiver, path: list[str]) -> Any:
        """Return what a GET is answered with; nothing for a push."""
        base = f"{self.url}/{receiver.name}/2.2.1"
        match path:
            case ["versions"]:
                return [{"version": "2.2.1", "url": base}]
            case ["2.2.1"]:
                return {"version": "2.2.1", "endpoints": receiver.endpoints(base)}
        return None


def token_of(name: str) -> str:
    """Return the token that a receiver gives the hub."""
    return f"token-of-{name}"


def authorizations(name: str) -> set[str]:
    """Return the headers in which a receiver accepts its token."""
    token = token_of(name)
    return {f"Token {token}", f"Token {base64.b64encode(token.encode()).decode()}"}


# Having receivers


@dataclass(frozen=True)
class Receivers:
    """The receivers of a scene, in a process of their own."""

    url: str
    pid: int
    folder: Path

    @property
    def address(self) -> tuple[str, int]:
        """Return where the process listens."""
        return "127.0.0.1", urlsplit(self.url).port or 0

    def turn(self, name: str, mood: str) -> None:
        """Put a receiver in a mood."""
        assert self.request("POST", f"mood/{name}", mood.encode()) == 200

    def push(self, name: str, path: str, body: Any) -> int:
        """Send a receiver something that the hub did not, and return the status of the answer."""
        return self.request("PUT", f"{name}/2.2.1/{path}", json.dumps(body), token_of(name))

    def request(self, method: str, path: str, content: bytes, token: str = "") -> int:
        """Make a request and return the status of the answer."""
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        headers = {"Authorization": f"Token {token}"}
        connection.request(method, f"/{path}", content, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def ledger(self, name: str) -> list[dict[str, Any]]:
        """Return what a receiver has received, in order."""
        lines = (self.folder / f"{name}.ledger").read_bytes().splitlines()
        return [json.loads(line) for line in lines]


@contextmanager
def receivers(folder: Path, roles: Mapping[str, str], url: str = "") -> Iterator[Receivers]:
    """Have receivers with roles by their names; `url` is where the hub finds them, if not there."""
    named = [f"{name}={role}" for name, role in roles.items()]
    command = [sys.executable, "-m", "tests.faults.receivers", str(folder), url, *named]
    options: Any = {"cwd": ROOT, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, preexec_fn=mortal(), **options)
    try:
        assert process.stdout
        yield Receivers(process.stdout.readline().strip(), process.pid, folder)
    finally:
        process.kill()
        process.wait()


def main(folder: str, url: str, *named: str) -> None:
    """Serve until killed."""
    pairs = [item.split("=") for item in named]
    server = Server([Receiver(name, role, Path(folder)) for name, role in pairs], url)
    asyncio.run(server.serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
