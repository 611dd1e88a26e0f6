"""What the members of one object owe each other, and what is taken as it comes."""

from decimal import Decimal as D

import pytest

from hub.ocpi import types, validation
from hub.ocpi.messages import Address
from tests import objects

CPO, EMSP = Address("NL", "CPO"), Address("DE", "MSP")
DAY = {"weekday": 1, "period_begin": "08:00", "period_end": "20:00"}
PERIOD = {"period_begin": "2026-12-24T10:00:00Z", "period_end": "2026-12-24T10:00:00Z"}
TOKEN = objects.token(EMSP)
START = {"response_url": "https://emsp.example/1", "token": TOKEN, "location_id": "L1"}
LATE = {**DAY, "period_begin": "22:00", "period_end": "02:00"}


def said(kind, body):
    return [(item.path, item.problem) for item in validation.problems(kind, body)]


@pytest.mark.parametrize(
    ("kind", "body", "problem"),
    [
        (
            types.Hours,
            {"twentyfourseven": False},
            ("$", "regular_hours is required unless twentyfourseven is true"),
        ),
        (
            types.Hours,
            {"twentyfourseven": False, "regular_hours": [], "exceptional_openings": [PERIOD]},
            ("$", "regular_hours is required unless twentyfourseven is true"),
        ),
        (
            types.Hours,
            {"twentyfourseven": False, "regular_hours": [DAY, LATE]},
            ("$.regular_hours[1].period_end", "must be later than period_begin"),
        ),
        (
            types.PublishTokenType,
            {"type": "RFID", "issuer": "Somebody"},
            ("$", "one of uid, visual_number and group_id is required"),
        ),
        (types.PublishTokenType, {"uid": "CARD1"}, ("$", "type is required with uid")),
        (
            types.PublishTokenType,
            {"visual_number": "1-2-3"},
            ("$", "issuer is required with visual_number"),
        ),
        (
            types.StartSession,
            {**START, "connector_id": "1", "evse_uid": None},
            ("$", "evse_uid is required with connector_id"),
        ),
    ],
)
@pytest.mark.ocpi("L-07", "L-11", "M-11")
def test_an_object_without_a_meaning_is_refused(kind, body, problem):
    assert said(kind, body) == [problem]


@pytest.mark.ocpi("T-08")
def test_the_path_leads_to_the_object_inside():
    body = objects.location(
        CPO,
        publish=False,
        publish_allowed_to=[{"group_id": "G1"}, {"uid": "CARD1"}],
        opening_times={"twentyfourseven": False, "regular_hours": [LATE]},
    )
    assert said(types.Location, body) == [
        ("$.publish_allowed_to[1]", "type is required with uid"),
        ("$.opening_times.regular_hours[0].period_end", "must be later than period_begin"),
    ]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (types.Hours, {"twentyfourseven": True, "regular_hours": []}),
        (types.Hours, {"twentyfourseven": True, "regular_hours": [DAY]}),
        (types.Hours, {"twentyfourseven": True, "exceptional_closings": [PERIOD]}),
        (types.Location, objects.location(CPO, publish_allowed_to=[{"group_id": "G1"}])),
        (types.Location, objects.location(CPO, time_zone="Europe/Atlantis", country="XXX")),
        (
            types.EnergyMix,
            {"is_green_energy": True, "energy_sources": [{"source": "WIND", "percentage": 7}]},
        ),
        (types.StartSession, {**START, "evse_uid": "E1"}),
        (types.ChargingProfilePeriod, {"start_period": 0, "limit": D("6.25")}),
        (types.PriceComponent, {"type": "FLAT", "price": 0, "step_size": 0}),
        (types.TariffRestrictions, {"min_kwh": 20, "max_kwh": 10, "start_time": "22:00"}),
        (types.CDR, objects.cdr(CPO, EMSP, credit=True)),
        (types.CDR, objects.cdr(CPO, EMSP, id="C" * 39)),
        (types.CDR, objects.cdr(CPO, EMSP, start_date_time="1970-1-1T00:00:00Z")),
        (
            types.Session,
            objects.session(CPO, EMSP, status="RESERVATION", evse_uid="#NA", connector_id="#NA"),
        ),
    ],
)
@pytest.mark.ocpi("D-06", "D-14", "F-10", "S-10", "T-34")
def test_what_still_has_a_meaning_is_taken_as_it_comes(kind, body):
    assert said(kind, body) == []


@pytest.mark.ocpi("D-15")
def test_signed_data_may_have_line_breaks():
    value = {"nature": "End", "plain_data": "<a>\r\n\t</a>", "signed_data": "QUJD\nREVG"}
    assert said(types.SignedValue, value) == []
