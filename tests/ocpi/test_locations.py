"""Locations: whole and in parts, merged, kept in order, and told on as they change."""

import datetime as dt

import pytest
from hypothesis import given

from hub.ocpi import times, types
from hub.sandbox.faults import Fault
from locations.models import Location
from parties import quirks
from parties.models import Delivery
from tests import objects, wire
from tests.partners import member
from tests.pushing import Pushing, shown, told

pytestmark = pytest.mark.django_db
STAMP = objects.STAMP
LATER, LATEST = "2026-11-10T11:00:00Z", "2026-11-10T12:00:00Z"
BEFORE = "2026-11-10T09:00:00Z"


@pytest.fixture
def own(cpo):
    """The CPO's locations at the hub: L1 with the EVSEs E1 and E2."""
    own = Pushing(cpo, "locations")
    evses = [objects.evse(), objects.evse(uid="E2", evse_id="NL*CPO*E2")]
    assert own.put("L1", body=objects.location(cpo.address, evses=evses)).http == 201
    return own


def refused(answer, *paths):
    """Tell whether an answer lists problems at these paths, and no success."""
    assert (answer.http, answer.code) == (200, 2001), answer
    assert {item["path"] for item in answer.data or []} == set(paths)
    return True


# Three depths


@pytest.mark.ocpi("L-01", "P-01", "P-09", "T-12")
def test_all_three_depths_are_put_and_read_back_by_both_interfaces(own, emsp):
    connector = objects.connector(id="2", last_updated=LATER)
    assert own.put("L1", "E1", "2", body=connector).http == 201
    assert own.put("L1", "E1", "2", body=connector).http == 200
    evse = objects.evse(uid="E3", last_updated=LATEST)
    assert own.put("L1", "E3", body=evse).http == 201
    assert own.get("L1", "E1", "2").data == connector
    assert own.get("l1", "e3").data == evse
    assert [item["uid"] for item in own.get("L1").data["evses"]] == ["E1", "E2", "E3"]
    assert shown(emsp, "locations", "L1", "E1", "2").data == connector
    assert shown(emsp, "locations", "L1", "E3").data == evse
    assert shown(emsp, "locations", "L1").data == own.get("L1").data


@pytest.mark.ocpi("L-01", "T-15")
@pytest.mark.parametrize("path", [["L1"], ["L1", "E1"], ["L1", "E1", "1"]])
def test_there_is_no_post_and_no_delete(own, path):
    for method in ("POST", "DELETE"):
        answer = own.call(method, *path, body={})
        assert answer.http == 405
        assert set(answer.headers["Allow"].split(", ")) >= {"GET", "PUT", "PATCH"}


@pytest.mark.ocpi("L-01")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_the_sender_interface_is_for_reading(own, emsp, method):
    answer = emsp.call(method, "locations", "SENDER", "L1", body={})
    assert answer.http == 405


@pytest.mark.ocpi("L-01", "T-11")
@pytest.mark.parametrize("path", [["L9"], ["L1", "E9"], ["L1", "E1", "9"], ["L1", "E1", "1", "x"]])
def test_what_is_not_there_is_a_404_with_2003(own, emsp, path):
    change = {"last_updated": LATER}
    for answer in (own.get(*path), own.patch(*path, body=change), shown(emsp, "locations", *path)):
        assert (answer.http, answer.code) == (404, 2003)


@pytest.mark.ocpi("L-05")
def test_a_part_needs_its_whole(own):
    evse, connector = objects.evse(uid="E7"), objects.connector(id="7")
    for answer in (
        own.put("L9", "E7", body=evse),
        own.put("L1", "E9", "7", body=connector),
        own.put("L9", "E1", "7", body=connector),
    ):
        assert (answer.http, answer.code) == (404, 2003)
    assert Location.objects.count() == 1


