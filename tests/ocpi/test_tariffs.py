"""Tariffs: put, deleted everywhere, brought back; never patched."""

import pytest
from hypothesis import given

from hub.ocpi import types
from hub.sandbox.faults import Fault
from locations.models import Tariff
from parties.models import Delivery
from tests import objects, wire
from tests.objects import D
from tests.partners import member
from tests.pushing import Pushing, shown, told
from tests.speaking import Speaker

pytestmark = pytest.mark.django_db
LATER = "2026-11-10T11:00:00Z"
BEFORE = "2026-11-10T09:00:00Z"


@pytest.fixture
def own(cpo):
    """The CPO's tariffs at the hub: T1."""
    own = Pushing(cpo, "tariffs")
    assert own.put("T1", body=objects.tariff(cpo.address)).http == 201
    return own


@pytest.mark.ocpi("F-01", "P-01", "P-05", "P-09", "T-12")
def test_a_tariff_is_put_replaced_and_read_back(own, emsp):
    body = objects.tariff(own.partner.address, tariff_alt_url="https://x.example/t")
    assert own.put("T1", body={**body, "last_updated": LATER}).http == 200
    assert own.get("t1").data == {**body, "last_updated": LATER}
    bare = objects.tariff(own.partner.address, last_updated=LATER)
    assert own.put("T1", body=bare).code == 1000
    assert "tariff_alt_url" not in own.get("T1").data
    assert shown(emsp, "tariffs").data == [bare]
    assert shown(emsp, "tariffs", "T1").data == bare


@pytest.mark.ocpi("F-01", "T-15")
@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_a_tariff_is_not_patched(own, method):
    answer = own.call(method, "T1", body={"currency": "USD", "last_updated": LATER})
    assert answer.http == 405
    assert {"DELETE", "GET", "PUT"} <= set(answer.headers["Allow"].split(", "))
    assert method not in answer.headers["Allow"]
    assert own.get("T1").data["currency"] == "EUR"


@pytest.mark.ocpi("F-10")
def test_a_step_of_0_is_a_step(own):
    free = [{"price_components": [{"type": "FLAT", "price": D("0.00"), "step_size": 0}]}]
    body = objects.tariff(own.partner.address, elements=free, last_updated=LATER)
    assert own.put("T1", body=body).code == 1000


@pytest.mark.ocpi("F-02")
def test_a_deleted_tariff_is_gone_for_everybody_and_kept_for_the_books(own, emsp):
    answer = own.delete("T1")
    assert (answer.http, answer.code) == (200, 1000)
    assert (own.get("T1").http, own.get("T1").code) == (404, 2000)
    assert shown(emsp, "tariffs", "T1").http == 404
    assert shown(emsp, "tariffs").data == []
    assert shown(emsp, "tariffs").headers["X-Total-Count"] == "0"
    assert own.delete("T1").http == 404
    kept = Tariff.objects.get()
    assert kept.deleted
    assert kept.body["id"] == "T1"


@pytest.mark.ocpi("F-02", "T-11")
def test_what_is_unknown_cannot_be_deleted(own, stranger):
    assert own.delete("T9").http == 404
    assert stranger.call("DELETE", "tariffs", "RECEIVER", "FR", "CPO", "T1").http == 404
    assert own.get("T1").http == 200


@pytest.mark.ocpi("F-03")
def test_who_deletes_a_tariff_that_is_still_used_is_told(own, cpo):
    connector = objects.connector(tariff_ids=["T0", "T1"])
    evses = [objects.evse(connectors=[connector])]
    Pushing(cpo, "locations").put("L1", body=objects.location(cpo.address, evses=evses))
    answer = own.delete("T1")
    assert answer.code == 1000
    assert "location L1 still refers to it" in answer.message


@pytest.mark.ocpi("F-04", "B-06")
def test_who_has_it_is_told_of_the_end(own, emsp, stranger, deliver):
    deliver()
    own.delete("T1")
    deliver()
    for partner in (emsp, stranger):
        [_, end] = [item for item in partner.received if item.module == "tariffs"]
        assert (end.method, end.path[3:], end.content) == ("DELETE", ("FR", "CPO", "T1"), b"")
        assert end.headers["OCPI-from-party-id"] == "OCN"
        assert end.headers["OCPI-to-party-id"] == partner.address.party_id
        assert "Content-Type" not in end.headers
        assert partner.holds("tariffs") == {}
    assert {(row.wanted, row.acknowledged) for row in debts()} == {(2, 2)}


