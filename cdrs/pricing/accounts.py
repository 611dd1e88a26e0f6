"""The account of a CDR: its lines, and the sums of its lines. Every figure comes from here."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cdrs.pricing.moments import Moment
from cdrs.pricing.numbers import NOTHING, ZERO, Amount
from cdrs.pricing.sessions import (
    ENERGY,
    FLAT,
    PARKING_TIME,
    RESERVATION_TIME,
    TIME,
    Period,
    Remark,
    Session,
)
from cdrs.pricing.tariffs import Offer, Tariff

Asked = tuple[str | None, ...]
RESERVATION_FLAT = "RESERVATION_FLAT"
PARTS = {  # which lines make up which of the CDR's totals
    "total_fixed_cost": (FLAT,),
    "total_energy_cost": (ENERGY,),
    "total_time_cost": (TIME,),
    "total_parking_cost": (PARKING_TIME,),
    "total_reservation_cost": (RESERVATION_TIME, RESERVATION_FLAT),
}


class Stage(NamedTuple):
    """A period with what it is judged by: its tariff, and the state of the session at its start."""

    period: Period
    tariff: Tariff
    start: Moment


class Lookup(NamedTuple):
    """A search for the price of a volume (1 for a fee), and what it found.

    `asked` are the reservation restrictions that an element may carry, the best first; None is an
    element without one.
    """

    kind: str
    stage: Stage
    asked: Asked
    volume: Decimal
    offer: Offer | None


@dataclass(slots=True)
class Line:
    """A volume of one period at one price; with the `extra` of step_size it is what is billed."""

    kind: str
    stage: Stage
    offer: Offer
    volume: Decimal
    extra: Decimal = ZERO
    billed: Decimal = ZERO
    cost: Amount = NOTHING


class Step(NamedTuple):
    """A rounding by step_size, in Wh or seconds; what it adds lands on a line."""

    kind: str
    total: Decimal
    size: Decimal
    billed: Decimal
    line: Line


class Bound(NamedTuple):
    """What min_price or max_price made of the total."""

    name: str
    limit: Amount
    before: Amount
    after: Amount


@dataclass(slots=True)
class Account:
    """All that follows from a CDR and its tariffs. Volumes are in kWh and hours."""

    session: Session
    zone: ZoneInfo
    stages: list[Stage]
    lines: list[Line] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    sum: Amount = NOTHING  # of all lines
    total: Amount = NOTHING  # after min_price and max_price
    parts: dict[str, Amount | None] = field(default_factory=dict)
    volumes: dict[str, Decimal] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """Return the codes of the remarks, each once."""
        return list(dict.fromkeys(remark.code for remark in self.remarks))

    def of(self, *kinds: str) -> Iterator[Line]:
        """Return the lines of some kinds in their order."""
        return (line for line in self.lines if line.kind in kinds)

    def remark(self, code: str, period: Period | None, text: str) -> None:
        """Add a warning."""
        self.remarks.append(Remark(code, period.number if period else None, text))
