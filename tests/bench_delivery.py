"""Deliveries: how many a second, how old what is owed becomes, and what one that hangs costs.

Real writes come in over HTTP and go out to 20 receivers, all on the same machine. The age of a
delivery is the time from its transaction to its acknowledgement, as the database has them.
"""

import base64
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests

from hub import services
from hub.ocpi import times
from tests import objects
from tests.benching import Connection, Figure, called, hub_cpu, request, table
from tests.running import ROOT, RunningHub, fresh_hub

SECONDS = float(os.environ.get("BENCH_DELIVERY_SECONDS", "10"))
RECEIVERS = 20
KNOWN = 300  # locations that change in turn
CPO = objects.Owner("NL", "DEL")
STARTED = datetime.now(UTC) - timedelta(days=1)
NUMBERS = itertools.count(1)


@dataclass
class Scene:
    """A hub with one CPO and many receivers."""

    hub: RunningHub
    token: str
    receivers: str
    database: Any

    @property
    def port(self) -> int:
        """Return the hub's port."""
        return urlsplit(self.hub.url).port or 80

    def change(self) -> bytes:
        """Return the call that changes the status of the next EVSE."""
        number = next(NUMBERS)
        stamp = times.render(STARTED + timedelta(milliseconds=number))
        body = {"status": ("CHARGING", "AVAILABLE")[number // KNOWN % 2], "last_updated": stamp}
        path = f"/ocpi/2.2.1/receiver/locations/NL/DEL/L{number % KNOWN}/E1"
        return request("PATCH", path, self.token, json.dumps(body).encode())

    def one(self, statement: str, *values: Any) -> Any:
        """Return the one row that a statement brings."""
        return self.database.execute(statement, values).fetchone()


def scenario(hub: RunningHub) -> Iterator[Figure]:
    """Measure deliveries on a hub that runs."""
    with scene(hub) as found:
        yield saturated(found)
        for rate in (600, 1000):
            yield from sustained(found, rate)
        yield from hanging(found, 600)


def saturated(found: Scene) -> Figure:
    """Measure how fast a backlog goes out: every receiver is owed every location again."""
    owed = found.one("SELECT count(*) FROM parties_delivery WHERE module = 'locations'")[0]
    found.database.execute(
        "UPDATE parties_delivery SET acknowledged = 0, owed_since = now(), next_attempt_at = now()"
        " WHERE module = 'locations'"
    )
    before, begun = hub_cpu(found.hub), time.perf_counter()
    drained(found)
    took, after = time.perf_counter() - begun, hub_cpu(found.hub)
    cpu = ", ".join(f"{part} {(after[part] - before[part]) / owed * 1000:.2f}" for part in after)
    return Figure(
        f"deliveries to {RECEIVERS} receivers, from a backlog",
        owed / took,
        detail=f"{owed} deliveries; CPU ms per delivery: {cpu}",
    )


def sustained(found: Scene, rate: int) -> Iterator[Figure]:
    """Measure the ages at a steady rate of deliveries."""
    made, took, cpu, oldest = steady(found, rate)
    p50, p99, count = ages(found)
    name = f"deliveries at {rate}/s"
    yield Figure(f"{name}, sustained", made / took, detail=f"CPU ms per delivery: {cpu}")
    detail = f"p50 {p50:.3f} s; oldest owed, sampled: p50 {oldest[0]:.3f} s, p99 {oldest[1]:.3f} s"
    yield Figure(f"{name}, p99 of the age", p99, "s", f"{detail}; {count} deliveries")


def hanging(found: Scene, rate: int) -> Iterator[Figure]:
    """Measure what one receiver that takes requests and never answers costs the others."""
    steady(found, rate)
    _, well, _ = ages(found, among=(1, RECEIVERS))
    requests.get(f"{found.receivers}/0/hang", timeout=5)
    steady(found, rate)
    _, ill, count = ages(found, among=(1, RECEIVERS))
    requests.get(f"{found.receivers}/0/heal", timeout=5)
    detail = f"p99 {ill:.3f} s with, {well:.3f} s without; {count} deliveries to the others"
    yield Figure(f"one of {RECEIVERS} hangs: others' p99, ratio", ill / well, "x", detail)


def steady(found: Scene, rate: int) -> tuple[int, float, str, tuple[float, float]]:
    """Change EVSEs so often that there are so many deliveries a second; wait for the last ones.

    Return how many there were in how many seconds, the CPU of each, and the sampled ages (p50, p99)
    of the oldest that was owed.
    """
    drained(found, healthy=True)
    connection, samples = Connection(found.port), Samples(found.hub)
    changes = int(rate / RECEIVERS * SECONDS)
    before, begun = hub_cpu(found.hub), time.perf_counter()
    found.database.execute("UPDATE bench_begun SET at = now()")
    with samples:
        for number in range(changes):
            pause = begun + number * RECEIVERS / rate - time.perf_counter()
            time.sleep(max(0.0, pause))
            connection.send(found.change())
            while not connection.answered():
                pass
        took = time.perf_counter() - begun
        drained(found, healthy=True)
    after, made = hub_cpu(found.hub), changes * RECEIVERS
    cpu = ", ".join(f"{part} {(after[part] - before[part]) / made * 1000:.2f}" for part in after)
    return made, took, cpu, samples.cuts()


class Samples(threading.Thread):
    """Looks twenty times a second at how old the oldest owed delivery is that can be sent."""

    def __init__(self, hub: RunningHub) -> None:
        super().__init__(daemon=True)
        self.ages: list[float] = []
        self._url, self._over = services.database_url(hub.data_dir), threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._over.wait(0.05):
                row = connection.execute(OLDEST).fetchone()
                self.ages.append(float(row[0] or 0.0) if row else 0.0)

    def cuts(self) -> tuple[float, float]:
        """Return p50 and p99."""
        ages = sorted(self.ages)
        return ages[len(ages) // 2], ages[min(len(ages) - 1, int(len(ages) * 0.99))]


def ages(found: Scene, among: tuple[int, int] = (0, RECEIVERS)) -> tuple[float, float, int]:
    """Return p50, p99 and number of the ages of what was acknowledged since the rate began."""
    return found.one(AGES, *among)  # type: ignore[no-any-return]


def drained(found: Scene, *, healthy: bool = False) -> None:
    """Wait until nothing is owed any more, or nothing to those that answer."""
    until = time.monotonic() + 120
    while found.one(OWED_BY, 1 if healthy else 0)[0]:
        if time.monotonic() > until:
            raise SystemExit("deliveries are not drained")
        time.sleep(0.02)


@contextmanager
def scene(hub: RunningHub) -> Iterator[Scene]:
    """Have a hub with its parties, who have met."""
    command = [sys.executable, "-m", "tests.receivers"]
    with (
        psycopg.connect(services.database_url(hub.data_dir), autocommit=True) as database,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout
            url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
            parties = [("DE", f"R{number:02}", "EMSP") for number in range(RECEIVERS)]
            parties.append((CPO.country_code, CPO.party_id, "CPO"))
            *_, token = joined(hub, url, parties)
            found = Scene(hub, token, url, database)
            prepare(found)
            yield found
        finally:
            process.kill()


def joined(hub: RunningHub, url: str, parties: list[tuple[str, str, str]]) -> list[str]:
    """Register the receivers; return the Authorization headers that they call with."""
    told = hub.run("shell", "--verbosity", "0", "-c", INVITE.format(parties=parties))
    assert told.returncode == 0, told.stderr
    tokens = json.loads(told.stdout)
    numbered = enumerate(zip(parties, tokens, strict=True))
    return [registered(hub, f"{url}/{n}/versions", *party, token) for n, (party, token) in numbered]


def registered(hub: RunningHub, url: str, country: str, party: str, role: str, token: str) -> str:
    """Register one of them by a real handshake."""
    named = {"role": role, "country_code": country, "party_id": party}
    roles = [{**named, "business_details": {"name": f"Bench {party}"}}]
    content = json.dumps({"token": "bench-token", "url": url, "roles": roles}).encode()
    call = request("POST", "/ocpi/2.2.1/credentials", header(token), content)
    answer = json.loads(called(urlsplit(hub.url).port or 80, call).partition(b"\r\n\r\n")[2])
    return header(answer["data"]["token"])


def header(token: str) -> str:
    """Return the Authorization header of a token."""
    return f"Token {base64.b64encode(token.encode()).decode()}"


def prepare(found: Scene) -> None:
    """Publish the locations, lift the limit that spares partners, and let everything arrive."""
    database = found.database
    database.execute("UPDATE parties_platform SET rate = 0 WHERE name LIKE 'Bench%'")
    database.execute("CREATE TABLE IF NOT EXISTS bench_begun AS SELECT now() AS at")
    for number in range(KNOWN):
        body = json.dumps(objects.location(CPO, id=f"L{number}"), default=float).encode()
        path = f"/ocpi/2.2.1/receiver/locations/NL/DEL/L{number}"
        called(found.port, request("PUT", path, found.token, body))
    drained(found)


INVITE = """
import json
from hub.ocpi.messages import Address
from settlement import joining
print(json.dumps([joining.join(Address(country, party), [role], "Bench " + party)[1]
    for country, party, role in {parties}]))
"""
BENCH = """
    JOIN parties_role AS role ON role.id = delivery.receiver_id
    JOIN parties_party AS party ON party.id = role.party_id
    WHERE party.party_id LIKE 'R__' AND substr(party.party_id, 2)::int
"""
OWED_BY = f"""
    SELECT count(*) FROM parties_delivery AS delivery {BENCH} >= %s
        AND delivery.state = 'live' AND delivery.wanted > delivery.acknowledged
"""  # noqa: S608 - of constants
AGES = f"""
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY age),
        percentile_cont(0.99) WITHIN GROUP (ORDER BY age), count(*)
    FROM (
        SELECT extract(epoch FROM acknowledged_at - owed_since)::float8 AS age
        FROM parties_delivery AS delivery {BENCH} BETWEEN %s AND %s
            AND delivery.module = 'locations' AND owed_since > (SELECT at FROM bench_begun)
            AND acknowledged = wanted
    ) AS ages
"""  # noqa: S608 - of constants
OLDEST = """
    SELECT extract(epoch FROM clock_timestamp() - min(owed_since))
    FROM parties_delivery AS delivery
    JOIN parties_role AS role ON role.id = delivery.receiver_id
    JOIN parties_platform AS platform ON platform.id = role.platform_id
    WHERE delivery.state = 'live' AND wanted > acknowledged AND platform.failures = 0
"""


def main() -> None:
    """Run these benchmarks alone."""
    with fresh_hub() as hub:
        print("\n".join(table(list(scenario(hub)))))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main()
