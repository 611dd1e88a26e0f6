"""The account told: why each element was used or not, and figures that are the engine's own."""

import json
import re
from decimal import Decimal as D
from decimal import localcontext
from html.parser import HTMLParser

import pytest

from cdrs.pricing import settle
from cdrs.pricing.explanation import explain
from cdrs.pricing.rendering import as_html, as_json, as_text
from tests.cdrs.pricing.making import cdr, charging, element, energy, flat, parking, period, tariff

PRICES = tariff(
    element(energy("0.40", 500, 21), start_time="08:00", end_time="20:00"),
    element(parking("3.00", 300, 21), min_duration=3600),
    element(flat("0.50", 21), energy("0.28", 1000, 21), charging("0.60", 900)),
    element(charging("6", 600), reservation="RESERVATION"),
    element(flat("9"), reservation="RESERVATION_EXPIRES"),
    max_price={"excl_vat": D("7")},
)
SESSION = cdr(
    period("17:00", RESERVATION_TIME="0.3"),
    period("17:20", ENERGY="7.3", TIME="0.6667"),
    period("20:00", ENERGY="2.45", TIME="0.25"),
    period("20:15", PARKING_TIME="0.8667"),
    end="21:07",
)


def told(session=SESSION, *tariffs, tz="UTC"):
    return explain(settle(session, list(tariffs or [PRICES]), tz))


def reasons(explanation, number, dimension):
    [choice] = [
        item for item in explanation.periods[number - 1].choices if item.dimension == dimension
    ]
    return choice.element, {item.element: item.reason for item in choice.not_used}


def test_every_element_is_accounted_for():
    assert reasons(told(), 2, "ENERGY") == (
        1,
        {
            2: "it has no price for ENERGY",
            3: "element 1 goes first",
            4: "it has no price for ENERGY",
            5: "it has no price for ENERGY",
        },
    )
    used, others = reasons(told(), 3, "ENERGY")
    assert (used, others[1]) == (3, "local time is 20:00, not from 08:00 to 20:00")
    used, others = reasons(told(), 3, "TIME")
    assert (used, others[4]) == (3, "it is for reservations only (RESERVATION)")
    used, others = reasons(told(), 1, "RESERVATION_TIME")
    assert (used, others[3]) == (4, "it is not for reservations")
    used, others = reasons(told(), 1, "RESERVATION_FLAT")
    assert used is None
    assert others[5] == "it is for another kind of reservation (RESERVATION_EXPIRES)"


WHY_NOT = [
    ({"start_time": "12:00"}, "local time is 10:00, not from 12:00 to 00:00"),
    ({"start_date": "2024-02-01"}, "local date is 2024-01-15, not 2024-02-01 or later"),
    ({"end_date": "2024-01-15"}, "local date is 2024-01-15, not before 2024-01-15"),
    (
        {"start_date": "2024-01-01", "end_date": "2024-01-15"},
        "local date is 2024-01-15, not from 2024-01-01 to 2024-01-15",
    ),
    ({"day_of_week": ["SUNDAY", "FRIDAY"]}, "it is MONDAY, not FRIDAY or SUNDAY"),
    ({"day_of_week": ["SUN"]}, "it is MONDAY, not SUN"),
    ({"min_kwh": D("2.50")}, "energy so far is 0 kWh, not 2.5 kWh or more"),
    ({"max_kwh": 0}, "energy so far is 0 kWh, not below 0 kWh"),
    ({"min_duration": 60, "max_duration": 90}, "duration so far is 0 s, not from 60 to below 90 s"),
    ({"min_current": 32}, "current is 16 A, not 32 A or more"),
    ({"max_current": 6}, "current is 6 A, not below 6 A"),
    ({"min_power": 5}, "power was not measured, and must be 5 kW or more"),
    (
        {"start_time": "12:00", "min_kwh": 5},
        "local time is 10:00, not from 12:00 to 00:00, and energy so far is 0 kWh, "
        "not 5 kWh or more",
    ),
]


@pytest.mark.parametrize(("restrictions", "reason"), WHY_NOT)
def test_a_restriction_says_what_is_and_what_ought_to_be(restrictions, reason):
    session = cdr(period("10:00", ENERGY=1, MIN_CURRENT=6, MAX_CURRENT=16))
    prices = tariff(element(energy("1"), **restrictions))
    assert reasons(told(session, prices), 1, "ENERGY") == (None, {1: reason})


def test_what_has_happened_so_far_is_told():
    session = cdr(period("10:00", ENERGY="2.5"), period("10:30", ENERGY=1))
    prices = tariff(element(energy("1"), min_kwh=3, max_duration=900))
    assert reasons(told(session, prices), 2, "ENERGY") == (
        None,
        {
            1: "energy so far is 2.5 kWh, not 3 kWh or more, "
            "and duration so far is 1800 s, not below 900 s"
        },
    )


