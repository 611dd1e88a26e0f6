"""Repairs: spelling is put right, content never, money not at all."""

from decimal import Decimal as D

import pytest
from django.conf import settings
from hypothesis import given

from hub.ocpi import types, validation
from hub.ocpi.errors import Invalid
from hub.ocpi.messages import Address
from parties.repairs import Mended, Repair, accepted, closest, mend
from tests import objects, wire

pytestmark = pytest.mark.ocpi("X-05")
NL, DE = Address("NL", "CPO"), Address("DE", "EMP")


def one(kind, body, repair, path):
    """Return a body after the one repair that it takes."""
    mended = accepted(kind, body, strict=False)
    assert mended.made == [(path, repair)]
    assert mended.sent is body
    with pytest.raises(Invalid):
        accepted(kind, body, strict=True)
    return mended.body


def refused(kind, body):
    """Return the paths of what is wrong with a body that cannot be repaired."""
    with pytest.raises(Invalid) as found:
        accepted(kind, body, strict=False)
    return {item.path for item in found.value.problems}


@pytest.mark.ocpi("T-26")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-10T10:00:00+00:00", "2026-11-10T10:00:00Z"),
        ("2026-11-10T10:00:00+01:00", "2026-11-10T09:00:00Z"),
        ("2026-11-10T00:30:00-0530", "2026-11-10T06:00:00Z"),
        ("2026-11-10 10:00:00", "2026-11-10T10:00:00Z"),
        ("2026-11-10 10:00:00 +02:00", "2026-11-10T08:00:00Z"),
        ("2026-11-10T10:00:00.123456Z", "2026-11-10T10:00:00.123Z"),
        ("2026-11-10T10:00:00,5", "2026-11-10T10:00:00.500Z"),
        ("2026-11-10T10:00:00.999999999+01:00", "2026-11-10T09:00:00.999Z"),
        ("2026-11-10t10:00:00z", "2026-11-10T10:00:00Z"),
        ("2026-11-10T10:00Z", "2026-11-10T10:00:00Z"),
        (" 2026-11-10T10:00:00Z ", "2026-11-10T10:00:00Z"),
    ],
)
def test_a_date_becomes_utc(sent, kept):
    body = objects.location(NL, last_updated=sent)
    assert one(types.Location, body, Repair.DATE, "$.last_updated")["last_updated"] == kept


@pytest.mark.ocpi("T-26")
@pytest.mark.parametrize(
    "sent",
    [
        "2026-11-10",
        "10.11.2026 10:00:00",
        "11/10/2026 10:00",
        "2026-13-10T10:00:00+00:00",
        "2026-02-30T10:00:00+00:00",
        "2026-11-10T25:00:00+00:00",
        "2026-11-10T10:00:00+99:00",
        "0001-01-01T00:00:00+14:00",
        "2026-11-10T10:00:00 CET",
        1794305400,
        "",
    ],
)
def test_a_date_with_several_readings_or_none_is_refused(sent):
    body = objects.location(NL, last_updated=sent)
    assert refused(types.Location, body) == {"$.last_updated"}


@pytest.mark.ocpi("T-27")
def test_numbers_and_booleans_lose_their_quotes():
    session = one(types.Session, objects.session(NL, DE, kwh="20.50"), Repair.NUMBER, "$.kwh")
    assert session["kwh"] == D("20.50")
    assert str(session["kwh"]) == "20.50"
    body = objects.location(NL, publish="True")
    assert one(types.Location, body, Repair.BOOLEAN, "$.publish")["publish"] is True
    connector = objects.connector(max_voltage="230.0")
    assert one(types.Connector, connector, Repair.NUMBER, "$.max_voltage")["max_voltage"] == 230
    body = objects.location(NL, postal_code=75001)
    assert one(types.Location, body, Repair.TEXT, "$.postal_code")["postal_code"] == "75001"


@pytest.mark.parametrize("text", ["", "1e5", "1,5", "NaN", "0x10", "1 000", "--1", "1" * 30, "²"])
def test_what_is_no_plain_number_is_refused(text):
    assert refused(types.Session, objects.session(NL, DE, kwh=text)) == {"$.kwh"}


@pytest.mark.ocpi("T-27")
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (types.CDR, objects.cdr(NL, DE, total_cost={"excl_vat": "10.00"})),
        (types.CDR, objects.cdr(NL, DE, total_cost=[{"excl_vat": D("10.00")}])),
        (types.CDR, objects.cdr(NL, DE, total_energy_cost={"excl_vat": 1, "incl_vat": "1.21"})),
        (types.Session, objects.session(NL, DE, total_cost={"excl_vat": "1"})),
        (types.Tariff, objects.tariff(NL, min_price={"excl_vat": "0.50"})),
        (
            types.Tariff,
            objects.tariff(
                NL,
                elements=[
                    {"price_components": [{"type": "ENERGY", "price": "0.50", "step_size": 1}]}
                ],
            ),
        ),
        (types.CDR, objects.cdr(NL, DE, currency="eur")),
    ],
)
def test_money_is_never_repaired(kind, body):
    assert mend(kind, body).body == body
    with pytest.raises(Invalid):
        accepted(kind, body, strict=False)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (D("52.373"), "52.37300"),
        (52, "52.00000"),
        ("52.3", "52.30000"),
        ("52.12345678", "52.1234568"),
        (D("-0.000001"), "-0.000001"),
        ("+52,37300", "52.37300"),
        (" 52.37300", "52.37300"),
    ],
)
def test_a_coordinate_becomes_text_of_five_to_seven_decimals(sent, kept):
    body = objects.location(NL, coordinates={"latitude": sent, "longitude": "4.89300"})
    mended = one(types.Location, body, Repair.COORDINATE, "$.coordinates.latitude")
    assert mended["coordinates"] == {"latitude": kept, "longitude": "4.89300"}


