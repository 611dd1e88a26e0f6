"""Sessions: put, patched with charging periods that are appended, told to the eMSP that pays."""

import pytest
from hypothesis import given

from cdrs.models import Session
from hub.ocpi import types
from hub.sandbox.faults import Fault
from parties.models import Delivery, Platform
from tests import objects, wire
from tests.objects import D
from tests.pushing import Pushing, shown, told

pytestmark = pytest.mark.django_db
LATER, LATEST = "2026-11-10T11:00:00Z", "2026-11-10T12:00:00Z"
BEFORE = "2026-11-10T09:00:00Z"


def period(hour, **members):
    dimensions = [{"type": "ENERGY", "volume": D("5.0")}]
    return {"start_date_time": f"2026-11-10T{hour:02}:00:00Z", "dimensions": dimensions, **members}


@pytest.fixture
def own(cpo, emsp):
    """The CPO's sessions at the hub: S1, with one charging period, of the eMSP's driver."""
    own = Pushing(cpo, "sessions")
    body = objects.session(cpo.address, emsp.address, charging_periods=[period(8)])
    assert own.put("S1", body=body).http == 201
    return own


@pytest.fixture
def strict(cpo, emsp):
    """Tell a platform's strictness by a partner."""

    def make(partner):
        Platform.objects.filter(roles__party__party_id=partner.address.party_id).update(strict=True)

    return make


def whole(own, **members):
    return {**own.get("S1").data, "last_updated": LATER, **members}


# The calls there are


@pytest.mark.ocpi("S-01", "P-01", "P-05", "P-09", "T-12")
def test_a_session_is_put_replaced_and_read_back(own, emsp):
    body = whole(own, kwh=D("21.5"))
    assert own.put("S1", body=body).http == 200
    assert own.get("s1").data == body
    assert shown(emsp, "sessions", "S1").data == body
    assert shown(emsp, "sessions").data == [body]


@pytest.mark.ocpi("S-01", "T-15")
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_session_is_neither_posted_nor_deleted(own, method):
    answer = own.call(method, "S1", body={})
    assert answer.http == 405
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "PUT", "PATCH"}


@pytest.mark.ocpi("S-01", "P-07")
def test_there_are_no_parts_below_a_session(own):
    body = {"charging_periods": [period(9)], "last_updated": LATER}
    assert own.patch("S1", "charging_periods", body=body).http == 404
    assert own.patch("S9", body=body).http == 404
    assert own.get("S9").http == 404


@pytest.mark.ocpi("S-02")
def test_date_from_is_asked_of_strict_platforms_alone(own, emsp, strict):
    assert len(shown(emsp, "sessions").data) == 1
    strict(emsp)
    answer = shown(emsp, "sessions")
    assert (answer.http, answer.code, answer.message) == (200, 2001, "date_from is required")
    assert len(shown(emsp, "sessions", query="?date_from=2026-11-01T00:00:00Z").data) == 1


# PATCH


@pytest.mark.ocpi("S-05", "P-06", "L-03")
def test_a_patch_changes_what_it_names(own):
    before = own.get("S1").data
    assert own.patch("S1", body={"kwh": D("21.00"), "last_updated": LATER}).code == 1000
    assert own.get("S1").data == {**before, "kwh": D("21.00"), "last_updated": LATER}
    assert own.patch("S1", body={"kwh": D("22")}).code == 2001
    answer = own.patch("S1", body={"party_id": "XXX", "last_updated": LATEST})
    assert [item["path"] for item in answer.data] == ["$.party_id"]


@pytest.mark.ocpi("S-03")
def test_a_patch_appends_charging_periods_and_a_put_replaces_them(own):
    own.patch("S1", body={"charging_periods": [period(9), period(10)], "last_updated": LATER})
    assert own.get("S1").data["charging_periods"] == [period(8), period(9), period(10)]
    own.put("S1", body=whole(own, charging_periods=[period(11)]))
    assert own.get("S1").data["charging_periods"] == [period(11)]
    bare = whole(own)
    del bare["charging_periods"]
    own.put("S1", body=bare)
    assert "charging_periods" not in own.get("S1").data


@pytest.mark.ocpi("S-03", "T-28")
@pytest.mark.parametrize("periods", [[], None])
def test_no_periods_in_a_patch_change_none(own, periods):
    before = own.get("S1").data
    own.patch("S1", body={"charging_periods": periods, "last_updated": LATER})
    assert own.get("S1").data == {**before, "last_updated": LATER}


@pytest.mark.ocpi("S-04")
def test_a_period_that_comes_again_is_not_appended_again(own):
    body = {"charging_periods": [period(8), period(9), period(9)], "last_updated": LATER}
    own.patch("S1", body=body)
    own.patch("S1", body=body)
    assert own.get("S1").data["charging_periods"] == [period(8), period(9)]


