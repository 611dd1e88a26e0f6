"""The rules of pricing, one by one; the vectors have them together."""

import copy
import json
import subprocess
import sys
from decimal import Decimal as D
from decimal import localcontext

import pytest
from django.conf import settings

from cdrs.pricing import Refused, figures, price, settle, tariffs
from cdrs.pricing.sessions import VOLUMES
from tests.cdrs.pricing.making import (
    cdr,
    charging,
    component,
    cost,
    element,
    energy,
    flat,
    parking,
    period,
    tariff,
    warnings,
)

SIMPLE = tariff(element(energy("0.50")))
TEN = cdr(period("10:00", ENERGY=10))


def refusal(session, told, tz="UTC"):
    with pytest.raises(Refused) as raised:
        price(session, told, tz)
    return raised.value.code


# Numbers and time


def test_it_needs_no_django():
    code = "import sys, cdrs.pricing; sys.exit('django' in sys.modules or 'hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR).returncode == 0


def test_a_number_is_read_to_4_decimals_half_up():
    session = cdr(period("10:00", ENERGY="1.00005"))
    assert cost(session, tariff(element(energy("1", 0)))) == D("1.0001")
    assert cost(session, tariff(element(energy("0.00004")))) == 0


def test_numbers_may_be_strings_integers_or_floats():
    told = {"id": "T1", "elements": [{"price_components": [
        {"type": "ENERGY", "price": "0.1", "step_size": "1", "vat": 10}]}]}  # fmt: skip
    session = cdr(period("10:00"))
    for volume in (3, 3.0, "3", D(3)):
        session["charging_periods"][0]["dimensions"] = [{"type": "ENERGY", "volume": volume}]
        assert price(session, [told], "UTC")["total_cost"] == {
            "excl_vat": D("0.3"),
            "incl_vat": D("0.33"),
        }


def test_the_threads_decimal_context_changes_nothing():
    session = cdr(period("10:00", TIME="0.3333"))
    told = tariff(element(charging("7", 777, 21)))
    expected = price(session, [told], "UTC")
    with localcontext(prec=3):
        assert price(session, [told], "UTC") == expected


def test_nothing_is_rounded_on_the_way():
    got = price(
        cdr(period("10:00", ENERGY="0.0001")), [tariff(element(energy("0.0001", 0)))], "UTC"
    )
    assert got["total_cost"]["excl_vat"] == D("0.00000001")


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2024-01-15T10:00:00", 10),
        ("2024-01-15T10:00:00+02:00", 8),
        ("2024-01-15T09:59:59.999Z", 9),
    ],
)
def test_an_instant_is_utc_unless_it_has_an_offset(text, hour):
    prices = [element(energy(hour), start_time=f"{hour:02}:00", end_time=f"{hour + 1:02}:00")
              for hour in range(8, 12)]  # fmt: skip
    assert cost(cdr(period(text, ENERGY=1), end="12:00"), tariff(*prices)) == hour


def test_the_agreed_sentinel_is_read():
    session = cdr(period("10:00", ENERGY=10), start_date_time="1970-1-1T00:00:00Z")
    assert cost(session, SIMPLE) == 5


# Refusals


@pytest.mark.parametrize("tariffs", [None, []])
def test_without_a_tariff_it_is_refused(tariffs):
    assert refusal(TEN, tariffs) == "no_tariff"


def test_a_tariff_that_is_not_given_is_refused():
    assert refusal(cdr(period("10:00", "T2", ENERGY=1)), [SIMPLE]) == "unknown_tariff"


def test_without_a_valid_tariff_it_is_refused():
    over = {**SIMPLE, "end_date_time": "2024-01-15T10:00:00Z"}
    early = {**SIMPLE, "start_date_time": "2024-01-15T10:00:00.001Z"}
    assert refusal(TEN, [over, early]) == "no_active_tariff"


def test_a_tariff_is_valid_from_its_start_on():
    assert cost(TEN, {**SIMPLE, "start_date_time": "2024-01-15T10:00:00Z"}) == 5


