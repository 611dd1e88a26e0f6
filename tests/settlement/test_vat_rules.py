"""VAT by rule rows: the most specific one in force, and never a guess."""

import datetime as dt

import pytest
from django.db import IntegrityError, transaction

from settlement.models import VatRule

pytestmark = pytest.mark.django_db
DAY = dt.date(2024, 3, 31)


def rule(supplier: str, customer: str, **fields: object) -> VatRule:
    given = {"valid_from": dt.date(2020, 1, 1), "category": "AE", **fields}
    return VatRule.objects.create(supplier_country=supplier, customer_country=customer, **given)


def applying(supplier: str, customer: str, on: dt.date = DAY) -> VatRule | None:
    return VatRule.objects.applying(supplier, customer, on)


def test_a_country_beats_the_eu_and_the_eu_beats_anywhere() -> None:
    anywhere, union, country = rule("*", "NL"), rule("EU", "NL"), rule("FR", "NL")
    assert applying("FR", "NL") == country
    assert applying("DE", "NL") == union
    assert applying("US", "NL") == anywhere


def test_the_supplier_decides_before_the_customer() -> None:
    narrow_supplier, narrow_customer = rule("FR", "*"), rule("EU", "NL")
    assert applying("FR", "NL") == narrow_supplier
    assert applying("DE", "NL") == narrow_customer


def test_nothing_applies_where_nobody_made_a_rule() -> None:
    rule("EU", "NL")
    assert applying("US", "NL") is None
    assert applying("FR", "DE") is None


def test_greece_is_in_the_union_and_britain_is_not() -> None:
    union = rule("EU", "NL")
    assert applying("GR", "NL") == union
    assert applying("GB", "NL") is None


def test_a_rule_holds_from_its_first_day_up_to_its_last() -> None:
    old = rule("NL", "NL", category="S", rate="19", valid_to=dt.date(2024, 1, 1))
    new = rule("NL", "NL", category="S", rate="21", valid_from=dt.date(2024, 1, 1))
    assert applying("NL", "NL", dt.date(2023, 12, 31)) == old
    assert applying("NL", "NL", dt.date(2024, 1, 1)) == new
    assert applying("NL", "NL", dt.date(2019, 12, 31)) is None


def test_two_equally_specific_rules_are_never_in_force_at_once() -> None:
    rule("EU", "NL")
    with pytest.raises(IntegrityError, match="one_vat_rule_at_a_time"), transaction.atomic():
        rule("EU", "NL", valid_from=dt.date(2024, 1, 1))


@pytest.mark.parametrize(("category", "rate"), [("S", "0"), ("AE", "21"), ("X", "0")])
def test_a_category_and_a_rate_that_contradict_are_refused(category: str, rate: str) -> None:
    with pytest.raises(IntegrityError, match="vat_rate_fits_its_category"), transaction.atomic():
        rule("NL", "NL", category=category, rate=rate)