@pytest.mark.ocpi("S-04", "S-12")
def test_another_period_of_the_same_start_is_appended_and_told(own):
    other = period(8, tariff_id="T1")
    answer = own.patch("S1", body={"charging_periods": [other], "last_updated": LATER})
    assert answer.code == 1000
    assert "two charging periods begin at the same time" in answer.message
    assert own.get("S1").data["charging_periods"] == [period(8), other]


@pytest.mark.ocpi("S-03", "P-08", "T-08")
def test_periods_that_are_none_are_refused_with_their_path(own):
    body = {"charging_periods": [period(9), {"x": 1}, 7], "last_updated": LATER}
    answer = own.patch("S1", body=body)
    assert answer.code == 2001
    assert {item["path"] for item in answer.data} == {
        "$.charging_periods[2]",
        "$.charging_periods[3]",
    }
    assert own.patch("S1", body={"charging_periods": {}, "last_updated": LATER}).code == 2001


@pytest.mark.ocpi("S-03", "B-07")
def test_a_patch_with_periods_is_told_as_it_came_and_the_copies_agree(own, emsp, deliver):
    deliver()
    for hour in (9, 10, 11):
        stamp = f"2026-11-10T{hour + 2}:30:00Z"
        own.patch("S1", body={"charging_periods": [period(hour)], "last_updated": stamp})
        deliver()
    assert [item[0] for item in told(emsp, "sessions")] == ["PUT", "PATCH", "PATCH", "PATCH"]
    assert emsp.holds("sessions")["S1"] == own.get("S1").data
    assert len(own.get("S1").data["charging_periods"]) == 4


@pytest.mark.ocpi("S-03", "B-07")
def test_no_period_is_lost_or_doubled_while_the_emsp_is_away(own, emsp, deliver):
    deliver()
    emsp.misbehave(Fault.ERROR500)
    for hour in (9, 10):
        stamp = f"2026-11-10T{hour + 2}:30:00Z"
        own.patch("S1", body={"charging_periods": [period(hour)], "last_updated": stamp})
        deliver()
    emsp.misbehave(Fault.OK)
    Delivery.objects.update(next_attempt_at="2026-11-10T00:00:00Z")
    Platform.objects.update(paused_until=None)
    deliver()
    last = told(emsp, "sessions")[-1]
    assert (last[0], len(last[2]["charging_periods"])) == ("PUT", 3)
    assert emsp.holds("sessions")["S1"] == own.get("S1").data


@pytest.mark.ocpi("S-04", "B-07")
def test_a_patch_that_repeats_periods_is_told_as_the_whole(own, emsp, deliver):
    deliver()
    own.patch("S1", body={"charging_periods": [period(8), period(9)], "last_updated": LATER})
    deliver()
    assert told(emsp, "sessions")[-1][0] == "PUT"
    assert emsp.holds("sessions")["S1"]["charging_periods"] == [period(8), period(9)]


# Whose it is


@pytest.mark.ocpi("S-06", "B-05", "S-14")
def test_a_change_goes_to_the_payer_alone_from_the_cpo(own, emsp, stranger, deliver):
    own.patch("S1", body={"kwh": D("21"), "last_updated": LATER})
    deliver()
    last = [item for item in emsp.received if item.module == "sessions"][-1]
    assert (last.headers["OCPI-from-party-id"], last.headers["OCPI-to-party-id"]) == ("CPO", "MSP")
    assert told(stranger, "sessions") == []
    assert shown(stranger, "sessions").data == []
    assert shown(stranger, "sessions", "S1").http == 404


@pytest.mark.ocpi("S-06")
def test_a_patch_does_not_move_a_session_to_another_emsp(own, stranger):
    token = objects.cdr_token(stranger.address)
    answer = own.patch("S1", body={"cdr_token": token, "last_updated": LATER})
    assert (answer.code, answer.message) == (2001, "it belongs to another party's token")
    assert Session.objects.get().emsp.party_id == "MSP"


@pytest.mark.ocpi("S-06", "P-08", "T-10")
@pytest.mark.parametrize("token", ["x", 7, [], {"uid": "1"}, {"country_code": 1, "party_id": []}])
def test_a_token_that_is_none_is_refused(own, token):
    answer = own.patch("S1", body={"cdr_token": token, "last_updated": LATER})
    assert (answer.http, answer.code) == (200, 2001)
    assert answer.data[0]["path"].startswith("$.cdr_token")
    assert Session.objects.get().version == 1