def test_a_named_tariff_needs_no_validity():
    over = {**SIMPLE, "end_date_time": "2020-01-01T00:00:00Z"}
    assert cost(cdr(period("10:00", "t1", ENERGY=10)), over) == 5


@pytest.mark.ocpi("F-13")
def test_the_start_of_the_session_chooses_the_tariff_for_all_of_it():
    first = {**SIMPLE, "end_date_time": "2024-01-15T10:30:00Z"}
    second = tariff(element(energy("9")), id="T2")
    session = cdr(period("10:00", ENERGY=1), period("11:00", ENERGY=1))
    assert cost(session, first, second) == 1


def test_another_currency_is_refused():
    assert refusal(TEN, [{**SIMPLE, "currency": "CHF"}]) == "currency_mismatch"
    unused = tariff(element(energy("9")), id="T2", currency="CHF")
    assert cost(TEN, SIMPLE, unused) == 5


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "Europe", "localtime", "\0"])
def test_a_zone_that_is_none_is_refused(zone):
    assert refusal(TEN, [SIMPLE], zone) == "time_zone_invalid"


@pytest.mark.parametrize("country", ["USA", "ESP", "DE", "XXX", None])
def test_a_country_of_several_zones_does_not_tell_the_time(country):
    session = cdr(period("10:00", ENERGY=1), cdr_location={"country": country})
    assert refusal(session, [SIMPLE], None) == "time_zone_missing"


@pytest.mark.parametrize(("country", "hour"), [("NLD", 11), ("IRL", 10), ("GBR", 10), ("ARG", 7)])
def test_a_country_of_one_zone_tells_it(country, hour):
    clocks = [(hour, f"{hour:02}:00", f"{hour + 1:02}:00") for hour in range(23)]
    hours = [element(energy(at), start_time=start, end_time=end) for at, start, end in clocks]
    session = cdr(period("10:00", ENERGY=1), cdr_location={"country": country})
    assert cost(session, tariff(*hours), tz=None) == hour


def test_the_location_may_tell_its_zone():
    place = {"country": "USA", "time_zone": "America/New_York"}
    session = cdr(period("10:00", ENERGY=1), cdr_location=place)
    assert settle(session, [SIMPLE]).zone.key == "America/New_York"


def malformed():
    number = element({"type": "ENERGY", "price": "cheap", "step_size": 1})
    yield "price is no number", TEN, [tariff(number)]
    yield "price is true", TEN, [tariff(element({"type": "ENERGY", "price": True}))]
    yield "price is NaN", TEN, [tariff(element({"type": "ENERGY", "price": "NaN"}))]
    yield "no price", TEN, [tariff(element({"type": "ENERGY", "step_size": 1}))]
    yield "no elements", TEN, [{"id": "T1"}]
    yield "an element is a text", TEN, [{"id": "T1", "elements": ["free"]}]
    yield "a component is a text", TEN, [tariff({"price_components": ["free"]})]
    yield "a tariff is a text", TEN, ["T1"]
    yield "negative step", TEN, [tariff(element(energy("1", -5)))]
    yield "no such time", TEN, [tariff(element(energy("1"), start_time="25:00"))]
    yield "no local time", TEN, [tariff(element(energy("1"), start_time="10:00+01:00"))]
    yield "no such date", TEN, [tariff(element(energy("1"), start_date="2024-02-31"))]
    yield "no list of days", TEN, [tariff(element(energy("1"), day_of_week="MONDAY"))]
    yield "no such tax", TEN, [tariff(element(energy("1")), tax_included="MAYBE")]
    yield "no net price", TEN, [tariff(element(energy("1", 1, -100)), tax_included="YES")]
    yield "no start", {**TEN, "start_date_time": None}, [SIMPLE]
    yield "a start of another kind", {**TEN, "start_date_time": 5}, [SIMPLE]
    yield "no end", {k: v for k, v in TEN.items() if k != "end_date_time"}, [SIMPLE]
    yield (
        "no dimensions",
        {**TEN, "charging_periods": [{"start_date_time": "2024-01-15"}]},
        [SIMPLE],
    )
    yield "a period is a text", {**TEN, "charging_periods": ["x"]}, [SIMPLE]
    yield "not JSON", TEN, [tariff(element(energy("1")), id=object())]
    yield "beyond time", cdr(period("0001-01-01T00:00:00+05:00", ENERGY=1), end="10:00"), [SIMPLE]


