"""Every rule fires on its case and is silent on a clean CDR."""

import datetime as dt
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal as D

import pytest
from django.conf import settings

from cdrs import rules
from cdrs.facts import Facts
from hub.ocpi import types, validation
from hub.ocpi.messages import Address
from tests import objects

NOW = dt.datetime(2026, 11, 10, 12, tzinfo=dt.UTC)
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
TOKEN = rules.KnownToken(valid=True, contract_id="DE-EMP-C1", last_updated=LONG_AGO)
CONTEXT = rules.Context(now=NOW, token=TOKEN)
ORIGINAL = rules.Original(D("10.0000"), "EUR", credit=False, credited=False, settled=False)
CDR = objects.cdr(
    Address("NL", "CPO"),
    Address("DE", "EMP"),
    total_cost={"excl_vat": D("10.0000"), "incl_vat": D("12.1000")},
    charging_periods=[
        {
            "start_date_time": "2026-11-10T08:00:00Z",
            "dimensions": [{"type": "ENERGY", "volume": D(12)}],
        },
        {
            "start_date_time": "2026-11-10T09:00:00Z",
            "dimensions": [{"type": "ENERGY", "volume": D(8)}],
        },
    ],
)


def changed(**members):
    return {**deepcopy(CDR), **members}


def found(body, **known):
    return {item.code: item for item in rules.judge(Facts(body), replace(CONTEXT, **known))}


def periods(*pairs):
    return [
        {"start_date_time": start, "dimensions": [{"type": kind, "volume": D(volume)}]}
        for start, kind, volume in pairs
    ]


def price(excl, incl=None):
    return {"excl_vat": D(excl)} if incl is None else {"excl_vat": D(excl), "incl_vat": D(incl)}


CREDIT = {"credit": True, "credit_reference_id": "0", "total_cost": price("-10", "-12.1")}


def test_the_clean_cdr_is_valid_and_nothing_is_found():
    assert validation.problems(types.CDR, CDR) == []
    assert found(CDR) == {}


HOLDS = [
    ("emsp_unknown", {}, {"emsp_known": False}),
    ("token_unknown", {}, {"token": None}),
    ("token_invalid", {}, {"token": replace(TOKEN, valid=False)}),
    ("session_billed_twice", {}, {"same_session": "0"}),
    ("same_start", {}, {"same_start": "0"}),
    ("end_before_start", {"end_date_time": "2026-11-10T07:59:59Z"}, {}),
    ("end_before_start", {"end_date_time": "2026-11-10T08:00:00Z"}, {}),
    ("in_the_future", {"end_date_time": "2026-11-10T12:06:00Z"}, {}),
    ("epoch_date", {"start_date_time": "1970-1-1T00:00:00Z"}, {}),
    ("longer_than_72_hours", {"start_date_time": "2026-11-07T09:59:00Z"}, {}),
    ("total_time_differs", {"total_time": D("2.02")}, {}),
    ("parking_longer_than_session", {"total_parking_time": D("2.5")}, {}),
    (
        "charging_periods_disordered",
        {
            "charging_periods": periods(
                ("2026-11-10T08:00:00Z", "ENERGY", 12), ("2026-11-10T08:00:00Z", "ENERGY", 8)
            )
        },
        {},
    ),
    (
        "charging_periods_disordered",
        {"charging_periods": periods(("2026-11-10T08:01:00Z", "ENERGY", 20))},
        {},
    ),
    (
        "charging_periods_disordered",
        {
            "charging_periods": periods(
                ("2026-11-10T08:00:00Z", "ENERGY", 12), ("2026-11-10T10:00:00Z", "ENERGY", 8)
            )
        },
        {},
    ),
    ("delivered_too_late", {}, {"late_hold": dt.timedelta(minutes=30)}),
    ("not_shown_to_the_emsp", {}, {"lacking": ("cdr_location",), "hold_lacking": True}),
    ("energy_negative", {"total_energy": D(-20)}, {}),
    (
        "energy_cost_without_energy",
        {"total_energy": D(0), "total_energy_cost": price("10")},
        {},
    ),
    ("energy_implausible", {"total_energy": D("400.0001")}, {}),
    ("energy_sum_differs", {"total_energy": D("20.02")}, {}),
    ("currency_unknown", {"currency": "EUX"}, {}),
    ("currency_differs_from_tariff", {"tariffs": [{"currency": "USD"}]}, {}),
    ("cost_negative", {"total_cost": price("-1")}, {}),
    ("cost_implausible", {"total_cost": price("10000000.01")}, {}),
    ("home_charging", {"home_charging_compensation": True}, {}),
    ("credit_reference_unknown", CREDIT, {"original": None}),
    ("credit_reference_unknown", CREDIT, {"original": replace(ORIGINAL, credit=True)}),
    ("credit_not_exact", {**CREDIT, "total_cost": price("-9.99")}, {"original": ORIGINAL}),
    ("credit_not_exact", {**CREDIT, "currency": "USD"}, {"original": ORIGINAL}),
    ("credit_not_exact", CREDIT, {"original": replace(ORIGINAL, same_trade=False)}),
    ("credit_of_held", CREDIT, {"original": replace(ORIGINAL, accepted=False)}),
    ("credited_twice", CREDIT, {"original": replace(ORIGINAL, credited=True)}),
    ("credit_after_settlement", CREDIT, {"original": replace(ORIGINAL, settled=True)}),
]

