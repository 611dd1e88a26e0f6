"""The page for Prometheus: what is on it, and who may read it."""

import re

import pytest
from django.test import Client

from hub import egress, metrics
from parties import delivery
from parties.delivery import tallies
from parties.models import Platform
from tests import objects
from tests.speaking import Speaker, joined
from tests.wires import Said, receiving, wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]
TOKEN = "of-the-monitoring"


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


def page(**headers):
    return Client().get("/metrics", headers=headers)


def value(name, **labels):
    """Return a figure of the page, 0 when it has never been counted."""
    text = page().content.decode()
    named = ",".join(f'{key}="{item}"' for key, item in sorted(labels.items()))
    line = re.escape(f"{name}{{{named}}} " if labels else f"{name} ")
    found = re.search(rf"^{line}(\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_requests_are_timed_by_module_and_bad_tokens_are_counted(cpo):
    timed, failed = value("inbound_seconds_count", module="tokens"), value("auth_fail_total")
    cpo.get("2.2.1/sender/tokens")
    Speaker(cpo.address, "none of ours").get("2.2.1/sender/tokens")
    assert value("inbound_seconds_count", module="tokens") == timed + 2
    assert value("auth_fail_total") == failed + 1


def test_what_comes_twice_or_late_or_early_is_counted(cpo):
    emsp = joined("DE", "EMP", "EMSP")
    names = ("stale_put_total", "future_clock_total", "dup_cdr_total")
    before = [value(name) for name in names]
    location = objects.location(cpo.address)
    path = "2.2.1/receiver/locations/NL/CPO/L1"
    cpo.put(path, location)
    cpo.put(path, location | {"last_updated": "2020-01-01T00:00:00Z"})
    cpo.put(path, location | {"last_updated": "2099-01-01T00:00:00Z"})
    for _ in range(2):
        cpo.post("2.2.1/receiver/cdrs", objects.cdr(cpo.address, emsp.address))
    assert [value(name) for name in names] == [count + 1 for count in before]


def test_what_is_owed_is_told_by_receiver_and_class(cpo):
    with wire(lambda seen: Said(500)) as partner:
        emsp = receiving(partner, "locations")
        cpo.put("2.2.1/receiver/locations/NL/CPO/L1", objects.location(cpo.address))
        receiver = str(emsp.platform.pk)
        owed, tried = {"receiver": receiver, "cls": "STATE"}, {"outcome": "transient"}
        assert value("owed_rows", **owed) == 1
        assert value("oldest_owed_age_seconds", **owed) >= 0
        assert value("breaker_state", receiver=receiver) == 0
        before = value("attempts_total", **tried)
        delivery.drain(emsp.platform.pk)
        tallies.write()
        assert value("owed_rows", **owed) == 1
        assert value("attempts_total", **tried) == before + 1
        Platform.objects.filter(pk=emsp.platform.pk).update(pause_reason="failing")
        assert value("breaker_state", receiver=receiver) == 1


def test_calls_that_the_door_refuses_are_counted_by_reason():
    before = value("egress_denied_total", reason="host")
    with pytest.raises(egress.EgressDeniedError):
        egress.check_url("https://elsewhere.example/", ["here.example"])
    assert value("egress_denied_total", reason="host") == before + 1


@pytest.mark.parametrize(
    "name",
    [
        "pg_oldest_xmin_age",
        'pg_dead_tuples{table="parties_delivery"}',
        "clock_offset",
        "database_up 1.0",
        f'hub_build_info{{environment="sandbox",version="{metrics.VERSION}"}} 1.0',
    ],
)
def test_the_database_and_the_build_are_told_of(name):
    assert name in page().content.decode()


def test_strangers_see_no_such_page(settings):
    settings.METRICS_TOKEN = TOKEN
    public = Client(REMOTE_ADDR="8.8.8.8")
    proxied = {"X-Forwarded-For": "8.8.8.8"}
    assert public.get("/metrics").status_code == 404
    assert page(**proxied).status_code == 404
    assert page(Authorization="Bearer wrong").status_code == 404
    known = {"Authorization": f"Bearer {TOKEN}"}
    assert public.get("/metrics", headers=known).status_code == 200
    assert page(**proxied, **known).status_code == 200
    settings.METRICS_TOKEN = ""
    assert public.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