@pytest.mark.parametrize(("what", "session", "tariffs"), list(malformed()))
def test_what_cannot_be_read_is_refused(what, session, tariffs):
    assert refusal(session, tariffs) == "malformed", what


def test_a_refusal_says_where():
    told = tariff(element(energy("1")), element({"type": "ENERGY", "price": "dear"}))
    with pytest.raises(Refused, match="tariff T1: element 2: price: 'dear' is not a number"):
        price(TEN, [told], "UTC")
    session = cdr(period("10:00", ENERGY=1), {"start_date_time": "2024-01-15T11:00:00Z"})
    session["charging_periods"][1]["dimensions"] = [{"type": "ENERGY", "volume": "much"}]
    with pytest.raises(Refused, match="charging period 2: ENERGY: 'much' is not a number"):
        price(session, [SIMPLE], "UTC")


@pytest.mark.parametrize("year", ["1969", "2200"])
def test_years_beyond_all_sense_are_refused(year):
    session = cdr(period(f"{year}-01-15T10:00:00Z", ENERGY=1), end="10:00")
    assert refusal(session, [SIMPLE]) == "out_of_range"
    forever = {
        **SIMPLE,
        "start_date_time": "0001-01-01T00:00:00Z",
        "end_date_time": "9999-12-31T23:59:59Z",
    }
    assert cost(TEN, forever) == 5


@pytest.mark.parametrize("number", ["1e25", "-1e12", "Infinity"])
def test_numbers_beyond_all_sense_are_refused(number):
    assert refusal(TEN, [tariff(element(energy(number)))]) == "out_of_range"


def test_more_work_than_a_session_can_make_is_refused():
    told = tariff(*(element(energy("1"), min_kwh=5) for _ in range(1001)))
    session = cdr(period("10:00", ENERGY=1))
    session["charging_periods"] *= 1000
    assert refusal(session, [told]) == "out_of_range"


def test_without_charging_periods_it_is_refused():
    assert refusal({**TEN, "charging_periods": []}, [SIMPLE]) == "no_charging_period"


# Restrictions


def applies(start="10:00", end=None, tz="UTC", before=(), **restrictions):
    """Tell whether an element with these restrictions prices a period."""
    told = tariff(element(energy("1"), **restrictions), element(energy("2")))
    session = cdr(*before, period(start, ENERGY=1), end=end)
    return settle(session, [told], tz).lines[-1].offer.element.number == 1


@pytest.mark.ocpi("F-08")
@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        ("10:00", None, ["10:00", "23:59"], ["09:59", "00:00"]),
        (None, "10:00", ["00:00", "09:59"], ["10:00"]),
        ("10:00", "11:00", ["10:00", "10:59"], ["09:59", "11:00"]),
        ("22:00", "06:00", ["22:00", "00:00", "05:59"], ["06:00", "21:59"]),
        ("22:00", "00:00", ["22:00", "23:59"], ["00:00", "21:59"]),
        (None, "00:00", ["00:00", "23:59"], []),
        ("08:00", "08:00", ["00:00", "08:00", "23:59"], []),
    ],
)
def test_time_of_day(start, end, inside, outside):
    window = {name: value for name, value in [("start_time", start), ("end_time", end)] if value}
    assert all(applies(clock, **window) for clock in inside)
    assert not any(applies(clock, **window) for clock in outside)


def test_seconds_and_their_fractions_count():
    assert applies("2024-01-15T16:59:59.9Z", end_time="17:00")


