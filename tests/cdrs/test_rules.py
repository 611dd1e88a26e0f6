"""Every rule fires on its case and is silent on a clean CDR."""

import datetime as dt
import re
from copy import deepcopy
from decimal import Decimal as D

import msgspec
import pytest
from django.conf import settings
from msgspec.structs import replace

from cdrs import rules
from cdrs.facts import Facts
from hub.ocpi import types, validation
from hub.ocpi.messages import Address
from tests import objects

NOW = dt.datetime(2026, 11, 10, 12, tzinfo=dt.UTC)
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
TOKEN = rules.KnownToken(valid=True, contract_id="DE-EMP-C1", last_updated=LONG_AGO)
LIMITS = rules.Parameters()
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


def limits(**values):
    return {"parameters": replace(LIMITS, **values)}


def priced(**members):
    return {"priced": rules.Priced(excl_vat=D("10.0000"), **members)}


def differing(field, claimed, computed, verdict="mismatch", **members):
    figure = rules.Figure(field, D(claimed), D(computed), verdict)
    return priced(cost_verdict=verdict, figures=(figure,), **members)


def place(**members):
    plug = rules.KnownConnector("AC_3_PHASE", D(230), D(32))
    known = {"country": "NLD", "evse_known": True, "connector": plug, **members}
    return {"place": rules.KnownPlace(**known)}


def session(**members):
    told = {
        "status": "COMPLETED",
        "kwh": D(20),
        "started_at": "2026-11-10T08:00:00Z",
        "ended_at": "2026-11-10T10:00:00Z",
        "currency": "EUR",
        "token_uid": "card1",
        "evse_uid": "e1",
    }
    return {"session": rules.KnownSession(**told | members), "sessions_told": True}


def norm(**members):
    usual = {"per_kwh": "0.5", "per_kwh_off": "0.05", "kwh": "20", "kwh_off": "5"}
    usual |= {"hours": "2", "hours_off": "0.5", **members}
    return {"norm": rules.Norm(50, **{name: D(value) for name, value in usual.items()})}


def located(**members):
    return {"cdr_location": {**deepcopy(CDR["cdr_location"]), **members}}


def signed(*readings, encoding="OCMF", **more):
    """Sign readings as OCMF writes them: kind, time, value."""
    rd = [
        {"TX": kind, "TM": f"2026-11-10T{at},000+0000 S", "RV": value, "RU": "kWh"}
        for kind, at, value in readings
    ]
    text = "OCMF|" + msgspec.json.encode({"FV": "1.0", "RD": rd}).decode() + '|{"SD":"30"}'
    value = {"nature": "End", "plain_data": text, "signed_data": "x"}
    return {"signed_data": {"encoding_method": encoding, "signed_values": [value], **more}}