@pytest.mark.ocpi("L-05", "L-15", "P-03")
def test_a_part_is_what_its_url_says(own):
    before = own.get("L1").data
    for path, body in [
        (["L1", "E1"], objects.evse(uid="E2")),
        (["L1", "E1", "1"], objects.connector(id="2")),
        (["L1", "1"], objects.connector(id="1")),
        (["L1"], objects.evse()),
        (["L1", "E1", "1"], objects.evse(uid="E1")),
        (["L1", "E1"], before),
    ]:
        answer = own.put(*path, body=body)
        assert answer.code in {2001, 2003}, (path, answer)
    assert own.get("L1").data == before


@pytest.mark.ocpi("L-05", "T-08")
def test_an_incomplete_part_is_refused_with_all_its_problems(own):
    evse = {"uid": "E7", "status": "available", "connectors": [{"id": "1"}], "last_updated": STAMP}
    answer = own.put("L1", "E7", body=evse)
    assert refused(answer, "$.status", "$.connectors[0]")
    assert len(answer.data) == 1 + 6
    assert refused(own.put("L1", "E7", body={}), "$")
    assert refused(own.put("L1", "E1", "7", body={"standard": "CHADEMO"}), "$")
    assert [item["uid"] for item in own.get("L1").data["evses"]] == ["E1", "E2"]


@pytest.mark.ocpi("T-33", "L-01", "L-15")
def test_ids_may_hold_slashes_at_every_depth(cpo, emsp):
    own = Pushing(cpo, "locations")
    odd = objects.evse(uid="E/1", connectors=[objects.connector(id="A/B")])
    assert own.put("L", body=objects.location(cpo.address, id="L", evses=[])).http == 201
    assert own.put("L/M", body=objects.location(cpo.address, id="L/M")).http == 201
    assert own.put("L/M", "E/1", body=odd).http == 201
    assert own.put("L/M", "E/1", "C/D", body=objects.connector(id="C/D")).http == 201
    assert own.put("L", "M", body=objects.evse(uid="M")).http == 201
    assert own.get("L/M").data["id"] == "L/M"
    assert own.get("L/M", "E/1").data["uid"] == "E/1"
    assert own.get("L/M", "e/1", "a/b").data["id"] == "A/B"
    assert shown(emsp, "locations", "L/M", "E/1", "C/D").data["id"] == "C/D"
    change = {"status": "CHARGING", "last_updated": LATER}
    assert own.patch("L/M", "E/1", body=change).code == 1000
    assert own.get("L/M", "E/1").data["status"] == "CHARGING"
    assert own.get("L", "M", "1").data["id"] == "1"


@pytest.mark.ocpi("L-01", "O-04", "L-15")
def test_what_two_owners_have_is_not_guessed(own, emsp, stranger):
    other = Pushing(stranger, "locations")
    body = objects.location(stranger.address, evses=[objects.evse(uid="X")])
    other.put("L1", body=body)
    assert shown(emsp, "locations", "L1").code == 2001
    assert shown(emsp, "locations", "L1", "X").data["uid"] == "X"
    assert shown(emsp, "locations", "L1", "E1").data["uid"] == "E1"


@pytest.mark.ocpi("T-25", "L-15")
@pytest.mark.parametrize("path", [["\u0131"], ["I", "\u0131"], ["I", "I", "\u0131"], ["I", "I\n"]])
def test_no_id_is_folded_into_another(cpo, emsp, path):
    own = Pushing(cpo, "locations")
    evse = objects.evse(uid="I", connectors=[objects.connector(id="I")])
    own.put("I", body=objects.location(cpo.address, id="I", evses=[evse]))
    bodies = [objects.location(cpo.address, id="I"), objects.evse(uid="I")]
    body = [*bodies, objects.connector(id="I")][len(path) - 1]
    assert own.put(*path, body=body).code in {2001, 2003}
    for answer in (own.get(*path), own.patch(*path, body={"last_updated": LATER})):
        assert (answer.http, answer.code) == (404, 2003)
    assert shown(emsp, "locations", *path).http == 404
    folded = {"evses": [{"uid": "\u0131", "status": "BLOCKED"}], "last_updated": LATER}
    assert own.patch("I", body=folded).code == 2001
    assert Location.objects.get().version == 1


# PATCH