@pytest.mark.ocpi("F-08")
def test_dates_and_days_are_local():
    late = "2024-01-15T23:30:00Z"  # Tuesday in Amsterdam
    assert applies(late, tz="Europe/Amsterdam", day_of_week=["TUESDAY"])
    assert not applies(late, tz="Europe/Amsterdam", day_of_week=["MONDAY"])
    assert applies(late, tz="Europe/Amsterdam", start_date="2024-01-16", end_date="2024-01-17")
    assert not applies(late, tz="Europe/Amsterdam", end_date="2024-01-16")


def test_a_night_belongs_to_the_day_on_which_it_is():
    night = {"start_time": "22:00", "end_time": "06:00", "day_of_week": ["MONDAY"]}
    assert applies("2024-01-15T01:00:00Z", **night)
    assert not applies("2024-01-16T01:00:00Z", **night)


def test_a_repeated_hour_applies_twice_and_a_lost_one_never():
    hour = {"start_time": "02:00", "end_time": "03:00"}
    fold = ["2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"]
    assert all(applies(start, tz="Europe/Amsterdam", **hour) for start in fold)
    gap = ["2024-03-31T00:59:00Z", "2024-03-31T01:00:00Z"]
    assert not any(applies(start, tz="Europe/Amsterdam", **hour) for start in gap)


@pytest.mark.ocpi("F-08")
@pytest.mark.parametrize(
    ("so_far", "inside"), [("4.9999", False), (5, True), ("9.9999", True), (10, False)]
)
def test_energy_so_far(so_far, inside):
    before = [period("09:00", ENERGY=so_far)]
    assert applies(before=before, min_kwh=5, max_kwh=10) is inside


@pytest.mark.ocpi("F-08")
@pytest.mark.parametrize(
    ("first", "inside"), [("09:30", False), ("09:00", True), ("08:01", True), ("08:00", False)]
)
def test_duration_so_far_counts_from_the_first_period(first, inside):
    before = [period(first, TIME=1)]
    told = {"before": before, "min_duration": 3600, "max_duration": 7200}
    assert applies(**told) is inside


@pytest.mark.ocpi("F-08")
@pytest.mark.parametrize("what", ["current", "power"])
@pytest.mark.parametrize(
    ("low", "high", "at_least", "below"),
    [(10, 32, True, True), (32, 40, True, False), (10, 31, False, True), (None, 32, True, False),
     (31, None, False, True), (32, None, True, False), (None, None, False, False)],
)  # fmt: skip
def test_measurements(what, low, high, at_least, below):
    found = {f"MIN_{what.upper()}": low, f"MAX_{what.upper()}": high, "ENERGY": 1}
    session = cdr(period("10:00", **{name: value for name, value in found.items() if value}))
    for bound, expected in ((f"min_{what}", at_least), (f"max_{what}", below)):
        told = tariff(element(energy("1"), **{bound: 32}), element(energy("2")))
        assert (cost(session, told) == 1) is expected
        missing = "restriction_data_missing" in warnings(session, told)
        assert missing is (low is None and high is None)


def test_missing_data_is_told_only_where_it_decides():
    session = cdr(period("10:00", ENERGY=1))
    other_day = element(energy("1"), max_power=10, day_of_week=["SUNDAY"])
    assert warnings(session, tariff(other_day, element(energy("2")))) == []
    later = tariff(element(energy("2")), element(energy("1"), max_power=10))
    assert warnings(session, later) == []


@pytest.mark.parametrize(
    "restrictions", [None, {}, {"day_of_week": []}, {"min_kwh": None}, {"dayOfWeek": ["SUNDAY"]}]
)
def test_what_restricts_nothing(restrictions):
    told = tariff({"price_components": [energy("1")], "restrictions": restrictions})
    assert cost(cdr(period("10:00", ENERGY=1)), told) == 1


# Components


