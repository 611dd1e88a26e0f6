"""What a CDR says, as typed values; a body that is incomplete yields what it has."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from hub.money import ZERO, four_decimals
from hub.ocpi import times
from hub.ocpi.errors import Invalid
from hub.ocpi.messages import Address

NOT_KNOWN = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_YEAR, LAST_YEAR = NOT_KNOWN.year, 2199


@dataclass(frozen=True)
class ChargingPeriod:
    """One charging period: when it starts, and the volume per dimension (kWh, hours, ...)."""

    started_at: datetime
    volumes: Mapping[str, Decimal]


@dataclass(frozen=True)
class Facts:
    """A CDR's own statements, read from its body. Times are instants, amounts 4 decimals."""

    body: Mapping[str, Any]

    @cached_property
    def started_at(self) -> datetime:
        """Return when it started."""
        return _instant(self.body, "start_date_time")

    @cached_property
    def ended_at(self) -> datetime:
        """Return when it ended."""
        return _instant(self.body, "end_date_time")

    @cached_property
    def last_updated(self) -> datetime:
        """Return when the CPO wrote it."""
        return _instant(self.body, "last_updated")

    @cached_property
    def duration_h(self) -> Decimal:
        """Return the hours between start and end."""
        seconds = Decimal(str((self.ended_at - self.started_at).total_seconds()))
        return seconds / 3600

    @cached_property
    def dateless(self) -> bool:
        """Tell whether start or end is 1970-01-01T00:00:00Z, agreed on for "not known"."""
        return NOT_KNOWN in {self.started_at, self.ended_at}

    @cached_property
    def periods(self) -> list[ChargingPeriod]:
        """Return the charging periods in the order given."""
        return [_period(item) for item in self.body["charging_periods"]]

    @cached_property
    def credit(self) -> bool:
        """Tell whether it takes another CDR back."""
        return bool(self.body.get("credit"))

    @cached_property
    def excl_vat(self) -> Decimal:
        """Return the total before VAT."""
        return four_decimals(self.body["total_cost"]["excl_vat"] * Decimal(1))

    @cached_property
    def incl_vat(self) -> Decimal | None:
        """Return the total with VAT, None where the CPO left it out."""
        value = self.body["total_cost"].get("incl_vat")
        return None if value is None else four_decimals(value * Decimal(1))

    @cached_property
    def energy_kwh(self) -> Decimal:
        """Return the energy; positive in a credit, too, which names what it takes back."""
        return four_decimals(self.body["total_energy"] * Decimal(1))

    @cached_property
    def payer(self) -> Address | None:
        """Return the eMSP that the token names."""
        token = self.body.get("cdr_token")
        return Address.of(token["country_code"], token["party_id"]) if token else None

    def text(self, *path: str) -> str:
        """Return a nested string, empty when it or its parent is absent."""
        value: Any = self.body
        for name in path:
            value = (value or {}).get(name)
        return str(value) if value is not None else ""

    def volume(self, dimension: str) -> Decimal:
        """Return the sum of a dimension over all charging periods."""
        return sum((period.volumes.get(dimension, ZERO) for period in self.periods), ZERO)


def _instant(body: Mapping[str, Any], name: str) -> datetime:
    try:
        instant = times.parse(body[name])
    except ValueError as error:
        raise Invalid(f"{name}: {error}") from error
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise Invalid(f"{name}: the year is not between {FIRST_YEAR} and {LAST_YEAR}")
    return instant


def _period(item: Mapping[str, Any]) -> ChargingPeriod:
    volumes: dict[str, Decimal] = {}
    for dimension in item["dimensions"]:
        kind = dimension["type"]
        volumes[kind] = volumes.get(kind, ZERO) + dimension["volume"]
    return ChargingPeriod(_instant(item, "start_date_time"), volumes)