@pytest.mark.ocpi("P-06", "L-03", "S-05")
def test_a_patch_changes_what_it_names_and_nothing_else(own):
    before = own.get("L1").data
    answer = own.patch("L1", body={"name": "New", "last_updated": LATER})
    assert (answer.http, answer.code) == (200, 1000)
    assert own.get("L1").data == {**before, "name": "New", "last_updated": LATER}
    row = Location.objects.get()
    assert (row.name, row.version, row.last_updated) == ("New", 2, times.parse(LATER))


@pytest.mark.ocpi("L-03", "P-06")
@pytest.mark.parametrize("path", [["L1"], ["L1", "E1"], ["L1", "E1", "1"]])
@pytest.mark.parametrize("stamp", [{}, {"last_updated": None}, {"last_updated": 7}])
def test_a_patch_says_when(own, path, stamp):
    assert own.patch(*path, body={"name": "New", **stamp}).code == 2001
    assert Location.objects.get().version == 1


@pytest.mark.ocpi("P-06", "L-03")
@pytest.mark.parametrize("body", [[], "x", None, 1, b"{"])
def test_a_patch_is_an_object(own, body):
    assert own.patch("L1", body=body).code == 2001


@pytest.mark.ocpi("P-07")
def test_a_patch_of_the_unknown_asks_for_a_put(cpo):
    answer = Pushing(cpo, "locations").patch("L1", body={"last_updated": STAMP})
    assert (answer.http, answer.code) == (404, 2003)
    assert "put it first" in answer.message


@pytest.mark.ocpi("P-07", "L-15")
@pytest.mark.parametrize(
    ("path", "members"),
    [
        (["L1"], {"id": "L2"}),
        (["L1"], {"country_code": "DE", "party_id": "XXX"}),
        (["L1"], {"id": None}),
        (["L1"], {"party_id": 7}),
        (["L1", "E1"], {"uid": "E2"}),
        (["L1", "E1", "1"], {"id": "2"}),
    ],
)
def test_a_patch_does_not_change_identity(own, path, members):
    answer = own.patch(*path, body={**members, "last_updated": LATER})
    assert refused(answer, *(f"$.{name}" for name in members))
    assert Location.objects.get().version == 1


@pytest.mark.ocpi("P-07", "P-13")
def test_a_patch_may_repeat_identity_and_does_not_respell_it(own):
    body = {"id": "l1", "country_code": "fr", "name": "New", "last_updated": LATER}
    assert own.patch("L1", body=body).code == 1000
    assert own.patch("L1", "e1", body={"uid": "e1", "last_updated": LATER}).code == 1000
    location = own.get("L1").data
    assert (location["id"], location["country_code"]) == ("L1", "FR")
    assert [item["uid"] for item in location["evses"]] == ["E1", "E2"]


@pytest.mark.ocpi("P-08")
def test_null_clears_what_is_optional_and_nothing_else(own):
    assert own.patch("L1", body={"name": None, "last_updated": LATER}).code == 1000
    assert "name" not in own.get("L1").data
    assert Location.objects.get().name == ""
    answer = own.patch("L1", body={"city": None, "address": None, "last_updated": LATEST})
    assert refused(answer, "$")
    assert {item["problem"] for item in answer.data} == {"city is required", "address is required"}
    assert own.patch("L1", "E1", body={"evse_id": None, "last_updated": LATER}).code == 1000
    assert "evse_id" not in own.get("L1", "E1").data
    assert refused(own.patch("L1", "E1", body={"status": None, "last_updated": LATEST}), "$")


@pytest.mark.ocpi("P-08")
def test_a_member_that_is_an_object_is_replaced_whole(own):
    hours = {"twentyfourseven": False, "regular_hours": [HOURS]}
    own.patch("L1", body={"opening_times": hours, "last_updated": LATER})
    own.patch("L1", body={"opening_times": {"twentyfourseven": True}, "last_updated": LATEST})
    assert own.get("L1").data["opening_times"] == {"twentyfourseven": True}
    body = {"coordinates": {"latitude": "1.00000"}, "last_updated": LATEST}
    assert refused(own.patch("L1", body=body), "$.coordinates")


