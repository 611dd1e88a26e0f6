"""This month's traffic, live: charges that began a while ago and end before your eyes."""

import logging
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Event, Lock, Thread
from typing import Any

from hub.egress import EgressFailedError
from hub.ocpi import client, times
from hub.sandbox.catalogue import Company
from hub.sandbox.charging import Charge, Outlet, cdr, on_tick, session, staged
from hub.sandbox.notes import Notes
from hub.sandbox.partner import Partner
from hub.sandbox.traffic import CARS_KW, World, ring, ticks

logger = logging.getLogger(__name__)
LANES = 4  # charges at a time
SECONDS = (80.0, 120.0)  # that a charge takes before your eyes: with 4 lanes, one every 20 to 30 s
PATIENCE = 5.0  # seconds before another try
PROGRESS = (Decimal(0), Decimal("0.5"), Decimal(1))


class Live:
    """Runs the lanes; which charge each is at is noted, so that it goes on after a restart."""

    def __init__(
        self, partners: Mapping[Company, Partner], world: World, notes: Notes, stop: Event
    ) -> None:
        self.partners, self.notes, self.stop = partners, notes, stop
        self.world, self.ring = world, ring(world)
        self._busy: set[str] = set()
        self._lock = Lock()

    def start(self) -> None:
        """Start the lanes, each a little after the one before."""
        for lane in range(LANES):
            Thread(target=self.run, args=(lane,), daemon=True, name=f"lane {lane}").start()

    def run(self, lane: int) -> None:
        """Let one charge follow another until we are to stop."""
        self.stop.wait(lane * SECONDS[0] / LANES)
        while not self.stop.is_set():
            number, began = self.notes.read(f"lane {lane}") or (lane + 1, None)
            began = began or times.render(datetime.now(UTC))
            self.notes.write(**{f"lane {lane}": (number, began)})
            self.perform(number, times.parse(began))
            if not self.stop.is_set():
                self.notes.write(**{f"lane {lane}": (number + LANES, None)})

    def perform(self, number: int, now: datetime) -> None:
        """Play a charge that ends now, in some 100 seconds; playing it again changes nothing."""
        chance = random.Random(f"live {number}")  # noqa: S311 - a simulation
        cpo, charge = self._charge(chance, number, now)
        partner, seconds = self.partners[cpo], chance.uniform(*SECONDS)
        if charge.auth_method:
            self._ask(partner, charge)
        self._show(partner, charge.outlet, busy=True)
        for progress in PROGRESS:
            self._insist(partner.send_session, session(charge, progress=progress))
            if progress < 1:
                self.stop.wait(seconds * 0.4)
        self._insist(partner.send_cdr, cdr(charge))
        self._show(partner, charge.outlet, busy=False)
        self.stop.wait(seconds * 0.2)

    def _charge(self, chance: random.Random, number: int, now: datetime) -> tuple[Company, Charge]:
        cpo, outlet = self.ring[number % len(self.ring)]
        power, charging = chance.choice(CARS_KW[outlet.fast]), ticks(chance.uniform(10, 36))
        stages = staged(
            outlet,
            on_tick(now) - charging,
            charging=charging,
            parking=timedelta(),
            power_kw=min(power, outlet.power_kw),
        )
        uid = f"{cpo.address.party_id}-L{number:06}"
        token = self.world.driver(chance, cpo)
        auth_method = "AUTH_REQUEST" if token["type"] == "RFID" else ""
        return cpo, Charge(uid, outlet, token, stages, auth_method)

    def _ask(self, partner: Partner, charge: Charge) -> None:
        """Ask the eMSP whether a card may charge; it is whitelisted, so silence stops nobody."""
        evse = charge.outlet.evse["uid"]
        place = {"location_id": charge.outlet.location["id"], "evse_uids": [evse]}
        try:
            answer = partner.authorize(charge.token["uid"], place=place)
        except EgressFailedError as error:
            logger.info("the hub does not answer: %s", error)
        else:
            if not answer.succeeded:
                logger.warning("the hub says HTTP %s, %s", answer.http, answer.message)

    def _show(self, partner: Partner, outlet: Outlet, *, busy: bool) -> None:
        """Publish the location with the EVSE as it is now, and its neighbours as they are."""
        with self._lock:
            change = self._busy.add if busy else self._busy.discard
            change(outlet.evse["uid"])
            stamp = times.render(times.now())
            evses = [self._evse(evse, outlet, stamp) for evse in outlet.location["evses"]]
            location = outlet.location | {"evses": evses, "last_updated": stamp}
            self._insist(partner.publish_location, location)

    def _evse(self, evse: dict[str, Any], outlet: Outlet, stamp: str) -> dict[str, Any]:
        status = "CHARGING" if evse["uid"] in self._busy else "AVAILABLE"
        changed = {"last_updated": stamp} if evse is outlet.evse else {}
        return evse | {"status": status} | changed

    def _insist(self, call: Callable[[Any], client.Answer], item: Any) -> None:
        """Make a call until the hub answers it; a refusal is final."""
        while not self.stop.is_set():
            try:
                answer = call(item)
            except EgressFailedError as error:
                logger.info("the hub does not answer: %s", error)
            else:
                if answer.succeeded:
                    return
                logger.warning("the hub says HTTP %s, %s", answer.http, answer.message)
                if answer.http < 500:
                    return
            self.stop.wait(PATIENCE)
