"""What the hub checks of a CDR before it may be paid.

Each rule is a pure function of what the CDR says and of what the hub knows about it; it returns
one plain sentence when it fires. HOLD keeps the CDR from being settled until it is cleared, FLAG
only marks it. docs/cdr-rules.md lists them all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from cdrs.facts import Facts
from hub.money import ZERO, is_currency

VERSION = "2026-11"
HOLD, FLAG = "hold", "flag"
SKEW = timedelta(minutes=5)
SESSION_ONLY = frozenset({"CURRENT", "ENERGY_EXPORT", "ENERGY_IMPORT", "POWER", "STATE_OF_CHARGE"})
TIMED = frozenset(
    {
        "charging_periods_disordered",
        "delivered_late",
        "delivered_too_late",
        "end_before_start",
        "longer_than_24_hours",
        "longer_than_72_hours",
        "same_start",
        "shorter_than_a_minute",
        "total_time_differs",
        "updated_before_the_end",
    }
)
PARTS = ("fixed", "energy", "time", "parking", "reservation")


@dataclass(frozen=True)
class KnownToken:
    """A token as its eMSP last told it."""

    valid: bool
    contract_id: str
    last_updated: datetime


@dataclass(frozen=True)
class Original:
    """The CDR that a credit refers to."""

    excl_vat: Decimal
    currency: str
    credit: bool
    credited: bool
    settled: bool
    accepted: bool = True
    same_trade: bool = True  # of the same eMSP, country and month as the credit


@dataclass(frozen=True)
class Context:
    """What the hub knows when it judges a CDR."""

    now: datetime
    emsp_known: bool = True
    token: KnownToken | None = None
    location_known: bool = True
    same_session: str = ""
    same_start: str = ""
    original: Original | None = None
    late_hold: timedelta | None = None
    lacking: tuple[str, ...] = ()
    hold_lacking: bool = False


@dataclass(frozen=True)
class Finding:
    """What one rule says of a CDR."""

    code: str
    severity: str
    text: str


Rule = Callable[[Facts, Context], str | None]
RULES: dict[str, tuple[str, Rule]] = {}


def rule(severity: str) -> Callable[[Rule], Rule]:
    """Register a rule under the name of its function."""

    def register(function: Rule) -> Rule:
        RULES[function.__name__] = (severity, function)
        return function

    return register


def judge(facts: Facts, context: Context) -> list[Finding]:
    """Return everything that the rules find, at once and in their order.

    Of a CDR without dates they say that (`epoch_date`), and nothing that would follow from it.
    """
    silent = TIMED if facts.dateless else frozenset()
    said = ((code, severity, check(facts, context)) for code, (severity, check) in RULES.items())
    return [
        Finding(code, severity, text[:255])
        for code, severity, text in said
        if text and code not in silent
    ]


# Who pays


@rule(HOLD)
def emsp_unknown(facts: Facts, context: Context) -> str | None:
    """The token must belong to an eMSP of this network."""
    if context.emsp_known:
        return None
    return f"no eMSP of this network owns the token ({facts.payer or 'not resolved'})"


@rule(HOLD)
def token_unknown(facts: Facts, context: Context) -> str | None:
    """The token must have been told to the hub, unless an app started the session."""
    if context.token or facts.text("auth_method") == "COMMAND":
        return None
    return "the eMSP has not told the hub this token"


@rule(HOLD)
def token_invalid(facts: Facts, context: Context) -> str | None:
    """The token must have been valid when the session started."""
    token = context.token
    if token and not token.valid and token.last_updated <= facts.started_at:
        return "the token was invalid when the session started"
    return None


@rule(FLAG)
def contract_differs(facts: Facts, context: Context) -> str | None:
    """The contract id must be the token's."""
    told = facts.text("cdr_token", "contract_id")
    if context.token and told and told.upper() != context.token.contract_id.upper():
        return f"the token's contract is {context.token.contract_id}, not {told}"
    return None


@rule(FLAG)
def incomplete(facts: Facts, context: Context) -> str | None:
    """What the quick-start dialect left out and the hub could not derive."""
    return f"could not be derived: {', '.join(context.lacking)}" if context.lacking else None


@rule(HOLD)
def not_shown_to_the_emsp(facts: Facts, context: Context) -> str | None:
    """Nobody pays for what cannot be sent to them as valid OCPI (in the sandbox they do)."""
    if not context.hold_lacking or not context.lacking:
        return None
    return f"it cannot be sent to the eMSP without {', '.join(context.lacking)}"


# Duplicates


@rule(HOLD)
def session_billed_twice(facts: Facts, context: Context) -> str | None:
    """A session has one CDR that is not credited."""
    if context.same_session:
        return f"CDR {context.same_session} bills the same session"
    return None


