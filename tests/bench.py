"""The benchmarks: `./ocn bench` prints a table of figures and ratios, and writes bench.json.

Everything is measured in one run on one machine against the real product (web, worker, beat,
PostgreSQL with fsync on), and set against two others of the same run: the floor (what one
connection of psycopg does) and the peer (py-ocpi, which keeps objects in memory and tells nobody).
Compare ratios; absolute figures drift with the machine.
"""

import base64
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests

from hub import services
from hub.ocpi import times
from hub.sandbox.partner import Partner
from tests import bench_close, bench_commands, bench_delivery, bench_pricing, objects
from tests.benching import Figure, called, hub_cpu, load, request, spent, table
from tests.foreign.running import running
from tests.running import RunningHub, fresh_hub

SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
CONNECTIONS = (1, 8, 32)
LISTED = int(os.environ.get("BENCH_LOCATIONS", "100000"))
KNOWN = 500  # locations whose EVSEs change their status
DRIVERS, DAYS = 1000, 20  # a driver charges once a day
RESULT = Path("bench.json")
CPO, EMSP = objects.Owner("NL", "BEN"), objects.Owner("DE", "BEN")
NUMBERS = itertools.count(1)
ENERGY = {"type": "ENERGY", "price": 0.50, "vat": 21, "step_size": 1}
PRICED = objects.tariff(CPO, elements=[{"price_components": [ENERGY]}])
STARTED = datetime.now(UTC) - timedelta(days=1)
PEER_TOKEN = "bench"

Paths = Callable[[str], str]  # a path as the hub has it -> as it is asked for


@dataclass(frozen=True)
class Target:
    """Who is called: where, with which token, at which paths, and what CPU its parts have used."""

    port: int
    token: str
    receiver: str
    sender: str
    cpu: Callable[[], Any]

    def call(self, method: str, path: str, body: Any = None) -> bytes:
        """Return the bytes of a call, as a template when the path or body holds marks."""
        content = b"" if body is None else json.dumps(body, default=float).encode()
        return request(method, path, f"Token {self.token}", content)

    def figure(
        self, name: str, connections: int, calls: Iterator[bytes], **compared: float | None
    ) -> Figure:
        """Measure one kind of call."""
        measured = load(self.port, connections, calls, SECONDS, self.cpu)
        return measured.figure(f"{name}, {connections} connection(s)", **compared)


# The calls: each of these yields the bytes of one call after the other


def numbered(template: bytes) -> Iterator[bytes]:
    """Yield a call with a number of its own wherever the template has a mark."""
    marks = template.count(MARK)
    for number in NUMBERS:
        yield template.replace(MARK, b"%08d" % number, marks)


def put_locations(target: Target) -> Iterator[bytes]:
    """Publish locations, each for the first time."""
    uid = f"L{MARK.decode()}"
    path = f"{target.receiver}/locations/NL/BEN/{uid}"
    return numbered(target.call("PUT", path, objects.location(CPO, id=uid)))


