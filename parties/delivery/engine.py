"""The drains of one process: an event loop that serves all platforms, a lane for each.

In turns the database is asked and told, for all lanes together: what became of the last messages is
booked, what is due is claimed and rendered. In between nothing but HTTP happens. A lane is held by
an advisory lock, so that a platform has one drain at a time, wherever the workers are. The engine
keeps nothing that the database does not have: killed at any moment it loses nothing, and another
one sends again what may not have arrived.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connection, transaction

from hub.egress_loop import Door
from hub.ocpi.versions import RECEIVER
from parties import calling, quirks, waking
from parties.delivery import booking, claiming, outcomes, rendering, tallies
from parties.delivery.claiming import Debt, Room
from parties.delivery.health import Health
from parties.delivery.outcomes import MONEY, Outcome, Verdict
from parties.delivery.rendering import Result, Shipment
from parties.models import Endpoint, Platform

logger = logging.getLogger(__name__)
TURN = 0.05  # seconds from one turn to the next: what comes in between is taken together
POLL = 0.25  # ... while there are lanes: who was woken elsewhere may rely on us
LOOK = 1.0  # seconds from one look at who has anything due to the next: nobody has to be woken
LINGER = 1.0  # seconds for which a lane without work is held
AFRESH = 60.0  # seconds after which what is known of how a platform speaks is read again
STUBBORN = 60.0  # seconds for which a result is kept that cannot be booked
MOST = 512  # messages under way
NOT_TRIED = frozenset({Outcome.POISON, Outcome.FOREIGN})
InDatabase = Callable[..., Awaitable[Any]]


@dataclass
class Lane:
    """One platform's drain: what is under way to it, and how it is spoken to."""

    health: Health
    since: float = field(default_factory=time.monotonic)  # when there was work last
    under_way: dict[int, Debt] = field(default_factory=dict)
    line: calling.Line | None = None
    read_at: float = 0.0
    held: bool = False

    def room(self, platform: int) -> Room:
        """Return how much it may be sent now."""
        cdrs = sum(debt.module in MONEY for debt in list(self.under_way.values()))
        states = len(self.under_way) - cdrs
        return Room(platform, *self.health.room(states, cdrs))


