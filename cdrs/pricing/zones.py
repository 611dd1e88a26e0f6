"""In which time zone a session took place.

zones.csv has the countries all of whose zones of the IANA database have kept the same time since
2018; in the others the country does not tell the time.
"""

import csv
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from cdrs.pricing.refusals import Refused
from cdrs.pricing.sessions import Session


def of(session: Session, told: str | None) -> ZoneInfo:
    """Return the zone: the one told, else the location's, else the country's only one.

    Raises Refused (time_zone_missing, time_zone_invalid).
    """
    name = told or session.time_zone or _zones_of_countries().get(session.country, "")
    if not name:
        place = f"country {session.country}" if session.country else "no country"
        raise Refused("time_zone_missing", f"{place} does not tell the time zone")
    return named(name)


@cache
def named(name: str) -> ZoneInfo:
    """Return a zone of the IANA database. Raises Refused (time_zone_invalid)."""
    if name not in _names():
        raise Refused("time_zone_invalid", f"{name!r} is not a time zone")
    return ZoneInfo(name)


@cache
def _names() -> set[str]:
    return available_timezones() - {"localtime", "Factory"}  # what these say depends on the host


@cache
def _zones_of_countries() -> dict[str, str]:
    with Path(__file__).with_name("zones.csv").open() as lines:
        return {row["country"]: row["zone"] for row in csv.DictReader(lines)}
