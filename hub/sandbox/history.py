"""The past of the demo network: a month of sessions and CDRs, sent as fast as the hub takes it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hub.ocpi import client
from hub.sandbox.catalogue import CPOS, EMSPS, Company
from hub.sandbox.charging import Charge, cdr, session
from hub.sandbox.mistakes import MISTAKES
from hub.sandbox.partner import Partner, taken
from hub.sandbox.traffic import Month, World

THREADS = 6
PER_MONTH = 125  # charges of a CPO in a month
MISTAKE_EVERY = 13  # charges, until each mistake was made once
LATE = timedelta(days=1, hours=9)  # before the end of the month before
Partners = Mapping[Company, Partner]
Item = dict[str, Any]


@dataclass(frozen=True)
class Span:
    """The part of a month that lies in the past."""

    name: str
    begins: datetime
    ends: datetime

    @property
    def count(self) -> int:
        """Return how many charges of one CPO belong into it."""
        return max(1, round(PER_MONTH * (self.ends - self.begins) / timedelta(days=30)))


def publish(partners: Partners, world: World) -> int:
    """Publish tariffs, locations and tokens; return how many."""
    calls: list[tuple[Callable[[Item], client.Answer], Item]] = []
    for cpo in CPOS:
        calls += [(partners[cpo].publish_tariff, item) for item in world.tariffs[cpo]]
        calls += [(partners[cpo].publish_location, item) for item in world.locations[cpo]]
    for emsp in EMSPS:
        calls += [(partners[emsp].push_token, item) for item in world.cards[emsp]]
    with ThreadPoolExecutor(THREADS) as pool:
        return len(list(pool.map(lambda call: taken(call[0](call[1])), calls)))


def recall(partners: Partners, world: World) -> None:
    """Have what was published before a restart in the partners' own lists again."""
    for cpo in CPOS:
        partners[cpo].recall("tariffs", world.tariffs[cpo])
        partners[cpo].recall("locations", world.locations[cpo])
    for emsp in EMSPS:
        partners[emsp].recall("tokens", world.cards[emsp])


def replay(partners: Partners, world: World, span: Span, *, late: bool) -> int:
    """Send the sessions and CDRs of a span; return how many CDRs.

    `late` adds one that belongs into the month before, which is closed by now.
    """
    work = [(partners[cpo], job) for cpo in CPOS for job in jobs(world, cpo, span, late)]
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(lambda job: _send(*job), work))


def jobs(world: World, cpo: Company, span: Span, late: bool) -> Iterator[tuple[Charge, list[Item]]]:
    """Return each charge with the CDRs to send about it, in their order."""
    charges = Month(world, cpo, span.begins, span.ends, span.name).charges(span.count)
    for number, charge in enumerate(charges):
        turn, rest = divmod(number, MISTAKE_EVERY)
        wrong = rest == 5 and _is_due(turn, cpo)
        yield charge, MISTAKES[turn](charge) if wrong else [cdr(charge)]
    if late and cpo is CPOS[0]:
        yield from ((charge, [cdr(charge)]) for charge in _late(world, cpo, span))


def _is_due(turn: int, cpo: Company) -> bool:
    """Let the CPOs make every other mistake, and both correct one."""
    return turn < len(MISTAKES) and (turn == 0 or turn % 2 == CPOS.index(cpo))


def _late(world: World, cpo: Company, span: Span) -> Sequence[Charge]:
    begins = span.begins - LATE
    return Month(world, cpo, begins, span.begins, f"{span.name}-late").charges(1)


def _send(partner: Partner, job: tuple[Charge, list[Item]]) -> int:
    charge, cdrs = job
    taken(partner.send_session(session(charge, progress=Decimal(1))))
    for body in cdrs:
        taken(partner.send_cdr(body))
    return len(cdrs)
