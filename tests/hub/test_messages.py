"""Times, ids, routing headers, pages."""

import datetime as dt

import pytest
from django.http import QueryDict

from hub.ocpi import times
from hub.ocpi.errors import Invalid
from hub.ocpi.messages import Address, Ids, Route
from hub.ocpi.pagination import Page


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-25T10:00:00Z", "2026-11-25T10:00:00Z"),
        ("2026-11-25T10:00:00", "2026-11-25T10:00:00Z"),
        ("2026-11-25T10:00:00.5Z", "2026-11-25T10:00:00.500Z"),
        ("2026-11-25T10:00:00.123", "2026-11-25T10:00:00.123Z"),
        ("1970-1-1T00:00:00Z", "1970-01-01T00:00:00Z"),
    ],
)
@pytest.mark.ocpi("T-26", "D-14", "X-08")
def test_a_date_time_is_utc_and_written_with_a_z(text, written):
    assert times.render(times.parse(text)) == written
    assert times.parse(text).utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00+05:00", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "", "soon"],
)
def test_a_date_that_does_not_exist_is_an_error(text):
    with pytest.raises(ValueError, match=r"."):
        times.parse(text)


@pytest.mark.ocpi("T-22", "T-23")
def test_ids_are_repeated_or_made():
    ids = Ids.from_headers({"X-Request-ID": "a-1", "X-Correlation-ID": "b:2"})
    assert ids.headers() == {"X-Request-ID": "a-1", "X-Correlation-ID": "b:2"}
    made = Ids.from_headers({"X-Request-ID": "evil\r\nSet-Cookie: a=b"})
    assert len(made.request) == len(made.correlation) == 36
    assert ids.next().correlation == "b:2"
    assert ids.next().request != "a-1"


@pytest.mark.ocpi("R-05")
def test_routing_headers_go_in_pairs_and_ignore_case():
    route = Route.from_headers({"OCPI-to-country-code": "nl", "OCPI-to-party-id": "abc"})
    assert route.to == Address("NL", "ABC")
    with pytest.raises(Invalid, match="go together"):
        Route.from_headers({"OCPI-from-party-id": "ABC"})
    with pytest.raises(Invalid, match="2 letters"):
        Route.from_headers({"OCPI-from-party-id": "ABC", "OCPI-from-country-code": "N1"})


@pytest.mark.ocpi("G-06", "G-07", "G-09")
def test_a_page_clamps_its_limit_and_links_with_all_filters():
    page = Page.of(QueryDict("limit=5000&offset=100&date_from=2026-01-01T00:00:00Z"))
    assert (page.limit, page.offset) == (100, 100)
    headers = page.headers("http://hub/x", total=250, shown=100)
    assert headers["X-Limit"] == "100"
    assert headers["X-Total-Count"] == "250"
    assert headers["Link"] == (
        '<http://hub/x?date_from=2026-01-01T00%3A00%3A00Z&offset=200&limit=100>; rel="next"'
    )
    last = Page.of(QueryDict("offset=200"))
    assert "Link" not in last.headers("http://hub/x", total=250, shown=50)


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "offset=-1", "date_to=soon"])
@pytest.mark.ocpi("G-09")
def test_nonsense_in_a_page_is_invalid(query):
    with pytest.raises(Invalid):
        Page.of(QueryDict(query))