class Engine:
    """The lanes of a process; `in_database` runs a function where a database connection is."""

    def __init__(self, in_database: InDatabase, turn: float = TURN) -> None:
        self.in_database, self.turn_seconds = in_database, turn
        self.lanes: dict[int, Lane] = {}
        self.sent = 0
        self.stopping = False
        self._woken: set[int] = set()
        self._results: list[tuple[float, Result]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._event = asyncio.Event()
        self._healths: dict[int, Health] = {}
        self._unwritten: set[int] = set()  # platforms whose rows somebody was at
        self._polled = time.monotonic()
        self._connection: Any = None

    def wake(self, platforms: Iterable[int]) -> None:
        """Have platforms drained; call in the thread of the event loop."""
        self._woken.update(platforms)
        self._event.set()

    async def drained(self) -> int:
        """Send until nothing is due any more to those who were woken; return how much was sent."""
        try:
            async with Door() as door:
                while self._woken or self.lanes or self._results:
                    await self.step(door)
                    if self._tasks and not self._results:
                        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                    elif not self._results:
                        await asyncio.sleep(TURN if self._woken else 0)
            return self.sent
        finally:
            await self.in_database(self._let_go)

    async def serve(self, door: Door) -> None:
        """Send what is due as long as the process lives, or until it is to stop."""
        while not self.stopping or self._tasks or self._results:
            begun = time.monotonic()
            try:
                await self.step(door)
            except DatabaseError:
                logger.exception("deliveries wait for the database")
                await asyncio.sleep(1.0)
            await self._pause(begun)

    async def step(self, door: Door) -> None:
        """Make one turn in the database, and send what it has brought."""
        self._event.clear()
        woken, self._woken = self._woken, set()
        results, self._results = self._results, []
        try:
            shipments = await self.in_database(self._turn, woken, results)
        except BaseException:
            self._woken |= woken
            self._results = results + self._results
            raise
        for shipment in shipments:
            self._send(shipment, door)

    def _send(self, shipment: Shipment, door: Door) -> None:
        task = asyncio.create_task(self._deliver(shipment, door))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, shipment: Shipment, door: Door) -> None:
        """Make the call; everything that can go wrong outside is an outcome."""
        debt = shipment.debt
        lane = self.lanes[debt.platform]
        try:
            verdict = await _tried(shipment, lane, door)
        except Exception:
            logger.exception("a delivery cannot be sent", extra={"delivery": debt.pk})
            verdict = Verdict(Outcome.POISON, f"the hub fails at it (delivery {debt.pk})")
        result = Result(debt, verdict, shipment.version, shipment.partial)
        self._results.append((time.monotonic(), result))
        self.sent += 1
        self._event.set()

    async def _pause(self, begun: float) -> None:
        """Wait for news, and for the next turn."""
        try:
            async with asyncio.timeout(POLL if self.lanes else 1.0):
                await self._event.wait()
        except TimeoutError:
            pass
        await asyncio.sleep(max(0.0, begun + self.turn_seconds - time.monotonic()))

    # What follows runs where the database is, one turn at a time

    def _turn(self, woken: set[int], results: list[tuple[float, Result]]) -> list[Shipment]:
        """Book, claim and render."""
        self._notice_lost_connection()
        self._book(results)
        self._open_lanes(woken | self._found())
        debts = self._claim()
        shipments = list(self._rendered(debts)) if debts else []
        self._close_lanes()
        return shipments

    def _found(self) -> set[int]:
        """Return who has something due although nobody has told us, once in a while."""
        if not self.turn_seconds or time.monotonic() - self._polled < LOOK:
            return set()
        self._polled = time.monotonic()
        return set(claiming.due_platforms())

    def _let_go(self) -> None:
        claiming.let_go([platform for platform, lane in self.lanes.items() if lane.held])

    def _notice_lost_connection(self) -> None:
        """Take the locks anew on a new connection: those of the old one are gone."""
        connection.ensure_connection()
        if self._connection is not connection.connection:
            self._connection = connection.connection
            for lane in self.lanes.values():
                lane.held = False

    def _book(self, results: list[tuple[float, Result]]) -> None:
        """Note how it went: of the platforms first, so that who fails is claimed nothing more."""
        for _, result in results:
            if result.debt.pk in (lane := self._lane(result.debt.platform)).under_way:
                del lane.under_way[result.debt.pk]
                if result.verdict.outcome not in NOT_TRIED:
                    lane.health.note(result.debt.module, result.verdict)
        self._note_health({result.debt.platform for _, result in results} | self._unwritten)
        booked = booking.book([result for _, result in results])
        late = time.monotonic() - STUBBORN
        self._results += [
            (at, result) for at, result in results if result.debt.pk not in booked and at > late
        ]
        for platform in {result.debt.platform for _, result in results}:
            if line := self._lane(platform).line:
                line.keep()
        tallies.write()

    def _lane(self, platform: int) -> Lane:
        """Return a platform's lane; its health outlives it."""
        if platform not in self.lanes:
            self.lanes[platform] = Lane(self._health(platform))
        return self.lanes[platform]

    def _health(self, platform: int) -> Health:
        return self._healths.setdefault(platform, Health(platform))

    def _note_health(self, platforms: Collection[int]) -> None:
        for platform in platforms:
            health = self._health(platform)
            for alert in health.alerts:
                logger.error("a receiver: %s", alert, extra={"platform": platform})
            health.alerts.clear()
            if not (news := health.news()):
                self._unwritten.discard(platform)
            elif _wrote(health, news):
                if health.moved:
                    waking.start("parties.reread")
                health.booked()
                self._unwritten.discard(platform)
            else:
                self._unwritten.add(platform)

    def _open_lanes(self, woken: set[int]) -> None:
        """Hold the lanes of who was woken; another drain is at those that cannot be had."""
        for platform in woken:
            self._lane(platform).since = time.monotonic()
        wanted = [platform for platform, lane in self.lanes.items() if not lane.held]
        got = claiming.hold(wanted)
        for platform in wanted:
            self.lanes[platform].held = platform in got
        resting = {platform for platform in woken if self.lanes[platform].health.resting}
        for row in Platform.objects.filter(pk__in={*got, *resting}):  # its rest may be over
            self.lanes[row.pk].health.take(row)

    def _claim(self) -> list[Debt]:
        """Claim what there is room for, in the lanes and in all."""
        left = MOST - sum(len(lane.under_way) for lane in self.lanes.values())
        rooms = []
        for platform, lane in self.lanes.items():
            room = lane.room(platform)
            if lane.held and not self.stopping and room.total > 0 and left > 0:
                rooms.append(room._replace(total=min(room.total, left)))
        debts = claiming.claim(rooms)
        for debt in debts:
            self.lanes[debt.platform].under_way[debt.pk] = debt
        for platform, number in Counter(debt.platform for debt in debts).items():
            self.lanes[platform].health.spend(number)
            self.lanes[platform].since = time.monotonic()
        return debts

    def _rendered(self, debts: list[Debt]) -> Iterator[Shipment]:
        """Yield what is to be sent; what cannot be is a result at once."""
        lines = self._lines({debt.platform for debt in debts})
        urls = self._urls(set(lines))
        for found in rendering.render(debts, lines, urls):
            if isinstance(found, Shipment):
                yield found
            else:
                self._results.append((time.monotonic(), found))

    def _lines(self, platforms: set[int]) -> dict[int, calling.Line]:
        """Return how platforms are spoken to: as they were, where nothing has changed."""
        found = {}
        for row in Platform.objects.filter(pk__in=platforms):
            lane = self.lanes[row.pk]
            lane.health.take(row)
            old = time.monotonic() - lane.read_at > AFRESH
            if lane.line is None or old or _speech(lane.line.platform) != _speech(row):
                lane.line, lane.read_at = calling.Line(row), time.monotonic()
            found[row.pk] = lane.line
        return found

    def _urls(self, platforms: set[int]) -> rendering.Urls:
        rows = Endpoint.objects.filter(platform__in=platforms, interface=RECEIVER)
        return {
            (platform, module): url
            for platform, module, url in rows.values_list("platform_id", "module", "url")
        }

    def _close_lanes(self) -> None:
        """Let go of lanes without work, and look once more for what has come in between."""
        idle = time.monotonic() - (LINGER if self.turn_seconds else 0.0)
        busy = {result.debt.platform for _, result in self._results}
        over = [
            platform
            for platform, lane in self.lanes.items()
            if not lane.under_way and platform not in busy and (lane.since <= idle or not lane.held)
        ]
        held = [platform for platform in over if self.lanes[platform].held]
        for platform in over:
            del self.lanes[platform]
        claiming.let_go(held)
        if held:
            self._woken.update(self._still_due(held))

    def _still_due(self, platforms: list[int]) -> list[int]:
        resting = {platform for platform in platforms if self._healths[platform].resting}
        return claiming.due_platforms(set(platforms) - resting)


