"""Lists, page by page. Source: OCPI 2.2.1, transport_and_format, "Pagination"."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.http import QueryDict

from hub.ocpi import times
from hub.ocpi.errors import Invalid

CEILING = 100
_DATES = ("date_from", "date_to", "received_from")


@dataclass(frozen=True)
class Page:
    """What part of a list is asked for.

    `date_from` (inclusive) and `date_to` (exclusive) are about `last_updated`. `received_from` is
    the hub's own: what it has received since, however old that was then.
    """

    offset: int
    limit: int
    date_from: datetime | None
    date_to: datetime | None
    received_from: datetime | None

    @classmethod
    def of(cls, query: QueryDict) -> "Page":
        """Read the parameters; raises Invalid for nonsense."""
        return cls(
            offset=_number(query, "offset", 0, least=0),
            limit=min(_number(query, "limit", CEILING, least=1), CEILING),
            date_from=_date(query, "date_from"),
            date_to=_date(query, "date_to"),
            received_from=_date(query, "received_from"),
        )

    @property
    def dates(self) -> tuple[tuple[str, datetime], ...]:
        """Return the conditions on an object's dates, by the names of its columns."""
        conditions = {
            "last_updated__gte": self.date_from,
            "last_updated__lt": self.date_to,
            "received_at__gte": self.received_from,
        }
        return tuple((name, value) for name, value in conditions.items() if value)

    def headers(self, url: str, *, total: int, shown: int) -> dict[str, str]:
        """Return the headers of this page, which shows some of a list of `total` objects."""
        found = {"X-Total-Count": str(total), "X-Limit": str(self.limit)}
        following = self.offset + shown
        if shown and following < total:
            found["Link"] = f'<{url}?{self._query(following)}>; rel="next"'
        return found

    def _query(self, offset: int) -> str:
        dates = {name: getattr(self, name) for name in _DATES}
        filters = {name: times.render(value) for name, value in dates.items() if value}
        return urlencode({**filters, "offset": offset, "limit": self.limit})


def is_number(text: str) -> bool:
    """Tell whether a text is a whole number of at most 9 digits."""
    return text.isascii() and text.isdigit() and len(text) <= 9


def _number(query: QueryDict, name: str, default: int, *, least: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not is_number(text) or int(text) < least:
        raise Invalid(f"{name} must be a whole number of at least {least}, with at most 9 digits")
    return int(text)


def _date(query: QueryDict, name: str) -> datetime | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        return times.parse_parameter(text)
    except ValueError as error:
        raise Invalid(f"{name} must be a DateTime like 2026-11-01T00:00:00Z") from error
