"""The guide's simplified CDR: completed from what the hub knows, never invented."""

import pytest

from cdrs.models import Cdr, RuleParameters
from hub.ocpi import types, validation
from parties.models import Delivery
from tests import objects
from tests.objects import D
from tests.speaking import joined

pytestmark = pytest.mark.django_db
PATH = "2.2/cdrs"
GUIDE = {
    "id": "CDR_98765",
    "start_date_time": "2024-03-15T14:00:00Z",
    "stop_date_time": "2024-03-15T15:30:00Z",
    "auth_id": "DE8ACC12",
    "auth_method": "AUTH_REQUEST",
    "total_cost": {"excl_vat": D("15.00"), "incl_vat": D("18.00")},
    "total_energy": D("45.5"),
    "currency": "EUR",
    "party_id": "FRA",
    "country_code": "FR",
}


@pytest.fixture
def cpo():
    return joined("FR", "ABC", "CPO", dialect="quickstart", state="push_only")


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP", modules=["cdrs"])


@pytest.fixture
def token(emsp):
    body = objects.token(
        emsp.address, contract_id="DE-8AC-C12", last_updated="2024-01-01T00:00:00Z"
    )
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD1", body)
    return body


def put_location(cpo, **members):
    body = objects.location(cpo.address, id="LOC_123", country="FRA", **members)
    cpo.put("2.2/locations/LOC_123", body)


def codes(severity):
    return set(Cdr.objects.get().findings.filter(severity=severity).values_list("code", flat=True))


@pytest.mark.ocpi("X-05")
def test_the_guides_cdr_is_completed_accepted_and_delivered(cpo, emsp, token):
    put_location(cpo)
    reply = cpo.post(PATH, GUIDE)
    assert (reply.http, reply.code) == (201, 1000)
    cdr = Cdr.objects.get()
    assert (cdr.state, cdr.emsp, cdr.owner) == ("accepted", emsp.party, cpo.party)
    assert validation.problems(types.CDR, cdr.body) == []
    assert cdr.body["cdr_token"]["uid"] == "CARD1"
    assert cdr.body["total_time"] == D("1.5")
    assert cdr.body["total_cost"] == GUIDE["total_cost"]
    assert cdr.body["cdr_location"]["evse_uid"] == "E1"
    assert (cdr.raw, str(cdr.period)) == (GUIDE, "2024-03")
    assert Delivery.objects.get(module="cdrs").receiver.party == emsp.party
    path = reply.headers["Location"].split("/ocpi/")[1]
    assert path == "2.2/cdrs/CDR_98765"
    assert cpo.get(path).data == cdr.body


def test_the_guides_cdr_again_is_the_same_and_a_changed_one_a_conflict(cpo, token):
    first, again = cpo.post(PATH, GUIDE), cpo.post(PATH, GUIDE)
    assert (first.http, again.http, again.code) == (201, 200, 1000)
    assert cpo.post(PATH, {**GUIDE, "total_energy": D(45)}).code == 2001


def test_an_unknown_token_is_held_and_said_to_be_missing(cpo, emsp):
    reply = cpo.post(PATH, GUIDE)
    assert (reply.http, reply.code) == (201, 1000)
    assert "incomplete: cdr_token" in reply.message
    assert codes("hold") == {"emsp_unknown", "token_unknown"}
    assert not Delivery.objects.filter(module="cdrs").exists()


def test_without_a_place_it_is_settled_but_not_sent_as_valid(cpo, emsp, token):
    reply = cpo.post(PATH, GUIDE)
    assert "incomplete: cdr_location" in reply.message
    assert codes("flag") >= {"incomplete", "delivered_late"}
    assert Cdr.objects.get().state == "accepted"
    assert not Delivery.objects.filter(module="cdrs").exists()


def test_in_live_it_is_held_since_nobody_pays_for_what_they_cannot_see(cpo, emsp, token):
    RuleParameters.objects.create(valid_from="2020-01-01", values={"hold_lacking": True})
    cpo.post(PATH, GUIDE)
    assert codes("hold") == {"not_shown_to_the_emsp"}


@pytest.mark.ocpi("T-34")
def test_of_several_chargers_of_one_kind_only_the_kind_is_told(cpo, emsp, token):
    put_location(cpo, evses=[objects.evse(), objects.evse(uid="E2")])
    cpo.post(PATH, GUIDE)
    place = Cdr.objects.get().body["cdr_location"]
    assert (place["evse_uid"], place["connector_standard"]) == ("#NA", "IEC_62196_T2")


def test_of_chargers_of_different_kinds_none_is_chosen(cpo, emsp, token):
    other = objects.evse(
        uid="E2", connectors=[objects.connector(standard="CHADEMO", power_type="DC")]
    )
    put_location(cpo, evses=[objects.evse(), other])
    assert "cdr_location" in cpo.post(PATH, GUIDE).message


def test_the_session_tells_the_place(cpo, emsp, token):
    put_location(cpo, evses=[objects.evse(), objects.evse(uid="E2")])
    body = objects.session(
        cpo.address,
        emsp.address,
        start_date_time=GUIDE["start_date_time"],
        location_id="LOC_123",
        evse_uid="E2",
    )
    assert cpo.put("2.2/sessions/S1", body).http == 201
    cpo.post(PATH, GUIDE)
    cdr = Cdr.objects.get()
    assert (cdr.session_uid, cdr.evse_uid) == ("S1", "E2")


@pytest.mark.parametrize(
    "members",
    [
        {"party_id": "XYZ"},
        {"id": None},
        {"total_cost": None},
        {"end_date_time": "2024-03-15T16:00:00Z"},
        {"start_date_time": "yesterday"},
        {"total_energy": "much"},
        {"currency": None},
        {"auth_id": {}, "currency": 1},
        {"session_id": {}},
        {"stop_date_time": []},
        {"total_energy": {}},
        {"cdr_token": {}},
        {"cdr_location": 5},
        {"charging_periods": {}},
        {"country_code": ["FR"], "party_id": {}},
    ],
)
def test_what_cannot_be_derived_or_contradicts_is_refused(cpo, token, members):
    reply = cpo.post(PATH, {**GUIDE, **members})
    assert (reply.http, reply.code) == (200, 2001)
    assert not Cdr.objects.exists()


def test_the_strict_interface_stays_strict(cpo, token):
    assert cpo.post("2.2.1/receiver/cdrs", GUIDE).code == 2001
    strict = joined("NL", "STR", "CPO")
    assert strict.post(PATH, GUIDE).code == 2001


def test_tokens_with_the_same_contract_are_not_guessed_between(cpo, emsp, token):
    twin = objects.token(emsp.address, uid="CARD2", contract_id="de8acC12")
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD2", twin)
    assert "cdr_token" in cpo.post(PATH, GUIDE).message


def test_nobody_attracts_anothers_driver_by_the_name_of_a_contract(cpo, emsp, token):
    thief = joined("AT", "THI", "EMSP")
    body = objects.token(thief.address, uid="X", contract_id="CARD1")
    thief.put(f"2.2.1/receiver/tokens/{thief.path}/X", body)
    assert "cdr_token" in cpo.post(PATH, {**GUIDE, "auth_id": "CARD1"}).message
