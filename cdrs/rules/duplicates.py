"""The same session twice, and sessions that exclude each other."""

from cdrs.facts import Facts
from cdrs.rules.context import Context
from cdrs.rules.engine import FLAG, HOLD, rule

NEW = "2026-12"
TINY = 4  # sessions of less than 1 kWh of one token at one EVSE in a day
ALIKE = 3  # sessions with the same energy at one EVSE in a week


@rule(HOLD)
def session_billed_twice(facts: Facts, context: Context) -> str | None:
    """A session has one CDR that is not credited."""
    if context.same_session:
        return f"CDR {context.same_session} bills the same session"
    return None


@rule(HOLD, timed=True)
def same_start(facts: Facts, context: Context) -> str | None:
    """One token starts one session at one EVSE at one time."""
    if context.same_start:
        return f"CDR {context.same_start} has the same EVSE, token and start"
    return None


@rule(HOLD, since=NEW, timed=True)
def nearly_the_same(facts: Facts, context: Context) -> str | None:
    """Two CDRs of one token at one EVSE differ by two minutes or 0.05 kWh at least."""
    if context.nearly_same:
        return f"CDR {context.nearly_same} has the same EVSE and token, nearly at the same time"
    return None


@rule(HOLD, since=NEW, timed=True)
def overlapping(facts: Facts, context: Context) -> str | None:
    """An EVSE charges one car at a time."""
    if context.overlapping:
        return f"CDR {context.overlapping} is of the same EVSE at the same time"
    return None


@rule(FLAG, since=NEW, timed=True)
def billed_by_another_cpo(facts: Facts, context: Context) -> str | None:
    """A session is of one CPO."""
    if context.by_another_cpo:
        return f"another CPO's CDR {context.by_another_cpo} has the same token, start and energy"
    return None


@rule(FLAG, since=NEW, timed=True)
def tiny_sessions(facts: Facts, context: Context) -> str | None:
    """Many sessions of less than 1 kWh at one EVSE may be there for their fees."""
    count = context.tiny_that_day
    return f"{count} sessions of less than 1 kWh that day" if count >= TINY else None


@rule(FLAG, since=NEW, timed=True)
def energy_repeats(facts: Facts, context: Context) -> str | None:
    """The same energy again and again may be a meter that is stuck."""
    count = context.same_energy
    if count < ALIKE:
        return None
    return f"{count} earlier sessions at this EVSE have {facts.energy_kwh} kWh, too"


@rule(FLAG, since=NEW)
def replaces_credited(facts: Facts, context: Context) -> str | None:
    """A CDR after a credit belongs to it."""
    if context.replaces and not facts.credit:
        return f"it replaces CDR {context.replaces}, which is credited"
    return None