def test_energy_to_the_grid_is_explained():
    session = cdr(period("10:00", ENERGY=-1))
    assert reasons(told(session, tariff(element(energy("1")))), 1, "ENERGY") == (
        None,
        {1: "a volume below 0 has no price"},
    )


def test_the_figures_are_those_of_the_engine():
    account, explanation = settle(SESSION, [PRICES], "UTC"), told()
    with localcontext(prec=34):
        added = sum(line.cost.excl_vat for line in explanation.lines)
    assert explanation.sum_of_lines.excl_vat == account.sum.excl == added
    assert explanation.total_cost.excl_vat == account.total.excl == 7
    for name, money in explanation.totals.items():
        part = account.parts[name]
        assert (money and (money.excl_vat, money.incl_vat)) == part
    for line in explanation.lines:
        with localcontext(prec=34):
            assert line.volume + line.added_by_step_size == line.billed
            assert line.price.excl_vat * line.billed == line.cost.excl_vat


def test_steps_and_limits_are_told():
    explanation = told()
    steps = {
        item.dimension: (item.total, item.step_size, item.billed) for item in explanation.steps
    }
    assert steps == {
        "ENERGY": (9750, 1000, 10000),
        "RESERVATION_TIME": (1080, 600, 1200),
        "PARKING_TIME": (D("3120.12"), 300, 3300),
    }
    [limit] = explanation.limits
    assert (limit.name, limit.after.excl_vat) == ("max_price", 7)
    assert limit.before == explanation.sum_of_lines
    assert [item.code for item in explanation.warnings] == ["total_clamped"]


def test_json_has_every_digit_as_text():
    document = json.loads(as_json(told()))
    assert document["periods"][2]["local_time"] == "2024-01-15T20:00:00+00:00"
    assert document["steps"][1]["billed"] == "1200"
    assert document["lines"][0]["cost"]["excl_vat"] == "2"
    assert not re.search(r"\d[eE][+-]?\d|\.\d*0\"", as_json(told()))


def test_the_text_is_what_people_read():
    text = as_text(told())
    assert "Priced by tariff T1 in EUR; local times of UTC" in text
    assert "ENERGY                 7.3000 kWh  element 1" in text
    assert "      not elements 2, 4, 5: it has no price for ENERGY\n" in text
    assert "ENERGY: 9750 Wh in steps of 1000 Wh are 10000 Wh; the difference is in period 3" in text
    assert "x 0.2800 = 0.7560; tax 21 %: 0.9148" in text
    assert "total_clamped: min_price or max_price sets the total" in text
    assert text.endswith(
        "Amounts and volumes are shown with 4 decimals and summed without rounding."
    )


def test_many_reasons_are_cut_short_for_people_only():
    hours = [
        element(energy("1"), start_time=f"{hour:02}:00", end_time=f"{hour + 1:02}:00")
        for hour in range(11, 23)
    ]
    explanation = told(cdr(period("10:00", ENERGY=1)), tariff(*hours))
    assert len(explanation.periods[0].choices[0].not_used) == 12
    assert "and 6 more reasons" in as_text(explanation)


def test_elements_in_a_row_are_named_by_first_and_last():
    prices = tariff(*(element(energy("1")) for _ in range(5)), element(charging("1")))
    text = as_text(told(cdr(period("10:00", TIME=1)), prices))
    assert "not elements 1 to 5: it has no price for TIME" in text


def test_a_fee_that_the_tariff_has_not_is_not_mentioned():
    assert "FLAT" not in as_text(told(cdr(period("10:00", ENERGY=1)), tariff(element(energy("1")))))


def test_unknown_amounts_are_called_so():
    gross = tariff(element(energy("1", 0)), tax_included="YES")
    text = as_text(told(cdr(period("10:00", ENERGY=1)), gross))
    assert "x unknown = unknown; tax unknown: 1.0000" in text


class Tags(HTMLParser):
    """Collects tags and attributes, and sees that every tag is closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.seen, self.names = [], set(), set()
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.names.add(tag)
        self.seen |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_html_has_classes_and_nothing_that_acts():
    tags = Tags(as_html(told()))
    assert tags.seen == {"class", "scope"}
    assert {"table", "ul", "section"} <= tags.names
    assert not tags.names & {"script", "style", "a", "img", "form"}


def test_what_a_partner_writes_cannot_become_markup():
    evil = "<script>alert('&')</script>"
    prices = tariff(
        element(energy("1"), day_of_week=[evil]), element(energy("1")), id=evil, currency=evil
    )
    session = cdr(period("10:00", ENERGY=1, **{evil: 1}), currency=evil)
    html = as_html(told(session, prices))
    assert evil not in html
    assert "&lt;script&gt;" in html
    assert Tags(html).names.isdisjoint({"script"})


def test_text_and_html_tell_the_same():
    words = set(re.findall(r"\d+\.\d{4}", as_text(told())))
    assert words <= set(re.findall(r"\d+\.\d{4}", as_html(told())))
