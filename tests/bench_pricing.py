"""How many CDRs a second one core prices: `python -m tests.bench_pricing`.

Each CDR is read anew, with its tariffs in it, as it comes from a partner; reading is not measured.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from cdrs.pricing import assess, price
from hub.ocpi import json
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


def figures() -> Iterator[tuple[str, float, float]]:
    """Measure every shape: priced, and compared with claims that are right."""
    for name, body in SHAPES.items():
        got = price(body, None, "UTC")
        right = {**body, "total_cost": got["total_cost"]}
        yield (
            name,
            per_second(lambda item: price(item, None, "UTC"), fresh(body)),
            per_second(lambda item: assess(item, None, "UTC"), fresh(right)),
        )


def main() -> None:
    """Print a table."""
    print(f"{'CDRs/s on one core':32}{'priced':>10}{'compared':>10}")  # noqa: T201
    for name, priced, compared in figures():
        print(f"{name:32}{priced:10,.0f}{compared:10,.0f}")  # noqa: T201


if __name__ == "__main__":
    main()
