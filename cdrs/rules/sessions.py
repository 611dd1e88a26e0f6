"""What the CPO told of the session before it sent the CDR."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from cdrs.facts import Facts
from cdrs.rules.context import Context, KnownSession
from cdrs.rules.engine import FLAG, HOLD, rule
from hub.ocpi import times

NEW = "2026-12"
SHIFTS = (timedelta(hours=1), timedelta(hours=2))
SLIGHT = timedelta(minutes=2)


@rule(FLAG, since=NEW)
def session_unknown(facts: Facts, context: Context) -> str | None:
    """A CPO that tells of its sessions has told of this one."""
    uid = facts.text("session_id")
    if not uid or context.session or not context.sessions_told:
        return None
    return f"session {uid} was not told"


@rule(HOLD, since=NEW, retried=True)
def session_required(facts: Facts, context: Context) -> str | None:
    """An agreement may ask for sessions (`session_required`)."""
    if context.session or not context.parameters.session_required:
        return None
    return "the agreement asks for the session, and it was not told"


@rule(FLAG, since=NEW)
def session_not_completed(facts: Facts, context: Context) -> str | None:
    """A CDR follows a session that is COMPLETED."""
    if context.session is None or context.session.status == "COMPLETED":
        return None
    return f"the session is {context.session.status}"


@rule(HOLD, since=NEW)
def session_energy_differs(facts: Facts, context: Context) -> str | None:
    """The energy is the completed session's, within 5 percent (`session_tolerance`)."""
    off = _off(facts, context.session)
    if off is None or off <= context.parameters.session_tolerance or context.session is None:
        return None
    return f"the session had {context.session.kwh} kWh, the CDR {facts.energy_kwh} kWh"


@rule(FLAG, since=NEW)
def session_differs(facts: Facts, context: Context) -> str | None:
    """Energy, times, token, EVSE and currency are the completed session's."""
    session = context.session
    if session is None or session.status != "COMPLETED":
        return None
    found = list(_differences(facts, session))
    return f"the session was told otherwise: {'; '.join(found)}" if found else None


@rule(FLAG, since=NEW, timed=True)
def clock_shifted(facts: Facts, context: Context) -> str | None:
    """A start exactly an hour or two off the session's is a mistake about a time zone."""
    session = context.session
    started = _instant(session.started_at) if session else None
    if started is None or abs(facts.started_at - started) not in SHIFTS:
        return None
    return f"the session started at {started:%H:%M}, the CDR at {facts.started_at:%H:%M} UTC"


def _off(facts: Facts, session: KnownSession | None) -> Decimal | None:
    """Return how far the energy is off a completed session's, as a share of it."""
    if session is None or session.status != "COMPLETED":
        return None
    difference = abs(facts.energy_kwh - session.kwh)
    if difference <= Decimal("0.05"):
        return Decimal(0)
    return difference / session.kwh if session.kwh > 0 else Decimal(1)


def _differences(facts: Facts, session: KnownSession) -> Iterator[str]:
    if abs(facts.energy_kwh - session.kwh) > Decimal("0.01"):
        yield f"{session.kwh} kWh"
    pairs = ((session.started_at, facts.started_at), (session.ended_at, facts.ended_at))
    for text, ours in zip(("start", "end"), pairs, strict=True):
        told = _instant(ours[0])
        if told and not facts.dateless and abs(told - ours[1]) > SLIGHT:
            yield f"{text} {told:%Y-%m-%d %H:%M}"
    known = (
        (session.token_uid, facts.text("cdr_token", "uid")),
        (session.evse_uid, facts.text("cdr_location", "evse_uid")),
        (session.currency, facts.text("currency")),
    )
    yield from (told for told, ours in known if told and ours and told.upper() != ours.upper())


def _instant(text: str | None) -> datetime | None:
    try:
        return times.parse(text) if text else None
    except ValueError:
        return None
