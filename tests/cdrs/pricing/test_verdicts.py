"""What is thought of a CDR's own figures."""

from decimal import Decimal as D

import pytest

from cdrs.pricing import Refused, Verdict, assess
from tests.cdrs.pricing.making import cdr, charging, element, energy, flat, parking, period, tariff

PRICES = tariff(element(flat("0.50", 20), energy("0.333", 1, 20), charging("1.2", 60, 20)))
SESSION = [period("10:00", ENERGY="10.1", TIME=1)]  # 0.5 + 3.3633 + 1.2 = 5.0633; 6.07596


def claiming(*periods, **claims):
    told = {name: money(value) for name, value in claims.items() if name.endswith("_cost")}
    others = {name: value for name, value in claims.items() if name not in told}
    return cdr(*(periods or SESSION), **told, **others)


def money(value):
    if not isinstance(value, tuple):
        value = (value,)
    return dict(zip(("excl_vat", "incl_vat"), map(D, value), strict=False))


def judged(session, *tariffs, tz="UTC", **options):
    return assess(session, list(tariffs or [PRICES]), tz, **options)


def test_exact_claims_match():
    got = judged(
        claiming(
            total_cost=("5.0633", "6.0760"),
            total_fixed_cost="0.50",
            total_energy_cost=("3.3633", "4.0360"),
            total_time_cost="1.2",
            total_energy=D("10.1"),
            total_time=D(1),
            total_parking_time=0,
        )
    )
    assert got.verdict is got.cost_verdict is Verdict.MATCH
    assert got.differences == []
    assert len(got.costs) == 6
    assert len(got.volumes) == 3


@pytest.mark.parametrize(
    ("total", "verdict"),
    [
        ("5.0633", "match"),
        ("5.0634", "mismatch"),  # 4 decimals are not rounded
        ("5.06", "match_rounded"),
        ("5.08", "match_rounded"),  # three lines, half a cent each, and once
        ("5.09", "mismatch"),
        ("5.05", "match_rounded"),
        ("5.04", "mismatch"),
        ("5", "mismatch"),
    ],
)
def test_a_total_may_be_off_by_half_a_cent_a_line(total, verdict):
    assert judged(claiming(total_cost=total)).verdict == verdict


def test_it_is_never_off_by_more_than_five_cents():
    lines = [period(f"{hour:02}:00", ENERGY=1) for hour in range(12)]
    told = tariff(element(energy("0.333")))  # 3.996
    assert judged(claiming(*lines, total_cost="4.04"), told).verdict == "match_rounded"
    assert judged(claiming(*lines, total_cost="4.05"), told).verdict == "mismatch"


def test_a_currency_without_cents_is_rounded_to_what_it_has():
    told = tariff(element(energy("120.3")))  # 1215.03
    session = claiming(total_cost="1216", currency="EUR")
    assert judged(session, told).verdict == "mismatch"
    assert judged(session, told, unit=D(1)).verdict == "match_rounded"
    assert judged(claiming(total_cost="1217"), told, unit=D(1)).verdict == "mismatch"


def test_a_difference_is_named_with_its_sign():
    [item] = judged(claiming(total_cost="6.0633", total_energy=D("10.1"))).differences
    assert (item.field, item.difference) == ("total_cost.excl_vat", D(1))
    assert item.computed == D("5.0633")


def test_a_volume_needs_no_tariff_to_be_wrong():
    got = judged(claiming(total_cost="5.0633", total_energy=D("10.2")))
    assert got.cost_verdict is Verdict.MATCH
    assert got.verdict is Verdict.MISMATCH
    assert [(item.field, item.difference) for item in got.differences] == [
        ("total_energy", D("0.1"))
    ]


def test_a_part_is_compared_where_it_is_told():
    got = judged(claiming(total_cost="5.0633", total_time_cost="1.3"))
    assert [item.field for item in got.differences] == ["total_time_cost.excl_vat"]
    nothing = judged(
        claiming(total_cost="5.0633", total_parking_cost="0", total_reservation_cost="0")
    )
    assert nothing.verdict is Verdict.MATCH


