"""What a charge costs by the CPO's tariff, exactly.

Volumes have 2 decimals and prices 2, so a cost before VAT never needs rounding to OCPI's 4.
Source: OCPI 2.2.1, mod_tariffs; VAT is added to each cost and rounded once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hub.money import ZERO, four_decimals

Cost = dict[str, Decimal]


@dataclass(frozen=True)
class Stage:
    """A stretch of a session at one price: charging (with energy) or parking (without)."""

    started_at: datetime
    ended_at: datetime
    energy_kwh: Decimal = ZERO

    @property
    def parking(self) -> bool:
        """Tell whether the car only stood there."""
        return not self.energy_kwh

    @property
    def hours(self) -> Decimal:
        """Return how long it lasted."""
        return in_hours(self.ended_at - self.started_at)


@dataclass(frozen=True)
class Bill:
    """The costs of a session: the total and its parts, each absent where nothing was priced."""

    total: Cost
    fixed: Cost | None
    energy: Cost | None
    parking: Cost | None


def in_hours(duration: timedelta) -> Decimal:
    """Return a duration in hours; exact for multiples of 36 seconds."""
    return Decimal(int(duration.total_seconds())) / 3600


def price(stages: Sequence[Stage], tariff: Mapping[str, Any], zone: ZoneInfo) -> Bill:
    """Price the stages of a session."""
    energy = [
        _cost(_component(tariff, "ENERGY", stage, zone), stage.energy_kwh)
        for stage in stages
        if stage.energy_kwh
    ]
    parking = [
        _cost(_component(tariff, "PARKING_TIME", stage, zone), stage.hours)
        for stage in stages
        if stage.parking
    ]
    fixed = [_cost(_component(tariff, "FLAT", stages[0], zone), Decimal(1))]
    return Bill(_sum(fixed + energy + parking), _sum(fixed), *map(_sum_if, (energy, parking)))


def boundaries(tariff: Mapping[str, Any]) -> set[str]:
    """Return the local times at which a price may change."""
    restrictions = [element.get("restrictions", {}) for element in tariff["elements"]]
    names = ("start_time", "end_time")
    return {item[name] for item in restrictions for name in names if name in item}


def _component(
    tariff: Mapping[str, Any], dimension: str, stage: Stage, zone: ZoneInfo
) -> Mapping[str, Any] | None:
    """Return the first price of a dimension that applies when the stage begins."""
    clock = f"{stage.started_at.astimezone(zone):%H:%M}"
    for element in tariff["elements"]:
        limits = element.get("restrictions", {})
        applies = limits.get("start_time", "00:00") <= clock < limits.get("end_time", "24:00")
        component: Mapping[str, Any] = element["price_components"][0]
        if applies and component["type"] == dimension:
            return component
    return None


def _cost(component: Mapping[str, Any] | None, volume: Decimal) -> Cost:
    """Return what a volume costs; what has no price is free."""
    if component is None:
        return {"excl_vat": ZERO, "incl_vat": ZERO}
    excl_vat = component["price"] * volume
    if "vat" not in component:
        return {"excl_vat": excl_vat}
    return {"excl_vat": excl_vat, "incl_vat": excl_vat * (1 + component["vat"] / 100)}


def _sum(costs: Sequence[Cost]) -> Cost:
    """Add costs up; VAT is rounded here, once."""
    names = ("excl_vat", "incl_vat")
    known = [name for name in names if all(name in cost for cost in costs)]
    return {name: four_decimals(sum((cost[name] for cost in costs), ZERO)) for name in known}


def _sum_if(costs: Sequence[Cost]) -> Cost | None:
    return _sum(costs) if costs else None
