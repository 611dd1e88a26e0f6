"""The parameters of lists."""

import datetime as dt

import pytest
from django.http import QueryDict

from hub.ocpi.errors import Invalid
from hub.ocpi.pagination import Page

NOVEMBER = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "query",
    [
        "2026-11-01T00:00:00Z",
        "2026-11-01T00:00:00.000Z",
        "2026-11-01T00:00:00",
        "2026-11-01T00:00",
        "2026-11-01T00:00:00+00:00",
        "2026-11-01T00:00:00%2B00:00",
        "2026-11-01T00%3A00%3A00.000%2B00%3A00",
        "2026-11-01+00:00:00",
        "2026-11-01%2000:00:00",
        "2026-11-01+00:00",
        "2026-11-01%2000:00:00Z",
        "2026-11-01+00:00:00+00:00",
    ],
)
@pytest.mark.ocpi("G-09")
def test_a_date_is_utc_however_it_is_spelled(query):
    assert Page.of(QueryDict(f"date_from={query}")).date_from == NOVEMBER
    assert Page.of(QueryDict(f"date_to={query}")).date_to == NOVEMBER


@pytest.mark.parametrize(
    "query",
    [
        "2026-11-01T00:00:00+01:00",
        "2026-11-01T00:00:00%2B02:00",
        "2026-11-01T00:00:00-01:00",
        "2026-11-01T00:00:00+00:30",
        "2026-11-01++00:00:00",
        "2026-11-01T00:00:00++00:00",
        "2026-02-31T00:00:00Z",
        "2026-11-01",
        "2026-11-01+",
        "+",
        "yesterday",
    ],
)
@pytest.mark.ocpi("G-09")
def test_any_other_date_is_refused(query):
    with pytest.raises(Invalid, match="date_from must be a DateTime"):
        Page.of(QueryDict(f"date_from={query}"))
