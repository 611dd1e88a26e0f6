"""Lenient inbound, strict outbound: repaired, told, kept as sent, and passed on as valid OCPI."""

from decimal import Decimal as D

import pytest

from cdrs.models import Cdr, Session
from hub.ocpi import json
from locations.models import Location
from parties import delivery, journal
from parties.models import Platform, Quirk
from tests import objects
from tests.speaking import joined
from tests.wires import envelope, receiving, wire

pytestmark = [pytest.mark.django_db, pytest.mark.ocpi("X-05")]
PUT = "2.2.1/receiver/locations/NL/CPO/L1"
ODD = "2026-11-10 12:00:00+02:00"
UTC = "2026-11-10T10:00:00Z"


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP")


def strict(speaker):
    Platform.objects.filter(pk=speaker.platform.pk).update(strict=True)


@pytest.mark.ocpi("T-26", "X-04")
def test_a_repaired_location_is_told_kept_as_sent_and_passed_on_valid(cpo):
    body = objects.location(cpo.address, last_updated=ODD, country="NL", publish="true")
    with wire(lambda seen: envelope()) as partner:
        emsp = receiving(partner, "locations")
        reply = cpo.put(PUT, body)
        delivery.drain(emsp.platform.pk)
    assert (reply.http, reply.code) == (201, 1000)
    assert reply.message == (
        "Accepted; normalised: publish (boolean in quotes), country (country in two letters), "
        "last_updated (date)"
    )
    valid = {**body, "last_updated": UTC, "country": "NLD", "publish": True}
    stored = Location.objects.get()
    assert (stored.body, stored.raw) == (valid, body)
    assert json.loads(partner.seen[0].body) == valid
    assert cpo.get(PUT).data == valid
    journal.flush()
    noted = dict(Quirk.objects.filter(platform=cpo.platform).values_list("name", "example"))
    assert noted["repair: date"] == "$.last_updated"


def test_who_wants_it_strict_gets_it_strict(cpo):
    strict(cpo)
    reply = cpo.put(PUT, objects.location(cpo.address, last_updated=ODD, country="NL"))
    assert (reply.http, reply.code) == (200, 2001)
    assert {item["path"] for item in reply.data} == {"$.last_updated", "$.country"}
    assert not Location.objects.exists()


def test_what_cannot_be_repaired_altogether_is_refused_with_every_problem(cpo):
    reply = cpo.put(PUT, objects.location(cpo.address, last_updated=ODD, city=None, publish=[]))
    assert reply.code == 2001
    assert {item["path"] for item in reply.data} == {"$.publish", "$.last_updated", "$"}
    assert not Location.objects.exists()


def test_the_same_again_changes_nothing_in_whichever_spelling(cpo):
    odd, letter = objects.location(cpo.address, last_updated=ODD), objects.location(cpo.address)
    for body in (odd, odd, letter, odd):
        assert cpo.put(PUT, body).code == 1000
    assert Location.objects.get().version == 1


def test_an_older_state_is_ignored_in_any_spelling(cpo):
    cpo.put(PUT, objects.location(cpo.address))
    older = objects.location(cpo.address, last_updated="2026-11-10 10:00:00+01:00", name="Old")
    assert "Ignored" in cpo.put(PUT, older).message
    assert Location.objects.get().body["name"] == "Dam"


def test_a_list_of_one_is_that_one(cpo):
    body = objects.location(cpo.address)
    assert cpo.put(PUT, [body]).message == "Accepted; normalised: $ (a list of one for the object)"
    assert (Location.objects.get().body, Location.objects.get().raw) == (body, [body])
    assert cpo.put(PUT, [{**body, "last_updated": "2026-11-10T11:00:00Z"}]).code == 1000
    assert Location.objects.get().version == 2


@pytest.mark.ocpi("T-26")
def test_a_patch_is_repaired_at_every_depth(cpo):
    cpo.put(PUT, objects.location(cpo.address))
    later = "2026-11-10 13:00:00+01:00"
    for path, change in (
        ("", {"coordinates": {"latitude": D("52.5"), "longitude": "4.9"}}),
        ("/E1", {"status": "BLOCKED", "status_schedule": []}),
        ("/E1/1", {"max_voltage": "400"}),
    ):
        reply = cpo.call("PATCH", PUT + path, {**change, "last_updated": later})
        assert (reply.code, "last_updated (date)" in reply.message) == (1000, True)
    body = Location.objects.get().body
    assert body["coordinates"] == {"latitude": "52.50000", "longitude": "4.90000"}
    assert body["evses"][0]["connectors"][0]["max_voltage"] == 400
    assert body["evses"][0]["last_updated"] == "2026-11-10T12:00:00Z"
    strict(cpo)
    reply = cpo.call("PATCH", f"{PUT}/E1", {"status": "BLOCKED", "last_updated": later})
    assert reply.code == 2001


def test_a_part_is_put_and_repaired(cpo):
    cpo.put(PUT, objects.location(cpo.address))
    reply = cpo.put(f"{PUT}/E2", objects.evse(uid="E2", last_updated=ODD))
    assert reply.message == "Accepted; normalised: last_updated (date)"
    assert Location.objects.get().body["evses"][1]["last_updated"] == UTC