def since(minutes):
    return dt.datetime(2026, 11, 10, 8, tzinfo=dt.UTC) - dt.timedelta(minutes=minutes)


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
    ("delivered_too_late", {}, {"now": NOW + dt.timedelta(days=30)}),
    ("not_shown_to_the_emsp", {}, {"lacking": ("cdr_location",)}),
    ("token_of_another_emsp", {}, {"token": None, "token_of_another": True}),
    ("agreement_missing", {}, limits(trading=False)),
    ("nearly_the_same", {}, {"nearly_same": "0"}),
    ("overlapping", {}, {"overlapping": "0"}),
    ("power_impossible", {"total_energy": D("46.5")}, place()),
    ("location_required", {}, {"location_known": False, **limits(location_required=True)}),
    ("country_unknown", located(country="XXX"), {}),
    ("country_not_agreed", {}, limits(countries=("BE", "LU"))),
    ("session_required", {}, limits(session_required=True)),
    ("session_energy_differs", {}, session(kwh=D("18.9"))),
    ("currency_not_agreed", {}, limits(currencies=("USD",))),
    ("dearer_than_agreed", {}, limits(most_per_kwh=D("0.4999"))),
    ("dearer_than_usual", {}, norm(per_kwh="0.1666")),
    ("tariff_missing", {}, {"priced": rules.Priced(refused="no_tariff", text="there is none")}),
    ("time_zone_missing", {}, {"priced": rules.Priced(refused="time_zone_missing", text="none")}),
    ("not_priceable", {}, {"priced": rules.Priced(refused="malformed", text="no number")}),
    ("priced_later", {}, {"priced": rules.Priced(later=True)}),
    (
        "tariff_differs_from_published",
        {},
        {"tariffs": (rules.KnownTariff("T1", since(60), same=False),)},
    ),
    ("total_cost_differs", {}, differing("total_cost.excl_vat", "10", "9.98")),
    ("part_of_cost_differs", {}, differing("total_energy_cost.excl_vat", "10", "9.98")),
    (
        "price_limit_ignored",
        {},
        differing("total_cost.excl_vat", "10", "8", unlimited_excl_vat=D("10.00")),
    ),
    ("tariff_ambiguous", {}, differing("total_cost.excl_vat", "10", "8", ambiguous=True)),
    (
        "price_undecided",
        {},
        differing("total_cost.excl_vat", "10", "8", "inconclusive", warnings=("no_data",)),
    ),
    (
        "credit_too_late",
        CREDIT,
        {"original": replace(ORIGINAL, ended_at=NOW - dt.timedelta(days=91))},
    ),
    ("signed_data_required", {}, limits(signed_data_required=True)),
    ("signed_energy_differs", signed(("B", "08:00:00", 100), ("E", "10:00:00", 119.9)), {}),
    ("signed_times_differ", signed(("B", "08:05:01", 100), ("E", "10:00:00", 120)), {}),
    ("signed_times_differ", signed(("B", "08:00:00", 100), ("E", "10:05:01", 120)), {}),
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
    ("whitelist_ignored", {}, {"token": replace(TOKEN, whitelist="NEVER")}),
    ("authorization_unknown", {"auth_method": "AUTH_REQUEST"}, {"authorizations_told": True}),
    (
        "authorization_refused",
        {"auth_method": "AUTH_REQUEST"},
        {"authorized": rules.Authorized("BLOCKED")},
    ),
    (
        "authorization_reference_differs",
        {"authorization_reference": "A1"},
        {"authorized": rules.Authorized("ALLOWED", "A2")},
    ),
    ("authorization_used_twice", {}, {"same_authorization": "0"}),
    ("token_at_two_places", {}, {"elsewhere": "0"}),
    ("token_used_often", {}, {"of_token_that_day": 21}),
    ("billed_by_another_cpo", {}, {"by_another_cpo": "0"}),
    ("tiny_sessions", {}, {"tiny_that_day": 4}),
    ("energy_repeats", {}, {"same_energy": 3}),
    ("replaces_credited", {}, {"replaces": "0"}),
    (
        "period_power_impossible",
        {
            "charging_periods": periods(
                ("2026-11-10T08:00:00Z", "ENERGY", 19), ("2026-11-10T08:30:00Z", "ENERGY", 1)
            )
        },
        place(),
    ),
    (
        "measurement_impossible",
        {"charging_periods": periods(("2026-11-10T08:00:00Z", "MAX_POWER", 24))},
        place(),
    ),
    (
        "measurement_impossible",
        {"charging_periods": periods(("2026-11-10T08:00:00Z", "MAX_CURRENT", 101))},
        place(),
    ),
    ("too_fast_for_ac", {"total_energy": D("86.1")}, {}),
    ("more_decimals_than_4", {"total_energy": D("20.00001")}, {}),
    ("evse_unknown", {}, place(evse_known=False)),
    ("evse_unknown", {}, place(connector=None)),
    ("evse_out_of_service", {}, place(evse_status="REMOVED", evse_updated=since(0))),
    ("evse_of_another_operator", located(evse_id="NL*CPX*E1"), {}),
    ("country_differs", {}, place(country="BEL")),
    (
        "coordinates_implausible",
        located(coordinates={"latitude": "0.00000", "longitude": "0.00000"}),
        {},
    ),
    (
        "coordinates_implausible",
        located(coordinates={"latitude": "4.89300", "longitude": "52.37300"}),
        place(latitude="52.37300", longitude="4.89300"),
    ),
    (
        "coordinates_implausible",
        located(coordinates={"latitude": "52.40000", "longitude": "4.89300"}),
        place(latitude="52.37300", longitude="4.89300"),
    ),
    ("session_unknown", {}, {"sessions_told": True}),
    ("session_not_completed", {}, session(status="ACTIVE")),
    ("session_differs", {}, session(kwh=D("19.98"))),
    ("session_differs", {}, session(ended_at="2026-11-10T10:03:00Z")),
    ("session_differs", {}, session(token_uid="CARD2")),
    ("clock_shifted", {}, session(started_at="2026-11-10T09:00:00Z")),
    ("vat_rate_unusual", {}, limits(vat_rates=(D(19),))),
    ("vat_rate_unusual", {"total_cost": price("10", "13.06")}, {}),
    ("finer_than_the_currency", {"currency": "JPY", "total_cost": price("10.5")}, {}),
    ("unusual", {}, norm(kwh="200")),
    ("unusual", {}, norm(hours="8")),
    (
        "not_priced",
        {},
        {"priced": rules.Priced(refused="no_tariff", text="there is none")}
        | limits(tariff_required=False),
    ),
    ("tariff_published_late", {}, {"tariffs": (rules.KnownTariff("T1", since(14)),)}),
    ("cost_slightly_off", {}, differing("total_cost.excl_vat", "10", "9.99")),
    ("tax_differs", {}, differing("total_cost.incl_vat", "12.1", "10")),
    (
        "priced_by_another_reading",
        {},
        priced(cost_verdict="match_variant", reading="times are rounded"),
    ),
    ("free_or_not", {"total_cost": price(0)}, priced()),
    ("free_or_not", {}, {"priced": rules.Priced(excl_vat=D(0))}),
    ("reference_without_credit", {"credit_reference_id": "0"}, {}),
    ("long_id", {"id": "x" * 37}, {}),
    ("credit_differs", CREDIT, {"original": replace(ORIGINAL, differs=("total_energy",))}),
    ("signed_data_missing", located(country="DEU"), {}),
    ("signed_encoding_unknown", signed(encoding="Homemade"), {}),
    ("meter_runs_backwards", signed(("B", "08:00:00", 100), ("E", "10:00:00", 99)), {}),
]

