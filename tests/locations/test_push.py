"""Locations and tariffs: pushed by their owner, read back, owed to those entitled, listed."""

import datetime as dt

import pytest

from hub.ocpi import times
from locations.models import Location, Tariff
from parties.models import Delivery
from tests import objects
from tests.speaking import joined

pytestmark = pytest.mark.django_db
MODULES = ("locations", "tariffs", "sessions", "cdrs")


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO", modules=["tokens"])


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP", modules=MODULES)


@pytest.fixture
def stranger():
    return joined("FR", "STR", "CPO")


def put(speaker, body, uid=None, **headers):
    path = f"2.2.1/receiver/locations/{speaker.path}/{uid or body['id']}"
    return speaker.put(path, body, **headers)


def owed():
    rows = Delivery.objects.select_related("receiver__party").order_by("pk")
    return [(str(row.receiver.party), row.module, row.wanted) for row in rows]


@pytest.mark.ocpi("P-01", "P-09", "P-12", "P-13", "T-12", "T-31")
def test_a_location_is_created_then_replaced_and_read_back_as_sent(cpo):
    body = objects.location(cpo.address, **{"x-own": {"a": objects.D("1.10")}, "related": None})
    assert put(cpo, body).http == 201
    assert put(cpo, {**body, "name": "New"}).http == 200
    assert cpo.get(f"2.2.1/receiver/locations/{cpo.path}/l1").data == {**body, "name": "New"}


@pytest.mark.ocpi("B-03", "H-08")
def test_everybody_opposite_is_owed_it_and_nobody_else(cpo, emsp, stranger):
    deaf = joined("AT", "DEA", "EMSP")
    joined("AT", "OFF", "EMSP", modules=MODULES, state="push_only")
    nsp = joined("AT", "NSP", "NSP", modules=MODULES)
    put(cpo, objects.location(cpo.address))
    assert sorted(owed()) == [("AT*NSP", "locations", 1), ("DE*EMP", "locations", 1)]
    assert deaf.platform != nsp.platform


@pytest.mark.ocpi("P-11")
def test_the_same_again_is_not_sent_again_and_a_change_is(cpo, emsp):
    body = objects.location(cpo.address)
    put(cpo, body)
    put(cpo, body)
    assert owed() == [("DE*EMP", "locations", 1)]
    put(cpo, {**body, "name": "New"})
    assert owed() == [("DE*EMP", "locations", 2)]


@pytest.mark.ocpi("P-10")
def test_an_older_update_is_answered_1000_and_ignored(cpo, emsp):
    body = objects.location(cpo.address)
    put(cpo, body)
    reply = put(cpo, {**body, "name": "Old", "last_updated": "2026-11-09T10:00:00Z"})
    assert (reply.http, reply.code) == (200, 1000)
    assert "Ignored" in reply.message
    assert Location.objects.get().name == "Dam"


def test_a_clock_that_runs_ahead_is_refused(cpo):
    ahead = times.render(times.now() + dt.timedelta(minutes=16))
    reply = put(cpo, objects.location(cpo.address, last_updated=ahead))
    assert (reply.http, reply.code) == (200, 2001)
    assert not Location.objects.exists()


@pytest.mark.ocpi("T-08", "T-10", "P-05")
def test_all_problems_of_a_body_are_listed_and_nothing_changes(cpo, emsp):
    body = objects.location(cpo.address, country="NL", evses=[objects.evse(status="available")])
    del body["publish"]
    reply = put(cpo, body)
    assert (reply.http, reply.code) == (200, 2001)
    assert {item["path"] for item in reply.data} == {"$", "$.country", "$.evses[0].status"}
    assert "publish is required" in reply.message
    assert not Location.objects.exists()
    assert not owed()


@pytest.mark.parametrize("body", [[], "text", 1, None, True])
@pytest.mark.ocpi("T-10")
def test_a_body_that_is_no_object_is_refused(cpo, body):
    assert put(cpo, body, uid="L1").code == 2001


@pytest.mark.parametrize(
    "members",
    [
        {"id": "L2"},
        {"party_id": "STR", "country_code": "FR"},
        {"last_updated": "2026-02-30T00:00:00Z"},
    ],
)
@pytest.mark.ocpi("P-02", "P-03")
def test_url_and_body_must_agree_and_dates_exist(cpo, stranger, members):
    assert put(cpo, objects.location(cpo.address, **members), uid="L1").code == 2001


def test_a_list_without_end_is_refused_at_once(cpo):
    reply = put(cpo, objects.location(cpo.address, evses=[1] * 10_001))
    assert (reply.http, reply.code) == (200, 2001)
    assert "at most 10000" in reply.message


@pytest.mark.parametrize("uid", ["%EF%AC%811", "FI1%0A"])
@pytest.mark.ocpi("T-25")
def test_an_id_is_not_folded_into_another(cpo, uid):
    assert put(cpo, objects.location(cpo.address, id="FI1"), uid=uid).code == 2001
    assert not Location.objects.exists()