HOURS = {"weekday": 1, "period_begin": "08:00", "period_end": "20:00"}


@pytest.mark.ocpi("P-08")
def test_evses_in_a_patch_are_merged_by_uid_and_connectors_by_id(own):
    connector = {"id": "1", "tariff_ids": ["T1"]}
    new = objects.evse(uid="E3", evse_id="NL*CPO*E3")
    body = {"evses": [{"uid": "e2", "status": "BLOCKED", "connectors": [connector]}, new]}
    assert own.patch("L1", body={**body, "last_updated": LATER}).code == 1000
    evses = own.get("L1").data["evses"]
    assert [(item["uid"], item["status"]) for item in evses] == [
        ("E1", "AVAILABLE"),
        ("E2", "BLOCKED"),
        ("E3", "AVAILABLE"),
    ]
    assert evses[1]["connectors"] == [
        objects.connector(tariff_ids=["T1"], last_updated=LATER),
    ]
    assert [item["last_updated"] for item in evses] == [STAMP, LATER, STAMP]


@pytest.mark.ocpi("P-08", "T-08")
def test_what_a_patch_leaves_invalid_is_refused_with_every_path(own):
    body = {
        "evses": [{"uid": "E2", "status": "GONE"}, {"uid": "E9"}, {"status": "BLOCKED"}, 7],
        "country": "NL",
        "last_updated": LATER,
    }
    assert refused(
        own.patch("L1", body=body),
        "$.evses[1].status",
        "$.evses[2]",
        "$.evses[3]",
        "$.evses[4]",
        "$.country",
    )
    assert refused(own.patch("L1", body={"evses": 7, "last_updated": LATER}), "$.evses")
    assert refused(own.patch("L1", "E1", body={"status": "X", "last_updated": LATER}), "$.status")
    assert Location.objects.get().version == 1


@pytest.mark.ocpi("P-08")
def test_a_list_without_end_is_refused(own):
    evses = [{"uid": f"U{number}"} for number in range(10_001)]
    assert own.patch("L1", body={"evses": evses, "last_updated": LATER}).code == 2001


# Parents, order


@pytest.mark.ocpi("L-02")
@pytest.mark.parametrize("method", ["put", "patch"])
def test_what_is_around_a_part_becomes_as_new_as_the_part(own, emsp, method):
    connector = objects.connector(last_updated=LATER)
    body = connector if method == "put" else {"tariff_ids": ["T1"], "last_updated": LATER}
    getattr(own, method)("L1", "E1", "1", body=body)
    location = own.get("L1").data
    assert [item["last_updated"] for item in location["evses"]] == [LATER, STAMP]
    assert location["last_updated"] == LATER
    evse = objects.evse(uid="E2", last_updated=LATEST)
    getattr(own, method)("L1", "E2", body=evse)
    assert own.get("L1").data["last_updated"] == LATEST
    listed = shown(emsp, "locations", query=f"?date_from={LATEST}").data
    assert [item["id"] for item in listed] == ["L1"]


@pytest.mark.ocpi("L-02", "P-10")
def test_a_part_is_as_new_as_itself_not_as_its_location(own):
    own.patch("L1", body={"name": "New", "last_updated": LATEST})
    answer = own.patch("L1", "E1", body={"status": "CHARGING", "last_updated": LATER})
    assert answer.message == "Success"
    location = own.get("L1").data
    assert (location["evses"][0]["status"], location["last_updated"]) == ("CHARGING", LATEST)


@pytest.mark.ocpi("P-10", "L-02")
@pytest.mark.parametrize("path", [["L1"], ["L1", "E1"], ["L1", "E1", "1"]])
def test_what_is_older_is_answered_1000_and_ignored(own, path):
    before = own.get("L1").data
    answer = own.patch(*path, body={"name": "Old", "last_updated": BEFORE})
    assert (answer.http, answer.code) == (200, 1000)
    assert "Ignored" in answer.message
    assert own.get("L1").data == before
    ahead = times.render(times.now() + dt.timedelta(minutes=16))
    answer = own.patch(*path, body={"name": "New", "last_updated": ahead})
    assert (answer.code, answer.message) == (2001, "last_updated lies in the future")


