"""The pricing examples of OCPI 2.2.1, with their figures in our own words.

A row is a session and what it costs without and with tax. They are the table of step_size cases
and the example tariffs of mod_tariffs; where the text prints a wrong sum (114 minutes at 1.25 an
hour), the row has the right one.
"""

from decimal import Decimal as D

import pytest

from cdrs.pricing import price
from tests.cdrs.pricing.making import (
    cdr,
    charging,
    component,
    element,
    energy,
    parking,
    period,
    tariff,
)

FEE = component("FLAT", "0.50", 1, 20)
PER_KWH = energy("0.25", 1, 10)
WEEK = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]
SIMPLE = tariff(element(PER_KWH))
WITH_FEE = tariff(element(FEE, PER_KWH))
AT_LEAST = tariff(element(PER_KWH), min_price={"excl_vat": D("0.50"), "incl_vat": D("0.55")})
AT_MOST = tariff(element(FEE, PER_KWH), max_price={"excl_vat": D(10), "incl_vat": D(11)})
COMPLEX = tariff(
    element(component("FLAT", "2.50", 1, 15)),
    element(charging("1.00", 900, 20), max_current=32),
    element(charging("2.00", 600, 20), min_current=32, day_of_week=WEEK),
    element(charging("1.25", 600, 20), min_current=32, day_of_week=["SATURDAY", "SUNDAY"]),
    element(parking("5.00", 300, 10), start_time="09:00", end_time="18:00", day_of_week=WEEK),
    element(
        parking("6.00", 300, 10), start_time="10:00", end_time="17:00", day_of_week=["SATURDAY"]
    ),
)
RUSH_HOUR = tariff(
    element(charging("1.20", 1800), parking("1.00", 900), start_time="00:00", end_time="17:00"),
    element(charging("2.40", 900), parking("1.00", 900), start_time="17:00", end_time="20:00"),
    element(charging("2.40", 900), start_time="20:00", end_time="00:00"),
)
POWER = tariff(
    element(energy("0.20", 1, 20), max_power=16),
    element(energy("0.35", 1, 20), max_power=32),
    element(energy("0.50", 1, 20)),
)
FIRST_HALF_HOUR_FREE = tariff(
    element(energy("0", 1, 20), max_duration=1800),
    element(energy("0.25", 1, 20), max_duration=3600),
    element(energy("0.40", 1, 20)),
)


def reserving(*elements):
    return tariff(*elements, element(FEE, PER_KWH))


HELD = {"reservation": "RESERVATION"}
LAPSED = {"reservation": "RESERVATION_EXPIRES"}
RESERVE_15 = reserving(element(charging("5.00", 60, 20), **HELD))
RESERVE_16 = reserving(element(component("FLAT", "2.00", 1, 20), charging("5.00", 300, 20), **HELD))
RESERVE_17 = reserving(
    element(component("FLAT", "4.00", 1, 20), **LAPSED), element(charging("2.00", 600, 20), **HELD)
)
RESERVE_18 = reserving(
    element(charging("6.00", 600, 20), **LAPSED), element(charging("3.00", 600, 20), **HELD)
)


def at(kwh):
    return cdr(period("10:00", ENERGY=kwh))


def after_reserving(hours, until):
    return cdr(period("09:30", RESERVATION_TIME=hours), period(until, ENERGY=20))


def only_reserved(hours):
    return cdr(period("09:30", RESERVATION_TIME=hours))