def test_tax_is_compared_where_both_know_it():
    assert judged(claiming(total_cost=("5.0633", "7"))).verdict is Verdict.MISMATCH
    gross = tariff(element(energy("1")), tax_included="YES")
    got = judged(claiming(total_cost=("8", "10.1")), gross)
    assert [item.field for item in got.costs] == ["total_cost.incl_vat"]
    assert got.verdict is Verdict.MATCH


# Readings that are tolerated


def test_whole_seconds():
    """20 minutes are 0.3334 h in 4 decimals: 1200.24 s, which would cost a whole step more."""
    told = tariff(element(charging("6", 600)))
    got = judged(claiming(period("10:00", TIME="0.3334"), total_cost="2.00"), told)
    assert got.verdict is Verdict.VARIANT
    assert got.reading.name == "whole_seconds"
    assert got.costs[0].computed == 3
    assert judged(claiming(period("10:00", TIME="0.3334"), total_cost="3"), told).verdict == "match"


def test_whole_seconds_of_charging_before_parking():
    told = tariff(element(charging("6", 600), parking("6", 600)))
    times = [period("10:00", TIME="0.3334"), period("10:20", PARKING_TIME="0.1667")]
    got = judged(claiming(*times, total_cost="3"), told)  # 20 and 10 minutes
    assert (got.verdict, got.reading.name) == (Verdict.VARIANT, "whole_seconds")


def test_a_step_over_what_is_free():
    told = tariff(element(parking("1", 900), end_time="20:00"))
    times = [period("19:52", PARKING_TIME="0.1333"), period("20:00", PARKING_TIME="0.2")]
    got = judged(claiming(*times, total_cost="0.30"), told)
    assert (got.verdict, got.reading.name) == (Verdict.VARIANT, "step_counts_unpriced")


def test_measurements_by_their_own_name():
    told = tariff(element(energy("1"), min_power=10), element(energy("2")))
    session = claiming(period("10:00", ENERGY=1, MIN_POWER=5, MAX_POWER=20), total_cost="2")
    got = judged(session, told)
    assert (got.verdict, got.reading.name) == (Verdict.VARIANT, "own_measurement_only")
    unmeasured = judged(claiming(period("10:00", ENERGY=1), total_cost="1"), told)
    assert (unmeasured.verdict, unmeasured.reading.name) == (
        Verdict.VARIANT,
        "own_measurement_only",
    )


def test_both_at_once():
    told = tariff(
        element(energy("1", 1000), max_power=10, end_time="11:00"),
        element(energy("2", 1000), end_time="11:00"),
    )
    session = [
        period("10:00", ENERGY="1.2", MIN_POWER=5, MAX_POWER=20),
        period("11:00", ENERGY="1.5"),
    ]
    got = judged(claiming(*session, total_cost="3"), told)  # 2.7 kWh are 3, at 2 a kWh
    assert (got.verdict, got.reading.name) == (Verdict.VARIANT, "both_of_a_common_tool")


def test_one_step_for_all_time_as_2_2_had_it():
    told = tariff(element(charging("1.2", 900), parking("1", 900)))
    session = [period("16:55", TIME="0.1667"), period("17:05", PARKING_TIME="0.0333")]
    got = judged(claiming(*session, total_cost="0.2833"), told)  # 15 minutes, 5 of them parked
    assert (got.verdict, got.reading.name) == (Verdict.VARIANT, "shared_time_step")


def test_a_reading_has_to_explain_every_cost():
    told = tariff(element(charging("6", 600)))
    session = claiming(period("10:00", TIME="0.3334"), total_cost="2", total_time_cost="3")
    got = judged(session, told)
    assert (got.verdict, got.reading) == (Verdict.MISMATCH, None)


# Where the periods cannot decide


