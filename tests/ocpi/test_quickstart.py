"""The quick-start paths of 2.2: locations in parts, changes of members, the end of a tariff."""

import pytest

from cdrs.models import Session
from hub.ocpi import times
from locations.models import Location, Tariff
from parties.models import Delivery, Platform
from tests import objects
from tests.objects import D
from tests.speaking import joined

pytestmark = pytest.mark.django_db
PLACE = {"latitude": "48.8566", "longitude": "2.3522"}
GUIDE = {
    "id": "LOC_123",
    "type": "ON_STREET",
    "name": "Downtown Charger 1",
    "address": "123 Main St",
    "city": "Paris",
    "country": "FRA",
    "coordinates": PLACE,
    "evses": [{"uid": "E1", "status": "AVAILABLE", "connectors": [objects.connector()]}],
}
PATH = "2.2/locations/LOC_123"


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP", modules=["locations", "tariffs", "sessions"])


@pytest.fixture
def cpo(emsp):
    cpo = joined("FR", "ABC", "CPO", dialect="quickstart", state="push_only")
    assert cpo.put(PATH, GUIDE).http == 201
    return cpo


def patch(speaker, path, body):
    return speaker.call("PATCH", path, body)


def stored():
    return Location.objects.get().body


@pytest.mark.ocpi("L-01", "L-03", "P-06")
def test_a_patch_needs_no_time_and_gets_that_of_receipt(cpo):
    before = times.parse(stored()["last_updated"])
    reply = patch(cpo, PATH, {"name": "New"})
    assert (reply.http, reply.code) == (200, 1000)
    assert "last_updated" in reply.message
    assert stored()["name"] == "New"
    assert times.parse(stored()["last_updated"]) > before
    [row] = Delivery.objects.filter(module="locations")
    assert (row.wanted, Location.objects.get().change["method"]) == (2, "PATCH")
    assert Location.objects.get().change["body"].keys() == {"name", "last_updated"}


@pytest.mark.ocpi("L-03", "P-06")
def test_a_strict_platform_says_when(cpo):
    Platform.objects.filter(pk=cpo.platform.pk).update(strict=True)
    assert patch(cpo, PATH, {"name": "New"}).code == 2001
    own = "2.2.1/receiver/locations/FR/ABC/LOC_123"
    assert patch(cpo, own, {"name": "New"}).code == 2001
    assert patch(cpo, own, {"name": "New", "last_updated": now()}).code == 1000


def now():
    return times.render(times.now())


@pytest.mark.ocpi("L-01", "L-02")
def test_an_evse_and_a_connector_are_put_patched_and_read_at_the_short_path(cpo):
    evse = {"status": "AVAILABLE", "connectors": [objects.connector(id="7")]}
    reply = cpo.put(f"{PATH}/E2", evse)
    assert (reply.http, reply.code) == (201, 1000)
    assert "normalised" in reply.message
    assert cpo.get(f"{PATH}/E2").data["uid"] == "E2"
    renamed = {"standard": "CHADEMO", "format": "CABLE", "power_type": "DC"}
    renamed |= {"voltage": 500, "amperage": 125, "tariff_id": "T1"}
    assert cpo.put(f"{PATH}/E2/8", renamed).http == 201
    connector = cpo.get(f"{PATH}/E2/8").data
    assert (connector["max_voltage"], connector["tariff_ids"]) == (500, ["T1"])
    assert patch(cpo, f"{PATH}/E2", {"status": "CHARGING"}).code == 1000
    assert patch(cpo, f"{PATH}/E2/8", {"voltage": 400}).code == 1000
    location = stored()
    assert [item["uid"] for item in location["evses"]] == ["E1", "E2"]
    assert location["evses"][1]["status"] == "CHARGING"
    assert location["evses"][1]["connectors"][1]["max_voltage"] == 400
    assert location["last_updated"] == location["evses"][1]["connectors"][1]["last_updated"]