@pytest.mark.ocpi("S-06")
def test_a_patch_may_find_the_payer_that_a_put_did_not(cpo, emsp, deliver):
    own = Pushing(cpo, "sessions")
    own.put("S1", body=objects.session(cpo.address, cpo.address))
    deliver()
    assert told(emsp, "sessions") == []
    own.patch("S1", body={"cdr_token": objects.cdr_token(emsp.address), "last_updated": LATER})
    deliver()
    assert [item[0] for item in told(emsp, "sessions")] == ["PUT"]


# What a session goes through


@pytest.mark.ocpi("S-07", "S-10", "S-11", "T-34")
def test_a_session_goes_from_reservation_to_completed(cpo, emsp):
    own = Pushing(cpo, "sessions")
    reserved = objects.session(
        cpo.address,
        emsp.address,
        status="RESERVATION",
        evse_uid="#NA",
        connector_id="#NA",
        kwh=D("0"),
    )
    assert own.put("S1", body=reserved).http == 201
    for hour, members in enumerate(
        [
            {"status": "PENDING", "evse_uid": "E1", "connector_id": "1"},
            {"status": "ACTIVE", "start_date_time": LATER, "auth_method": "COMMAND"},
            {"authorization_reference": "A-2", "kwh": D("1.5")},
            {"status": "COMPLETED", "end_date_time": LATEST, "total_cost": {"excl_vat": D("5")}},
        ],
        start=11,
    ):
        answer = own.patch("S1", body={**members, "last_updated": f"2026-11-10T{hour}:00:00Z"})
        assert (answer.code, answer.message) == (1000, "Success")
        assert own.get("S1").data.items() >= members.items()
    assert Session.objects.get().status == "COMPLETED"


@pytest.mark.ocpi("S-07")
def test_a_session_may_be_invalid_at_any_time_and_a_status_must_exist(own):
    assert own.patch("S1", body={"status": "INVALID", "last_updated": LATER}).message == "Success"
    answer = own.patch("S1", body={"status": "OVER", "last_updated": LATEST})
    assert (answer.code, answer.data[0]["path"]) == (2001, "$.status")


@pytest.mark.ocpi("S-08", "P-11")
def test_what_comes_after_the_end_is_taken_and_told(own, emsp, deliver, caplog):
    own.patch("S1", body={"status": "COMPLETED", "last_updated": LATER})
    again = own.put("S1", body=whole(own))
    assert (again.http, again.message) == (200, "Success")
    deliver()
    late = {"total_cost": {"excl_vat": D("9.99")}, "last_updated": LATEST}
    answer = own.patch("S1", body=late)
    assert (answer.http, answer.code) == (200, 1000)
    assert "the session was COMPLETED already" in answer.message
    assert [line.levelname for line in caplog.records if "COMPLETED" in line.message] == ["WARNING"]
    deliver()
    assert emsp.holds("sessions")["S1"]["total_cost"] == {"excl_vat": D("9.99")}


@pytest.mark.ocpi("S-08", "S-07")
def test_after_the_end_a_strict_platform_changes_nothing(own, cpo, strict):
    own.patch("S1", body={"status": "COMPLETED", "last_updated": LATER})
    strict(cpo)
    assert own.put("S1", body=whole(own)).code == 1000
    before = own.get("S1").data
    answer = own.patch("S1", body={"status": "ACTIVE", "last_updated": LATEST})
    assert (answer.http, answer.code) == (200, 2001)
    assert own.get("S1").data == before


@pytest.mark.ocpi("S-12")
@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"kwh": D("19.9")}, "kwh is less than before"),
        ({"currency": "CHF"}, "the currency is another than before"),
        ({"status": "PENDING"}, "the session was ACTIVE already"),
        ({"charging_periods": [period(7)]}, "the charging periods are not in order"),
    ],
)
def test_what_is_odd_is_taken_and_told(own, members, words):
    answer = own.patch("S1", body={**members, "last_updated": LATER})
    assert (answer.code, words in answer.message) == (1000, True)
    assert Session.objects.get().version == 2


@pytest.mark.ocpi("P-10")
def test_an_older_patch_is_ignored(own):
    answer = own.patch("S1", body={"kwh": D("1"), "last_updated": BEFORE})
    assert (answer.code, "Ignored" in answer.message) == (1000, True)
    assert Session.objects.get().version == 1


@pytest.mark.ocpi("P-01", "P-05", "P-12", "T-27")
@wire.examples(25)
@given(
    body=wire.objects(
        types.Session, country_code="FR", party_id="CPO", id="ANY", last_updated=objects.STAMP
    )
)
def test_any_valid_session_comes_back_as_it_went(cpo, body):
    own = Pushing(cpo, "sessions")
    Session.objects.all().delete()
    assert own.put("ANY", body=body).http == 201
    assert own.get("ANY").data == body
