"""Every lint fires on its case, says where, and is silent on a sound tariff."""

from decimal import Decimal as D

import pytest
from hypothesis import given

from hub.ocpi import tariff_lints, types, validation
from tests import objects, wire
from tests.objects import Owner


def part(kind, price="1", step=1, **members):
    return {"type": kind, "price": D(price), "step_size": step, **members}


def element(*components, **restrictions):
    told = {"price_components": list(components)}
    return {**told, "restrictions": restrictions} if restrictions else told


def tariff(*elements, **members):
    return objects.tariff(Owner("NL", "CPO"), elements=list(elements), **members)


ENERGY, TIME = part("ENERGY", "0.5"), part("TIME", "2", 1)
PARKING, FLAT = part("PARKING_TIME", "3", 300), part("FLAT", "1", 0)
SOUND = [
    tariff(element(FLAT, ENERGY, TIME)),
    tariff(element(FLAT, ENERGY, TIME, PARKING)),
    tariff(element(part("FLAT", "0", 0))),  # free of charge
    tariff(element(ENERGY, start_time="08:00", end_time="20:00"), element(ENERGY)),
    tariff(element(TIME, part("FLAT"), reservation="RESERVATION"), element(ENERGY)),
    tariff(
        element(TIME, reservation="RESERVATION"),
        element(TIME, reservation="RESERVATION_EXPIRES"),
        element(ENERGY),
    ),
    tariff(element(ENERGY), min_price={"excl_vat": D(1)}, max_price={"excl_vat": D(1)}),
    tariff(
        element(ENERGY),
        start_date_time="2026-01-01T00:00:00Z",
        end_date_time="2026-01-01T00:00:01Z",
    ),
    tariff(element(part("ENERGY", vat=D(0))), element(part("TIME", vat=D(100)))),
    tariff(element(ENERGY), tax_included="YES"),  # OCPI 2.3.0
    {
        "id": "1",
        "currency": "EUR",
        "elements": [element({**ENERGY, "price": "0.50"})],
    },  # OCPI 2.1.1
]
COMPLETE = [  # together the elements leave no gap
    [{"start_time": "08:00", "end_time": "20:00"}, {"start_time": "20:00", "end_time": "08:00"}],
    [{"end_time": "12:00"}, {"start_time": "12:00", "end_time": "00:00"}],
    [{"start_time": "00:00", "end_time": "12:00"}, {"start_time": "12:00"}],
    [{"max_kwh": 5}, {"min_kwh": 5, "max_kwh": 10}, {"min_kwh": 10}],
    [{"min_kwh": 0}],
    [{"max_power": 10}, {"min_power": 10}],
    [{"max_current": 10}, {"min_current": 5}],
    [{"max_duration": 60}, {"min_duration": 60}],
    [
        {"day_of_week": ["SATURDAY", "SUNDAY"]},
        {"day_of_week": ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]},
    ],
    [{"end_date": "2026-01-01"}, {"start_date": "2026-01-01"}],
    [{"max_kwh": 5, "end_time": "12:00"}, {"start_time": "12:00"}, {"min_kwh": 5}],
]
GAPS = [
    [{"start_time": "08:00", "end_time": "20:00"}, {"start_time": "20:00", "end_time": "07:45"}],
    [{"max_kwh": 5}, {"min_kwh": D("5.0001")}],
    [{"min_kwh": 1}],
    [{"max_power": 10}, {"min_power": 11}],
    [{"day_of_week": ["SATURDAY", "SUNDAY"]}],
    [{"start_date": "2026-01-01"}],
    [{"max_kwh": 5, "end_time": "12:00"}, {"start_time": "12:00"}],
    [{"max_kwh": 5, "day_of_week": ["MONDAY"]}, {"min_kwh": 5}],
]
FIRST, SECOND = "elements[0].price_components[0]", "elements[1].price_components[0]"
RESTRICTED = "elements[0].restrictions"
ODD = [
    ("unreachable", SECOND, tariff(element(ENERGY), element(ENERGY, max_kwh=5))),
    ("unreachable", SECOND, tariff(element(ENERGY, min_kwh=0), element(ENERGY))),
    (
        "unreachable",
        SECOND,
        tariff(element(ENERGY, start_time="00:00", end_time="00:00"), element(ENERGY)),
    ),
    (
        "unreachable",
        SECOND,
        tariff(
            element(TIME, reservation="RESERVATION"),
            element(TIME, reservation="RESERVATION", max_kwh=1),
            element(ENERGY),
        ),
    ),
    (
        "duplicate_component",
        "elements[0].price_components[2]",
        tariff(element(ENERGY, TIME, ENERGY)),
    ),
    ("empty_restrictions", RESTRICTED, tariff({**element(ENERGY), "restrictions": {}})),
    ("empty_restrictions", RESTRICTED, tariff(element(ENERGY, day_of_week=[], min_kwh=None))),
    (
        "impossible_restriction",
        RESTRICTED,
        tariff(element(ENERGY, min_kwh=5, max_kwh=5), element(ENERGY)),
    ),
    (
        "impossible_restriction",
        RESTRICTED,
        tariff(element(ENERGY, max_duration=0), element(ENERGY)),
    ),
    (
        "impossible_restriction",
        RESTRICTED,
        tariff(element(ENERGY, min_power=9, max_power=8), element(ENERGY)),
    ),
    (
        "impossible_restriction",
        RESTRICTED,
        tariff(element(ENERGY, start_date="2026-02-01", end_date="2026-02-01"), element(ENERGY)),
    ),
    ("whole_day_window", RESTRICTED, tariff(element(ENERGY, start_time="08:00", end_time="08:00"))),
    ("step_size_zero", FIRST, tariff(element(part("ENERGY", step=0)))),
    ("flat_step_size", FIRST, tariff(element(part("FLAT", step=2), ENERGY))),
    ("time_step_ignored", FIRST, tariff(element(part("TIME", step=60)), element(PARKING))),
    (
        "reservation_dimension",
        FIRST,
        tariff(element(PARKING, reservation="RESERVATION"), element(ENERGY)),
    ),
    ("no_fallback", "elements", tariff(element(ENERGY, max_kwh=5))),
    ("neither_energy_nor_time", "elements", tariff(element(PARKING, FLAT))),
    (
        "neither_energy_nor_time",
        "elements",
        tariff(element(TIME, reservation="RESERVATION"), element(PARKING)),
    ),
    (
        "min_above_max",
        "min_price",
        tariff(element(ENERGY), min_price={"excl_vat": D(2)}, max_price={"excl_vat": D(1)}),
    ),
    (
        "never_active",
        "end_date_time",
        tariff(
            element(ENERGY),
            start_date_time="2026-01-01T00:00:00Z",
            end_date_time="2026-01-01T00:00:00Z",
        ),
    ),
    ("vat_out_of_range", FIRST, tariff(element(part("ENERGY", vat=D("100.1"))))),
    ("vat_out_of_range", FIRST, tariff(element(part("ENERGY", vat=D(-1))))),
    (
        "unknown_key",
        "elements[0].restrictions.dayOfWeek",
        tariff(element(ENERGY, dayOfWeek=["MONDAY"])),
    ),
    ("unknown_key", "price", tariff(element(ENERGY), price=1)),
    ("unknown_key", "elements[0].name", tariff({**element(ENERGY), "name": "day"})),
    ("unknown_key", f"{FIRST}.tax", tariff(element(part("ENERGY", tax=1)))),
    ("country_code_form", "country_code", tariff(element(ENERGY), country_code="nl")),
    ("country_code_form", "country_code", tariff(element(ENERGY), country_code="XX")),
    ("currency_form", "currency", tariff(element(ENERGY), currency="EUX")),
    ("currency_form", "currency", tariff(element(ENERGY), currency="eur")),
    ("dates_instead_of_window", "elements", tariff(element(ENERGY, start_date="2026-01-01"))),
]


