"""What is odd about the next state of a session: told to the CPO, and never worth a loss.

Pure. Source: OCPI 2.2.1, mod_sessions, Session object and SessionStatus enum.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from hub.ocpi import times

FINAL = "COMPLETED"
ORDER = ("RESERVATION", "PENDING", "ACTIVE", FINAL)  # INVALID is possible at any time


def of_session(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what is odd about a session, given what was known of it before."""
    return [*_status(before, after), *_values(before, after), *_periods(after)]


def _status(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    was, now = before["status"], after["status"]
    if was == FINAL:
        yield "the session was COMPLETED already"
    elif was in ORDER and now in ORDER and ORDER.index(now) < ORDER.index(was):
        yield f"the session was {was} already"


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if after["kwh"] < before["kwh"]:
        yield "kwh is less than before"
    if after["currency"] != before["currency"]:
        yield "the currency is another than before"


def _periods(after: Mapping[str, Any]) -> Iterator[str]:
    """Say when charging periods do not follow each other, or two begin at once."""
    starts = [_instant(item["start_date_time"]) for item in after.get("charging_periods") or []]
    if len(set(starts)) < len(starts):
        yield "two charging periods begin at the same time"
    elif starts != sorted(starts):
        yield "the charging periods are not in order"


def _instant(text: str) -> str:
    try:
        return times.render(times.parse(text))
    except ValueError:
        return text