@pytest.mark.parametrize("restrictions", [{"min_power": 10}, {"end_time": "10:30"}])
def test_what_the_periods_cannot_decide_is_left_open(restrictions):
    told = tariff(element(energy("1"), **restrictions), element(energy("2")))
    got = judged(claiming(period("10:00", ENERGY=10), total_cost="15", total_energy=11), told)
    assert got.cost_verdict is Verdict.INCONCLUSIVE
    assert {item.field: item.verdict for item in got.differences} == {
        "total_cost.excl_vat": Verdict.INCONCLUSIVE,
        "total_energy": Verdict.MISMATCH,
    }
    assert got.verdict is Verdict.MISMATCH


# Fees

FEES = tariff(element(flat("1"), parking("6", 0), energy("1")))
PARKED = [period("10:00", ENERGY=1), period("11:00", PARKING_TIME="0.5")]  # 1 + 1 + 3


@pytest.mark.parametrize(
    ("fixed", "parked", "verdict"),
    [("1", "3", "match"), ("0", "4", "match"), ("0", "3", "mismatch")],
)
def test_a_fee_may_stand_with_the_parking(fixed, parked, verdict):
    session = claiming(*PARKED, total_cost="5", total_fixed_cost=fixed, total_parking_cost=parked)
    got = judged(session, FEES)
    assert got.verdict == verdict
    assert (
        got.costs[-1].field
        == "total_fixed_cost + total_parking_cost + total_reservation_cost.excl_vat"
    )


def test_fees_that_are_told_in_part_are_left_to_the_total():
    session = claiming(*PARKED, total_cost="5", total_parking_cost="4")
    assert [item.field for item in judged(session, FEES).costs] == ["total_cost.excl_vat"]


def test_without_parking_the_fee_is_where_it_belongs():
    session = claiming(PARKED[0], total_cost="2", total_fixed_cost="1", total_parking_cost="1")
    assert [(item.field, item.difference) for item in judged(session, FEES).differences] == [
        ("total_parking_cost.excl_vat", 1)
    ]


def test_without_a_fee_parking_is_where_it_belongs():
    told = tariff(element(parking("6", 0), energy("1")))
    session = claiming(*PARKED, total_cost="4", total_fixed_cost="1", total_parking_cost="2")
    assert [(item.field, item.difference) for item in judged(session, told).differences] == [
        ("total_fixed_cost.excl_vat", 1),
        ("total_parking_cost.excl_vat", -1),
    ]


# Credits, and other versions


@pytest.mark.ocpi("D-08")
@pytest.mark.parametrize("part", ["3.3633", "-3.3633"])
def test_a_credit_is_the_same_with_its_total_negated(part):
    session = claiming(total_cost=("-5.0633", "-6.076"), total_energy_cost=part, credit=True)
    assert judged(session).verdict is Verdict.MATCH
    assert judged({**session, "credit": False}).verdict is Verdict.MISMATCH


def test_a_credit_with_a_positive_total_is_none():
    got = judged(claiming(total_cost="5.0633", credit=True))
    assert got.differences[0].difference == D("-10.1266")


def test_2_1_1_claims_a_bare_number():
    session = {**claiming(), "total_cost": D("5.0633"), "total_energy": "10.1"}
    assert judged(session).verdict is Verdict.MATCH


def test_2_3_0_claims_taxes_one_by_one():
    taxes = [{"name": "A", "amount": D("1.0")}, {"name": "B", "amount": D("0.0127")}]
    session = {**claiming(), "total_cost": {"before_taxes": D("5.0633"), "taxes": taxes}}
    assert judged(session).verdict is Verdict.MATCH
    assert len(judged(session).costs) == 2
    session["total_cost"] = {"before_taxes": D("5.0633")}
    assert len(judged(session).costs) == 1


@pytest.mark.parametrize("total", [None, "much", {}, {"incl_vat": 1}, []])
def test_without_a_total_there_is_nothing_to_compare(total):
    with pytest.raises(Refused) as refusal:
        judged({**claiming(), "total_cost": total})
    assert refusal.value.code == "malformed"


def test_what_cannot_be_priced_cannot_be_compared():
    with pytest.raises(Refused) as refusal:
        assess(claiming(total_cost="1"), [], "UTC")
    assert refusal.value.code == "no_tariff"
