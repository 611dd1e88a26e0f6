"""The quick-start dialect of locations: derived, never invented, and told."""

import pytest

from hub.ocpi import types, validation
from locations.models import Location
from parties.models import Delivery
from tests import objects
from tests.speaking import joined

pytestmark = pytest.mark.django_db
GUIDE = {
    "id": "LOC_123",
    "type": "ON_STREET",
    "name": "Downtown Charger 1",
    "address": "123 Main St",
    "city": "Paris",
    "country": "FRA",
    "coordinates": {"latitude": "48.8566", "longitude": "2.3522"},
}
PATH = "2.2/locations/LOC_123"


@pytest.fixture
def cpo():
    return joined("FR", "ABC", "CPO", dialect="quickstart", state="push_only")


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP", modules=["locations"])


def stored():
    return Location.objects.get()


@pytest.mark.ocpi("X-05")
def test_the_guides_location_becomes_valid_and_is_broadcast(cpo, emsp):
    reply = cpo.put(PATH, GUIDE)
    assert (reply.http, reply.code) == (201, 1000)
    assert "time_zone" in reply.message
    location = stored()
    assert validation.problems(types.Location, location.body) == []
    assert location.body["time_zone"] == "Europe/Paris"
    assert location.body["coordinates"] == {"latitude": "48.85660", "longitude": "2.35220"}
    assert location.body["parking_type"] == "ON_STREET"
    assert "type" not in location.body
    assert location.raw == GUIDE
    assert Delivery.objects.get().wanted == 1


def test_the_same_again_keeps_its_time_and_is_not_sent_again(cpo, emsp):
    cpo.put(PATH, GUIDE)
    stamp = stored().body["last_updated"]
    assert cpo.put(PATH, GUIDE).http == 200
    assert stored().body["last_updated"] == stamp
    assert Delivery.objects.get().wanted == 1
    cpo.put(PATH, {**GUIDE, "name": "New"})
    assert Delivery.objects.get().wanted == 2


def test_it_is_read_back_at_the_same_path(cpo):
    cpo.put(PATH, GUIDE)
    assert cpo.get(PATH).data["id"] == "LOC_123"
    assert cpo.get("2.2/locations/nothing").code == 2003


def test_an_evse_that_lacks_what_cannot_be_derived_stays_out_of_what_is_sent(cpo):
    good = {"id": "E1", "connectors": [{**objects.connector(), "tariff_id": "T1"}]}
    poor = {"uid": "E2", "connectors": [{"id": "1", "standard": "CHADEMO"}]}
    reply = cpo.put(PATH, {**GUIDE, "evses": [good, poor]})
    assert "EVSE E2" in reply.message
    evses = stored().body["evses"]
    assert [item["uid"] for item in evses] == ["E1"]
    assert evses[0]["status"] == "UNKNOWN"
    assert evses[0]["connectors"][0]["tariff_ids"] == ["T1"]
    assert len(stored().raw["evses"]) == 2


@pytest.mark.parametrize(
    "members",
    [
        {"evses": [{"connectors": []}]},
        {"evses": ["x"]},
        {"coordinates": {"latitude": "91", "longitude": "0"}},
        {"coordinates": {"latitude": "north", "longitude": "0"}},
        {"coordinates": {"latitude": "NaN", "longitude": "0"}},
        {"id": "OTHER"},
        {"city": None},
        {"country": {}},
        {"coordinates": [1, 2]},
        {"coordinates": {"latitude": [], "longitude": {}}},
        {"evses": [{"uid": 1}], "city": []},
        {"evses": [{"uid": "1", "connectors": {"a": 1}}]},
        {"evses": {}},
    ],
)
def test_what_contradicts_or_lacks_identity_is_refused(cpo, members):
    assert cpo.put(PATH, {**GUIDE, **members}).code == 2001
    assert not Location.objects.exists()


@pytest.mark.ocpi("X-04")
def test_the_dialect_is_for_those_invited_to_it(cpo):
    strict = joined("NL", "STR", "CPO")
    reply = strict.put(PATH, GUIDE)
    assert reply.code == 2001
    assert len(reply.data) >= 5
    full = objects.location(strict.address)
    assert strict.put("2.2/locations/L1", full).http == 201
    assert cpo.put(f"2.2.1/receiver/locations/{cpo.path}/LOC_123", GUIDE).code == 2001


@pytest.mark.parametrize(("given", "kept"), [("NL", "NLD"), ("nl", "NLD"), ("DEU", "DEU")])
def test_a_country_of_two_letters_is_written_in_three(cpo, given, kept):
    cpo.put(PATH, {**GUIDE, "country": given})
    assert stored().body["country"] == kept


def test_a_type_that_2_2_1_does_not_know_is_left_out(cpo):
    for number, kind in enumerate(["OTHER", [], {"a": 1}, 7]):
        assert cpo.put(PATH, {**GUIDE, "type": kind, "name": str(number)}).code == 1000
        assert not {"type", "parking_type"} & stored().body.keys()


def test_numbers_as_coordinates_are_taken(cpo):
    place = {"latitude": objects.D("-33.448891234"), "longitude": -70}
    cpo.put(PATH, {**GUIDE, "coordinates": place, "country": "CHL"})
    body = stored().body
    assert body["coordinates"] == {"latitude": "-33.4488912", "longitude": "-70.00000"}
    assert body["time_zone"] == "America/Santiago"


def test_an_older_time_that_was_told_is_stale_here_too(cpo):
    cpo.put(PATH, {**GUIDE, "name": "New", "last_updated": "2026-11-20T00:00:00Z"})
    reply = cpo.put(PATH, {**GUIDE, "name": "Old", "last_updated": "2026-10-20T00:00:00Z"})
    assert "Ignored" in reply.message
    assert stored().name == "New"
