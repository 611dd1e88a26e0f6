"""The benchmarks: `./ocn bench` prints a table of figures and ratios, and writes bench.json.

Everything is measured in one run on one machine against the real product (web, worker, beat,
PostgreSQL with fsync on), and set against the floor of the same run: how fast one connection
upserts the same body. Compare ratios; absolute figures drift with the machine.
"""

import base64
import http.client
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from hub import services
from tests import objects
from tests.running import RunningHub, fresh_hub

SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
RESULT = Path("bench.json")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Figure:
    """One line of the table."""

    name: str
    value: float
    unit: str
    detail: str = ""


class Caller:
    """A registered platform with keep-alive connections, one per thread."""

    def __init__(self, hub: RunningHub, token: str) -> None:
        self.port = urlsplit(hub.url).port
        encoded = base64.b64encode(token.encode()).decode()
        self.headers = {
            "Authorization": f"Token {encoded}",
            "Content-Type": "application/json",
        }

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b""
    ) -> Any:
        """Make a call and return the envelope; anything but a success ends the run."""
        connection.request(method, f"/ocpi/{path}", body, self.headers)
        response = connection.getresponse()
        content = json.loads(response.read())
        if content["status_code"] != 1000:
            raise SystemExit(f"{method} {path}: {content}")
        return content


def registered(hub: RunningHub, country: str, party: str, role: str) -> Caller:
    """Invite a push-only platform and register it."""
    invited = hub.manage("add_party", country, party, role, party, "--dialect", "quickstart")
    guest = Caller(hub, invited["token"])
    role_body = {"role": role, "business_details": {"name": party}}
    body = {"token": "bench", "url": "http://127.0.0.1:1/versions", "roles": [role_body]}
    answer = guest.call(guest.connect(), "POST", "2.2/credentials", json.dumps(body).encode())
    return Caller(hub, answer["data"]["token"])


def load(caller: Caller, connections: int, request: Callable[[int], tuple[str, str, bytes]]) -> Any:
    """Call for some seconds over several connections; return calls per second and latencies."""
    until = time.monotonic() + SECONDS
    numbers = iter(range(10**9))

    def work(_: int) -> list[float]:
        connection, seen = caller.connect(), []
        while (started := time.monotonic()) < until:
            caller.call(connection, *request(next(numbers)))
            seen.append(time.monotonic() - started)
        return seen

    with ThreadPoolExecutor(connections) as pool:
        latencies = [item for seen in pool.map(work, range(connections)) for item in seen]
    return len(latencies) / SECONDS, latencies


def measured(
    name: str, caller: Caller, connections: int, request: Callable[[int], tuple[str, str, bytes]]
) -> Figure:
    """Measure one kind of call; the detail has latencies and the web server's CPU per call."""
    before = web_cpu_seconds(caller.port)
    rate, latencies = load(caller, connections, request)
    cpu = (web_cpu_seconds(caller.port) - before) / max(len(latencies), 1) * 1000
    cuts = statistics.quantiles(latencies, n=100)
    detail = f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms, web CPU {cpu:.2f} ms"
    return Figure(f"{name}, {connections} connection(s)", rate, "/s", detail)


def web_cpu_seconds(port: int | None) -> float:
    """Return the CPU time of all web processes of the hub on a port so far."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            command = (stat.parent / "cmdline").read_bytes()
            if b"granian" in command and str(port).encode() in command:
                fields = stat.read_text().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return total / TICKS


def floor(hub: RunningHub, body: bytes) -> Figure:
    """Measure what one raw connection does: upsert the same body, one commit each."""
    url = services.database_url(hub.data_dir)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bench_floor (id text PRIMARY KEY, body jsonb)")
        until, count = time.monotonic() + SECONDS, 0
        while time.monotonic() < until:
            connection.execute(
                "INSERT INTO bench_floor VALUES (%s, %s) "
                "ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body",
                [f"L{count}", body.decode()],
            )
            count += 1
    return Figure("floor: raw upsert of the body, 1 connection", count / SECONDS, "/s")


def write(body: dict[str, Any]) -> bytes:
    """Write a body of the tests as JSON."""
    return json.dumps(body, default=float).encode()


def scenario(hub: RunningHub) -> Iterator[Figure]:
    """Measure everything in turn."""
    cpo, emsp = registered(hub, "NL", "BEN", "CPO"), registered(hub, "DE", "BEN", "EMSP")
    owner, payer = objects.Owner("NL", "BEN"), objects.Owner("DE", "BEN")
    card = write(objects.token(payer))
    emsp.call(emsp.connect(), "PUT", "2.2.1/receiver/tokens/DE/BEN/CARD1", card)
    yield floor(hub, write(objects.location(owner)))
    for connections in (1, 8):
        yield measured("PUT location", cpo, connections, lambda n: put_location(owner, n))
    for connections in (1, 8):
        first = connections * 1_000_000
        yield measured(
            "POST CDR", cpo, connections, lambda n, first=first: post_cdr(owner, payer, first + n)
        )
    page = ("GET", "2.2.1/sender/locations?limit=50", b"")
    yield measured("GET page of 50, first", emsp, 8, lambda n: page)
    deep = ("GET", "2.2.1/sender/locations?limit=50&offset=1000", b"")
    yield measured("GET page of 50, at 1000", emsp, 8, lambda n: deep)
    yield closing(hub)


def put_location(owner: Any, number: int) -> tuple[str, str, bytes]:
    """Return the call that publishes a location of its own."""
    uid = f"L{time.monotonic_ns()}-{number}"[:36]
    return "PUT", f"2.2.1/receiver/locations/NL/BEN/{uid}", write(objects.location(owner, id=uid))


def post_cdr(owner: Any, payer: Any, number: int) -> tuple[str, str, bytes]:
    """Return the call that sends a CDR of its own session, at an EVSE of its own."""
    body = objects.cdr(owner, payer, id=f"C{number}", session_id=f"S{number}")
    body["cdr_location"]["evse_uid"] = f"E{number}"
    return "POST", "2.2.1/receiver/cdrs", write(body)


def closing(hub: RunningHub) -> Figure:
    """Measure the close of the month with all the CDRs that were just sent."""
    started = time.monotonic()
    result = hub.manage("close_period", "2026-11", "--force")
    seconds = time.monotonic() - started
    detail = f"{result['cdrs']} CDRs, {len(result['documents'])} documents, start-up included"
    return Figure("close_period", seconds, "s", detail)


def table(figures: list[Figure]) -> Iterator[str]:
    """Return the lines of the table, with ratios to the floor."""
    base = figures[0].value
    yield f"{'what':46} {'figure':>10}      {'of floor':>8}  detail"
    for item in figures:
        ratio = f"{item.value / base:8.1%}" if item.unit == "/s" else " " * 8
        yield f"{item.name:46} {item.value:10.1f} {item.unit:3}  {ratio}  {item.detail}"


def main() -> None:
    """Run the benchmarks."""
    with fresh_hub() as hub:
        figures = list(scenario(hub))
    print("\n".join(table(figures)))  # noqa: T201 - this is what it is for
    RESULT.write_text(json.dumps([vars(item) for item in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
