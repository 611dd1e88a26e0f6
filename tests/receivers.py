"""Many receivers in one cheap process, for benchmarks: `python -m tests.receivers COUNT`.

Each is a platform at a path of its own (/0, /1, ...), which shows its versions and acknowledges
every push with the same bytes. `/N/hang` has one take its requests and answer none, `/N/heal` ends
that. It prints its port.
"""

import asyncio
import json
import re
import sys

MODULES = ("locations", "tariffs", "sessions", "cdrs")
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
DONE = b'{"status_code":1000,"timestamp":"2026-11-10T10:00:00Z"}'


class Receiver(asyncio.Protocol):
    """One connection of the hub."""

    port = 0
    hanging: set[bytes] = set()

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n") + 4) > 3:
            head = self.buffer[:end]
            length = LENGTH.search(head)
            total = end + (int(length[1]) if length else 0)
            if len(self.buffer) < total:
                return
            self.buffer = self.buffer[total:]
            self.answer(head)

    def answer(self, head):
        method, path, _ = head.split(b" ", 2)
        _, number, *rest = path.split(b"/")
        if rest == [b"hang"]:
            self.hanging.add(number)
        elif rest == [b"heal"]:
            self.hanging.discard(number)
        elif number in self.hanging:
            return
        self.transport.write(said(self.shown(number.decode(), rest) if method == b"GET" else DONE))

    def shown(self, number, rest):
        base = f"http://127.0.0.1:{self.port}/{number}"
        if rest == [b"versions"]:
            return envelope([{"version": "2.2.1", "url": f"{base}/2.2.1"}])
        if rest != [b"2.2.1"]:
            return DONE
        roles = [("credentials", "SENDER"), *((module, "RECEIVER") for module in MODULES)]
        endpoints = [
            {"identifier": module, "role": role, "url": f"{base}/{module}"}
            for module, role in roles
        ]
        return envelope({"version": "2.2.1", "endpoints": endpoints})


def envelope(data):
    """Return an envelope's bytes."""
    content = {"status_code": 1000, "timestamp": "2026-11-10T10:00:00Z", "data": data}
    return json.dumps(content).encode()


def said(content):
    """Return an answer's bytes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(content) + content


async def main():
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
    Receiver.port = server.sockets[0].getsockname()[1]
    print(Receiver.port, flush=True)  # noqa: T201 - for who has started us
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
