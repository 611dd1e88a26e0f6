"""What cannot be billed is held with the reason, and comes back when the reason is gone."""

import datetime as dt
from decimal import Decimal

import pytest

from cdrs.models import Cdr, Finding, Period
from settlement import clearing
from settlement.models import Document, LegalEntity, SelfBillingAgreement, VatRule
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.django_db
NEXT = dt.datetime(2024, 5, 6, 9, 0, tzinfo=dt.UTC)
APRIL = dt.date(2024, 4, 1)


def codes(cdr: Cdr) -> set[str]:
    return set(cdr.findings.filter(cleared_at=None).values_list("code", flat=True))


def close(month: dt.date = MONTH, now: dt.datetime = CLOSING) -> dict[str, object]:
    return clearing.report(clearing.close(month, now=now))


def test_without_an_agreement_a_cpo_is_not_billed_and_the_others_are() -> None:
    ready, unready, payer = factory.cpo(), factory.cpo("ES-CAR"), factory.emsp()
    SelfBillingAgreement.objects.filter(supplier__party=unready).delete()
    billed, held = factory.cdr(ready, payer), factory.cdr(unready, payer)
    report = close()
    billed.refresh_from_db()
    held.refresh_from_db()
    assert (billed.state, held.state, held.period) == ("accepted", "held", None)
    assert codes(held) == {"self_billing_agreement_missing"}
    assert held.findings.get().text == "ES*CAR has no self-billing agreement in force"
    assert (report["cdrs"], report["held"], report["rolled"]) == (1, 1, 1)
    assert {d["party"] for d in report["documents"]} == {"FR-ABC", "DE-EMP"}


def test_an_agreement_that_has_ended_is_none() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    SelfBillingAgreement.objects.update(valid_to=CLOSING.date())
    held = factory.cdr(seller, payer)
    close()
    assert codes(held) == {"self_billing_agreement_missing"}


@pytest.mark.parametrize("who", ["FR-ABC", "DE-EMP", None])
def test_whoever_has_no_complete_company_is_not_billed(who: str | None) -> None:
    seller, payer = factory.cpo(), factory.emsp()
    party = {"FR-ABC": seller, "DE-EMP": payer, None: None}[who]
    LegalEntity.objects.filter(party=party).update(vat_id="")
    held = factory.cdr(seller, payer)
    close()
    assert codes(held) == {"legal_entity_missing"}
    assert Document.objects.count() == 0


@pytest.mark.parametrize(("supplier", "customer"), [("EU", "NL"), ("NL", "EU")])
def test_without_a_vat_rule_for_either_side_nothing_is_billed(supplier: str, customer: str) -> None:
    seller, payer = factory.cpo(), factory.emsp()
    VatRule.objects.filter(supplier_country=supplier, customer_country=customer).delete()
    VatRule.objects.filter(supplier_country="*").delete()
    VatRule.objects.filter(customer_country="*").delete()
    held = factory.cdr(seller, payer)
    close()
    assert codes(held) == {"vat_rule_missing"}


def test_the_rule_of_the_month_of_supply_counts() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    VatRule.objects.filter(category__in=("AE", "O"), dealer="").update(valid_from=MONTH)
    late = factory.cdr(seller, payer, month=dt.date(2024, 2, 1), settled_in=MONTH)
    on_time = factory.cdr(seller, payer)
    close()
    assert codes(late) == {"vat_rule_missing"}
    assert codes(on_time) == set()


def test_what_was_held_is_billed_once_it_can_be() -> None:
    seller, payer = factory.cpo("ES-CAR", equipped=False), factory.emsp()
    held = factory.cdr(seller, payer)
    close()
    assert codes(held) == {"legal_entity_missing", "self_billing_agreement_missing"}

    factory.onboarding.equip(seller)
    report = close(APRIL, NEXT)
    held.refresh_from_db()
    assert (held.state, str(held.period)) == ("accepted", "2024-04")
    assert held.findings.filter(cleared_at=None).count() == 0
    assert held.findings.count() == 2
    assert (report["cdrs"], report["held"], report["rolled"]) == (1, 0, 0)
    line = Document.objects.get(party=seller).lines.get()
    assert line.cell.supply_month == MONTH


def test_what_a_rule_holds_stays_held_whatever_we_configure() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    held = factory.cdr(seller, payer, state="held")
    for code in ("legal_entity_missing", "energy_too_high"):
        Finding.objects.create(cdr=held, code=code, severity="hold", text="...")
    report = close()
    held.refresh_from_db()
    assert (held.state, report["held"], report["cdrs"]) == ("held", 1, 0)
    assert codes(held) == {"legal_entity_missing", "energy_too_high"}


@pytest.mark.parametrize("over", [False, True])
def test_a_held_cdr_of_a_month_not_frozen_yet_waits_for_its_own_month(over: bool) -> None:
    seller, payer = factory.cpo(), factory.emsp()
    march = Period.objects.create(month=MONTH)
    if over:
        march.move_to("grace", grace_until=NEXT)
    held = factory.cdr(seller, payer, state="held")
    Finding.objects.create(cdr=held, code="vat_rule_missing", severity="hold", text="...")
    close(APRIL, NEXT)
    held.refresh_from_db()
    assert held.state == "held"
    close(MONTH, NEXT)
    held.refresh_from_db()
    assert str(held.period) == "2024-03"


def test_a_credit_is_held_unless_its_original_is_settled_beside_it() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    beside = factory.credit(factory.cdr(seller, payer))
    stray = factory.credit(factory.cdr(seller, payer, state="held"))
    factory.cdr(seller, payer, "50.0000")
    close()
    stray.refresh_from_db()
    assert codes(stray) == {"credit_without_original"}
    assert codes(beside) == set()
    assert Document.objects.get(party=seller).net == 50


def test_credits_never_exceed_supplies_by_rounding() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    originals = [factory.cdr(seller, payer, "0.0040", country=country) for country in ("FR", "DE")]
    credits = [factory.credit(original, country="FR") for original in originals]
    factory.cdr(seller, payer, "12.5000")
    close()
    for credit in credits:
        credit.refresh_from_db()
    assert [credit.state for credit in credits] == ["accepted", "held"]
    assert Document.objects.get(party=seller).net == Decimal("12.50")
