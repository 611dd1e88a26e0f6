"""Lists, page by page. Source: OCPI 2.2.1, transport_and_format, "Pagination"."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.http import QueryDict

from hub.ocpi import times
from hub.ocpi.errors import Invalid

CEILING = 100


@dataclass(frozen=True)
class Page:
    """What part of a list is asked for; `date_to` is exclusive."""

    offset: int
    limit: int
    date_from: datetime | None
    date_to: datetime | None

    @classmethod
    def of(cls, query: QueryDict) -> "Page":
        """Read the parameters; raises Invalid for nonsense."""
        return cls(
            offset=_number(query, "offset", 0, least=0),
            limit=min(_number(query, "limit", CEILING, least=1), CEILING),
            date_from=_date(query, "date_from"),
            date_to=_date(query, "date_to"),
        )

    def headers(self, url: str, total: int) -> dict[str, str]:
        """Return the headers of this page of a list of `total` objects at a URL."""
        found = {"X-Total-Count": str(total), "X-Limit": str(self.limit)}
        if self.offset + self.limit < total:
            found["Link"] = f'<{url}?{self._next_query()}>; rel="next"'
        return found

    def _next_query(self) -> str:
        dates = (("date_from", self.date_from), ("date_to", self.date_to))
        filters = {name: times.render(value) for name, value in dates if value}
        return urlencode({**filters, "offset": self.offset + self.limit, "limit": self.limit})


def _number(query: QueryDict, name: str, default: int, *, least: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < least:
        raise Invalid(f"{name} must be a whole number of at least {least}")
    return int(text)


def _date(query: QueryDict, name: str) -> datetime | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        return times.parse(text)
    except ValueError as error:
        raise Invalid(f"{name} must be a DateTime like 2026-11-01T00:00:00Z") from error
