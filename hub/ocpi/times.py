"""OCPI's DateTime: UTC, at most milliseconds, written with a Z."""

import re
from datetime import UTC, datetime

_PARAMETER = re.compile(r"(\S{10})[T ](\S+?)(?:[+ ]00:00|[Zz])?")


def parse(text: str) -> datetime:
    """Read a DateTime as an aware UTC instant; a missing zone means UTC.

    Raises ValueError for a date that does not exist (the wire pattern admits a 31st of February).
    """
    date, _, clock = text.rstrip("Zz").partition("T")
    if "+" in clock or "-" in clock:
        raise ValueError("a DateTime is UTC and has no offset")
    year, month, day = (int(part) for part in date.split("-"))
    return datetime.fromisoformat(f"{year:04}-{month:02}-{day:02}T{_padded(clock)}").replace(
        tzinfo=UTC
    )


def parse_parameter(text: str) -> datetime:
    """Read the DateTime of a URL, where `+00:00` and a space instead of the T are tolerated.

    A `+` that was not encoded arrives as a space. Raises ValueError.
    """
    found = _PARAMETER.fullmatch(text)
    if found is None:
        raise ValueError("not a DateTime")
    return parse(f"{found[1]}T{found[2]}")


def render(instant: datetime) -> str:
    """Write an instant as OCPI spells it: milliseconds only when there are any."""
    moment = instant.astimezone(UTC)
    if moment.microsecond // 1000:
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> datetime:
    """Return the present instant in UTC, cut to milliseconds."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _padded(clock: str) -> str:
    seconds, point, fraction = clock.partition(".")
    return f"{seconds}.{fraction:0<3}" if point else seconds