@pytest.mark.ocpi("P-10")
def test_a_late_put_of_a_part_does_not_bring_back_the_past(own):
    own.patch("L1", "E1", body={"status": "CHARGING", "last_updated": LATEST})
    late = own.put("L1", "E1", body=objects.evse(last_updated=LATER))
    assert "Ignored" in late.message
    assert own.get("L1", "E1").data["status"] == "CHARGING"
    late = own.put("L1", body=objects.location(own.partner.address, last_updated=LATER))
    assert "Ignored" in late.message
    assert own.get("L1", "E1").data["status"] == "CHARGING"


@pytest.mark.ocpi("P-10", "P-11")
def test_at_the_same_time_what_differs_is_taken_and_what_does_not_is_not_told_again(own):
    body = {"status": "CHARGING", "last_updated": STAMP}
    assert own.patch("L1", "E1", body=body).code == 1000
    assert own.get("L1", "E1").data["status"] == "CHARGING"
    assert Location.objects.get().version == 2
    own.patch("L1", "E1", body=body)
    assert Location.objects.get().version == 2


@pytest.mark.ocpi("P-10")
@pytest.mark.parametrize("stamp", ["2026-02-30T00:00:00Z", "yesterday", ""])
def test_a_change_at_no_time_is_refused(own, stamp):
    assert own.patch("L1", body={"last_updated": stamp}).code == 2001


@pytest.mark.ocpi("P-10")
def test_a_part_whose_stored_time_does_not_exist_can_be_changed(cpo):
    own = Pushing(cpo, "locations")
    evse = objects.evse(last_updated="2026-02-30T00:00:00Z")
    assert own.put("L1", body=objects.location(cpo.address, evses=[evse])).code == 1000
    assert own.patch("L1", "E1", body={"status": "BLOCKED", "last_updated": STAMP}).code == 1000
    assert own.get("L1", "E1").data["status"] == "BLOCKED"


# Lifecycle


@pytest.mark.ocpi("L-04", "G-14")
def test_a_removed_evse_stays_and_is_listed(own, emsp):
    own.patch("L1", "E1", body={"status": "REMOVED", "last_updated": LATER})
    own.patch("L1", "E2", body={"status": "REMOVED", "last_updated": LATER})
    [location] = shown(emsp, "locations").data
    assert [item["status"] for item in location["evses"]] == ["REMOVED", "REMOVED"]
    assert shown(emsp, "locations", "L1", "E1", "1").data["id"] == "1"
    assert own.put("L1", "E1", body=objects.evse(last_updated=LATEST)).code == 1000


@pytest.mark.ocpi("L-12")
def test_a_schedule_changes_no_status(own):
    past = {"period_begin": "2026-01-01T00:00:00Z", "status": "OUTOFORDER"}
    own.patch("L1", "E1", body={"status_schedule": [past], "last_updated": LATER})
    assert own.get("L1", "E1").data["status"] == "AVAILABLE"


@pytest.mark.ocpi("L-13")
def test_unknown_tariffs_are_no_error(own):
    body = {"tariff_ids": ["NOWHERE"], "last_updated": LATER}
    assert own.patch("L1", "E1", "1", body=body).code == 1000


@pytest.mark.ocpi("L-09", "L-10", "P-12", "T-31")
def test_what_is_relayed_is_what_was_told(cpo, emsp, deliver):
    body = objects.location(cpo.address, **{"x-own": [{"a": objects.D("1.50")}]})
    Pushing(cpo, "locations").put("L1", body=body)
    deliver()
    assert told(emsp, "locations") == [("PUT", "FR/CPO/L1", body)]
    [listed] = shown(emsp, "locations").data
    assert listed == body
    assert "operator" not in listed


# Changes are told on as changes