REJECTS = [("credit_without_reference", {**CREDIT, "credit_reference_id": None}, {})]


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


@pytest.mark.parametrize(("code", "members", "known"), REJECTS)
def test_it_is_refused(code, members, known):
    finding = found(changed(**members), **known)[code]
    assert finding.severity == rules.REJECT
    assert finding.text


def test_every_rule_has_a_firing_case():
    assert {code for code, _, _ in [*REJECTS, *HOLDS, *FLAGS]} == set(rules.by_code())


def test_the_documentation_lists_every_parameter_with_its_default():
    text = (settings.BASE_DIR / "docs" / "cdr-rules.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| ([^|]+?) \| [^|]+ \|$", text, re.MULTILINE)
    assert [item for item in told if item[0] in LIMITS.__struct_fields__] == [
        (name, spelled(getattr(LIMITS, name))) for name in LIMITS.__struct_fields__
    ]


def spelled(value):
    """Write a default as the documentation does."""
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return {None: "null", True: "true", False: "false"}.get(value, str(value))


def test_the_documentation_lists_every_rule_with_its_severity_and_words():
    text = (settings.BASE_DIR / "docs" / "cdr-rules.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| (reject|hold|flag) \| (.+?) \| (.*?)\|$", text, re.MULTILINE)
    ours = [
        (item.code, item.severity, item.words, "retried, " * item.retried + "final" * item.final)
        for item in rules.in_force()
    ]
    told = [(*item[:3], item[3].strip()) for item in told]
    ours = [(*item[:3], item[3].removesuffix(", ")) for item in ours]
    assert told == ours


