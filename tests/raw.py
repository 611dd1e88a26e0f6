"""Talking to a running hub by bare sockets, where every byte is ours."""

import base64
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil
import requests

from hub.ocpi import json
from tests.running import RunningHub

HOST = "127.0.0.1"
ESTABLISHED = 1  # of the states in tcp_info


@dataclass(frozen=True)
class Answer:
    """What came back until the hub hung up, or until it was complete."""

    raw: bytes

    @property
    def status(self):
        """Return the HTTP status, 0 when the hub hung up without a word."""
        return int(self.raw.split(b" ", 2)[1]) if self.raw else 0

    @property
    def headers(self):
        """Return the headers by their names in lower case."""
        lines = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}

    @property
    def envelope(self):
        """Return the body as JSON."""
        return json.loads(self.raw.partition(b"\r\n\r\n")[2])


def port_of(url: str) -> int:
    """Return the port in a URL."""
    port = urlsplit(url).port
    assert port
    return port


def connect(url: str, *, buffer: int = 0) -> socket.socket:
    """Open a connection; `buffer` is how many bytes of an answer it takes unread."""
    found = socket.socket()
    found.settimeout(30)
    if buffer:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    found.connect((HOST, port_of(url)))
    return found


def head(url: str, method: str, path: str, *lines: str) -> bytes:
    """Return a request up to its empty line."""
    first = (f"{method} {path} HTTP/1.1", f"Host: {HOST}:{port_of(url)}", *lines, "", "")
    return "\r\n".join(first).encode("latin-1")


def heard(connection: socket.socket) -> Answer:
    """Return what the hub says until it hangs up."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return Answer(b"".join(parts))


def say(url: str, content: bytes) -> Answer:
    """Send bytes and no more, and return what the hub says until it hangs up."""
    with connect(url) as connection:
        with suppress(OSError):  # it may hang up before it has heard all
            connection.sendall(content)
        return heard(connection)


def held(hub: RunningHub) -> set[int]:
    """Return the ports at the other end of the connections that the web processes hold."""
    held = [psutil.Process(pid).net_connections("tcp") for pid in hub.pids("web")]
    return {item.raddr.port for items in held for item in items if item.raddr}


def is_open(connection: socket.socket) -> bool:
    """Tell whether the other side still holds a connection, without reading from it."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so; tell whether it came to be."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def registered(hub: RunningHub, country: str, party: str, role: str) -> str:
    """Invite a push-only platform and register it; return the value of its Authorization."""
    invited = hub.manage("add_party", country, party, role, party, "--dialect", "quickstart")
    answer = requests.post(
        f"{hub.url}/ocpi/2.2/credentials",
        json={
            "token": "of-a_platform",
            "url": "http://127.0.0.1:1/versions",
            "roles": [{"role": role, "business_details": {"name": party}}],
        },
        headers={"Authorization": f"Token {invited['token']}"},
        timeout=30,
    )
    token = answer.json()["data"]["token"]
    return f"Token {base64.b64encode(token.encode()).decode()}"
