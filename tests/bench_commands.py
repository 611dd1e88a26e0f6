"""What the hub adds to a command: `python -m tests.bench_commands` prints p50 and p99.

An eMSP gives START_SESSION to a CPO that answers at once, through the hub and then directly; the
difference is the hub's overhead, journal and durable commits included. The CPO is a raw asyncio
server in a process of its own, so that it costs little of the cores that the hub has too.
"""

import asyncio
import base64
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import repeat
from typing import Any

from hub.ocpi import json, times
from tests import objects
from tests.benching import Figure, called, hub_cpu, load, request, table
from tests.running import ROOT, RunningHub, fresh_hub

SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
CONNECTIONS = (1, 4)
CPO, EMSP = objects.Owner("NL", "BCM"), objects.Owner("DE", "BCM")
ACCEPTED = {"result": "ACCEPTED", "timeout": 30}


def scenario(hub: RunningHub) -> Iterator[Figure]:
    """Measure the overhead of commands, at one caller and at several."""
    with serving() as port:
        emsp = join(hub, EMSP, "EMSP", port)
        token = join(hub, CPO, "CPO", port)
        path = f"/ocpi/2.2.1/receiver/locations/{CPO.country_code}/{CPO.party_id}/L1"
        called(hub_port(hub), request("PUT", path, token, json.dumps(objects.location(CPO))))
        for connections in CONNECTIONS:
            yield from overhead(hub, port, emsp, connections)


def overhead(hub: RunningHub, port: int, token: str, connections: int) -> Iterator[Figure]:
    """Give commands through the hub and directly; the hub's overhead is the difference."""
    content = json.dumps(command(port))
    direct = request("POST", "/2.2.1/commands/START_SESSION", token, content)
    through = request("POST", "/ocpi/2.2.1/receiver/commands/START_SESSION", token, content)
    load(hub_port(hub), connections, repeat(through), 1.0)  # warm
    own = load(port, connections, repeat(direct), 1.0)
    loaded = load(hub_port(hub), connections, repeat(through), SECONDS, lambda: hub_cpu(hub))
    name = f"command, {connections} connection(s)"
    yield loaded.figure(name)
    for place in (50, 99):
        added = (cut(loaded.latencies, place) - cut(own.latencies, place)) * 1000
        detail = f"CPO alone {cut(own.latencies, place) * 1000:.2f} ms"
        yield Figure(f"hub's overhead on a {name}, p{place}", added, "ms", detail)


def cut(latencies: list[float], place: int) -> float:
    """Return a percentile."""
    return statistics.quantiles(latencies, n=100)[place - 1]


def command(port: int) -> dict[str, Any]:
    """Return a START_SESSION at the CPO's location."""
    card = objects.token(EMSP)
    url = f"http://127.0.0.1:{port}/results/1"
    return {"response_url": url, "token": card, "location_id": "L1", "evse_uid": "E1"}


def join(hub: RunningHub, owner: Any, role: str, port: int) -> str:
    """Register a party that the raw server answers for; return its Authorization header."""
    named = (owner.country_code, owner.party_id)
    invited = hub.manage("add_party", *named, role, f"Bench {role}")["token"]
    about = {"role": role, "party_id": named[1], "country_code": named[0]}
    body = {
        "token": f"bench-{role}",
        "url": f"http://127.0.0.1:{port}/versions",
        "roles": [about | {"business_details": {"name": f"Bench {role}"}}],
    }
    ask = request("POST", "/ocpi/2.2.1/credentials", shown(invited), json.dumps(body))
    answer = called(hub_port(hub), ask)
    return shown(json.loads(answer.partition(b"\r\n\r\n")[2])["data"]["token"])


def shown(token: str) -> str:
    """Return a token as it stands in the header."""
    return f"Token {base64.b64encode(token.encode()).decode()}"


def hub_port(hub: RunningHub) -> int:
    """Return the port that a hub listens on."""
    return int(hub.url.rpartition(":")[2])


# The CPO


async def serve() -> None:
    """Answer as a CPO that accepts everything at once; print the port."""
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - who started it reads it
    async with server:
        await server.serve_forever()


async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    port = writer.get_extra_info("sockname")[1]
    with suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            writer.write(answered(head.split(b" ")[1].decode(), port))
            await writer.drain()
    writer.close()


def answered(path: str, port: int) -> bytes:
    """Return the answer to a request for a path."""
    base = f"http://127.0.0.1:{port}"
    data: Any = ACCEPTED
    if path == "/versions":
        data = [{"version": "2.2.1", "url": f"{base}/2.2.1"}]
    elif path == "/2.2.1":
        data = {"version": "2.2.1", "endpoints": endpoints(f"{base}/2.2.1")}
    envelope = {"status_code": 1000, "data": data, "timestamp": times.render(times.now())}
    body = json.dumps(envelope)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def endpoints(base: str) -> list[dict[str, str]]:
    """Return the endpoints of version details, in whatever role."""
    pairs = [("credentials", "RECEIVER"), ("commands", "RECEIVER"), ("commands", "SENDER")]
    return [{"identifier": name, "role": role, "url": f"{base}/{name}"} for name, role in pairs]


@contextmanager
def serving() -> Iterator[int]:
    """Have the CPO in a process of its own; yield its port."""
    line = [sys.executable, "-m", "tests.bench_commands", "cpo"]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Run the benchmark alone."""
    with fresh_hub() as hub:
        print("\n".join(table(list(scenario(hub)))))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    asyncio.run(serve()) if sys.argv[1:] == ["cpo"] else main()