QUIET = [  # just inside the limit; and what a rule must not take for its case
    ("cost_implausible", {"total_cost": price("10000000")}, {}),
    ("total_time_differs", {"total_time": D("2.0166")}, {}),
    ("shorter_than_a_minute", {"end_date_time": "2026-11-10T08:01:00Z"}, {}),
    ("end_before_start", {"end_date_time": "2026-11-10T08:01:00Z"}, {}),
    (
        "end_before_start",
        {"end_date_time": "2026-11-10T08:00:00Z", "total_energy": D(0)},
        {},
    ),
    ("in_the_future", {"end_date_time": "2026-11-10T12:05:00Z"}, {}),
    ("longer_than_72_hours", {"start_date_time": "2026-11-07T10:00:00Z"}, {}),
    ("longer_than_72_hours", {"start_date_time": "2026-11-06T10:00:00Z"}, limits(most_hours=D(96))),
    ("longer_than_24_hours", {"start_date_time": "2026-11-09T10:00:00Z"}, {}),
    ("delivered_late", {}, {"now": NOW + dt.timedelta(days=2, hours=21)}),
    ("delivered_too_late", {}, {"now": NOW + dt.timedelta(days=29)}),
    ("delivered_too_late", {}, {"now": NOW + dt.timedelta(days=99), **limits(late_days=None)}),
    ("energy_sum_differs", {"total_energy": D("20.01")}, {}),
    ("energy_implausible", {"total_energy": D(400)}, {}),
    ("energy_high", {"total_energy": D(120)}, {}),
    ("energy_negative", {"total_energy": D(-20)}, limits(feeding_back=True)),
    ("parking_longer_than_session", {"total_parking_time": D(2)}, {}),
    (
        "parts_do_not_add_up",
        {"total_energy_cost": price("8"), "total_time_cost": price("1.99")},
        {},
    ),
    ("parts_do_not_add_up", {"total_energy_cost": price("12")}, priced(unlimited_excl_vat=D(12))),
    ("vat_negative", {"total_cost": price("10")}, {}),
    ("more_than_4_decimals", {"total_cost": price("10.00")}, {}),
    ("currency_differs_from_tariff", {"tariffs": [{"currency": "EUR"}]}, {}),
    ("not_shown_to_the_emsp", {}, {"lacking": ("cdr_location",), **limits(hold_lacking=False)}),
    ("token_of_another_emsp", {}, {"token_of_another": True}),
    ("whitelist_ignored", {"auth_method": "COMMAND"}, {"token": replace(TOKEN, whitelist="NEVER")}),
    (
        "authorization_unknown",
        {"auth_method": "AUTH_REQUEST"},
        {"authorizations_told": True, "authorized": rules.Authorized("ALLOWED")},
    ),
    ("authorization_unknown", {"auth_method": "AUTH_REQUEST"}, {}),
    ("authorization_refused", {}, {"authorized": rules.Authorized("BLOCKED")}),
    (
        "authorization_reference_differs",
        {"authorization_reference": "a1"},
        {"authorized": rules.Authorized("ALLOWED", "A1")},
    ),
    ("token_used_often", {}, {"of_token_that_day": 20}),
    ("tiny_sessions", {}, {"tiny_that_day": 3}),
    ("energy_repeats", {}, {"same_energy": 2}),
    ("power_impossible", {"total_energy": D("46.3")}, place()),
    ("power_impossible", {"total_energy": D("46.5")}, {}),
    ("power_impossible", {"total_energy": D("46.5")}, place() | limits(power_tolerance=D("1.1"))),
    ("period_power_impossible", {}, place()),
    (
        "measurement_impossible",
        {"charging_periods": periods(("2026-11-10T08:00:00Z", "MAX_POWER", 23))},
        place(),
    ),
    ("too_fast_for_ac", {"total_energy": D("86")}, {}),
    ("too_fast_for_ac", {"total_energy": D("90"), **located(connector_power_type="DC")}, {}),
    ("more_decimals_than_4", {"total_energy": D("20.00010")}, {}),
    ("location_required", {}, {"location_known": False}),
    ("evse_unknown", located(evse_uid="#NA"), place(evse_known=False)),
    ("evse_out_of_service", {}, place(evse_status="REMOVED", evse_updated=since(-1))),
    ("evse_out_of_service", {}, place(evse_status="CHARGING", evse_updated=since(9))),
    ("evse_of_another_operator", located(evse_id="nlcpoE1"), {}),
    ("country_not_agreed", {}, limits(countries=("NL",))),
    ("country_differs", {}, place(country="nld")),
    ("coordinates_implausible", {}, place(latitude="52.38", longitude="4.90")),
    ("session_unknown", {}, {}),
    ("session_required", {}, session() | limits(session_required=True)),
    ("session_not_completed", {}, session()),
    ("session_energy_differs", {}, session(kwh=D("19.1"))),
    ("session_energy_differs", {}, session(kwh=D("1"), status="ACTIVE")),
    ("session_differs", {}, session()),
    ("session_differs", {}, session(kwh=D("1"), status="ACTIVE")),
    ("clock_shifted", {}, session(started_at="2026-11-10T08:30:00Z")),
    ("currency_not_agreed", {}, limits(currencies=("EUR", "USD"))),
    ("dearer_than_agreed", {}, limits(most_per_kwh=D("0.5"))),
    ("dearer_than_usual", {}, norm(per_kwh="0.1667")),
    ("dearer_than_usual", {}, norm(per_kwh="0.1") | limits(most_times_median=None)),
    ("unusual", {}, norm()),
    ("vat_rate_unusual", {}, limits(vat_rates=(D(9), D(21)))),
    ("vat_rate_unusual", {"total_cost": price("10", "13")}, {}),
    ("finer_than_the_currency", {"currency": "JPY", "total_cost": price("10.0")}, {}),
    ("finer_than_the_currency", {"total_cost": price("10.5")}, {}),
    (
        "tariff_missing",
        {},
        {"priced": rules.Priced(refused="no_tariff", text="x")} | limits(tariff_required=False),
    ),
    (
        "tariff_missing",
        {"total_cost": price(0)},
        {"priced": rules.Priced(refused="no_tariff", text="x")},
    ),
    ("not_priced", {}, {"priced": rules.Priced(refused="no_tariff", text="x")}),
    ("not_priceable", {}, {"priced": rules.Priced(refused="no_tariff", text="x")}),
    (
        "tariff_differs_from_published",
        {},
        {"tariffs": (rules.KnownTariff("T1", since(-1), same=False),)},
    ),
    (
        "tariff_differs_from_published",
        {},
        {"tariffs": (rules.KnownTariff("T1", since(60), same=False),)}
        | limits(tariff_as_published=False),
    ),
    ("tariff_published_late", {}, {"tariffs": (rules.KnownTariff("T1", since(15)),)}),
    ("total_cost_differs", {}, differing("total_cost.excl_vat", "10", "9.99")),
    ("total_cost_differs", {}, differing("total_cost.excl_vat", "1000", "999.01")),
    ("total_cost_differs", {}, differing("total_cost.excl_vat", "10", "9", "match_variant")),
    ("total_cost_differs", {}, differing("total_time", "2", "1")),
    ("part_of_cost_differs", {}, differing("total_cost.excl_vat", "10", "9")),
    (
        "price_limit_ignored",
        {},
        differing("total_cost.excl_vat", "10", "8", unlimited_excl_vat=D("9.98")),
    ),
    ("tariff_ambiguous", {}, priced(ambiguous=True)),
    ("price_undecided", {}, differing("total_cost.excl_vat", "10", "9")),
    ("cost_slightly_off", {}, differing("total_cost.excl_vat", "10", "9")),
    ("tax_differs", {}, differing("total_cost.incl_vat", "12.1", "12.09")),
    ("priced_by_another_reading", {}, priced(cost_verdict="match")),
    ("free_or_not", {}, priced()),
    ("reference_without_credit", CREDIT, {"original": ORIGINAL}),
    ("long_id", {"id": "x" * 36}, {}),
    (
        "credit_too_late",
        CREDIT,
        {"original": replace(ORIGINAL, ended_at=NOW - dt.timedelta(days=90))},
    ),
    ("signed_data_missing", {}, {}),
    ("signed_data_missing", located(country="DEU") | signed(), {}),
    ("signed_data_required", signed(), limits(signed_data_required=True)),
    ("signed_encoding_unknown", signed(encoding="ocmf"), {}),
    ("signed_energy_differs", signed(("B", "08:00:00", 100), ("E", "10:00:00", 120.01)), {}),
    ("signed_times_differ", signed(("B", "08:05:00", 100), ("E", "09:55:00", 120)), {}),
    ("meter_runs_backwards", signed(("B", "08:00:00", 100), ("E", "10:00:00", 100)), {}),
]