SATURDAY = cdr(
    period("2024-07-13T13:30:00Z", TIME="1.9", MIN_CURRENT=43, MAX_CURRENT=48),
    period("2024-07-13T15:24:00Z", PARKING_TIME="1.1833"),
)
EXAMPLES = {
    "20 kWh": (at(20), SIMPLE, "5.00", "5.50"),
    "20 kWh and a fee": (at(20), WITH_FEE, "5.50", "6.10"),
    "above min_price": (at(20), AT_LEAST, "5.00", "5.50"),
    "below min_price": (at("1.9"), AT_LEAST, "0.50", "0.55"),
    "above max_price": (at(50), AT_MOST, "10.00", "11.00"),
    "below max_price": (at(30), AT_MOST, "8.00", "8.85"),
    "20 kWh and 40 minutes parked": (
        cdr(period("10:00", ENERGY=20, TIME=1), period("11:00", PARKING_TIME="0.6667")),
        tariff(element(FEE, PER_KWH, parking("2.00", 900, 20))),
        "7.00",
        "7.90",
    ),
    "2.5 hours": (
        cdr(period("10:00", TIME="2.5")),
        tariff(element(charging("2.00", 60, 10))),
        "5.00",
        "5.50",
    ),
    "2.5 hours and 42 minutes parked": (
        cdr(period("10:00", TIME="2.5"), period("12:30", PARKING_TIME="0.7")),
        tariff(element(charging("3.00", 60, 10), parking("5.00", 300, 20))),
        "11.25",
        "12.75",
    ),
    "20.45 kWh in steps of 100 Wh": (
        at("20.45"),
        tariff(element(FEE, energy("0.25", 100, 10))),
        "5.625",
        "6.2375",
    ),
    "Monday, below 32 A, parked": (
        cdr(
            period("09:30", TIME="2.75", MIN_CURRENT=10, MAX_CURRENT=16),
            period("12:15", PARKING_TIME="0.7"),
        ),
        COMPLEX,
        "9.00",
        "10.30",
    ),
    "Saturday, above 32 A, parked": (SATURDAY, COMPLEX, "12.375", "13.975"),
    "reserved 15 minutes": (after_reserving("0.25", "09:45"), RESERVE_15, "6.75", "7.60"),
    "reserved 13 minutes": (after_reserving("0.2167", "09:43"), RESERVE_16, "8.75", "10.00"),
    "reserved 22 minutes": (after_reserving("0.3667", "09:52"), RESERVE_17, "6.50", "7.30"),
    "expired, with a fee": (only_reserved(1), RESERVE_17, "6.00", "7.20"),
    "reserved 22 minutes, dearer": (after_reserving("0.3667", "09:52"), RESERVE_18, "7.00", "7.90"),
    "expired, by the hour": (only_reserved("1.5"), RESERVE_18, "9.00", "10.80"),
    "over 17:00, then parked": (
        cdr(
            period("16:55", TIME="0.0833"),
            period("17:00", TIME="0.0833"),
            period("17:05", PARKING_TIME="0.0333"),
        ),
        RUSH_HOUR,
        "0.54988",  # hours have 4 decimals
        None,
    ),
    "over 17:00": (
        cdr(period("16:35", TIME="0.4167"), period("17:00", TIME="0.1667")),
        RUSH_HOUR,
        "1.29996",
        None,
    ),
    "parked over 20:00, then free": (
        cdr(
            period("19:40", TIME="0.2"),
            period("19:52", PARKING_TIME="0.1333"),
            period("20:00", PARKING_TIME="0.2"),
        ),
        RUSH_HOUR,
        "0.73",
        None,
    ),
    "power in three ranges": (
        cdr(
            period("10:00", ENERGY=1, MAX_POWER=6),
            period("10:10", ENERGY=40, MAX_POWER=48),
            period("11:00", ENERGY="0.5", MAX_POWER=4),
        ),
        POWER,
        "20.30",
        None,
    ),
    "half an hour free": (
        cdr(period("10:00", ENERGY=5), period("10:30", ENERGY="1.2"), end="10:40"),
        FIRST_HALF_HOUR_FREE,
        "0.30",
        None,
    ),
    "1.973 hours in steps of 300 s": (
        cdr(period("10:00", TIME="1.973")),
        tariff(element(charging("2.00", 300, 10))),
        "4.00",
        "4.40",
    ),
}


@pytest.mark.ocpi("F-05", "F-06", "F-07", "F-08", "F-09")
@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example):
    session, told, excl, incl = EXAMPLES[example]
    total = price(session, [told], "UTC")["total_cost"]
    assert round(total["excl_vat"], 6) == D(excl)
    if incl is not None:
        assert round(total["incl_vat"], 6) == D(incl)


def test_the_long_example_line_by_line():
    """Three elements, a change of price at 20:00, parking that is free at first."""
    told = tariff(
        element(energy("0.40", 500, 21), start_time="08:00", end_time="20:00"),
        element(parking("3.00", 300, 21), min_duration=3600),
        element(
            component("FLAT", "0.50", 0, 21), energy("0.28", 1000, 21), charging("0.60", 900, 21)
        ),
    )
    session = cdr(
        period("2024-07-15T17:20:00Z", ENERGY="7.3", TIME="0.6667"),
        period("2024-07-15T18:00:00Z", ENERGY="2.45", TIME="0.25"),
        period("2024-07-15T18:15:00Z", PARKING_TIME="0.0833"),
        period("2024-07-15T18:20:00Z", PARKING_TIME="0.8667"),
        end="2024-07-15T19:12:00Z",
    )
    got = price(session, [told], "Europe/Amsterdam")
    assert {
        name: got[name]["excl_vat"] for name in got if name.endswith("_cost") and got[name]
    } == {
        "total_cost": D("7.47602"),
        "total_fixed_cost": D("0.50"),
        "total_energy_cost": D("3.676"),
        "total_time_cost": D("0.55002"),
        "total_parking_cost": D("2.75"),
    }
    assert got["total_cost"]["incl_vat"] == D("9.0459842")
    assert (got["total_energy"], got["billed_energy"]) == (D("9.75"), D(10))
    assert round(got["total_time"], 4) == D("1.8667")
    assert got["total_parking_time"] == D("0.95")
    assert round(got["billed_parking_time"], 4) == D("0.9167")
    assert got["warnings"] == ["no_price_component"]
