"""Where, when and by whom the demo network charges: chance, but the same chance every time."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hub.sandbox import catalogue
from hub.sandbox.billing import Stage
from hub.sandbox.catalogue import CPOS, EMSPS, Company
from hub.sandbox.charging import TICK, Charge, Outlet, on_tick, staged

ATTEMPTS = 200
HOME = 0.8  # how often a driver charges on the side of the Atlantic where the eMSP is
CARS_KW = {True: (42, 60, 85, 110), False: (7, 11, 11, 22)}  # by whether the charger is fast
Item = dict[str, Any]


@dataclass
class World:
    """The chargers and drivers of the demo network, as they are since an instant."""

    stamp: str

    def __post_init__(self) -> None:
        self.tariffs = {cpo: catalogue.tariffs_of(cpo, self.stamp) for cpo in CPOS}
        self.locations = {cpo: catalogue.locations_of(cpo, self.stamp) for cpo in CPOS}
        self.cards = {emsp: catalogue.cards_of(emsp, self.stamp) for emsp in EMSPS}
        self.outlets = {cpo: self._outlets(cpo) for cpo in CPOS}

    def _outlets(self, cpo: Company) -> list[Outlet]:
        tariffs = {tariff["id"]: tariff for tariff in self.tariffs[cpo]}
        return [
            Outlet(catalogue.identity(cpo), location, evse, tariffs[_tariff_of(evse)])
            for location in self.locations[cpo]
            for evse in location["evses"]
        ]

    def driver(self, chance: random.Random, cpo: Company) -> Item:
        """Return a token that is good for charging, rather one from the CPO's side."""
        home, abroad = EMSPS if cpo is CPOS[0] else EMSPS[::-1]
        cards = self.cards[home if chance.random() < HOME else abroad]
        return chance.choice([card for card in cards if card["valid"]])


@dataclass
class Month:
    """The charges of one CPO between two instants; no EVSE is used twice at a time."""

    world: World
    cpo: Company
    begins: datetime
    ends: datetime
    name: str
    taken: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)

    def charges(self, count: int) -> list[Charge]:
        """Return so many charges, fewer when there is no room, in the order of their ends."""
        chance = random.Random(f"{self.name} {self.cpo.address}")  # noqa: S311 - a simulation
        found = [self._charge(chance, number) for number in range(1, count + 1)]
        return sorted((item for item in found if item), key=lambda charge: charge.ended_at)

    def _charge(self, chance: random.Random, number: int) -> Charge | None:
        uid = f"{self.cpo.address.party_id}-{self.name}-{number:04}"
        token = self.world.driver(chance, self.cpo)
        for _ in range(ATTEMPTS):
            outlet = chance.choice(self.world.outlets[self.cpo])
            charge = Charge(uid, outlet, token, drawn(chance, outlet, self._start(chance, outlet)))
            if self._fits(charge):
                slots = self.taken.setdefault(outlet.evse["uid"], [])
                slots.append((charge.started_at, charge.ended_at))
                return charge
        return None

    def _start(self, chance: random.Random, outlet: Outlet) -> datetime:
        """Return a start in the month, at an hour at which people are about."""
        day = self.begins + chance.random() * (self.ends - self.begins)
        local = day.astimezone(outlet.zone)
        hour = min(max(chance.gauss(14, 4.5), 0), 23.9)
        start = local.replace(hour=0, minute=0, second=0) + timedelta(hours=hour)
        return on_tick(start.astimezone(self.begins.tzinfo))

    def _fits(self, charge: Charge) -> bool:
        if not self.begins <= charge.started_at < charge.ended_at < self.ends:
            return False
        slots = self.taken.get(charge.outlet.evse["uid"], [])
        return all(charge.ended_at <= begin or end <= charge.started_at for begin, end in slots)


def drawn(chance: random.Random, outlet: Outlet, started_at: datetime) -> tuple[Stage, ...]:
    """Return the stages of a charge as drivers have them at such a charger."""
    power = min(chance.choice(CARS_KW[outlet.fast]), outlet.power_kw)
    minutes = chance.uniform(12, 45) if outlet.fast else chance.uniform(50, 260)
    parking = 0.0 if outlet.fast or chance.random() < 0.6 else chance.uniform(10, 75)
    return staged(
        outlet,
        started_at,
        charging=ticks(minutes),
        parking=ticks(parking),
        power_kw=power,
    )


def ticks(minutes: float) -> timedelta:
    """Return a duration as whole ticks."""
    return timedelta(seconds=round(minutes * 60 / TICK) * TICK)


def ring(world: World) -> Sequence[tuple[Company, Outlet]]:
    """Return all EVSEs in an order in which live traffic may use one after the other."""
    chance = random.Random("ring")  # noqa: S311 - a simulation
    pairs = [(cpo, outlet) for cpo in CPOS for outlet in world.outlets[cpo]]
    return chance.sample(pairs, len(pairs))


def _tariff_of(evse: Item) -> str:
    return str(evse["connectors"][0]["tariff_ids"][0])