@pytest.mark.ocpi("F-05")
def test_every_dimension_finds_its_own_element():
    told = tariff(
        element(energy("1"), start_time="12:00"),
        element(charging("2"), flat("5")),
        element(energy("3"), charging("9"), flat("9")),
    )
    got = price(cdr(period("10:00", ENERGY=1, TIME=1)), [told], "UTC")
    assert got["total_energy_cost"]["excl_vat"] == 3
    assert got["total_time_cost"]["excl_vat"] == 2
    assert got["total_fixed_cost"]["excl_vat"] == 5


def test_of_two_components_of_a_type_the_first_counts():
    assert cost(TEN, tariff(element(energy("1"), energy("9")))) == 10


def test_what_nothing_prices_is_free_and_told():
    got = price(cdr(period("10:00", ENERGY=1, TIME=1)), [tariff(element(charging("2")))], "UTC")
    assert got["total_energy_cost"] is None
    assert got["total_cost"]["excl_vat"] == 2
    assert got["warnings"] == ["no_price_component"]


def test_a_volume_of_0_is_absent():
    told = tariff(element(energy("1"), parking("1", 900), charging("1", 600)))
    session = cdr(period("10:00", ENERGY=1, TIME="0.1"), period("10:06", PARKING_TIME=0, TIME=0))
    got = price(session, [told], "UTC")
    assert got["total_parking_cost"] is None
    assert round(got["billed_charging_time"] * 3600, 6) == 600
    assert got["warnings"] == []


def test_energy_to_the_grid_has_no_price_but_counts():
    told = tariff(element(energy("1"), min_kwh=0), element(energy("5")))
    session = cdr(period("10:00", ENERGY=-2), period("11:00", ENERGY=1))
    got = price(session, [told], "UTC")
    assert got["total_cost"]["excl_vat"] == 5
    assert got["total_energy"] == -1
    assert got["warnings"] == ["no_price_component"]


def test_the_fee_is_charged_once_by_the_first_element_that_has_one():
    told = tariff(element(flat("1"), start_time="10:30"), element(flat("7"), start_time="11:00"))
    session = cdr(*(period(start, ENERGY=1) for start in ("10:00", "10:30", "11:00")))
    assert price(session, [told], "UTC")["total_fixed_cost"]["excl_vat"] == 1


def test_a_period_without_any_volume_may_bear_the_fee():
    assert cost(cdr(period("10:00")), tariff(element(flat("1")))) == 1


# Reservations

RESERVABLE = tariff(
    element(flat("3"), charging("6", 600), reservation="RESERVATION"),
    element(flat("4"), charging("9", 600), reservation="RESERVATION_EXPIRES"),
    element(flat("1"), energy("0.5"), charging("2", 900), parking("1", 300)),
)


@pytest.mark.ocpi("F-09")
def test_a_reservation_that_was_used_is_priced_as_one():
    session = cdr(period("09:00", RESERVATION_TIME="0.25"), period("09:15", ENERGY=2, TIME="0.5"))
    got = price(session, [RESERVABLE], "UTC")
    assert round(got["total_reservation_cost"]["excl_vat"], 6) == 3 + 2  # 15 minutes are 20
    assert got["total_fixed_cost"]["excl_vat"] == 1
    assert got["total_time_cost"]["excl_vat"] == 1


@pytest.mark.ocpi("F-09")
def test_a_reservation_that_expired_is_priced_as_one():
    got = price(cdr(period("09:00", RESERVATION_TIME=1)), [RESERVABLE], "UTC")
    assert got["total_reservation_cost"]["excl_vat"] == 4 + 9
    assert got["total_fixed_cost"] is None


def test_other_restrictions_of_a_reservation_hold_too():
    told = tariff(element(charging("6"), reservation="RESERVATION", start_time="12:00"))
    assert warnings(cdr(period("09:00", RESERVATION_TIME=1)), told) == ["no_price_component"]