@rule(HOLD)
def same_start(facts: Facts, context: Context) -> str | None:
    """One token starts one session at one EVSE at one time."""
    if context.same_start:
        return f"CDR {context.same_start} has the same EVSE, token and start"
    return None


# Time


@rule(HOLD)
def end_before_start(facts: Facts, context: Context) -> str | None:
    """A session ends after it starts."""
    if facts.ended_at < facts.started_at:
        return "it ends before it starts"
    if facts.ended_at == facts.started_at and facts.energy_kwh != 0:
        return "it has energy but no duration"
    return None


@rule(HOLD)
def in_the_future(facts: Facts, context: Context) -> str | None:
    """A CDR is about the past."""
    return "it ends in the future" if facts.ended_at > context.now + SKEW else None


@rule(HOLD)
def epoch_date(facts: Facts, context: Context) -> str | None:
    """A date before 2010 is a clock that was never set."""
    first = min(facts.started_at, facts.ended_at).year
    return "its dates are those of a clock that was never set" if first < 2010 else None


@rule(HOLD)
def longer_than_72_hours(facts: Facts, context: Context) -> str | None:
    """Nobody charges for more than three days."""
    return f"it lasted {facts.duration_h:.1f} hours" if facts.duration_h > 72 else None


@rule(FLAG)
def longer_than_24_hours(facts: Facts, context: Context) -> str | None:
    """A session of more than a day deserves a look."""
    return f"it lasted {facts.duration_h:.1f} hours" if 24 < facts.duration_h <= 72 else None


@rule(FLAG)
def shorter_than_a_minute(facts: Facts, context: Context) -> str | None:
    """A session of seconds that costs something deserves a look."""
    brief = 0 <= facts.duration_h < Decimal(60) / 3600
    return "it lasted less than a minute" if brief and facts.excl_vat != 0 else None


@rule(HOLD)
def total_time_differs(facts: Facts, context: Context) -> str | None:
    """total_time is end minus start, within a minute."""
    told = Decimal(facts.body["total_time"])
    if abs(told - facts.duration_h) * 3600 > 60:
        return f"total_time is {told} h, start to end is {facts.duration_h:.4f} h"
    return None


@rule(HOLD)
def parking_longer_than_session(facts: Facts, context: Context) -> str | None:
    """Parking is part of the total time."""
    parking = facts.body.get("total_parking_time") or ZERO
    if parking > facts.body["total_time"]:
        return f"total_parking_time {parking} h exceeds total_time {facts.body['total_time']} h"
    return None


@rule(HOLD)
def charging_periods_disordered(facts: Facts, context: Context) -> str | None:
    """Charging periods ascend from the start and begin before the end."""
    starts = [period.started_at for period in facts.periods]
    if starts[0] != facts.started_at and not facts.credit:
        return "the first charging period does not start with the session"
    if any(later <= earlier for earlier, later in pairwise(starts)):
        return "charging periods are not in ascending order"
    if len(starts) > 1 and starts[-1] >= facts.ended_at:
        return "the last charging period starts at or after the end"
    return None


@rule(FLAG)
def delivered_late(facts: Facts, context: Context) -> str | None:
    """A CDR follows its session within three days."""
    days = (context.now - facts.ended_at).days
    return f"it came {days} days after the session" if days >= 3 else None


@rule(HOLD)
def delivered_too_late(facts: Facts, context: Context) -> str | None:
    """How late a CDR may come at all is for the agreement to say."""
    if context.late_hold is None or context.now - facts.ended_at <= context.late_hold:
        return None
    return f"it came more than {context.late_hold.days} days after the session"


@rule(FLAG)
def updated_before_the_end(facts: Facts, context: Context) -> str | None:
    """A CDR is written after the session, and not in the future."""
    if facts.last_updated > context.now + SKEW:
        return "last_updated lies in the future"
    return "last_updated lies before the end" if facts.last_updated < facts.ended_at else None


# Energy


@rule(HOLD)
def energy_negative(facts: Facts, context: Context) -> str | None:
    """Energy flows into the car unless an agreement says otherwise."""
    return "total_energy is negative" if facts.body["total_energy"] < 0 else None


@rule(HOLD)
def energy_cost_without_energy(facts: Facts, context: Context) -> str | None:
    """No energy, no energy cost."""
    cost = (facts.body.get("total_energy_cost") or {}).get("excl_vat") or ZERO
    if facts.energy_kwh == 0 and cost != 0:
        return f"it has no energy, but an energy cost of {cost}"
    return None