@pytest.mark.ocpi("T-27")
def test_a_session_is_repaired_but_not_what_it_costs(cpo, emsp):
    path = "2.2.1/receiver/sessions/NL/CPO/S1"
    body = objects.session(cpo.address, emsp.address, kwh="20.10", status="RESERVED")
    assert cpo.put(path, body).code == 1000
    stored = Session.objects.get().body
    assert (stored["kwh"], stored["status"]) == (D("20.10"), "RESERVATION")
    costly = {**body, "total_cost": {"excl_vat": "4.00"}}
    reply = cpo.put(path, costly)
    assert (reply.code, Session.objects.get().body) == (2001, stored)
    assert {"path": "$.total_cost.excl_vat", "problem": '"4.00" is not of type "number"'} in (
        reply.data
    )


def test_a_cdr_is_kept_as_sent_and_sent_again_in_either_spelling(cpo, emsp):
    path = "2.2.1/receiver/cdrs"
    odd = objects.cdr(cpo.address, emsp.address, last_updated=ODD)
    valid = objects.cdr(cpo.address, emsp.address)
    assert cpo.post(path, odd).http == 201
    assert cpo.post(path, odd).http == 200
    assert cpo.post(path, valid).http == 200
    cdr = Cdr.objects.get()
    assert (cdr.body, cdr.raw) == (valid, odd)
    assert cpo.post(path, {**valid, "total_energy": D("21")}).code == 2001
    assert cpo.post(path, {**odd, "id": "C2", "total_cost": {"excl_vat": "1"}}).code == 2001
    assert Cdr.objects.count() == 1


@pytest.mark.ocpi("D-03", "X-05")
def test_what_decides_the_money_of_a_cdr_is_not_reinterpreted(cpo, emsp):
    path, valid = "2.2.1/receiver/cdrs", objects.cdr(cpo.address, emsp.address)
    odd = ({"total_energy": "20"}, {"total_time": "2"}, {"credit": "true"})
    for body in ([valid], *({**valid, **members} for members in odd)):
        assert cpo.post(path, body).code == 2001
    assert not Cdr.objects.exists()


def test_a_quick_start_connection_is_repaired_as_well():
    cpo = joined("FR", "CPO", "CPO", dialect="quickstart")
    body = {
        "id": "L1",
        "type": "ON_STREET",
        "address": "1 Rue",
        "city": "Paris",
        "country": "FRA",
        "coordinates": {"latitude": "48.8566", "longitude": "2.3522"},
        "evses": [],
        "last_updated": ODD,
        "charging_when_closed": "true",
    }
    reply = cpo.put("2.2/locations/L1", body)
    assert reply.code == 1000
    assert "charging_when_closed (boolean in quotes)" in reply.message
    assert "last_updated (date)" in reply.message
    assert Location.objects.get().raw == body


@pytest.mark.ocpi("R-09")
def test_what_is_passed_on_to_one_party_is_passed_on_repaired(cpo):
    """Charging preferences and the like go to one party at once."""
    with wire(lambda seen: envelope("ACCEPTED")) as partner:
        emsp = joined("DE", "EMP", "EMSP")
        partner.platform(cpo, state="connected")
        cpo.platform.endpoints.create(
            module="sessions", interface="SENDER", url=f"{partner.url}/sessions"
        )
        evse = objects.evse(capabilities=["CHARGING_PREFERENCES_CAPABLE"])
        cpo.put(PUT, objects.location(cpo.address, evses=[evse]))
        session = objects.session(cpo.address, emsp.address)
        cpo.put("2.2.1/receiver/sessions/NL/CPO/S1", session)
        wish = {"profile_type": "FAST", "departure_time": ODD}
        reply = emsp.put("2.2.1/sender/sessions/S1/charging_preferences", wish)
    assert (reply.code, reply.data) == (1000, "ACCEPTED")
    assert json.loads(partner.seen[0].body) == {"profile_type": "FAST", "departure_time": UTC}


def test_over_long_texts_are_refused_and_not_cut(cpo):
    """Z-41: what is cut here would differ from what the owner believes to have told."""
    reply = cpo.put(PUT, objects.location(cpo.address, name="x" * 256))
    assert reply.code == 2001
    assert reply.data[0]["path"] == "$.name"


@pytest.mark.ocpi("T-12", "X-04")
def test_who_takes_201_for_a_failure_is_answered_200(cpo):
    """Z-03."""
    assert cpo.put(PUT, objects.location(cpo.address)).http == 201
    Platform.objects.filter(pk=cpo.platform.pk).update(always_200=True)
    reply = cpo.put(f"{PUT}X", objects.location(cpo.address, id="L1X"))
    assert (reply.http, reply.code) == (200, 1000)


@pytest.mark.ocpi("X-04")
def test_who_wraps_single_objects_is_unwrapped_and_known_for_it(cpo):
    with wire(lambda seen: envelope([objects.location(cpo.address, publish="true")])) as partner:
        partner.platform(cpo, state="connected")
        cpo.platform.endpoints.create(
            module="locations", interface="SENDER", url=f"{partner.url}/locations"
        )
        emsp = joined("DE", "EMP", "EMSP")
        to = {"OCPI_to_country_code": "NL", "OCPI_to_party_id": "CPO"}
        reply = emsp.get("2.2.1/sender/locations/L1", **to)
    assert reply.data == objects.location(cpo.address)
    journal.flush()
    names = set(Quirk.objects.filter(platform=cpo.platform).values_list("name", flat=True))
    assert {"list_of_one", "repair: boolean in quotes"} <= names
