"""CDRs: posted one by one, kept as they came, changed by nobody, shown to who pays."""

import pytest
from hypothesis import given

from cdrs.models import Cdr
from hub.ocpi import json, types
from hub.ocpi.versions import RECEIVER
from tests import objects, wire
from tests.objects import D
from tests.pushing import Pushing, shown, told

pytestmark = pytest.mark.django_db
EPOCH = ["1970-1-1T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00"]


@pytest.fixture
def bill(cpo, emsp):
    """Return a CDR of the CPO for the eMSP's driver."""
    Pushing(emsp, "tokens").put("CARD1", body=objects.token(emsp.address))
    Pushing(cpo, "locations").put("L1", body=objects.location(cpo.address))

    def make(**members):
        return objects.cdr(cpo.address, emsp.address, **members)

    return make


def post(cpo, body):
    return cpo.call("POST", "cdrs", RECEIVER, body=body)


def findings():
    """Return what was found about the last CDR, but for what its made-up dates and place cause."""
    codes = Cdr.objects.latest("pk").findings.values_list("code", flat=True)
    return set(codes) - {"delivered_late", "not_priced", "evse_of_another_operator"}


@pytest.mark.ocpi("D-01", "D-16", "D-09")
def test_a_cdr_is_posted_read_back_at_its_location_and_sent_to_who_pays(
    cpo, emsp, stranger, bill, deliver
):
    answer = post(cpo, bill())
    assert (answer.http, answer.code) == (201, 1000)
    assert len(answer.headers["Location"]) <= 255
    assert cpo.request("GET", answer.headers["Location"]).data == bill()
    deliver()
    assert told(emsp, "cdrs") == [("POST", "", bill())]
    assert shown(emsp, "cdrs").data == [bill()]
    assert shown(emsp, "cdrs", "C1").data == bill()
    assert told(stranger, "cdrs") == shown(stranger, "cdrs").data == []
    assert stranger.request("GET", answer.headers["Location"]).http == 404


@pytest.mark.ocpi("D-03")
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_list_of_cdrs_is_no_cdr(cpo, bill, count):
    answer = post(cpo, [bill(id=f"C{number}") for number in range(count)])
    assert (answer.http, answer.code) == (200, 2001)
    assert answer.data[0]["path"] == "$"
    assert not Cdr.objects.exists()


@pytest.mark.ocpi("D-04", "T-15")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_cdr_is_not_changed_by_any_method(cpo, emsp, bill, method):
    post(cpo, bill())
    for path in ([], ["FR", "CPO", "C1"]):
        answer = cpo.call(method, "cdrs", RECEIVER, *path, body=bill())
        assert answer.http == 405
        assert method not in answer.headers["Allow"]
    for path in ([], ["C1"]):
        assert emsp.call(method, "cdrs", "SENDER", *path, body=bill()).http == 405
    assert Cdr.objects.get().body == bill()


@pytest.mark.ocpi("D-05", "D-04")
def test_the_same_again_is_fine_and_another_is_not(cpo, bill):
    first = post(cpo, bill())
    again = post(cpo, bill())
    assert (again.http, again.code) == (200, 1000)
    assert again.headers["Location"] == first.headers["Location"]
    other = post(cpo, bill(total_energy=D("21")))
    assert (other.http, other.code) == (200, 2001)
    assert "Location" not in other.headers
    assert Cdr.objects.get().body == bill()


@pytest.mark.ocpi("D-06", "D-07", "D-08")
def test_a_credit_and_its_correction(cpo, emsp, bill, deliver):
    post(cpo, bill())
    credit = bill(
        id="C1" + "-CREDIT" * 5,
        credit=True,
        credit_reference_id="C1",
        total_cost={"excl_vat": D("-10.00"), "incl_vat": D("-12.10")},
    )
    assert len(credit["id"]) == 37
    correction = bill(id="C2", total_cost={"excl_vat": D("9.00"), "incl_vat": D("10.89")})
    assert post(cpo, credit).code == post(cpo, correction).code == 1000
    assert [cdr.state for cdr in Cdr.objects.order_by("pk")] == ["accepted"] * 3
    deliver()
    assert sorted(emsp.holds("cdrs")) == sorted(["C1", credit["id"], "C2"])


@pytest.mark.ocpi("D-10")
def test_an_unknown_location_or_no_session_is_no_error(cpo, bill):
    place = {**bill()["cdr_location"], "id": "AT-HOME"}
    assert post(cpo, bill(cdr_location=place)).code == 1000
    assert findings() == {"location_unknown"}
    body = bill(id="C2", start_date_time="2026-11-10T07:00:00Z", total_time=D("3"))
    del body["session_id"]
    assert post(cpo, body).code == 1000
    assert "session_billed_twice" not in findings()


