"""What holds for every CDR and tariff: how the price moves when they are changed."""

import copy
import operator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, localcontext
from decimal import Decimal as D
from functools import cache, reduce

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdrs.pricing import Refused, Verdict, assess, figures, price, settle
from cdrs.pricing.explanation import explain
from cdrs.pricing.rendering import as_html, as_json, as_text
from cdrs.pricing.restrictions import DAYS
from hub.ocpi import types
from tests import wire
from tests.cdrs.pricing.making import element, tariff

MONDAY = datetime(2024, 1, 15, tzinfo=UTC)
KINDS = ("ENERGY", "TIME", "PARKING_TIME")
EVERY = [*KINDS, "FLAT"]
UNITS = {"ENERGY": ("billed_energy", 1000)}
HUNDREDTHS = D("0.01")
TINY = D("1e-20")


def decimals(most, places=4):
    return st.integers(1, most * 10**places).map(lambda digits: D(digits).scaleb(-places))


VAT = st.none() | st.sampled_from([D(0), D(10), D("19.6")])


@cache
def components(kind):
    member = {
        "type": st.just(kind),
        "price": decimals(9),
        "step_size": st.sampled_from([0, 1, 60, 100, 900]),
        "vat": VAT,
    }
    return st.fixed_dictionaries(member).map(_without_nothing)


def _without_nothing(told):
    return {name: value for name, value in told.items() if value is not None}


CLOCK = st.integers(0, 95).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
EACH = {
    "start_time": CLOCK,
    "end_time": CLOCK,
    "min_kwh": st.integers(0, 20),
    "max_kwh": st.integers(1, 40),
    "min_duration": st.integers(0, 12).map(lambda count: count * 900),
    "max_duration": st.integers(1, 24).map(lambda count: count * 900),
    "day_of_week": st.lists(st.sampled_from(DAYS), min_size=1),
    "min_power": st.integers(1, 50),
    "max_current": st.integers(1, 50),
}
RESERVED = st.sampled_from(["RESERVATION", "RESERVATION_EXPIRES"])
ONE = st.sampled_from(list(EACH)).flatmap(lambda name: st.tuples(st.just(name), EACH[name]))
RESTRICTIONS = st.lists(ONE, max_size=2).map(dict)


@st.composite
def elements(draw, restrictions=RESTRICTIONS):
    kinds = draw(st.lists(st.sampled_from(EVERY), min_size=1, unique=True))
    return element(*(draw(components(kind)) for kind in kinds), **draw(restrictions))


LIMIT = st.fixed_dictionaries({"excl_vat": decimals(30, 2)}, optional={"incl_vat": decimals(30, 2)})
HELD = st.builds(
    lambda time, fee, kind, bounds: element(time, fee, **bounds, reservation=kind),
    components("TIME"),
    components("FLAT"),
    RESERVED,
    RESTRICTIONS,
)
PLAIN = st.builds(
    lambda charging, held: tariff(*held, *charging),
    st.lists(elements(), min_size=1, max_size=4),
    st.lists(HELD, max_size=2),
)
UNRESTRICTED = st.lists(elements(st.just({})), min_size=1, max_size=3).map(
    lambda listed: tariff(*listed)
)
LIMITED = st.builds(
    lambda told, limits: {**told, **limits},
    PLAIN,
    st.fixed_dictionaries({}, optional={"min_price": LIMIT, "max_price": LIMIT}),
)

VOLUMES = st.dictionaries(
    st.sampled_from([*KINDS, "RESERVATION_TIME", "MAX_POWER", "MIN_CURRENT"]),
    decimals(20),
    min_size=1,
) | st.fixed_dictionaries({"RESERVATION_TIME": decimals(2)})


