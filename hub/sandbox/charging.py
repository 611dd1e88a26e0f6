"""A charge as it really was, and how the CPO tells it: as a session, and as a CDR."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hub.money import ZERO
from hub.ocpi import times
from hub.sandbox import billing
from hub.sandbox.billing import Stage

TICK = 36  # seconds: a hundredth of an hour, so that volumes in hours are exact
WH10 = Decimal("0.01")
Item = dict[str, Any]


@dataclass(frozen=True)
class Outlet:
    """An EVSE of a CPO with what belongs to it."""

    cpo: Item  # country_code and party_id
    location: Item
    evse: Item
    tariff: Item

    @property
    def connector(self) -> Item:
        """Return its only connector."""
        connector: Item = self.evse["connectors"][0]
        return connector

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of the place."""
        return ZoneInfo(self.location["time_zone"])

    @property
    def power_kw(self) -> int:
        """Return the most that it gives."""
        return int(self.connector["max_electric_power"]) // 1000

    @property
    def fast(self) -> bool:
        """Tell whether it charges with direct current."""
        return bool(self.connector["power_type"] == "DC")


@dataclass(frozen=True)
class Charge:
    """One charge: where, by whom, its stages, and how it was allowed, unless the token tells."""

    uid: str
    outlet: Outlet
    token: Item
    stages: tuple[Stage, ...]
    auth_method: str = ""

    @property
    def started_at(self) -> datetime:
        """Return when the car was plugged in."""
        return self.stages[0].started_at

    @property
    def ended_at(self) -> datetime:
        """Return when it left."""
        return self.stages[-1].ended_at

    @property
    def energy_kwh(self) -> Decimal:
        """Return what it took."""
        return sum((stage.energy_kwh for stage in self.stages), ZERO)

    @cached_property
    def bill(self) -> billing.Bill:
        """Return what it costs."""
        return billing.price(self.stages, self.outlet.tariff, self.outlet.zone)

    def scaled(self, factor: int | Decimal) -> "Charge":
        """Return the charge as a meter with a wrong ratio would have seen it."""
        stages = [replace(stage, energy_kwh=stage.energy_kwh * factor) for stage in self.stages]
        return replace(self, stages=tuple(stages))


def on_tick(moment: datetime) -> datetime:
    """Return the last tick before a moment."""
    return datetime.fromtimestamp(moment.timestamp() // TICK * TICK, moment.tzinfo)


def staged(
    outlet: Outlet, started_at: datetime, *, charging: timedelta, parking: timedelta, power_kw: int
) -> tuple[Stage, ...]:
    """Return the stages of a charge: a new one where the price or the current changes."""
    full_at = started_at + charging
    cuts = [started_at, *_price_changes(outlet, started_at, full_at), full_at]
    stages = [Stage(begin, end, _energy(power_kw, end - begin)) for begin, end in pairwise(cuts)]
    if parking:
        stages.append(Stage(full_at, full_at + parking))
    return tuple(stages)


def session(charge: Charge, *, progress: Decimal) -> Item:
    """Return the session as it stands after a part of its time (0 to 1, then it is completed)."""
    done = progress == 1
    seconds = int((charge.ended_at - charge.started_at).total_seconds() * float(progress))
    kwh = (charge.energy_kwh * progress).quantize(WH10, rounding=ROUND_HALF_UP)
    ending = {"end_date_time": times.render(charge.ended_at), "total_cost": charge.bill.total}
    return {
        **charge.outlet.cpo,
        "id": f"S-{charge.uid}",
        "start_date_time": times.render(charge.started_at),
        **(ending if done else {}),
        "kwh": kwh,
        "cdr_token": cdr_token(charge.token),
        "auth_method": _auth_method(charge),
        "location_id": charge.outlet.location["id"],
        "evse_uid": charge.outlet.evse["uid"],
        "connector_id": charge.outlet.connector["id"],
        "currency": charge.outlet.tariff["currency"],
        **({"charging_periods": _periods(charge)} if done else {}),
        "status": "COMPLETED" if done else "ACTIVE",
        "last_updated": times.render(charge.started_at + timedelta(seconds=seconds)),
    }


def cdr(charge: Charge) -> Item:
    """Return the CDR."""
    bill, parked = charge.bill, [stage.hours for stage in charge.stages if stage.parking]
    parts = {
        "total_fixed_cost": bill.fixed,
        "total_energy": charge.energy_kwh,
        "total_energy_cost": bill.energy,
        "total_time": sum((stage.hours for stage in charge.stages), ZERO),
        "total_parking_time": sum(parked, ZERO) if parked else None,
        "total_parking_cost": bill.parking,
    }
    return {
        **charge.outlet.cpo,
        "id": f"C-{charge.uid}",
        "start_date_time": times.render(charge.started_at),
        "end_date_time": times.render(charge.ended_at),
        "session_id": f"S-{charge.uid}",
        "cdr_token": cdr_token(charge.token),
        "auth_method": _auth_method(charge),
        "cdr_location": _place(charge.outlet),
        "currency": charge.outlet.tariff["currency"],
        "tariffs": [charge.outlet.tariff],
        "charging_periods": _periods(charge),
        "total_cost": bill.total,
        **{name: value for name, value in parts.items() if value is not None},
        "last_updated": times.render(charge.ended_at),
    }


def cdr_token(token: Item) -> Item:
    """Return what a CDR says of a token."""
    names = ("country_code", "party_id", "uid", "type", "contract_id")
    return {name: token[name] for name in names}


def _price_changes(outlet: Outlet, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Return the instants between two at which the tariff changes its price, by local time."""
    clocks = sorted(billing.boundaries(outlet.tariff))
    day = begin.astimezone(outlet.zone).date()
    while day <= end.astimezone(outlet.zone).date():
        for clock in clocks:
            local = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=outlet.zone)
            if begin < local < end:
                yield local.astimezone(begin.tzinfo)
        day += timedelta(days=1)


def _energy(power_kw: int, duration: timedelta) -> Decimal:
    return (power_kw * billing.in_hours(duration)).quantize(WH10, rounding=ROUND_HALF_UP)


def _auth_method(charge: Charge) -> str:
    usual = "COMMAND" if charge.token["type"] == "APP_USER" else "WHITELIST"
    return charge.auth_method or usual


def _periods(charge: Charge) -> list[Item]:
    return [_period(stage, charge.outlet.tariff["id"]) for stage in charge.stages]


def _period(stage: Stage, tariff_id: str) -> Item:
    volumes = {"ENERGY": stage.energy_kwh, "TIME": stage.hours}
    if stage.parking:
        volumes = {"PARKING_TIME": stage.hours}
    return {
        "start_date_time": times.render(stage.started_at),
        "dimensions": [{"type": name, "volume": volume} for name, volume in volumes.items()],
        "tariff_id": tariff_id,
    }


def _place(outlet: Outlet) -> Item:
    names = ("id", "name", "address", "city", "postal_code", "country", "coordinates")
    return {
        **{name: outlet.location[name] for name in names},
        "evse_uid": outlet.evse["uid"],
        "evse_id": outlet.evse["evse_id"],
        "connector_id": outlet.connector["id"],
        "connector_standard": outlet.connector["standard"],
        "connector_format": outlet.connector["format"],
        "connector_power_type": outlet.connector["power_type"],
    }