@pytest.mark.ocpi("B-07", "P-06")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", ["L1"], {"name": "New"}),
        ("PATCH", ["L1", "E1"], {"status": "CHARGING"}),
        ("PATCH", ["L1", "E1", "1"], {"tariff_ids": ["T1"]}),
        ("PUT", ["L1", "E3"], objects.evse(uid="E3")),
        ("PUT", ["L1", "E1", "2"], objects.connector(id="2")),
    ],
)
def test_one_change_is_told_as_it_came(own, emsp, deliver, method, path, body):
    deliver()
    change = {**body, "last_updated": LATER}
    assert own.call(method, *path, body=change).code == 1000
    deliver()
    first, second = told(emsp, "locations")
    assert first[0] == "PUT"
    assert second == (method, "/".join(["FR", "CPO", *path]), change)
    assert emsp.holds("locations")["L1"] == own.get("L1").data


@pytest.mark.ocpi("B-07")
def test_two_changes_while_the_receiver_is_away_are_one_put(own, emsp, deliver):
    deliver()
    emsp.misbehave(Fault.ERROR500)
    for status, stamp in (("CHARGING", LATER), ("BLOCKED", LATEST)):
        own.patch("L1", "E1", body={"status": status, "last_updated": stamp})
        deliver()
    emsp.misbehave(Fault.OK)
    emsp.inbox.received.clear()
    due_again()
    deliver()
    assert told(emsp, "locations") == [("PUT", "FR/CPO/L1", own.get("L1").data)]


@pytest.mark.ocpi("B-07")
def test_a_change_that_may_have_arrived_is_followed_by_the_whole(own, emsp, deliver):
    deliver()
    emsp.misbehave(Fault.ERROR500, times=1)
    own.patch("L1", "E1", body={"status": "CHARGING", "last_updated": LATER})
    deliver()
    due_again()
    deliver()
    assert [item[0] for item in told(emsp, "locations")] == ["PUT", "PATCH", "PUT"]
    own.patch("L1", "E1", body={"status": "BLOCKED", "last_updated": LATEST})
    deliver()
    assert told(emsp, "locations")[-1][0] == "PATCH"
    Delivery.objects.update(acknowledged=2, leased_until=times.now() - dt.timedelta(seconds=1))
    deliver()
    assert told(emsp, "locations")[-1][0] == "PUT"


@pytest.mark.ocpi("B-09")
def test_who_does_not_know_what_changed_is_told_the_whole_at_once(own, emsp, deliver):
    deliver()
    emsp.inbox.drop("locations", "FR/CPO/L1")
    own.patch("L1", "E1", body={"status": "CHARGING", "last_updated": LATER})
    deliver()
    assert [item[0] for item in told(emsp, "locations")] == ["PUT", "PATCH", "PUT"]
    assert emsp.holds("locations")["L1"] == own.get("L1").data
    assert Delivery.objects.filter(module="locations", acknowledged=2, wanted=2).exists()


@pytest.mark.ocpi("B-09", "T-15")
def test_who_has_no_patch_is_told_the_whole_and_not_asked_again(own, emsp, deliver, monkeypatch):
    deliver()
    monkeypatch.setattr("hub.sandbox.desk.CHANGES", ())
    for name, stamp in (("One", LATER), ("Two", LATEST)):
        own.patch("L1", body={"name": name, "last_updated": stamp})
        deliver()
    assert [item[0] for item in told(emsp, "locations")] == ["PUT", "PATCH", "PUT", "PUT"]
    assert emsp.holds("locations")["L1"]["name"] == "Two"
    assert quirks.described("no_patch locations").startswith("takes no changes")


@pytest.mark.ocpi("P-08", "B-07")
@pytest.mark.parametrize("body", [{"name": None}, {"evses": [{"uid": "E1", "status": "BLOCKED"}]}])
def test_what_receivers_read_differently_is_told_as_the_whole(own, emsp, deliver, body):
    deliver()
    own.patch("L1", body={**body, "last_updated": LATER})
    deliver()
    assert told(emsp, "locations")[-1] == ("PUT", "FR/CPO/L1", own.get("L1").data)


