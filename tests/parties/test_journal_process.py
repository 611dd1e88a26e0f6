"""What a process has noted and not yet written is written when it ends."""

import urllib.error
import urllib.request

import psycopg
import pytest

from hub import services
from tests.running import fresh_data_dir, running_hub

pytestmark = [pytest.mark.network, pytest.mark.ocpi("X-02")]


def call(url, request_id):
    request = urllib.request.Request(url, headers={"X-Request-ID": request_id})  # noqa: S310
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request)  # noqa: S310


def test_a_hub_that_is_stopped_loses_nothing_of_its_journal():
    with fresh_data_dir() as data_dir:
        with running_hub(data_dir, JOURNAL_SECONDS="600") as hub:
            for number in range(8):  # to both of the web processes
                call(f"{hub.url}/ocpi/versions", f"r{number}")
        with running_hub(data_dir), psycopg.connect(services.database_url(data_dir)) as base:
            rows = base.execute("SELECT request_id FROM parties_exchange ORDER BY 1").fetchall()
    assert [request_id for (request_id,) in rows] == [f"r{number}" for number in range(8)]
