"""How fast CDRs are priced and judged: a section of the benchmarks, or alone by
`python -m tests.bench_pricing`.

Each CDR is read anew, with its tariffs in it, as it comes from a partner; reading is not measured.
The database is the one that DATABASE_URL names, or that of the bench's hub: it is filled with a
million CDRs of a party of its own.
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import django
import psycopg

from cdrs.facts import Facts
from cdrs.pricing import assess, price
from hub import services
from hub.ocpi import json
from tests import objects
from tests.benching import Figure, table
from tests.cdrs.pricing.making import (
    cdr,
    charging,
    element,
    energy,
    flat,
    parking,
    period,
    tariff,
)
from tests.running import fresh_hub

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
JUDGED = int(os.environ.get("BENCH_JUDGED", "100000"))
STORED = int(os.environ.get("BENCH_STORED", "1000000"))
CDRS = 3000
ROUNDS = 5
CLAIM = {"total_cost": {"excl_vat": 1, "incl_vat": 2}, "total_energy": 10, "total_time": 1}
HOURS = [
    element(energy(f"0.{hour + 10}", 1, 21), start_time=f"{hour:02}:00", end_time=end)
    for hour, end in enumerate([*(f"{hour:02}:00" for hour in range(1, 24)), "00:00"])
]
SHAPES = {
    "energy alone": cdr(
        period("10:00", ENERGY="20.31", TIME="1.2"),
        tariffs=[tariff(element(energy("0.35", 1, 21)))],
        **CLAIM,
    ),
    "fee, energy, time, parking": cdr(
        period("10:00", ENERGY="20.31", TIME="1.2"),
        period("11:12", PARKING_TIME="0.5"),
        tariffs=[
            tariff(
                element(
                    flat("0.5", 21), energy("0.35", 1, 21), charging("1.2", 60), parking("3", 300)
                )
            )
        ],
        **CLAIM,
    ),
    "day and night, 4 periods": cdr(
        period("17:20", ENERGY="7.3", TIME="0.6667"),
        period("20:00", ENERGY="2.45", TIME="0.25"),
        period("20:15", PARKING_TIME="0.0833"),
        period("20:20", PARKING_TIME="0.8667"),
        tariffs=[
            tariff(
                element(energy("0.40", 500, 21), start_time="08:00", end_time="20:00"),
                element(parking("3.00", 300, 21), min_duration=3600),
                element(flat("0.50", 21), energy("0.28", 1000, 21), charging("0.60", 900, 21)),
            )
        ],
        **CLAIM,
    ),
    "24 hourly prices, 3 periods": cdr(
        *(period(start, ENERGY=5, TIME=1) for start in ("10:30", "11:00", "12:00")),
        tariffs=[tariff(*HOURS)],
        **CLAIM,
    ),
}


def fresh(body: Any) -> list[Any]:
    """Read the same CDR many times."""
    raw = json.dumps(body)
    return [json.loads(raw) for _ in range(CDRS)]


def per_second(work: Callable[[Any], Any], bodies: list[Any]) -> float:
    """Return how many bodies are worked through in a second of CPU time, in the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for body in bodies:
            work(body)
        best = min(best, time.process_time() - began)
    return len(bodies) / best


def priced() -> Iterator[Figure]:
    """Measure every shape: priced, and compared with claims that are right."""
    for name, body in SHAPES.items():
        got = price(body, None, "UTC")
        right = {**body, "total_cost": got["total_cost"]}
        alone = per_second(lambda item: price(item, None, "UTC"), fresh(body))
        yield Figure(f"price: {name}", alone)
        compared = per_second(lambda item: assess(item, None, "UTC"), fresh(right))
        yield Figure(f"  and compare: {name}", compared)


def judged() -> Iterator[Figure]:
    """Measure pricing and all rules on CDRs of all shapes, whose context is known already."""
    django.setup()
    from cdrs import judging, rules  # these have models, which need the set-up
    from cdrs.evidence import Candidate
    from parties.models import Party

    place = objects.cdr(CPO, EMSP)["cdr_location"]
    common = objects.cdr(CPO, EMSP, cdr_location=place)
    bodies = [json.dumps(common | _claimed(body)) for body in SHAPES.values()]
    shapes = [body.replace(b"+00:00", b"Z") for body in bodies]
    known = rules.KnownPlace(country="NLD", time_zone="Europe/Amsterdam", evse_known=True)
    token = rules.KnownToken(True, "", datetime(2026, 1, 1, tzinfo=UTC))
    evidence = rules.Evidence(now=datetime(2026, 11, 10, 12, tzinfo=UTC), place=known, token=token)
    owner, begun = Party(pk=1), time.process_time()
    for number in range(JUDGED):
        facts = Facts(json.kept(shapes[number % len(shapes)]))
        judging.judged(Candidate(owner, 2, facts, evidence.now), evidence)
    rate = JUDGED / (time.process_time() - begun)
    yield Figure("judge: price and all rules, one core", rate, detail=f"{JUDGED} CDRs, reading too")


def _claimed(body: Any) -> dict[str, Any]:
    """Return a shape with claims that are right."""
    got = price(body, None, "Europe/Amsterdam")
    totals = {"total_cost": got["total_cost"], "total_time": got["total_time"]}
    return {**body, **totals, "total_energy": got["total_energy"]}


def overlapping(url: str) -> Iterator[Figure]:
    """Measure the search for overlaps among a million CDRs."""
    from cdrs import overlaps  # it needs the set-up

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_FILL, {"count": STORED})
        connection.execute("VACUUM ANALYZE cdrs_cdr")
        begun = time.perf_counter()
        with connection.transaction():
            connection.execute(overlaps.IN_MEMORY)
            found = len(connection.execute(overlaps.FIND).fetchall())
        seconds = time.perf_counter() - begun
    yield Figure("overlaps", seconds, "s", f"among {STORED} CDRs; {found} found")


_FILL = """
    WITH party AS (
        INSERT INTO parties_party (country_code, party_id, name, business_details, created_at)
        VALUES ('NL', 'OVL', 'Bench overlaps', '{}', now()) RETURNING id
    )
    INSERT INTO cdrs_cdr (owner_id, uid, body, complete, last_updated, version, received_at, state,
        month, started_at, ended_at, session_uid, token_uid, evse_uid, country, currency,
        energy_kwh, total_excl_vat, digest, rules)
    SELECT party.id, 'C' || n, '{}', true, at, 1, at, 'held', '2025-01-01', at,
        at + interval '100 minutes' + interval '40 minutes' * (n %% 1000 = 0)::int, 'S' || n,
        'T' || n %% 50000, 'E' || n %% 1000, 'NL', 'EUR', 20, 10, '', 'bench'
    FROM party, generate_series(1, %(count)s) AS n,
        LATERAL (SELECT timestamptz '2025-01-01' + interval '2 hours' * (n / 1000) AS at) AS t
"""
CPO, EMSP = objects.Owner("NL", "BEN"), objects.Owner("DE", "BEN")


def figures(url: str) -> Iterator[Figure]:
    """Measure everything; `url` is that of a database with the hub's tables."""
    yield from priced()
    yield from judged()
    yield from overlapping(url)


def main() -> None:
    """Print a table."""
    with fresh_hub() as hub:
        print("\n".join(table(figures(services.database_url(hub.data_dir)))))  # noqa: T201


if __name__ == "__main__":
    main()