def _wrote(health: Health, news: dict[str, Any]) -> bool:
    """Write a platform's row unless somebody is at it; then it is written the next time.

    What was before a handshake that is over meanwhile is no news any more.
    """
    rows = Platform.objects.filter(pk=health.platform)
    with transaction.atomic():
        row = rows.select_for_update(skip_locked=True, no_key=True).first()
        if row is None:
            return False
        if row.registered_at == health.registered_at:
            rows.update(**news)
        else:
            health.take(row)
    return True


async def _tried(shipment: Shipment, lane: Lane, door: Door) -> Verdict:
    """Send a shipment; return what came of it."""
    line, debt, method = lane.line, shipment.debt, shipment.call.method
    assert line is not None  # noqa: S101
    try:
        answer = await line.make_async(shipment.call, door)
    except calling.FAULTS as error:
        return outcomes.of_failure(error)
    if shipment.partial and answer.http in outcomes.NOT_HERE:
        line.found[quirks.no_patch(debt.module)] = f"HTTP {answer.http}"
    doubtful = debt.doubtful or not debt.first_try
    verdict = outcomes.of_answer(answer, method, doubtful=doubtful)
    plain = not shipment.partial and method != "DELETE"
    return _advised(verdict, debt) if answer.http == 404 and plain else verdict


def _advised(verdict: Verdict, debt: Debt) -> Verdict:
    """Tell staff that a 404 to a push means that the receiver knows the hub only.

    Whoever is pushed an object of a party that is not among the hub's roles may answer 404 by the
    letter of OCPI (transport_and_format, "Errors"), which makes no sense with a hub.
    """
    advice = "its check of owners must exempt the hub"
    facts = {"delivery": debt.pk, "kind": debt.module}
    logger.warning("a receiver answers 404 to a push: %s", advice, extra=facts)
    words = f"{verdict.words[: 252 - len(advice)]} ({advice})"
    return Verdict(verdict.outcome, words, verdict.http, verdict.pause)


def _speech(platform: Platform) -> tuple[Any, ...]:
    """Return what of a platform's row says how it is spoken to."""
    return (
        platform.sealed_token,
        platform.token_form,
        platform.hosts,
        platform.previous_sealed_token,
        platform.previous_until,
    )