def test_elements_for_reservations_price_nothing_else():
    told = tariff(element(flat("5"), charging("9"), energy("9"), reservation="RESERVATION"))
    got = price(cdr(period("09:00", ENERGY=1, TIME=1)), [told], "UTC")
    assert got["total_cost"] == {"excl_vat": 0, "incl_vat": 0}


# step_size


def test_a_step_of_1_is_real_and_0_is_none():
    session = cdr(period("10:00", ENERGY="0.1152"))
    billed = [price(session, [tariff(element(energy("1", step)))], "UTC")["billed_energy"]
              for step in (0, 1, 25, 500)]  # fmt: skip
    assert billed == [D("0.1152"), D("0.116"), D("0.125"), D("0.5")]


def test_the_last_step_rounds_and_the_last_price_pays():
    told = tariff(element(energy("1", 1000, 10), end_time="11:00"), element(energy("2", 500, 20)))
    session = cdr(period("10:00", ENERGY="1.1"), period("11:00", ENERGY="1.1"))
    got = price(session, [told], "UTC")
    assert got["billed_energy"] == D("2.5")
    assert got["total_cost"]["excl_vat"] == D("1.1") + D("2.8")
    assert got["total_cost"]["incl_vat"] == D("1.21") + D("3.36")


def test_where_parking_is_priced_only_it_is_rounded():
    told = tariff(element(charging("6", 600), parking("3", 300)))
    session = cdr(period("10:00", PARKING_TIME="0.1"), period("10:06", TIME="0.11"))
    got = price(session, [told], "UTC")
    assert got["billed_charging_time"] == D("0.11")
    assert round(got["billed_parking_time"] * 3600, 6) == 600


def test_where_parking_is_free_charging_is_rounded():
    told = tariff(element(charging("6", 600)))
    session = cdr(period("10:00", TIME="0.1"), period("10:06", PARKING_TIME="0.11"))
    assert round(price(session, [told], "UTC")["billed_charging_time"] * 3600, 6) == 600


def test_what_is_free_is_not_rounded():
    told = tariff(element(energy("1", 1000), end_time="11:00"))
    session = cdr(period("10:00", ENERGY=1), period("11:00", ENERGY="0.3"))
    assert price(session, [told], "UTC")["billed_energy"] == 1


# Tax and limits


@pytest.mark.ocpi("F-06")
def test_no_vat_is_not_a_vat_of_0_but_costs_the_same():
    for vat in (None, 0):
        total = price(TEN, [tariff(element(energy("1", 1, vat)))], "UTC")["total_cost"]
        assert total == {"excl_vat": 10, "incl_vat": 10}


def limited(vat=None, **limits):
    bounds = {
        name: {side: D(value) for side, value in zip(("excl_vat", "incl_vat"), pair, strict=False)}
        for name, pair in limits.items()
    }
    told = tariff(element(energy("1", 1, vat)), **bounds)
    total = price(TEN, [told], "UTC")["total_cost"]
    return total["excl_vat"], total["incl_vat"]


@pytest.mark.ocpi("F-07")
def test_both_sides_of_a_limit_apply():
    assert limited(20, min_price=("11", "11")) == (11, 12)
    assert limited(20, min_price=("9", "15")) == (10, 15)
    assert limited(20, max_price=("8", "20")) == (8, 12)
    assert limited(20, max_price=("20", "11")) == (10, 11)


def test_max_price_wins_over_min_price():
    assert limited(min_price=("20", "20"), max_price=("5", "5")) == (5, 5)


def test_a_limit_without_tax_moves_the_tax_along():
    assert limited(20, max_price=("5",)) == (5, 6)
    assert limited(20, min_price=("20",)) == (20, 24)


def test_a_free_session_pays_the_minimum_without_tax_if_none_is_told():
    told = tariff(element(parking("1")), min_price={"excl_vat": D(2)})
    assert price(TEN, [told], "UTC")["total_cost"] == {"excl_vat": 2, "incl_vat": 2}