@pytest.mark.ocpi("F-04")
def test_the_end_waits_for_who_is_away_and_replaces_what_was_owed(own, emsp, deliver):
    emsp.misbehave(Fault.ERROR500)
    deliver()
    own.delete("T1")
    emsp.misbehave(Fault.OK)
    deliver()
    assert [item[0] for item in told(emsp, "tariffs")] == ["PUT", "DELETE"]
    [row] = debts()
    assert (row.acknowledged, row.state) == (2, "live")
    assert "404" in row.last_answer


@pytest.mark.ocpi("F-04", "B-10")
def test_a_newcomer_hears_nothing_of_what_ended_before(own, deliver):
    own.delete("T1")
    with member("AT*NEW", ["EMSP"], "Cast Newcomer") as newcomer:
        deliver()
        assert told(newcomer, "tariffs") == []


@pytest.mark.ocpi("F-02", "F-04")
@pytest.mark.parametrize("stamp", [objects.STAMP, LATER])
def test_a_put_brings_it_back_for_everybody(own, emsp, deliver, stamp):
    deliver()
    own.delete("T1")
    deliver()
    body = objects.tariff(own.partner.address, last_updated=stamp)
    assert own.put("T1", body=body).http == 201
    deliver()
    assert own.get("T1").data == body
    assert [item[0] for item in told(emsp, "tariffs")] == ["PUT", "DELETE", "PUT"]
    assert emsp.holds("tariffs") == {"T1": body}


@pytest.mark.ocpi("F-02", "P-10")
def test_a_late_put_from_before_does_not_bring_it_back(own):
    own.delete("T1")
    answer = own.put("T1", body=objects.tariff(own.partner.address, last_updated=BEFORE))
    assert (answer.code, "Ignored" in answer.message) == (1000, True)
    assert own.get("T1").http == 404


@pytest.mark.ocpi("F-12", "R-13")
def test_a_tariff_for_one_emsp_is_not_shown_to_others(cpo, emsp, stranger, deliver):
    speaker = Speaker(cpo.address, cpo.hub_token)
    emsp_alone = {"OCPI_to_country_code": "DE", "OCPI_to_party_id": "MSP"}
    body = objects.tariff(cpo.address, id="ONLY")
    speaker.put("2.2.1/receiver/tariffs/FR/CPO/ONLY", body, **emsp_alone)
    deliver()
    assert not Tariff.objects.exists()
    assert "ONLY" not in stranger.holds("tariffs")
    assert shown(stranger, "tariffs", "ONLY").http == 404
    assert "ONLY" not in [item["id"] for item in shown(stranger, "tariffs").data]


def debts():
    return list(Delivery.objects.filter(module="tariffs"))


@pytest.mark.ocpi("P-01", "P-05", "P-12", "T-27", "F-10")
@wire.examples(25)
@given(
    body=wire.objects(
        types.Tariff,
        country_code="FR",
        party_id="CPO",
        id="ANY",
        last_updated=objects.STAMP,
    )
)
def test_any_valid_tariff_comes_back_as_it_went(cpo, body):
    own = Pushing(cpo, "tariffs")
    Tariff.objects.all().delete()
    assert own.put("ANY", body=body).http == 201
    assert own.get("ANY").data == body


def test_what_is_odd_about_a_tariff_is_told_and_nothing_refused(own):
    free = [{"price_components": [{"type": "ENERGY", "price": D("0.5"), "step_size": 0}]}]
    odd = {"elements": free * 5, "end_date_time": "2026-02-31T00:00:00Z", "last_updated": LATER}
    answer = own.put("T1", body=objects.tariff(own.partner.address, **odd))
    assert (answer.http, answer.code) == (200, 1000)
    assert "odd: elements[1].price_components[0]: element 1 always prices ENERGY" in answer.message
    assert "and 6 more" in answer.message
    assert "odd" not in own.put("T2", body=objects.tariff(own.partner.address, id="T2")).message