@pytest.mark.parametrize("sent", [D("91.0"), "52.373N", "52°22", True, "", "1e1", None])
def test_where_there_is_no_such_place_it_is_refused(sent):
    body = objects.location(NL, coordinates={"latitude": sent, "longitude": "4.89300"})
    assert refused(types.Location, body) <= {"$.coordinates", "$.coordinates.latitude"}


def test_spellings_of_values_are_put_right():
    body = objects.location(NL, country="nl")
    assert one(types.Location, body, Repair.COUNTRY, "$.country")["country"] == "NLD"
    body = objects.session(NL, DE, status="RESERVED")
    assert one(types.Session, body, Repair.STATUS, "$.status")["status"] == "RESERVATION"
    role = {"role": "MSP", "business_details": {"name": "x"}, "party_id": "A", "country_code": "DE"}
    credentials = {"token": "t", "url": "http://x", "roles": [{**role, "party_id": "ABC"}]}
    mended = one(types.Credentials, credentials, Repair.ROLE, "$.roles[0].role")
    assert mended["roles"][0]["role"] == "EMSP"


@pytest.mark.parametrize(
    "members",
    [
        {"country": "XX"},
        {"country_code": "NLD"},
        {"time_zone": 5.5},
        {"evses": [objects.evse(status="available")]},
        {"parking_type": "on_street"},
        {"name": "x" * 256},
        {"address": "\x07"},
    ],
)
def test_what_has_no_certain_reading_is_refused_with_the_problems_as_they_were_sent(members):
    body = objects.location(NL, **{**members, "last_updated": "2026-11-10 10:00:00"})
    found = refused(types.Location, body)
    assert "$.last_updated" in found
    assert len(found) >= 2


def test_an_empty_text_for_nothing_is_left_out():
    body = objects.location(NL, parking_type="", charging_when_closed="")
    mended = accepted(types.Location, body, strict=False)
    assert {repair for _, repair in mended.made} == {Repair.EMPTY}
    assert not {"parking_type", "charging_when_closed"} & mended.body.keys()
    body = objects.location(NL, name="", parking_type="")
    assert accepted(types.Location, body, strict=False).body["name"] == ""  # that is a text
    with pytest.raises(Invalid):
        accepted(types.Location, objects.location(NL, id=""), strict=False)


def test_one_object_for_a_list_and_a_list_of_one_for_an_object():
    text = {"language": "en", "text": "upstairs"}
    body = objects.location(NL, directions=text)
    assert one(types.Location, body, Repair.ONE_FOR_LIST, "$.directions")["directions"] == [text]
    body = objects.location(NL)
    assert one(types.Location, [body], Repair.LIST_OF_ONE, "$") == body
    with pytest.raises(Invalid):
        accepted(types.Location, [body, body], strict=False)


def test_repairs_add_up_and_are_told_in_one_line():
    stamp = "2026-11-10 10:00:00"
    evses = [objects.evse(uid=f"E{n}", last_updated=stamp) for n in range(100)]
    body = objects.location(NL, evses=evses, country="NL", x="2026-11-10 10:00:00")
    mended = accepted(types.Location, body, strict=False)
    assert validation.problems(types.Location, mended.body) == []
    assert mended.body["x"] == stamp
    assert mended.message == (
        "Accepted; normalised: country (country in two letters), evses[0].last_updated (date), "
        "evses[1].last_updated (date), evses[2].last_updated (date), evses[3].last_updated (date), "
        "45 more"
    )
    assert mended.quirks == {
        "repair: date": "$.evses[0].last_updated",
        "repair: country in two letters": "$.country",
    }
    assert body["evses"][0]["last_updated"] == stamp  # what was sent is left alone


def test_of_a_change_members_may_be_missing_but_what_is_there_is_repaired():
    mended = accepted(
        types.EVSE, {"last_updated": "2026-11-10 10:00:00"}, strict=False, partial=True
    )
    assert mended.body == {"last_updated": "2026-11-10T10:00:00Z"}
    with pytest.raises(Invalid):
        accepted(types.EVSE, {"status": "odd"}, strict=False, partial=True)
    kinds = (types.Location, types.EVSE, types.Connector)
    assert closest(kinds, {"status": 1, "last_updated": 1}) is types.EVSE
    assert closest(kinds, {"last_updated": 1}) is types.Location
    assert closest(kinds, {"max_voltage": 1}) is types.Connector
    assert closest(kinds, []) is types.Location


@pytest.mark.parametrize(
    "body", [None, [], {}, "x", 5, [[]], [None], {"evses": [[]]}, {"evses": 5}]
)
def test_anything_at_all_is_either_accepted_or_refused(body):
    with pytest.raises(Invalid):
        accepted(types.Location, body, strict=False)


@pytest.mark.parametrize("kind", [types.Location, types.CDR, types.Session, types.Tariff])
def test_what_is_valid_is_not_touched(kind):
    @given(wire.objects(kind))
    def holds(body):
        assert accepted(kind, body, strict=False) == Mended(body, body)
        assert mend(kind, body).made == []

    holds()


def test_every_repair_is_documented():
    text = (settings.BASE_DIR / "docs" / "tolerance.md").read_text()
    assert [repair for repair in Repair if f"| {repair} |" not in text] == []