def test_limits_leave_the_parts_alone():
    told = tariff(element(energy("1")), max_price={"excl_vat": D(4), "incl_vat": D(4)})
    got = price(TEN, [told], "UTC")
    assert got["total_energy_cost"]["excl_vat"] == 10
    assert got["total_cost"]["excl_vat"] == 4
    assert got["warnings"] == ["total_clamped"]


def test_limits_are_those_of_the_first_period():
    first = tariff(element(energy("1")), max_price={"excl_vat": D(4)})
    second = tariff(element(energy("1")), id="T2", max_price={"excl_vat": D(1)})
    session = cdr(period("10:00", "T1", ENERGY=5), period("11:00", "T2", ENERGY=5))
    assert cost(session, first, second) == 4


def test_tax_is_never_negative():
    assert limited(20, max_price=("8", "7")) == (7 + 1, 8)
    assert warnings(TEN, tariff(element(energy("1", 1, -20)))) == ["negative_tax"]


# Warnings


def test_a_split_at_the_change_of_price_is_clean():
    told = tariff(
        element(energy("1"), end_time="11:00", max_kwh=5, max_duration=3600), element(energy("2"))
    )
    assert warnings(cdr(period("10:00", ENERGY=5), period("11:00", ENERGY=5)), told) == []


@pytest.mark.parametrize(
    "restrictions",
    [{"max_kwh": 5}, {"max_duration": 1800}, {"end_time": "10:30"}, {"min_duration": 1800},
     {"end_date": "2024-01-16", "start_time": "09:00"}],
)  # fmt: skip
def test_a_change_of_price_within_a_period_is_told(restrictions):
    told = tariff(element(energy("1"), **restrictions), element(energy("2")))
    spans = "end_date" not in restrictions
    assert ("period_spans_price_change" in warnings(TEN, told)) is spans


def test_a_change_to_the_same_price_is_none():
    told = tariff(element(energy("1"), end_time="10:30"), element(energy("1")))
    assert warnings(TEN, told) == []


def test_a_fee_that_begins_within_a_period_that_was_free_is_told():
    told = tariff(element(parking("3"), min_duration=1800))
    got = warnings(cdr(period("10:00", PARKING_TIME=1)), told)
    assert got == ["no_price_component", "period_spans_price_change"]


def test_energy_that_stands_still_changes_no_price():
    told = tariff(element(charging("1"), min_kwh=5), element(charging("2"), energy("1")))
    session = cdr(period("10:00", ENERGY=5), period("11:00", TIME=1))
    assert warnings(session, told) == []


def test_periods_out_of_order_are_taken_as_given():
    session = cdr(
        period("11:00", ENERGY=1), period("10:00", ENERGY=2), start_date_time="2024-01-15T11:00:00Z"
    )
    assert warnings(session, SIMPLE) == ["periods_out_of_order"]
    assert cost(session, SIMPLE) == D("1.5")


def test_a_first_period_elsewhere_is_told():
    session = {**TEN, "start_date_time": "2024-01-15T09:59:00Z"}
    assert warnings(session, SIMPLE) == ["periods_outside_start_end_date_time"]


def test_a_dimension_that_is_none_or_twice_is_told():
    session = cdr(period("10:00", ENERGY=1, STATE_OF_CHARGE=80))
    session["charging_periods"][0]["dimensions"] += [
        {"type": "ENERGY", "volume": 2},
        {"type": "MAX_POWER", "volume": 7},
        {"type": "MAX_POWER", "volume": 11},
    ]
    assert warnings(session, SIMPLE) == ["ignored_dimension", "duplicate_dimension"]
    assert cost(session, SIMPLE) == D("1.5")
    assert settle(session, [SIMPLE], "UTC").stages[0].start.power.for_least == 11


# Other versions


def old(session):
    """Return a CDR as OCPI 2.1.1 writes it."""
    told = {**session, "stop_date_time": session["end_date_time"], "location": {"country": "DEU"}}
    for name in ("end_date_time", "cdr_location"):
        del told[name]
    return told


