"""How much it was, and whether the charger could give it."""

from collections.abc import Iterator
from decimal import Decimal

from cdrs.facts import ChargingPeriod, Facts
from cdrs.rules.context import Context
from cdrs.rules.engine import FLAG, HOLD, rule
from hub.money import ZERO

NEW = "2026-12"
SESSION_ONLY = frozenset({"CURRENT", "ENERGY_EXPORT", "ENERGY_IMPORT", "POWER", "STATE_OF_CHARGE"})
MOST_AC_KW = 43
SHORTEST = 60  # seconds of a period whose power says something


@rule(HOLD)
def energy_negative(facts: Facts, context: Context) -> str | None:
    """Energy flows into the car unless an agreement says otherwise (`feeding_back`)."""
    if context.parameters.feeding_back or facts.body["total_energy"] >= 0:
        return None
    return "total_energy is negative"


@rule(HOLD)
def energy_cost_without_energy(facts: Facts, context: Context) -> str | None:
    """No energy, no energy cost."""
    cost = (facts.body.get("total_energy_cost") or {}).get("excl_vat") or ZERO
    if facts.energy_kwh == 0 and cost != 0:
        return f"it has no energy, but an energy cost of {cost}"
    return None


@rule(HOLD)
def energy_implausible(facts: Facts, context: Context) -> str | None:
    """No battery takes more than 400 kWh (`most_energy_kwh`)."""
    energy = facts.energy_kwh
    return f"{energy} kWh in one session" if energy > context.parameters.most_energy_kwh else None


@rule(FLAG)
def energy_high(facts: Facts, context: Context) -> str | None:
    """More than 120 kWh (`high_energy_kwh`) is a lorry or a mistake."""
    energy, limits = facts.energy_kwh, context.parameters
    high = limits.high_energy_kwh < energy <= limits.most_energy_kwh
    return f"{energy} kWh in one session" if high else None


@rule(HOLD)
def energy_sum_differs(facts: Facts, context: Context) -> str | None:
    """The ENERGY of all charging periods is total_energy, within 0.01 kWh."""
    if not any("ENERGY" in period.volumes for period in facts.periods):
        return None
    periods, total = facts.volume("ENERGY"), Decimal(facts.body["total_energy"])
    if abs(periods - total) <= Decimal("0.01"):
        return None
    hint = "; the periods seem to be in Wh" if total and 990 < periods / total < 1010 else ""
    return f"charging periods have {periods} kWh, total_energy is {total}{hint}"


@rule(FLAG)
def session_only_dimension(facts: Facts, context: Context) -> str | None:
    """Some dimensions are for sessions only."""
    found = {name for period in facts.periods for name in period.volumes} & SESSION_ONLY
    return f"dimensions not meant for CDRs: {', '.join(sorted(found))}" if found else None


@rule(HOLD, since=NEW, timed=True)
def power_impossible(facts: Facts, context: Context) -> str | None:
    """No session has more power on average than its connector can give (`power_tolerance`)."""
    most, hours = _most_kw(context), _charging_hours(facts)
    if most is None or hours <= 0 or facts.energy_kwh <= most * hours:
        return None
    return f"{facts.energy_kwh} kWh in {hours:.4f} h is more than the connector's {most:.1f} kW"


@rule(FLAG, since=NEW, timed=True)
def period_power_impossible(facts: Facts, context: Context) -> str | None:
    """No charging period has more power than its connector can give."""
    most = _most_kw(context)
    if most is None:
        return None
    for number, hours, energy in _stretches(facts):
        if energy > most * hours and hours * 3600 >= SHORTEST:
            return f"period {number}: {energy} kWh in {hours:.4f} h is more than {most:.1f} kW"
    return None


@rule(FLAG, since=NEW)
def measurement_impossible(facts: Facts, context: Context) -> str | None:
    """A measured power or current is one that the connector can give."""
    most, connector = _most_kw(context), context.place.connector if context.place else None
    amperage = connector.max_amperage if connector else None
    powers = [_measured(period, "POWER") for period in facts.periods]
    currents = [_measured(period, "CURRENT") for period in facts.periods]
    if most and max(powers) > most:
        return f"{max(powers)} kW were measured, the connector has {most:.1f} kW"
    if amperage and max(currents) > amperage * 3 * context.parameters.power_tolerance:
        return f"{max(currents)} A were measured, the connector has {amperage} A a phase"
    return None


@rule(FLAG, since=NEW, timed=True)
def too_fast_for_ac(facts: Facts, context: Context) -> str | None:
    """Alternating current gives 43 kW at most."""
    kind, hours = facts.text("cdr_location", "connector_power_type"), _charging_hours(facts)
    if not kind.startswith("AC") or hours <= 0 or facts.energy_kwh <= MOST_AC_KW * hours:
        return None
    return f"{facts.energy_kwh / hours:.1f} kW on average by a connector of type {kind}"


@rule(FLAG, since=NEW)
def more_decimals_than_4(facts: Facts, context: Context) -> str | None:
    """OCPI's volumes have 4 decimals; the hub rounds them so."""
    volumes = {f"total_{name}": facts.body.get(f"total_{name}") for name in ("energy", "time")}
    for number, period in enumerate(facts.periods, 1):
        volumes |= {f"{kind} of period {number}": told for kind, told in period.volumes.items()}
    fine = [name for name, told in volumes.items() if told is not None and _is_fine(told)]
    return f"more than 4 decimals: {', '.join(fine)}" if fine else None


def _is_fine(told: Decimal | int) -> bool:
    """Tell whether a number has more than 4 decimals, whatever its size."""
    exponent = Decimal(told).normalize().as_tuple().exponent
    return isinstance(exponent, int) and exponent < -4


def _most_kw(context: Context) -> Decimal | None:
    """Return the power that the connector may have given, where the hub knows it."""
    connector = context.place.connector if context.place else None
    most = connector.most_kw if connector else None
    return most * context.parameters.power_tolerance if most else None


def _charging_hours(facts: Facts) -> Decimal:
    """Return the time in which energy flowed: what is told of it, or all but the parking."""
    parked = facts.body.get("total_parking_time") or facts.volume("PARKING_TIME")
    return facts.duration_h - parked


def _stretches(facts: Facts) -> Iterator[tuple[int, Decimal, Decimal]]:
    """Return number, hours and kWh of each charging period."""
    ends = [period.started_at for period in facts.periods[1:]] + [facts.ended_at]
    for number, (period, end) in enumerate(zip(facts.periods, ends, strict=True), 1):
        hours = Decimal(str((end - period.started_at).total_seconds())) / 3600
        yield number, hours, period.volumes.get("ENERGY", ZERO)


def _measured(period: ChargingPeriod, what: str) -> Decimal:
    volumes = period.volumes
    return max(volumes.get(f"MAX_{what}", ZERO), volumes.get(f"MIN_{what}", ZERO))