@st.composite
def cdrs(draw):
    lengths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    start = MONDAY + timedelta(minutes=15 * draw(st.integers(0, 7 * 96)))
    instants = [
        start + timedelta(minutes=15 * sum(lengths[:place])) for place in range(len(lengths) + 1)
    ]
    return {
        "start_date_time": text(instants[0]),
        "end_date_time": text(instants[-1]),
        "currency": "EUR",
        "cdr_location": {"country": "NLD"},
        "charging_periods": [
            {"start_date_time": text(begin), "dimensions": dimensions(draw(VOLUMES))}
            for begin in instants[:-1]
        ],
    }


def text(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def dimensions(volumes):
    return [{"type": kind, "volume": volume} for kind, volume in volumes.items()]


def shifted(session, by):
    """Move a session in time."""

    def moved(value):
        return text(datetime.fromisoformat(value) + by)

    told = copy.deepcopy(session)
    for item in [told, *told["charging_periods"]]:
        for name in {"start_date_time", "end_date_time"} & item.keys():
            item[name] = moved(item[name])
    return told


def total(session, *tariffs, tz="UTC"):
    return price(session, list(tariffs), tz)["total_cost"]


def money(got):
    return {name: value for name, value in got.items() if name.endswith("_cost")}


# Prices and volumes


@wire.examples(50)
@given(cdrs(), PLAIN, st.integers(2, 9))
def test_prices_times_n_cost_n_times_as_much(session, told, times):
    dearer = copy.deepcopy(told)
    for item in dearer["elements"]:
        for component in item["price_components"]:
            component["price"] *= times
    before, after = total(session, told), total(session, dearer)
    with localcontext(prec=34):
        assert abs(after["excl_vat"] - before["excl_vat"] * times) < TINY
        assert abs(after["incl_vat"] - before["incl_vat"] * times) < TINY


@wire.examples(50)
@given(cdrs(), UNRESTRICTED, st.data())
def test_a_period_that_is_cut_in_two_costs_the_same(session, told, data):
    place = data.draw(st.integers(0, len(session["charging_periods"]) - 1))
    period = session["charging_periods"][place]
    begin = datetime.fromisoformat(period["start_date_time"])
    first, second = [], []
    for item in period["dimensions"]:
        part = data.draw(decimals(1)) * item["volume"]
        part = part.quantize(D("0.0001"))
        assume(0 < part < item["volume"])  # a period without volume is no reserved one
        first.append({"type": item["type"], "volume": part})
        second.append({"type": item["type"], "volume": item["volume"] - part})
    cut = copy.deepcopy(session)
    cut["charging_periods"][place : place + 1] = [
        {"start_date_time": text(begin), "dimensions": first},
        {"start_date_time": text(begin + timedelta(minutes=1)), "dimensions": second},
    ]
    whole, halves = price(session, [told], "UTC"), price(cut, [told], "UTC")
    with localcontext(prec=34):
        assert abs(total(cut, told)["excl_vat"] - total(session, told)["excl_vat"]) < TINY
    assert whole["total_energy"] == halves["total_energy"]


@wire.examples(50)
@given(cdrs(), PLAIN)
def test_billed_volumes_are_the_next_multiple_of_the_step(session, told):
    account = settle(session, [told], "UTC")
    parked = any(line.kind == "PARKING_TIME" for line in account.lines)
    for kind in (*KINDS, "RESERVATION_TIME"):
        lines = [line for line in account.lines if line.kind == kind]
        if not lines:
            continue
        unit = 1000 if kind == "ENERGY" else 3600
        step = lines[-1].offer.component.step
        with localcontext(prec=34):
            billed, exact = (sum(getattr(line, name) for line in lines) * unit
                             for name in ("billed", "volume"))  # fmt: skip
            if step == 0 or (kind == "TIME" and parked):
                assert billed == exact
            else:
                assert 0 <= billed - exact < step
                assert abs(billed / step - round(billed / step)) < TINY
        assert all(line.billed == line.volume for line in lines[:-1])


@wire.examples(50)
@given(cdrs(), LIMITED)
def test_the_total_is_the_sum_of_its_parts_within_its_limits(session, told):
    got = price(session, [told], "UTC")
    with localcontext(prec=34):
        parts = [
            value["excl_vat"]
            for name, value in money(got).items()
            if value and name != "total_cost"
        ]
        bound = sum(parts, D(0))
        if "min_price" in told:
            bound = max(bound, told["min_price"]["excl_vat"])
        if "max_price" in told:
            bound = min(bound, told["max_price"]["excl_vat"])
        assert abs(got["total_cost"]["excl_vat"] - bound) < TINY
    assert got["total_cost"]["incl_vat"] >= got["total_cost"]["excl_vat"]


@wire.examples(50)
@given(cdrs(), PLAIN, decimals(30, 2), decimals(30, 2))
def test_a_higher_limit_never_costs_less(session, told, one, other):
    low, high = sorted([one, other])
    for name in ("min_price", "max_price"):
        costs = [total(session, {**told, name: {"excl_vat": limit}}) for limit in (low, high)]
        assert costs[0]["excl_vat"] <= costs[1]["excl_vat"]


# What must not matter


@wire.examples(50)
@given(cdrs(), PLAIN, PLAIN)
def test_what_comes_after_an_element_that_always_applies_is_idle(session, told, more):
    always = element(*({"type": kind, "price": D(1), "step_size": 7} for kind in EVERY))
    held = [
        element({"type": kind, "price": D(1), "step_size": 7}, reservation=name)
        for kind in ("TIME", "FLAT")
        for name in ("RESERVATION", "RESERVATION_EXPIRES")
    ]
    base = [*told["elements"], always, *held]
    assert price(session, [tariff(*base)], "UTC") == price(
        session, [tariff(*base, *more["elements"])], "UTC"
    )


@wire.examples(50)
@given(
    cdrs(),
    PLAIN,
    st.sampled_from([{"min_kwh": 10**6}, {"end_date": "2020-01-01"}, {"max_duration": 0}]),
)
def test_an_element_that_never_applies_is_idle(session, told, never):
    idle = element(*({"type": kind, "price": D(9), "step_size": 7} for kind in EVERY), **never)
    assert money(price(session, [tariff(idle, *told["elements"])], "UTC")) == money(
        price(session, [told], "UTC")
    )


@wire.examples(50)
@given(cdrs(), LIMITED, st.randoms(use_true_random=False))
def test_the_order_and_spelling_of_what_has_no_order_is_idle(session, told, random):
    other, spelled = copy.deepcopy(session), copy.deepcopy(told)
    for item in other["charging_periods"]:
        item["tariff_id"] = "t1"
        random.shuffle(item["dimensions"])
        item["dimensions"].append({"type": "ENERGY", "volume": 0})
        item["start_date_time"] = item["start_date_time"].replace("Z", ".000+00:00")
    for item in spelled["elements"]:
        item["restrictions"] = {
            **item.get("restrictions", {}),
            "min_duration_s": 5,
            "end_date": None,
        }
    before = price(session, [told], "UTC")
    after = price(other, [tariff(element(), id="T0"), spelled], "UTC")
    assert money(after) == money(before)


@wire.examples(50)
@given(cdrs(), PLAIN, st.integers(-30, 30))
def test_the_same_session_in_another_week_costs_the_same(session, told, weeks):
    later = shifted(session, timedelta(weeks=weeks))
    assert price(later, [told], "UTC") == price(session, [told], "UTC")


@wire.examples(50)
@given(cdrs(), PLAIN, st.integers(-11, 11))
def test_only_local_time_counts(session, told, hours):
    there = shifted(session, timedelta(hours=-hours))
    zone = f"Etc/GMT{-hours:+d}" if hours else "UTC"
    assert price(there, [told], zone) == price(session, [told], "UTC")


@wire.examples(50)
@given(cdrs(), LIMITED, decimals(99), st.booleans())
def test_what_the_cdr_claims_does_not_matter(session, told, claim, credit):
    claims = {f"total_{name}": claim for name in ("cost", "energy", "energy_cost", "time")}
    assert price({**session, **claims, "credit": credit}, [told], "UTC") == price(
        session, [told], "UTC"
    )


# Versions


@wire.examples(50)
@given(cdrs(), LIMITED)
def test_2_1_1_costs_the_same_before_tax(session, told):
    bare = copy.deepcopy(told)
    for item in bare["elements"]:
        for component in item["price_components"]:
            component.pop("vat", None)
            component["price"] = str(component["price"])
    old = {**session, "stop_date_time": session["end_date_time"], "location": {"time_zone": "UTC"}}
    del old["end_date_time"], old["cdr_location"]
    got = total(old, bare, tz=None)
    assert got["excl_vat"] == total(session, told)["excl_vat"]
    assert got["incl_vat"] is None or not any(line for line in settle(old, [bare]).lines)


@wire.examples(50)
@given(cdrs(), PLAIN)
def test_gross_prices_of_2_3_0_cost_the_same_as_net_ones(session, told):
    net, gross = copy.deepcopy(told), copy.deepcopy(told)
    for one, other in zip(net["elements"], gross["elements"], strict=True):
        for low, high in zip(one["price_components"], other["price_components"], strict=True):
            low["price"] = low["price"].quantize(HUNDREDTHS)
            low["vat"] = high["vat"] = D(25)
            high["price"] = low["price"] * D("1.25")
    before, after = total(session, net), total(session, {**gross, "tax_included": "YES"})
    with localcontext(prec=34):
        assert abs(before["excl_vat"] - after["excl_vat"]) < TINY
        assert abs(before["incl_vat"] - after["incl_vat"]) < TINY


# Verdicts


def claiming(session, got, places):
    unit = D(1).scaleb(-places)
    told = dict(session)
    for name, amount in money(got).items():
        if amount:
            told[name] = {
                side: value.quantize(unit, ROUND_HALF_UP) for side, value in amount.items()
            }
    return told


@wire.examples(50)
@given(cdrs(), LIMITED)
def test_who_claims_the_right_figures_is_right(session, told):
    got = price(session, [told], "UTC")
    assert assess(claiming(session, got, 4), [told], "UTC").cost_verdict is Verdict.MATCH
    cents = assess(claiming(session, got, 2), [told], "UTC").cost_verdict
    assert cents in {Verdict.MATCH, Verdict.ROUNDED}


@wire.examples(50)
@given(cdrs(), LIMITED, decimals(9, 2).map(lambda extra: extra + D("0.06")))
def test_who_claims_more_is_not(session, told, extra):
    claim = claiming(session, price(session, [told], "UTC"), 4)
    claim["total_cost"] = {"excl_vat": claim["total_cost"]["excl_vat"] + extra}
    got = assess(claim, [told], "UTC")
    assert got.cost_verdict not in {Verdict.MATCH, Verdict.ROUNDED}
    assert got.costs[0].difference > D("0.05")


# Explanations, and whatever partners may send


@wire.examples(50)
@given(cdrs(), LIMITED)
def test_everything_can_be_explained(session, told):
    account = settle(session, [told], "UTC")
    explanation = explain(account)
    with localcontext(prec=34):
        assert sum((line.cost.excl_vat for line in explanation.lines), D(0)) == account.sum.excl
    assert explanation.total_cost.incl_vat == figures(account)["total_cost"]["incl_vat"]
    for period, stage in zip(explanation.periods, account.stages, strict=True):
        for choice in period.choices:
            listed = {item.element for item in choice.not_used} | {choice.element}
            assert listed - {None} == {item.number for item in stage.tariff.elements}
    assert as_text(explanation)
    assert as_html(explanation)
    assert as_json(explanation)


@wire.examples(80)
@given(wire.objects(types.CDR))
def test_any_valid_cdr_is_priced_and_explained_or_refused(body):
    with suppress(Refused):
        account = settle(body, None, "UTC")
        assert as_text(explain(account))
        assert assess(body, None, "UTC").account == account


NONSENSE = [
    None, True, 0, -5, 7.5, 1e300, float("nan"), 10**30, D("1e-30"), "", "x", "\x00", "5", "9" * 40,
    "2024-13-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-05:00", "24:00", [], ["x"], [[]],
    [None], [5], {}, {"x": 1}, [{}],
]  # fmt: skip
FULL = {
    "id": "1",
    "start_date_time": "2024-01-15T09:00:00Z",
    "end_date_time": "2024-01-15T12:00:00Z",
    "currency": "EUR",
    "cdr_location": {"country": "NLD", "time_zone": "Europe/Amsterdam"},
    "tariffs": [
        tariff(
            element(
                {"type": "ENERGY", "price": D("0.3"), "vat": D(20), "step_size": 100},
                start_time="00:00", end_time="23:00", day_of_week=["MONDAY"],
                start_date="2024-01-01", end_date="2025-01-01",
                min_kwh=0, max_kwh=100, min_duration=0, max_duration=90000, min_power=1,
                max_current=90, reservation=None,
            ),
            element({"type": "TIME", "price": D(2), "step_size": 60}, reservation="RESERVATION"),
            min_price={"excl_vat": D(1), "incl_vat": D(1)},
            max_price={"before_taxes": D(9), "after_taxes": D(11)},
            start_date_time="2020-01-01T00:00:00Z",
            end_date_time="9999-12-31T23:59:59Z",
            tax_included="NO",
        )
    ],
    "charging_periods": [
        {"start_date_time": "2024-01-15T09:00:00Z", "tariff_id": "T1",
         "dimensions": dimensions({"RESERVATION_TIME": D("0.5")})},
        {"start_date_time": "2024-01-15T09:30:00Z",
         "dimensions": dimensions({"ENERGY": D(5), "MIN_CURRENT": D(6), "MAX_POWER": D(9)})},
    ],
    "total_cost": {"before_taxes": D(2), "taxes": [{"name": "VAT", "amount": D(1)}]},
    "total_energy_cost": {"excl_vat": D(2), "incl_vat": D(3)},
    "total_energy": D(5),
    "total_time": D(3),
    "credit": False,
}  # fmt: skip


def paths(value, above=()):
    """Return the way to every member of a body."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield (*above, key)
        if isinstance(value[key], dict | list):
            yield from paths(value[key], (*above, key))


def test_the_full_body_is_priced():
    got = assess(FULL)
    assert {line.kind for line in got.account.lines} == {"ENERGY", "RESERVATION_TIME"}
    assert len(got.costs) == 4


@pytest.mark.parametrize("path", list(paths(FULL)), ids=lambda path: ".".join(map(str, path)))
def test_nonsense_anywhere_is_priced_or_refused(path):
    for nonsense in NONSENSE:
        body = copy.deepcopy(FULL)
        *above, last = path
        reduce(operator.getitem, above, body)[last] = nonsense
        with suppress(Refused):
            assert as_text(explain(assess(body).account))
        del reduce(operator.getitem, above, body)[last]
        with suppress(Refused):
            assess(body)


@pytest.mark.parametrize("body", [None, [], "text", 5, {}])
def test_what_is_no_cdr_is_refused(body):
    with pytest.raises(Refused):
        price(body, None, None)


def test_the_strategies_reach_every_kind_of_line():
    """A property that never meets a reservation or a limit would prove nothing of them."""
    seen = set()

    @wire.examples(400)
    @given(cdrs(), LIMITED)
    def look(session, told):
        account = settle(session, [told], "UTC")
        seen.update(line.kind for line in account.lines)
        seen.update(bound.name for bound in account.bounds)
        seen.update(account.warnings)

    look()
    assert seen >= {
        *EVERY, "RESERVATION_TIME", "RESERVATION_FLAT", "min_price", "max_price",
        "period_spans_price_change", "restriction_data_missing", "no_price_component",
    }  # fmt: skip