def test_2_1_1_knows_no_tax():
    session = old(cdr(period("10:00", ENERGY=10, FLAT=1)))
    got = price(session, [tariff(element(energy("1"), flat("2")))], None)
    assert got["total_cost"] == {"excl_vat": 12, "incl_vat": None}
    assert got["total_energy_cost"] == {"excl_vat": 10, "incl_vat": None}
    assert got["warnings"] == []


def test_an_unknown_tax_stays_unknown_under_a_limit():
    told = tariff(element(energy("1")), max_price={"excl_vat": D(4), "incl_vat": D(5)})
    assert price(old(TEN), [told], "UTC")["total_cost"] == {"excl_vat": 4, "incl_vat": None}


def taxed(told, vat):
    total = price(TEN, [tariff(element(energy("1.2", 1, vat)), tax_included=told)], "UTC")
    return total["total_cost"]["excl_vat"], total["total_cost"]["incl_vat"]


def test_2_3_0_tells_whether_prices_have_the_tax_in_them():
    assert taxed("NO", 20) == (12, D("14.4"))
    assert taxed("NO", None) == (12, 12)
    assert taxed("YES", 20) == (10, 12)
    assert taxed("YES", None) == (None, 12)
    assert taxed("N/A", 20) == (12, 12)


def test_2_3_0_calls_limits_otherwise():
    told = tariff(
        element(energy("1.2", 1, 20)),
        tax_included="YES",
        max_price={"before_taxes": D(5), "after_taxes": D(6)},
    )
    assert price(TEN, [told], "UTC")["total_cost"] == {"excl_vat": 5, "incl_vat": 6}


# The result


@pytest.mark.ocpi("F-13")
def test_the_tariffs_of_the_cdr_count_unless_others_are_given():
    session = {**TEN, "tariffs": [SIMPLE]}
    assert price(session, None, "UTC")["total_cost"]["excl_vat"] == 5
    assert cost(session, tariff(element(energy("1")))) == 10
    assert refusal(session, []) == "no_tariff"


def test_nothing_given_is_changed_and_nothing_is_remembered():
    session, told = copy.deepcopy(TEN), copy.deepcopy(SIMPLE)
    first = price(session, [told], "UTC")
    assert (session, told) == (TEN, SIMPLE)
    told["elements"][0]["price_components"][0]["price"] = D(9)
    assert cost(session, told) == 90
    assert price(session, [SIMPLE], "UTC") == first


def test_a_tariff_is_read_once_unless_it_is_huge():
    few, many = (
        tariff(*(element(energy(place)) for place in range(1, count))) for count in (9, 999)
    )
    told = {"taxes_told": True}
    assert tariffs.read(few, **told) is tariffs.read(copy.deepcopy(few), **told)
    assert tariffs.read(few, taxes_told=False) is not tariffs.read(few, **told)
    assert tariffs.read(many, **told) is not tariffs.read(many, **told)
    assert tariffs.read(many, **told) == tariffs.read(many, **told)


def test_the_totals_are_the_sums_of_the_lines():
    session = cdr(
        period("09:00", RESERVATION_TIME="0.25"),
        period("09:15", ENERGY="7.3", TIME="0.5"),
        period("09:45", PARKING_TIME="0.31"),
    )
    account = settle(session, [RESERVABLE], "UTC")
    got = figures(account)
    parts = [got[name]["excl_vat"] for name in got if name.endswith("_cost") and got[name]]
    with localcontext(prec=34):
        assert sum(parts[1:]) == parts[0] == sum(line.cost.excl for line in account.lines)
    assert {line.kind for line in account.lines} == {*VOLUMES, "FLAT", "RESERVATION_FLAT"}


def test_a_result_can_be_written_as_json():
    assert json.dumps(price(TEN, [SIMPLE], "UTC"), default=str)
    assert price(TEN, [SIMPLE], "UTC")["total_charging_time"] == 0
    assert component("ENERGY", 1)["price"] == 1
