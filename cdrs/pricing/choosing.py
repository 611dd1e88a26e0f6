"""Which tariff prices which period."""

from collections.abc import Sequence

from cdrs.pricing.refusals import Refused
from cdrs.pricing.sessions import Period, Session
from cdrs.pricing.tariffs import Tariff

MOST_WORK = 1_000_000  # a period can ask every element; quarters of an hour for 3 days: 83,000


def choose(session: Session, offered: Sequence[Tariff]) -> list[Tariff]:
    """Return the tariff of each period: the one it names, else the first that is active.

    What counts is the start of the session: the driver accepted the tariff of that moment. Raises
    Refused (no_tariff, unknown_tariff, no_active_tariff, currency_mismatch, out_of_range).
    """
    if not offered:
        raise Refused("no_tariff", "there is no tariff to price the CDR with")
    chosen = [_tariff_of(period, session, offered) for period in session.periods]
    for tariff in chosen:
        _check_currency(session, tariff)
    if sum(len(tariff.elements) for tariff in chosen) > MOST_WORK:
        raise Refused("out_of_range", "its periods and elements are more than a session can have")
    return chosen


def _tariff_of(period: Period, session: Session, offered: Sequence[Tariff]) -> Tariff:
    if period.tariff_uid:
        return _named(period, offered)
    for tariff in offered:
        if tariff.active(session.started_at):
            return tariff
    raise Refused("no_active_tariff", "no tariff is valid at the start of the session")


def _named(period: Period, offered: Sequence[Tariff]) -> Tariff:
    """Return the tariff with the period's tariff_id, whatever its window; case does not count."""
    wanted = period.tariff_uid.casefold()
    for tariff in offered:
        if tariff.uid.casefold() == wanted:
            return tariff
    text = f"period {period.number} names tariff {period.tariff_uid}, which is not given"
    raise Refused("unknown_tariff", text)


def _check_currency(session: Session, tariff: Tariff) -> None:
    """Nothing is converted."""
    currencies = {tariff.currency, session.currency} - {""}
    if len(currencies) > 1:
        text = f"tariff {tariff.uid} is in {tariff.currency}, the CDR in {session.currency}"
        raise Refused("currency_mismatch", text)