@pytest.mark.ocpi("L-05")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("E2", {"connectors": [{"id": "1", "standard": "CHADEMO"}]}),
        ("E2", {"status": "AVAILABLE"}),
        ("E2", {"uid": "E3", "connectors": [objects.connector()]}),
        ("E2", {"uid": "E2", "connectors": "none"}),
        ("E2", []),
        ("E1/8", {"standard": "CHADEMO"}),
        ("E9/8", objects.connector(id="8")),
    ],
)
def test_a_part_that_cannot_be_completed_or_placed_is_refused(cpo, path, body):
    before = stored()
    assert cpo.put(f"{PATH}/{path}", body).code in {2001, 2003}
    assert stored() == before


@pytest.mark.ocpi("P-06", "P-08")
def test_the_members_of_a_change_are_written_as_2_2_1_has_them(cpo):
    body = {
        "type": "PARKING_LOT",
        "country": "FR",
        "coordinates": {"latitude": "48.1", "longitude": "2.1"},
        "evses": [{"id": "E1", "status": "BLOCKED", "connectors": [{"id": "1", "voltage": 400}]}],
    }
    reply = patch(cpo, PATH, body)
    assert reply.code == 1000
    location = stored()
    assert (location["parking_type"], location["country"]) == ("PARKING_LOT", "FRA")
    assert location["coordinates"] == {"latitude": "48.10000", "longitude": "2.10000"}
    [evse] = location["evses"]
    assert (evse["status"], evse["connectors"][0]["max_voltage"]) == ("BLOCKED", 400)
    assert not {"type", "id"} & (location.keys() - {"id"})


@pytest.mark.ocpi("P-05", "P-11")
def test_the_whole_put_again_takes_changes_back(cpo):
    patch(cpo, PATH, {"name": "New"})
    cpo.put(PATH, GUIDE)
    assert stored()["name"] == "Downtown Charger 1"
    assert Location.objects.get().version == 3
    assert Location.objects.get().raw == GUIDE


@pytest.mark.ocpi("P-07")
def test_what_is_not_there_cannot_be_patched(cpo):
    for path in ("2.2/locations/LOC_9", f"{PATH}/E9", f"{PATH}/E1/9"):
        assert patch(cpo, path, {"name": "New"}).http == 404
    assert patch(cpo, "2.2/sessions/S9", {"kwh": 1}).http == 404
    assert patch(cpo, PATH, [1]).code == 2001


@pytest.mark.ocpi("F-01", "F-02")
def test_a_tariff_is_deleted_at_the_short_path_and_not_patched(cpo, emsp):
    tariff = objects.tariff(cpo.address)
    cpo.put("2.2/tariffs/T1", tariff)
    assert patch(cpo, "2.2/tariffs/T1", {"currency": "USD"}).http == 405
    assert cpo.call("DELETE", "2.2/tariffs/T1").code == 1000
    assert cpo.get("2.2/tariffs/T1").http == 404
    assert Tariff.objects.get().deleted
    assert cpo.call("DELETE", "2.2/tariffs/T1").http == 404
    assert cpo.put("2.2/tariffs/T1", tariff).http == 201


@pytest.mark.ocpi("S-01", "S-03", "S-05")
def test_a_session_is_patched_at_the_short_path(cpo, emsp):
    body = objects.session(cpo.address, emsp.address)
    assert cpo.put("2.2/sessions/S1", body).http == 201
    period = {"start_date_time": "2026-11-10T08:00:00Z", "dimensions": [ENERGY]}
    change = {"charging_periods": [period], "kwh": D("25"), "end_datetime": "2026-11-10T12:00:00Z"}
    assert patch(cpo, "2.2/sessions/S1", change).code == 1000
    session = Session.objects.get().body
    assert session["charging_periods"] == [period]
    assert session["end_date_time"] == "2026-11-10T12:00:00Z"
    assert "end_datetime" not in session


ENERGY = {"type": "ENERGY", "volume": D("5")}