@pytest.mark.ocpi("P-04", "A-12", "T-14")
def test_nobody_speaks_for_somebody_else(cpo, emsp, stranger):
    body = objects.location(cpo.address)
    put(cpo, body)
    path = f"2.2.1/receiver/locations/{cpo.path}/L1"
    assert stranger.put(path, body).http == 404
    assert stranger.get(path).http == 404
    assert (
        stranger.put(path, body, OCPI_from_country_code="NL", OCPI_from_party_id="CPO").http == 404
    )
    assert emsp.put(f"2.2.1/receiver/locations/{emsp.path}/L1", body).http == 403


@pytest.mark.ocpi("L-15")
def test_two_parties_on_one_platform_are_told_apart_by_the_url(cpo):
    other = joined("NL", "TWO", "CPO")
    other.party.roles.update(platform=cpo.platform)
    assert put(cpo, objects.location(cpo.address)).http == 201
    other.token = cpo.token
    assert put(other, objects.location(other.address)).http == 201
    assert Location.objects.count() == 2


@pytest.mark.ocpi("G-06", "G-08", "G-09", "P-13", "T-11")
def test_an_emsp_lists_page_by_page_and_reads_one(cpo, emsp):
    for number in range(5):
        put(cpo, objects.location(cpo.address, id=f"L{number}"))
    seen, path = [], "2.2.1/sender/locations?limit=2"
    while path:
        reply = emsp.get(path)
        seen += [item["id"] for item in reply.data]
        assert reply.headers["X-Total-Count"] == "5"
        link = reply.headers.get("Link")
        path = link and link.split(">")[0].split("/ocpi/")[1]
    assert seen == ["L0", "L1", "L2", "L3", "L4"]
    assert emsp.get("2.2.1/sender/locations/l3").data["id"] == "L3"
    assert emsp.get("2.2.1/sender/locations/L9").http == 404
    assert emsp.get("2.2.1/sender/locations/L9").code == 2003
    assert emsp.get("2.2.1/sender/locations?offset=9").data == []
    assert cpo.get("2.2.1/sender/locations").http == 403


@pytest.mark.ocpi("G-05")
def test_filters_are_from_inclusive_to_exclusive(cpo, emsp):
    for hour in (10, 11, 12):
        stamp = f"2026-11-10T{hour}:00:00Z"
        put(cpo, objects.location(cpo.address, id=f"L{hour}", last_updated=stamp))
    reply = emsp.get(
        "2.2.1/sender/locations?date_from=2026-11-10T11:00:00Z&date_to=2026-11-10T12:00:00Z"
    )
    assert [item["id"] for item in reply.data] == ["L11"]


@pytest.mark.ocpi("O-04", "L-15")
def test_an_id_of_two_owners_needs_an_addressee(cpo, emsp, stranger):
    put(cpo, objects.location(cpo.address))
    put(stranger, objects.location(stranger.address))
    assert emsp.get("2.2.1/sender/locations/L1").code == 2001
    reply = emsp.get("2.2.1/sender/locations/L1", OCPI_to_country_code="FR", OCPI_to_party_id="STR")
    assert reply.data["party_id"] == "STR"


def test_a_list_takes_a_fixed_number_of_queries(cpo, emsp, django_assert_num_queries):
    for number in range(20):
        put(cpo, objects.location(cpo.address, id=f"L{number}"))
    emsp.get("versions")  # the use of a token is noted once a minute
    with django_assert_num_queries(2):
        emsp.get("2.2.1/sender/locations")


def test_tariffs_go_the_same_way(cpo, emsp):
    body = objects.tariff(cpo.address)
    assert cpo.put(f"2.2.1/receiver/tariffs/{cpo.path}/T1", body).http == 201
    assert owed() == [("DE*EMP", "tariffs", 1)]
    assert emsp.get("2.2.1/sender/tariffs").data == [body]


@pytest.mark.ocpi("G-06")
def test_a_page_of_large_objects_ends_early_and_says_where_to_go_on(cpo, emsp, monkeypatch):
    monkeypatch.setattr("parties.listing.PAGE_BYTES", 1500)
    for number in range(4):
        put(cpo, objects.location(cpo.address, id=f"L{number}"))
    seen, path, pages = [], "2.2.1/sender/locations?limit=50", 0
    while path:
        reply = emsp.get(path)
        seen += [item["id"] for item in reply.data]
        link = reply.headers.get("Link", "")
        path, pages = link.partition("/ocpi/")[2].partition(">")[0], pages + 1
        assert (reply.headers["X-Limit"], reply.headers["X-Total-Count"]) == ("50", "4")
    assert seen == ["L0", "L1", "L2", "L3"]
    assert 1 < pages <= 4


@pytest.mark.ocpi("T-33", "P-13")
def test_an_id_may_hold_slashes_and_keeps_the_spelling_of_the_body(cpo, emsp):
    body = objects.tariff(cpo.address, id="day/Night 1")
    path = f"2.2.1/receiver/tariffs/{cpo.path}/DAY%2Fnight%201"
    assert cpo.put(path, body).http == 201
    assert cpo.get(path).data == body
    assert emsp.get("2.2.1/sender/tariffs/day%2Fnight%201").data == body
    assert Tariff.objects.get().uid == "day/Night 1"
