"""price_cdr: a CDR in a file, priced for people at a terminal. It needs no database."""

import io
from decimal import Decimal as D
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from hub.ocpi import json
from tests.cdrs.pricing.making import cdr, charging, element, energy, period, tariff

PRICES = tariff(element(energy("0.50", 1, 20)), element(charging("6", 600), max_kwh=50))
SESSION = cdr(
    period("10:00", ENERGY=10, TIME="0.3334"),
    id="CDR1",
    tariffs=[PRICES],
    total_cost={"excl_vat": D("8.00"), "incl_vat": D("9.00")},
    total_energy=D(10),
    total_time=D(1),
)  # 5 and 3; whole seconds make it 5 and 2


@pytest.fixture
def file(tmp_path):
    def written(body, name="cdr.json"):
        path = tmp_path / name
        path.write_bytes(body if isinstance(body, bytes) else json.dumps(body))
        return str(path)

    return written


def run(*arguments: str) -> Any:
    out = io.StringIO()
    call_command("price_cdr", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue().encode())


def told(*arguments: str) -> str:
    out = io.StringIO()
    call_command("price_cdr", *arguments, stdout=out)
    return out.getvalue()


def test_it_compares_figure_by_figure(file):
    result = run(file(SESSION))
    assert result["figures"][:2] == [
        {"field": "total_cost.excl_vat", "claimed": "8.0000", "computed": "8.0000",
         "difference": "0.0000", "verdict": "match"},
        {"field": "total_cost.incl_vat", "claimed": "9.0000", "computed": "9.0000",
         "difference": "0.0000", "verdict": "match"},
    ]  # fmt: skip
    assert (result["verdict"], result["cost_verdict"], result["reading"]) == (
        "match",
        "match",
        None,
    )
    assert (result["currency"], result["time_zone"]) == ("EUR", "Europe/Berlin")
    assert result["explanation"] is None
    assert [item["code"] for item in result["lints"]] == ["no_fallback"]


def test_people_read_the_verdict_first(file):
    text = told(file({**SESSION, "total_cost": {"excl_vat": D("7.00")}, "total_energy": D(11)}))
    first, second, heads, total, energy_, *_ = text.splitlines()
    assert first == "CDR CDR1: costs match_variant, all figures mismatch"
    assert second.startswith("explained by another reading: times are rounded to whole seconds")
    assert heads.split() == ["claimed", "computed", "difference"]
    assert total.split() == ["total_cost.excl_vat", "7.0000", "8.0000", "-1.0000", "match_variant"]
    assert energy_.split() == ["total_energy", "11.0000", "10.0000", "1.0000", "mismatch"]
    assert "tariff T1: elements: TIME is free where none of the restrictions holds" in text
    assert "Priced by tariff" not in text


def test_it_explains_on_demand(file):
    text = told(file(SESSION), "--explain")
    assert "\n\nPriced by tariff T1 in EUR; local times of Europe/Berlin\n" in text
    assert "TIME: 1200.24 s in steps of 600 s are 1800 s" in text
    lines = run(file(SESSION), "--explain")["explanation"]["lines"]
    assert [line["cost"]["excl_vat"] for line in lines] == ["5", "3"]


def test_tariffs_may_be_given_instead(file):
    one = file(tariff(element(energy("1"))), "one.json")
    several = file([tariff(element(charging("9")), id="T2")], "several.json")
    named = {**SESSION, "charging_periods": [
        period("10:00", "T2", TIME=1), period("11:00", "T1", ENERGY=2)]}  # fmt: skip
    result = run(file(named), "--tariff", one, "--tariff", several)
    assert result["figures"][0]["computed"] == "11.0000"
    assert result["lints"] == []


def test_a_cdr_that_claims_nothing_is_priced(file):
    bare = {name: value for name, value in SESSION.items() if not name.startswith("total")}
    result = run(file(bare))
    assert result["verdict"] is None
    assert {item["field"]: item["computed"] for item in result["figures"]} == {
        "total_cost.excl_vat": "8.0000",
        "total_cost.incl_vat": "9.0000",
        "total_energy_cost.excl_vat": "5.0000",
        "total_energy_cost.incl_vat": "6.0000",
        "total_time_cost.excl_vat": "3.0000",
        "total_time_cost.incl_vat": "3.0000",
    }
    assert told(file(bare)).startswith("CDR CDR1 claims no cost\n")


def test_a_currency_without_cents_is_known(file):
    prices = tariff(element(energy("120.04")), currency="JPY")
    session = {**SESSION, "currency": "JPY", "tariffs": [prices], "total_cost": {"excl_vat": 1201}}
    assert run(file(session))["cost_verdict"] == "match_rounded"


def test_it_reads_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(SESSION))))
    assert run("-")["cdr"] == "CDR1"


def test_the_time_zone_may_be_given(file):
    abroad = {**SESSION, "cdr_location": {"country": "USA"}}
    with pytest.raises(CommandError, match=r"does not tell the time zone.*time_zone_missing"):
        run(file(abroad))
    assert run(file(abroad), "--time-zone", "America/Denver")["time_zone"] == "America/Denver"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "line 1"),
        (b"[]", "is not a JSON object"),
        (b'{"a": NaN}', "NaN is not JSON"),
        ({**SESSION, "tariffs": []}, "there is no tariff to price the CDR with"),
        ({**SESSION, "total_cost": "much"}, "total_cost: 'much' is not a number"),
        ({"id": "1"}, "start_date_time"),
    ],
)
def test_what_cannot_be_priced_is_told_in_words(file, body, words):
    with pytest.raises(CommandError, match=words):
        run(file(body))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        run(str(tmp_path / "none.json"))