@pytest.mark.parametrize("told", SOUND)
def test_a_sound_tariff_has_nothing_odd(told):
    assert tariff_lints.check(told) == []


@pytest.mark.parametrize(("code", "path", "told"), ODD)
def test_an_oddity_is_told_with_its_place(code, path, told):
    found = [item for item in tariff_lints.check(told) if item.code == code]
    assert [item.path for item in found] == [path]
    assert found[0].text


def test_every_lint_has_a_case():
    assert {code for code, _, _ in ODD} == set(tariff_lints.LINTS)


@pytest.mark.parametrize("told", [told for told in SOUND if "party_id" in told])
def test_the_sound_ones_are_valid(told):
    assert validation.problems(types.Tariff, told) == []


@pytest.mark.ocpi("F-10")
def test_a_fee_may_have_a_step_of_0():
    assert tariff_lints.check(tariff(element(part("FLAT", step=0), ENERGY))) == []


def fallback_is_missed(windows):
    told = tariff(*(element(ENERGY, **window) for window in windows))
    return "no_fallback" in {item.code for item in tariff_lints.check(told)}


@pytest.mark.parametrize("windows", COMPLETE)
def test_elements_that_leave_no_gap_need_no_fallback(windows):
    assert not fallback_is_missed(windows)


@pytest.mark.parametrize("windows", GAPS)
def test_a_gap_is_found(windows):
    assert fallback_is_missed(windows)


def test_a_huge_tariff_is_linted_in_no_time():
    hours = [
        element(part("ENERGY"), min_kwh=at, max_kwh=at + 1, min_duration=at * 60, min_power=at,
                start_date=f"2026-01-{at % 28 + 1:02}")
        for at in range(400)
    ]  # fmt: skip
    assert tariff_lints.check(tariff(*hours)) == []


@wire.examples(60)
@given(wire.objects(types.Tariff))
def test_any_valid_tariff_can_be_linted(told):
    for item in tariff_lints.check(told):
        assert item.code in tariff_lints.LINTS
        assert item.text