@rule(HOLD)
def energy_implausible(facts: Facts, context: Context) -> str | None:
    """No battery takes more than 400 kWh."""
    energy = facts.energy_kwh
    return f"{energy} kWh in one session" if energy > 400 else None


@rule(FLAG)
def energy_high(facts: Facts, context: Context) -> str | None:
    """More than 120 kWh is a lorry or a mistake."""
    energy = facts.energy_kwh
    return f"{energy} kWh in one session" if 120 < energy <= 400 else None


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


# Place


@rule(FLAG)
def location_unknown(facts: Facts, context: Context) -> str | None:
    """The location should have been published."""
    if context.location_known:
        return None
    return f"location {facts.text('cdr_location', 'id')} has not been published"


# Price and tax


@rule(HOLD)
def currency_unknown(facts: Facts, context: Context) -> str | None:
    """The currency is one of ISO 4217."""
    currency = facts.text("currency")
    return None if is_currency(currency) else f"{currency} is not a currency"


@rule(HOLD)
def currency_differs_from_tariff(facts: Facts, context: Context) -> str | None:
    """The tariffs are in the CDR's currency."""
    others = {tariff["currency"] for tariff in facts.body.get("tariffs") or []}
    others.discard(facts.text("currency"))
    return f"a tariff is in {', '.join(sorted(others))}" if others else None


@rule(HOLD)
def cost_negative(facts: Facts, context: Context) -> str | None:
    """Only a credit is negative."""
    return "total_cost is negative" if facts.excl_vat < 0 and not facts.credit else None


@rule(HOLD)
def cost_implausible(facts: Facts, context: Context) -> str | None:
    """No session costs more than ten million, in whatever currency."""
    cost = abs(facts.excl_vat)
    return f"total_cost is {facts.excl_vat}" if cost > 10_000_000 else None


@rule(FLAG)
def parts_do_not_add_up(facts: Facts, context: Context) -> str | None:
    """The parts, where given, add up to the total, within a cent."""
    prices = [facts.body.get(f"total_{part}_cost") for part in PARTS]
    parts = [price["excl_vat"] for price in prices if price]
    total = sum(parts, ZERO)
    if not parts or abs(total - abs(facts.excl_vat)) <= Decimal("0.01"):
        return None
    return f"the parts add up to {total}, total_cost is {facts.excl_vat}"


@rule(FLAG)
def vat_negative(facts: Facts, context: Context) -> str | None:
    """VAT is not negative."""
    if facts.incl_vat is None or abs(facts.incl_vat) >= abs(facts.excl_vat):
        return None
    return f"total_cost is {facts.excl_vat} without VAT and {facts.incl_vat} with it"


@rule(FLAG)
def more_than_4_decimals(facts: Facts, context: Context) -> str | None:
    """OCPI's amounts have 4 decimals; the hub reads them so."""
    told = Decimal(facts.body["total_cost"]["excl_vat"])
    return f"total_cost {told} is read as {facts.excl_vat}" if told != facts.excl_vat else None


@rule(HOLD)
def home_charging(facts: Facts, context: Context) -> str | None:
    """Compensation for charging at home goes the other way and is not settled here."""
    if facts.body.get("home_charging_compensation"):
        return "compensation for charging at home is not settled automatically"
    return None


# Credits


@rule(HOLD)
def credit_reference_unknown(facts: Facts, context: Context) -> str | None:
    """A credit names a CDR of the same CPO that is not a credit itself."""
    if not facts.credit:
        return None
    if context.original is None:
        return f"credits {facts.text('credit_reference_id') or 'nothing'}, which is not known"
    return "credits a credit" if context.original.credit else None


@rule(HOLD)
def credit_not_exact(facts: Facts, context: Context) -> str | None:
    """A credit takes back exactly what was charged."""
    original = context.original
    if not facts.credit or original is None:
        return None
    if not original.same_trade:
        return "the original is of another eMSP, country or month"
    if (facts.excl_vat, facts.text("currency")) == (-original.excl_vat, original.currency):
        return None
    return f"credits {facts.excl_vat}, the original is {original.excl_vat} {original.currency}"


@rule(HOLD)
def credit_of_held(facts: Facts, context: Context) -> str | None:
    """What is not billed need not be taken back."""
    if facts.credit and context.original and not context.original.accepted:
        return "the original is held itself"
    return None


@rule(HOLD)
def credited_twice(facts: Facts, context: Context) -> str | None:
    """A CDR is credited once."""
    if facts.credit and context.original and context.original.credited:
        return "the original is credited already"
    return None


@rule(HOLD)
def credit_after_settlement(facts: Facts, context: Context) -> str | None:
    """What is settled already is taken back by a credit note."""
    if facts.credit and context.original and context.original.settled:
        return "the original is settled: a credit note is needed"
    return None