@pytest.mark.parametrize(("code", "members", "known"), QUIET)
def test_just_inside_the_limit_the_rule_in_question_is_silent(code, members, known):
    assert code not in found(changed(**members), **known)


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


@pytest.mark.parametrize(
    "value", [{"RV": "NaN"}, {"RV": "1e999"}, {"RV": 1, "RU": []}, {"RV": [1]}, 5, None]
)
def test_a_reading_that_is_no_number_says_nothing(value):
    text = "OCMF|" + msgspec.json.encode({"RD": [value, {"TX": "B", "RV": 1}]}).decode()
    data = {
        "encoding_method": "OCMF",
        "signed_values": [{"nature": "End", "plain_data": text, "signed_data": "x"}],
    }
    assert found(changed(signed_data=data)) == {}


@pytest.mark.parametrize(
    "readable", ['{"RD":5}', "OCMF|{", "{}", "[]", "OCMF|[1]|{}", '{"RD":[1,{},{"RV":"x"}]}']
)
def test_signed_data_that_cannot_be_read_says_nothing(readable):
    value = {"nature": "Start", "plain_data": readable, "signed_data": "x"}
    data = {"encoding_method": "OCMF", "signed_values": [value]}
    assert found(changed(signed_data=data)) == {}


def test_a_rule_is_in_force_from_one_version_to_another():
    first, last = rules.in_force(rules.FIRST), rules.in_force()
    assert "overlapping" not in {item.code for item in first}
    ended = {item.code for item in first} - {item.code for item in last}
    assert ended == {"credit_after_settlement"} < rules.codes()
    early = rules.judge(Facts(CDR), replace(CONTEXT, overlapping="0"), rules.FIRST)
    assert early == []


def test_a_context_survives_being_kept():
    context = replace(
        CONTEXT,
        **session(),
        **place(),
        **norm(),
        **differing("total_cost.excl_vat", "10", "9"),
        **limits(late_days=None, countries=("NL",)),
        original=ORIGINAL,
        tariffs=(rules.KnownTariff("T1", since(60), same=False),),
    )
    kept = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(context)))
    assert msgspec.convert(kept, rules.Context, strict=False) == context