FLAGS = [
    (
        "contract_differs",
        {},
        {"token": replace(TOKEN, contract_id="DE-EMP-C2")},
    ),
    ("incomplete", {}, {"lacking": ("cdr_location",)}),
    ("longer_than_24_hours", {"start_date_time": "2026-11-09T09:59:00Z"}, {}),
    ("shorter_than_a_minute", {"end_date_time": "2026-11-10T08:00:59Z"}, {}),
    ("delivered_late", {}, {"now": NOW + dt.timedelta(days=3)}),
    ("updated_before_the_end", {"last_updated": "2026-11-10T09:59:59Z"}, {}),
    ("updated_before_the_end", {"last_updated": "2026-11-10T12:06:00Z"}, {}),
    ("energy_high", {"total_energy": D("120.0001")}, {}),
    (
        "session_only_dimension",
        {"charging_periods": periods(("2026-11-10T08:00:00Z", "POWER", 7))},
        {},
    ),
    ("location_unknown", {}, {"location_known": False}),
    ("parts_do_not_add_up", {"total_energy_cost": price("9.98")}, {}),
    ("vat_negative", {"total_cost": price("10", "9.99")}, {}),
    ("more_than_4_decimals", {"total_cost": price("10.00004")}, {}),
]


@pytest.mark.parametrize(("code", "members", "known"), HOLDS)
def test_it_is_held(code, members, known):
    finding = found(changed(**members), **known)[code]
    assert finding.severity == rules.HOLD
    assert finding.text


@pytest.mark.parametrize(("code", "members", "known"), FLAGS)
def test_it_is_flagged(code, members, known):
    finding = found(changed(**members), **known)[code]
    assert finding.severity == rules.FLAG
    assert finding.text


def test_every_rule_has_a_firing_case():
    assert {code for code, _, _ in [*HOLDS, *FLAGS]} == set(rules.RULES)


def test_the_documentation_lists_every_rule_with_its_severity_and_words():
    text = (settings.BASE_DIR / "docs" / "cdr-rules.md").read_text()
    for code, (severity, rule) in rules.RULES.items():
        assert f"| `{code}` | {severity} | {rule.__doc__} |" in text


SILENT = [
    {"total_cost": price("10000000")},
    {"total_time": D("2.0166")},
    {"end_date_time": "2026-11-10T08:01:00Z", "total_time": D("0.0167")},
    {"start_date_time": "2026-11-09T10:00:00Z"},
    {"total_energy": D("20.01")},
    {"total_energy": D(400)},
    {"total_parking_time": D(2)},
    {"total_energy_cost": price("8"), "total_time_cost": price("1.99")},
    {"total_cost": price("10")},
    {"total_cost": price("10.00")},
    {"tariffs": [{"currency": "EUR"}]},
]


@pytest.mark.parametrize("members", SILENT)
def test_just_inside_the_limit_the_rule_in_question_is_silent(members):
    codes = set(found(changed(**members)))
    related = {
        "total_time": {"total_time_differs", "parking_longer_than_session"},
        "end_date_time": {"shorter_than_a_minute", "end_before_start"},
        "start_date_time": {"longer_than_24_hours"},
        "total_energy": {"energy_sum_differs"}
        if members.get("total_energy") == D("20.01")
        else {"energy_implausible"},
        "total_parking_time": {"parking_longer_than_session"},
        "total_energy_cost": {"parts_do_not_add_up"},
        "total_cost": {"vat_negative", "more_than_4_decimals", "cost_implausible"},
        "tariffs": {"currency_differs_from_tariff"},
    }
    for member in members:
        assert not codes & related.get(member, set())


def test_an_exact_credit_is_clean():
    codes = set(found(changed(id="2", **CREDIT), original=ORIGINAL))
    assert codes == set()


def test_a_session_that_an_app_started_needs_no_known_token():
    assert found(changed(auth_method="COMMAND"), token=None) == {}


def test_a_token_that_became_invalid_during_the_session_still_counts():
    later = replace(TOKEN, valid=False, last_updated=dt.datetime(2026, 11, 10, 9, tzinfo=dt.UTC))
    assert found(CDR, token=later) == {}


def test_watt_hours_are_recognised_and_not_rescaled():
    body = changed(charging_periods=periods(("2026-11-10T08:00:00Z", "ENERGY", 20000)))
    assert "seem to be in Wh" in found(body)["energy_sum_differs"].text
    assert Facts(body).energy_kwh == D(20)


def test_a_credit_names_the_energy_it_takes_back():
    assert Facts(changed(**CREDIT)).energy_kwh == D(20)