@pytest.mark.ocpi("B-02", "B-03", "B-04", "L-01")
def test_a_change_is_broadcast_to_the_opposite_roles_from_the_hub(own, emsp, stranger, deliver):
    deliver()
    own.patch("L1", "E1", body={"status": "CHARGING", "last_updated": LATER})
    deliver()
    for partner in (emsp, stranger):
        last = next(item for item in reversed(partner.received) if item.module == "locations")
        assert last.path[3:] == ("FR", "CPO", "L1", "E1")
        assert last.headers["OCPI-from-party-id"] == "OCN"
        assert last.headers["OCPI-to-party-id"] == partner.address.party_id


def due_again():
    Delivery.objects.update(next_attempt_at=times.now())
    for platform in {row.receiver.platform for row in Delivery.objects.all()}:
        type(platform).objects.filter(pk=platform.pk).update(paused_until=None)


@pytest.mark.ocpi("L-14")
def test_a_status_takes_few_queries(own, emsp, django_assert_max_num_queries):
    own.patch("L1", "E1", body={"status": "CHARGING", "last_updated": LATER})
    with django_assert_max_num_queries(12):
        own.patch("L1", "E1", body={"status": "BLOCKED", "last_updated": LATEST})


# Who is shown what is not published


@pytest.fixture
def audience(own, emsp, stranger):
    """Everybody but the CPO: an eMSP with drivers, one without, and a navigation service."""
    with member("NL*NAV", ["NSP"], "Cast Navigation") as nsp:
        Pushing(emsp, "tokens").put("CARD1", body=objects.token(emsp.address, **CARD))
        yield {"emsp": emsp, "stranger": stranger, "nsp": nsp}


CARD = {"visual_number": "V-1", "issuer": "Somebody", "group_id": "G1"}
EVERYBODY = {"emsp", "stranger", "nsp"}


def publish(own, *allowed):
    body = objects.location(own.partner.address, publish=False, last_updated=LATER)
    assert own.put("L1", body={**body, "publish_allowed_to": list(allowed)}).code == 1000


def reached(audience, deliver):
    """Return who is shown L1: told, listed and read are the same."""
    for partner in audience.values():
        partner.inbox.received.clear()
    deliver()
    pushed = {name for name, partner in audience.items() if told(partner, "locations")}
    listed = {name for name, partner in audience.items() if shown(partner, "locations").data}
    read = {
        name for name, partner in audience.items() if shown(partner, "locations", "L1").http == 200
    }
    assert pushed == listed == read
    return pushed


@pytest.mark.ocpi("L-07", "B-03")
def test_what_is_published_is_for_everybody(audience, deliver):
    assert reached(audience, deliver) == EVERYBODY


@pytest.mark.ocpi("L-07", "B-12")
def test_what_is_not_published_is_for_those_with_drivers(own, audience, deliver):
    publish(own)
    assert reached(audience, deliver) == {"emsp", "stranger"}


@pytest.mark.ocpi("L-07", "B-12")
@pytest.mark.parametrize(
    ("allowed", "reads"),
    [
        ({"uid": "card1", "type": "RFID"}, True),
        ({"uid": "CARD1", "type": "APP_USER"}, False),
        ({"uid": "CARD2", "type": "RFID"}, False),
        ({"visual_number": "V-1", "issuer": "Somebody"}, True),
        ({"visual_number": "V-1", "issuer": "Else"}, False),
        ({"visual_number": "v-1", "issuer": "Somebody"}, False),
        ({"group_id": "g1"}, True),
        ({"group_id": "G2"}, False),
        ({"group_id": "G1", "issuer": "Else"}, False),
        ({"uid": "CARD1", "type": "RFID", "group_id": "G2"}, False),
        ({"uid": "CARD1", "type": "RFID", "visual_number": "V-2", "issuer": "Somebody"}, False),
        ({"uid": "CARD1", "type": "RFID", **CARD}, True),
    ],
)
def test_a_private_location_is_for_who_has_a_token_that_matches_in_all(
    own, audience, deliver, allowed, reads
):
    publish(own, {"group_id": "NOBODY"}, allowed)
    assert reached(audience, deliver) == ({"emsp"} if reads else set())
    owed = Delivery.objects.filter(module="locations", wanted=2)
    assert {str(row.receiver.party) for row in owed} == ({"DE*MSP"} if reads else set())


