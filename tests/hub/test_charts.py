"""Charts: SVG that needs neither script nor inline style, and says what it shows."""

import re
from xml.etree import ElementTree

import pytest

from hub.charts import Bars, Row, bars, rounded_up

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*rows: Row) -> ElementTree.Element:
    text = bars(Bars("Owed <now>", "3 things", ["CDRs", "state"], rows))
    named = text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return ElementTree.fromstring(named)  # noqa: S314 - our own


def test_a_chart_says_what_it_shows_and_brings_no_style() -> None:
    svg = drawn(Row("A & B", [1, 2], "/admin/?a=1&b=2"), Row("None", [0, 0]))
    title, description = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
    assert (title.text, description.text) == ("Owed <now>", "3 things")
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert not any(element.get("style") for element in svg.iter())
    assert {element.tag for element in svg.iter()}.isdisjoint({f"{SVG}script", f"{SVG}style"})
    assert svg.find(f"{SVG}a").get("href") == "/admin/?a=1&b=2"


def test_bars_are_as_long_as_their_values_and_stand_side_by_side() -> None:
    svg = drawn(Row("A", [100, 300]), Row("B", [200, 0]))
    found = [
        (item.get("class"), float(item.get("x")), float(item.get("width")))
        for item in svg.iter(f"{SVG}rect")
        if item.get("height") == "18"
    ]
    assert [kind for kind, _, _ in found] == ["series-1", "series-2", "series-1"]
    (_, left, first), (_, middle, second), (_, below, third) = found
    assert left == below
    assert middle == pytest.approx(left + first)
    assert (second / first, third / first) == (
        pytest.approx(3, rel=0.01),
        pytest.approx(2, rel=0.01),
    )


def test_two_charts_of_a_page_have_ids_of_their_own() -> None:
    first, second = (re.findall(r'id="([^"]+)"', str(bars(Bars("", "", [], [])))) for _ in "ab")
    assert set(first).isdisjoint(second)


def test_what_is_hostile_in_a_name_is_escaped() -> None:
    text = bars(Bars("", "", ["<s>"], [Row("<script>", [1])]))
    assert "<script>" not in text
    assert "<s>" not in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 4), (4, 4), (5, 8), (13, 20), (21, 40), (1001, 1200), (10**6, 1200000)],
)
def test_a_scale_ends_at_a_round_number(value: int, expected: int) -> None:
    assert rounded_up(value) == expected
