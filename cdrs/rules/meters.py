"""What a meter has signed: is it there, and does it say what the CDR says?

The signatures themselves are not verified. OCMF is read, as an open text format; of other encodings
only the name is known.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from cdrs.facts import Facts
from cdrs.rules.context import Context
from cdrs.rules.engine import FLAG, HOLD, rule
from hub.countries import alpha_2
from hub.ocpi import json

NEW = "2026-12"
OCMF = "OCMF"
ENCODINGS = frozenset(
    {OCMF, "ALFEN EICHRECHT", "EDL40 E-MOBILITY EXTENSION", "EDL40 MENNEKES", "MENNEKES"}
)
MOST_KWH = 10**12
CLOSE = timedelta(minutes=5)
UNITS = {"kWh": Decimal(1), "Wh": Decimal("0.001"), "mWh": Decimal("0.000001")}


class Reading(NamedTuple):
    """A reading of a meter: when, how many kWh, and whether it began or ended the session."""

    at: datetime | None
    kwh: Decimal
    kind: str


@rule(FLAG, since=NEW)
def signed_data_missing(facts: Facts, context: Context) -> str | None:
    """Some countries want signed meter data (`signed_data_countries`)."""
    country = alpha_2(facts.text("cdr_location", "country"))
    if facts.body.get("signed_data") or country not in context.parameters.signed_data_countries:
        return None
    return f"signed meter data is expected in {country}"


@rule(HOLD, since=NEW)
def signed_data_required(facts: Facts, context: Context) -> str | None:
    """An agreement may ask for signed meter data (`signed_data_required`)."""
    if facts.body.get("signed_data") or not context.parameters.signed_data_required:
        return None
    return "the agreement asks for signed meter data"


@rule(FLAG, since=NEW)
def signed_encoding_unknown(facts: Facts, context: Context) -> str | None:
    """Signed meter data is in one of the encodings that OCPI names."""
    told = facts.text("signed_data", "encoding_method")
    return f"{told} is not known" if told and told.upper() not in ENCODINGS else None


@rule(HOLD, since=NEW)
def signed_energy_differs(facts: Facts, context: Context) -> str | None:
    """What the meter has signed is the energy of the CDR, within 0.01 kWh."""
    first, last = _ends(facts)
    if first is None or last is None:
        return None
    signed = last.kwh - first.kwh
    if abs(signed - facts.energy_kwh) <= Decimal("0.01"):
        return None
    return f"the meter has signed {signed} kWh, total_energy is {facts.energy_kwh}"


@rule(HOLD, since=NEW, timed=True)
def signed_times_differ(facts: Facts, context: Context) -> str | None:
    """The meter has signed start and end of the CDR, within five minutes."""
    first, last = _ends(facts)
    pairs = ((first, facts.started_at, "start"), (last, facts.ended_at, "end"))
    for reading, told, name in pairs:
        if reading and reading.at and abs(reading.at - told) > CLOSE:
            return f"the meter has signed the {name} at {reading.at:%Y-%m-%d %H:%M:%S}"
    return None


@rule(FLAG, since=NEW)
def meter_runs_backwards(facts: Facts, context: Context) -> str | None:
    """The readings of a meter never fall."""
    readings = [reading.kwh for reading in _readings(facts)]
    falls = any(later < earlier for earlier, later in pairwise(readings))
    return "a signed reading is lower than the one before it" if falls else None


def _ends(facts: Facts) -> tuple[Reading | None, Reading | None]:
    """Return the readings that began and ended the session."""
    readings = list(_readings(facts))
    first = next((item for item in readings if item.kind == "B"), None)
    last = next((item for item in reversed(readings) if item.kind != "B"), None)
    return first, last


def _readings(facts: Facts) -> Iterator[Reading]:
    """Return the readings of OCMF data in their order; what cannot be read is left out."""
    data = facts.body.get("signed_data") or {}
    if str(data.get("encoding_method", "")).upper() != OCMF:
        return
    for value in data.get("signed_values") or ():
        found = _payload(value).get("RD")
        for item in found if isinstance(found, list) else ():
            if reading := _reading(item, str(value.get("nature", ""))):
                yield reading


def _payload(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the content of an OCMF text, OCMF|{...}|{...}, or of the JSON in it alone."""
    for text in (str(value.get("plain_data") or ""), str(value.get("signed_data") or "")):
        begin = text.removeprefix("OCMF|")
        try:
            found = json.loads(begin.partition("}|{")[0].encode() + b"}" * ("}|{" in begin))
        except json.JsonError:
            continue
        if isinstance(found, dict):
            return found
    return {}


def _reading(item: Any, nature: str) -> Reading | None:
    try:
        factor = UNITS[item.get("RU", "kWh")]
        kwh = Decimal(str(item["RV"])) * factor
    except (AttributeError, KeyError, TypeError, ArithmeticError):
        return None
    if not kwh.is_finite() or abs(kwh) > MOST_KWH:
        return None
    kind = str(item.get("TX") or {"START": "B", "END": "E"}.get(nature.upper(), ""))
    return Reading(_moment(str(item.get("TM", ""))), kwh, kind)


def _moment(text: str) -> datetime | None:
    """Read OCMF's 2026-11-10T08:00:00,000+0000 S."""
    try:
        return datetime.strptime(text.partition(" ")[0].replace(",", "."), "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        return None