@pytest.mark.ocpi("D-11")
@pytest.mark.parametrize(
    "kind", ["CURRENT", "ENERGY_EXPORT", "ENERGY_IMPORT", "POWER", "STATE_OF_CHARGE"]
)
def test_a_dimension_of_sessions_is_marked(cpo, bill, kind):
    [period] = bill()["charging_periods"]
    period["dimensions"].append({"type": kind, "volume": D("7")})
    assert post(cpo, bill(charging_periods=[period])).code == 1000
    assert findings() == {"session_only_dimension"}


@pytest.mark.ocpi("D-11", "D-12")
def test_energy_may_flow_back_and_a_period_has_a_dimension(cpo, bill):
    [period] = bill()["charging_periods"]
    back = {**period, "dimensions": [{"type": "ENERGY", "volume": D("-2.5")}]}
    energy = {"total_energy": D("-2.5"), "charging_periods": [back]}
    assert post(cpo, bill(**energy)).code == 1000
    for periods in ([], [{**period, "dimensions": []}]):
        assert post(cpo, bill(id="C2", charging_periods=periods)).code == 2001


@pytest.mark.ocpi("D-13")
def test_a_cdr_is_of_then_whatever_comes_after(cpo, emsp, bill, deliver):
    tariff = objects.tariff(cpo.address)
    body = bill(tariffs=[tariff])
    post(cpo, body)
    later = "2026-11-11T00:00:00Z"
    Pushing(cpo, "locations").patch("L1", body={"name": "New", "last_updated": later})
    Pushing(cpo, "tariffs").put(
        "T1", body={**tariff, "tariff_alt_url": "https://x.example/", "last_updated": later}
    )
    Pushing(emsp, "tokens").patch("CARD1", body={"contract_id": "C2", "last_updated": later})
    deliver()
    assert emsp.holds("cdrs")["C1"] == body
    assert shown(emsp, "cdrs").data == [body]
    assert Pushing(cpo, "cdrs").get("C1").data == body


@pytest.mark.ocpi("D-14")
@pytest.mark.parametrize("epoch", EPOCH)
@pytest.mark.parametrize("names", [["start_date_time"], ["start_date_time", "end_date_time"]])
def test_a_date_that_is_not_known_is_taken_and_no_other_date_is_blamed(cpo, bill, epoch, names):
    for number in range(2):
        body = bill(id=f"C{number}", session_id=f"S{number}", **dict.fromkeys(names, epoch))
        assert post(cpo, body).code == 1000
        assert Pushing(cpo, "cdrs").get(body["id"]).data == body
        assert findings() == {"epoch_date"}


SIGNED = {
    "encoding_method": "Eichrecht",
    "encoding_method_version": 1,
    "public_key": "MFkwEwYH\nKoZI\r\nzj0=",
    "signed_values": [
        {
            "nature": "Start",
            "plain_data": ' {"a": 1.10,\t"b" : "\u00e9 e\u0301 \u212b \U0001f50c"}\r\n',
            "signed_data": "x" * 4990 + '\u2028\\"/ \n',
        },
        {"nature": "End", "plain_data": "", "signed_data": "\u007f\u200b"},
    ],
    "url": "https://meter.example/?a=b&c=%20",
}


@pytest.mark.ocpi("D-15", "P-12")
def test_what_a_meter_signed_is_kept_and_sent_to_the_letter(cpo, emsp, bill, deliver):
    body = bill(signed_data=SIGNED)
    assert post(cpo, body).code == 1000
    deliver()
    [received] = [item for item in emsp.received if item.module == "cdrs"]
    assert json.loads(received.content)["signed_data"] == SIGNED
    for data in (shown(emsp, "cdrs", "C1").data, Pushing(cpo, "cdrs").get("C1").data):
        assert data["signed_data"] == SIGNED
    assert b"1.10" in received.content


@pytest.mark.ocpi("D-01", "P-12", "T-27")
@wire.examples(25)
@given(
    body=wire.objects(
        types.CDR,
        country_code="FR",
        party_id="CPO",
        id="ANY",
        start_date_time="2026-11-10T08:00:00Z",
        end_date_time="2026-11-10T10:00:00Z",
        last_updated=objects.STAMP,
    )
)
def test_any_valid_cdr_comes_back_as_it_went(cpo, body):
    body = {**body, "id": f"ANY{Cdr.objects.count()}", "session_id": f"S{Cdr.objects.count()}"}
    if body.get("credit"):
        body["credit_reference_id"] = "C0"
    answer = post(cpo, body)
    assert (answer.http, answer.code) == (201, 1000)
    assert Pushing(cpo, "cdrs").get(body["id"]).data == body
