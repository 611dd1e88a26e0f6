"""OCPI's DateTime: UTC, at most milliseconds, written with a Z."""

from datetime import UTC, datetime


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