@pytest.mark.ocpi("L-07", "B-12")
def test_what_became_private_before_it_was_sent_does_not_leave(own, audience, deliver):
    """The debt is from when it was public; what would be sent is what it is now."""
    publish(own, {"group_id": "NOBODY"})
    assert reached(audience, deliver) == set()
    rows = Delivery.objects.filter(module="locations")
    assert {row.last_answer for row in rows} == {
        "not sent: it is for another party than this receiver"
    }
    assert {row.state for row in rows} == {"rejected"}


@pytest.mark.ocpi("L-07", "B-10")
def test_a_newcomer_is_owed_what_it_would_be_shown(own, audience, deliver):
    publish(own, {"group_id": "G1"})
    own.put("L2", body=objects.location(own.partner.address, id="L2"))
    with member("AT*NEW", ["EMSP"], "Cast Newcomer") as newcomer:
        deliver()
        assert set(newcomer.holds("locations")) == {"L2"}


@pytest.mark.ocpi("L-07", "B-12", "B-10")
@pytest.mark.parametrize(
    "allowed",
    [
        {"uid": "CARD2", "type": "RFID"},
        {"group_id": "G2"},
        {"visual_number": "V-2", "issuer": "Somebody"},
    ],
)
def test_a_token_that_comes_later_opens_what_names_it(own, audience, deliver, allowed):
    publish(own, allowed)
    own.put("L2", body=objects.location(own.partner.address, id="L2", last_updated=LATER))
    deliver()
    emsp = audience["emsp"]
    assert set(emsp.holds("locations")) == {"L2"}
    members = {**allowed, "uid": "CARD2", "type": "RFID", "issuer": "Somebody"}
    Pushing(emsp, "tokens").put("CARD2", body=objects.token(emsp.address, **members))
    deliver()
    assert set(emsp.holds("locations")) == {"L1", "L2"}
    assert set(audience["stranger"].holds("locations")) == {"L2"}
    assert len(told(emsp, "locations")) == 2


@pytest.mark.ocpi("L-07", "P-12")
def test_the_flags_are_relayed_untouched(own, emsp, deliver):
    Pushing(emsp, "tokens").put("CARD1", body=objects.token(emsp.address, **CARD))
    publish(own, {"group_id": "G1", "x": 1})
    deliver()
    [(_, _, body)] = told(emsp, "locations")
    assert (body["publish"], body["publish_allowed_to"]) == (False, [{"group_id": "G1", "x": 1}])


@pytest.mark.ocpi("L-07", "P-08")
def test_an_explicit_null_allows_as_an_empty_list_does(own, emsp, deliver):
    body = objects.location(own.partner.address, publish=False, last_updated=LATER)
    own.put("L1", body={**body, "publish_allowed_to": None})
    assert [item["id"] for item in shown(emsp, "locations").data] == ["L1"]


# Any valid location


@pytest.mark.ocpi("P-01", "P-05", "P-12", "T-27")
@wire.examples(25)
@given(
    body=wire.objects(
        types.Location, country_code="FR", party_id="CPO", id="ANY", last_updated=STAMP
    )
)
def test_any_valid_location_comes_back_as_it_went(cpo, body):
    own = Pushing(cpo, "locations")
    Location.objects.all().delete()
    assert own.put("ANY", body=body).http == 201
    assert own.get("ANY").data == body


@pytest.mark.ocpi("L-01", "P-12")
@wire.examples(25)
@given(
    evse=wire.objects(types.EVSE, uid="ANY", last_updated=LATER),
    connector=wire.objects(types.Connector, id="ANY", last_updated=LATEST),
)
def test_any_valid_evse_and_connector_come_back_as_they_went(cpo, evse, connector):
    own = Pushing(cpo, "locations")
    Location.objects.all().delete()
    own.put("L1", body=objects.location(cpo.address))
    assert own.put("L1", "ANY", body=evse).http == 201
    assert own.get("L1", "ANY").data == evse
    assert own.put("L1", "E1", "ANY", body=connector).http == 201
    assert own.get("L1", "E1", "ANY").data == connector