def patch_evses(target: Target) -> Iterator[bytes]:
    """Tell the status of the EVSEs of known locations, one location after the other."""
    for number in NUMBERS:
        stamp = times.render(STARTED + timedelta(milliseconds=number))
        body = {"status": ("CHARGING", "AVAILABLE")[number // KNOWN % 2], "last_updated": stamp}
        path = f"{target.receiver}/locations/NL/BEN/K{number % KNOWN}/E1"
        yield target.call("PATCH", path, body)


def post_cdrs(target: Target) -> Iterator[bytes]:
    """Send CDRs with their tariff: each of a session and EVSE of its own, by drivers in turn."""
    mark = MARK.decode()
    body = objects.cdr(CPO, EMSP, id=f"C{mark}", session_id=f"S{mark}", tariffs=[PRICED])
    body["cdr_location"] |= {"id": "K1", "evse_uid": f"E{mark}"}
    body["cdr_token"] |= {"uid": CARD}
    path = f"{target.receiver}/cdrs" + ("" if "receiver" in target.receiver else "/")
    template = target.call("POST", path, body)
    days = [template.replace(b"-10T", b"-%02dT" % day) for day in range(1, DAYS + 1)]
    for number in NUMBERS:
        driver, day = number % DRIVERS, number // DRIVERS % DAYS
        sent = days[day].replace(CARD.encode(), b"CARD%04d" % driver)
        yield sent.replace(MARK, b"%08d" % number)


def pages(target: Target, offset: int) -> Iterator[bytes]:
    """Read one page of 50 again and again."""
    slash = "" if "sender" in target.sender else "/"
    path = f"{target.sender}/locations{slash}?limit=50&offset={offset}"
    return itertools.repeat(target.call("GET", path))


MARK, CARD = b"00000000", "CARD0000"


# Who is measured


def hub_target(hub: RunningHub, partner: Partner) -> Target:
    """Return the hub as one of its partners calls it."""
    token = base64.b64encode(partner.hub_token.encode()).decode()
    base = "/ocpi/2.2.1"
    port = urlsplit(hub.url).port or 80
    return Target(port, token, f"{base}/receiver", f"{base}/sender", lambda: hub_cpu(hub))


def peer_target(url: str, process: int) -> Target:
    """Return py-ocpi, which keeps one token for everybody."""
    port = urlsplit(url).port or 80
    requests.post(f"{url}/test/tokens", json={"ours": PEER_TOKEN}, timeout=10).raise_for_status()
    token = base64.b64encode(PEER_TOKEN.encode()).decode()
    base = "/ocpi/{}/2.2.1"
    cpu = lambda: {"py-ocpi": spent(process)}  # noqa: E731 - one line says it
    return Target(port, token, base.format("emsp"), base.format("cpo"), cpu)


def joined(hub: RunningHub, stack: ExitStack, owner: Any, role: str) -> Partner:
    """Register a partner with all its endpoints."""
    invited = hub.manage("add_party", owner.country_code, owner.party_id, role, f"Bench {role}")
    partner = stack.enter_context(Partner(owner, [role], f"Bench {role}").served())
    partner.register(f"{hub.url}/ocpi/versions", invited["token"])
    return partner


def rest(hub: RunningHub) -> None:
    """Let deliveries wait: what is measured here is how fast the hub accepts and owes."""
    with database(hub) as connection:
        connection.execute("UPDATE parties_platform SET paused_until = now() + interval '1 day'")


def database(hub: RunningHub) -> Any:
    """Open a connection to the hub's database."""
    return psycopg.connect(services.database_url(hub.data_dir), autocommit=True)


# The sections


def floors(hub: RunningHub) -> Iterator[Figure]:
    """Measure what one raw connection does: upsert a body and commit, and read a page."""
    body = json.dumps(objects.location(CPO), default=float)
    with database(hub) as connection:
        connection.execute("CREATE TABLE bench_floor (id text PRIMARY KEY, body jsonb)")
        upsert = (
            "INSERT INTO bench_floor VALUES (%s, %s)"
            " ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body"
        )
        yield repeated(
            "floor: raw upsert of the body, 1 connection",
            lambda number: connection.execute(upsert, [f"L{number}", body]),
        )
        page = (
            "SELECT body::text FROM locations_location WHERE id IN"
            " (SELECT id FROM locations_location ORDER BY id OFFSET %s LIMIT 50)"
        )
        for name, offset in (("first", 0), ("deep", LISTED // 2)):
            yield repeated(
                f"floor: raw read of a page of 50, {name}",
                lambda _, offset=offset: connection.execute(page, [offset]).fetchall(),
            )


def repeated(name: str, work: Callable[[int], Any]) -> Figure:
    """Measure how often something can be done in a second, one after the other."""
    begun, count = time.perf_counter(), 0
    while (took := time.perf_counter() - begun) < SECONDS:
        work(count)
        count += 1
    return Figure(name, count / took)


def fill(hub: RunningHub, ours: Target, peer: Target) -> None:
    """Store the locations that are listed, and those whose EVSEs change."""
    for target in (ours, peer):
        for number in range(KNOWN):
            body = objects.location(CPO, id=f"K{number}")
            called(
                target.port,
                target.call("PUT", f"{target.receiver}/locations/NL/BEN/K{number}", body),
            )
    with database(hub) as connection:
        connection.execute(_COPIES, [LISTED])
        connection.execute("VACUUM ANALYZE")
    url = f"http://127.0.0.1:{peer.port}/test/copies/locations/{LISTED}"
    requests.post(url, json=objects.location(CPO, id="P"), timeout=60).raise_for_status()


_COPIES = """
    INSERT INTO locations_location (owner_id, uid, body, complete, last_updated, version,
        received_at, name, city, country, publish)
    SELECT owner_id, 'P-' || number, jsonb_set(body, '{id}', to_jsonb('P-' || number)),
        complete, last_updated, version, received_at, name, city, country, publish
    FROM locations_location, generate_series(1, %s) AS number WHERE uid = 'K1'
"""


def writes(ours: Target, peer: Target, floor: float) -> Iterator[Figure]:
    """Measure what is pushed: each kind over each number of connections, beside the peer."""
    kinds = {"PUT location": put_locations, "PATCH EVSE status": patch_evses, "POST CDR": post_cdrs}
    for (name, calls), connections in itertools.product(kinds.items(), CONNECTIONS):
        beside = peer.figure(f"  py-ocpi: {name}", connections, calls(peer))
        yield ours.figure(name, connections, calls(ours), floor=floor, peer=beside.value)
        yield beside


def reads(ours: Target, peer: Target, floors: dict[str, float]) -> Iterator[Figure]:
    """Measure the pages of a long list."""
    for where, offset in (("first", 0), ("deep", LISTED // 2)):
        for connections in (1, 8):
            name = f"GET page of 50, {where}"
            beside = peer.figure(f"  py-ocpi: {name}", connections, pages(peer, offset))
            compared = {"floor": floors[where], "peer": beside.value}
            yield ours.figure(name, connections, pages(ours, offset), **compared)
            yield beside


def closing(hub: RunningHub) -> Figure:
    """Measure the close of the month with all the CDRs that were just sent."""
    started = time.monotonic()
    result = hub.manage("close_period", "2026-11", "--force")
    seconds = time.monotonic() - started
    detail = f"{result['cdrs']} CDRs, {len(result['documents'])} documents, start-up included"
    return Figure("close_period", seconds, "s", detail)


def scenario(hub: RunningHub, stack: ExitStack) -> Iterator[Figure]:
    """Measure everything in turn."""
    cpo, emsp = joined(hub, stack, CPO, "CPO"), joined(hub, stack, EMSP, "EMSP")
    url, process = stack.enter_context(running("PYO"))
    for number in range(DRIVERS):
        emsp.push_token(objects.token(EMSP, uid=f"CARD{number:04}"))
    rest(hub)
    seller, buyer = hub_target(hub, cpo), hub_target(hub, emsp)
    peer = peer_target(url, process)
    fill(hub, seller, peer)
    upsert, first, deep = found = list(floors(hub))
    yield from found
    yield from reads(buyer, peer, {"first": first.value, "deep": deep.value})
    yield from writes(seller, peer, upsert.value)
    yield closing(hub)
    yield from bench_pricing.figures(services.database_url(hub.data_dir))


def main() -> None:
    """Run the benchmarks."""
    with ExitStack() as stack:
        hub = stack.enter_context(fresh_hub())
        figures = list(scenario(hub, stack))
    with fresh_hub() as hub:
        figures += bench_delivery.scenario(hub)
    with fresh_hub() as hub:
        figures += bench_commands.scenario(hub)
    with fresh_hub() as hub:
        figures += bench_close.figures(services.database_url(hub.data_dir))
    print("\n".join(table(figures)))  # noqa: T201 - this is what it is for
    RESULT.write_text(json.dumps([item.record() for item in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
