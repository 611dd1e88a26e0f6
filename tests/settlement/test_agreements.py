"""Agreements: versions that follow each other, terms that stay, and no trade without them."""

import datetime as dt
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import Error, IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cdrs import judging
from cdrs.models import Cdr, Verdict
from parties.models import User
from settlement import clearing
from settlement.models import Agreement, Document, LegalEntity, TaxRegistration, VatRule
from settlement.paydays import bank_days_after
from settlement.regimes import regime_of
from tests import objects
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH
from tests.speaking import joined

pytestmark = pytest.mark.django_db
LATER = dt.date(2024, 3, 10)


def amend(party: object, kind: str = "cpo", begins: dt.date = LATER, **terms: object) -> Agreement:
    made = Agreement.objects.create(party=party, kind=kind, valid_from=begins, **terms)
    made.refresh_from_db()
    return made


def test_other_terms_are_a_new_version_and_the_one_before_ends_where_it_begins() -> None:
    seller = factory.cpo()
    first = Agreement.objects.get(party=seller)
    second = amend(seller, fee_percent=2)
    first.refresh_from_db()
    assert (first.valid_to, first.version, second.version) == (LATER, 1, 2)
    assert Agreement.objects.of(seller, "cpo", "EUR", dt.date(2024, 3, 9)) == first
    assert Agreement.objects.of(seller, "cpo", "EUR", LATER) == second


def test_one_in_the_currency_beats_one_in_any() -> None:
    seller = factory.cpo()
    dollars = amend(seller, currency="USD")
    assert Agreement.objects.of(seller, "cpo", "USD", LATER) == dollars
    assert Agreement.objects.of(seller, "cpo", "EUR", LATER).currency == ""


def test_documents_are_due_as_agreed_on_the_day_they_are_issued() -> None:
    seller, sure, payer, quick = (
        *(factory.cpo(), factory.cpo("BE-CPO")),
        *(factory.emsp(), factory.emsp("FR-FST")),
    )
    amend(seller, due_days=20, payout_days=6, fee_monthly=1)
    amend(sure, guarantee=True)
    amend(quick, kind="emsp", due_days=7, fee_monthly=1)
    amend(quick, kind="emsp", begins=dt.date(2024, 4, 7), due_days=1)  # a day too late
    for buyer in (payer, quick):
        factory.cdr(seller, buyer)
    factory.cdr(sure, payer)
    clearing.close(MONTH, now=CLOSING)
    due = {
        (paper.party.party_id, paper.kind): paper.due_on - paper.issued_on
        for paper in Document.objects.exclude(party=sure).select_related("party")
    }
    assert {key: days.days for key, days in due.items()} == {
        ("ABC", "self_billing_invoice"): 20 + 11,  # six bank days from a Friday, over 1 May
        ("ABC", "fee_invoice"): 20,
        ("EMP", "emsp_invoice"): 14,
        ("FST", "emsp_invoice"): 7,
        ("FST", "fee_invoice"): 7,
    }
    assert Document.objects.get(party=sure).due_on == dt.date(2024, 4, 20)


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        ((2026, 12, 24), 1, (2026, 12, 28)),  # Christmas, then a weekend
        ((2026, 4, 2), 1, (2026, 4, 7)),  # Easter
        ((2027, 3, 25), 2, (2027, 3, 31)),
        ((2026, 4, 30), 1, (2026, 5, 4)),
        ((2026, 11, 28), 0, (2026, 11, 28)),
        ((2026, 11, 28), 3, (2026, 12, 2)),
    ],
)
def test_bank_days_leave_weekends_and_holidays_out(
    day: tuple[int, int, int], count: int, expected: tuple[int, int, int]
) -> None:
    assert bank_days_after(dt.date(*day), count) == dt.date(*expected)


def test_versions_never_overlap() -> None:
    seller = factory.cpo()
    amend(seller)
    for begins in (LATER, dt.date(2024, 3, 9), dt.date(2019, 1, 1)):
        with pytest.raises(IntegrityError, match="one_agreement_at_a_time"), transaction.atomic():
            amend(seller, begins=begins)


@pytest.mark.parametrize(
    "change", ["fee_percent = 1", "valid_from = '2023-01-01'", "version = 7", "currency = 'USD'"]
)
def test_terms_are_never_rewritten(change: str) -> None:
    factory.cpo()
    update = "UPDATE settlement_agreement SET {}"
    with pytest.raises(Error, match="only ends"), transaction.atomic():
        connection.cursor().execute(update.format(change))
    connection.check_constraints()
    for statement in ("DELETE FROM settlement_agreement", "TRUNCATE settlement_agreement CASCADE"):
        with pytest.raises(Error, match="never deleted"), transaction.atomic():
            connection.cursor().execute(statement)


def test_the_agent_model_is_refused_by_name_and_by_the_database() -> None:
    seller = factory.cpo()
    agent = Agreement(party=seller, kind="cpo", supply_model="agent", valid_from=LATER)
    with pytest.raises(ValidationError, match="cannot act as an agent yet"):
        agent.full_clean()
    with pytest.raises(IntegrityError, match="principal"), transaction.atomic():
        agent.save()


@pytest.mark.parametrize("who", ["cpo", "emsp"])
def test_what_started_without_an_agreement_is_held_at_the_freeze(who: str) -> None:
    seller, payer = factory.cpo(), factory.emsp()
    ended = Agreement.objects.filter(party={"cpo": seller, "emsp": payer}[who])
    ended.update(valid_to=MONTH)
    held = factory.cdr(seller, payer)
    before = factory.cdr(seller, payer, month=dt.date(2024, 2, 1), settled_in=MONTH)
    clearing.close(MONTH, now=CLOSING)
    held.refresh_from_db()
    before.refresh_from_db()
    assert (held.state, before.state) == ("held", "accepted")
    assert held.findings.get().code == "agreement_missing"


def test_limits_of_both_agreements_are_told_the_rules() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    amend(seller, limits={"late_days": 5, "most_hours": 10})
    amend(payer, kind="emsp", limits={"late_days": 7})
    assert _terms(seller.pk, payer.pk, LATER) == '{"late_days": 7, "most_hours": 10}'
    assert _terms(seller.pk, payer.pk, MONTH) == "{}"
    assert _terms(seller.pk, seller.pk, LATER) is None
    with pytest.raises(ValidationError, match="is not a parameter"):
        Agreement(party=seller, kind="cpo", valid_from=LATER, limits={"x": 1}).full_clean()


def _terms(seller: int, payer: int, day: dt.date) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT cdr_terms(%s, %s, 'EUR', %s)::text", [seller, payer, day])
        (found,) = cursor.fetchone()
    return found


@pytest.mark.usefixtures("plain_static")
def test_staff_make_a_new_version_from_the_old_one() -> None:
    seller = factory.cpo()
    client = Client()
    client.force_login(User.objects.create_superuser("finance@hub.example"))
    first = Agreement.objects.get(party=seller)
    add = reverse("admin:settlement_agreement_add")
    form = client.get(f"{add}?from={first.pk}").context["adminform"].form
    given = {name: form[name].value() for name in form.fields} | {"valid_from": "2024-03-10"}
    given = {
        name: value for name, value in given.items() if value is not None and value is not False
    }
    assert client.post(add, given | {"fee_percent": "1.5", "limits": "{}"}).status_code == 302
    first.refresh_from_db()
    second = Agreement.objects.exclude(pk=first.pk).get()
    assert (first.valid_to, second.version, second.fee_percent) == (LATER, 2, Decimal("1.5"))
    again = client.post(add, given | {"limits": "{}", "valid_from": "2024-03-01"})
    assert "A later version exists already" in again.content.decode()
    change = reverse("admin:settlement_agreement_change", args=[second.pk])
    assert 'name="fee_percent"' not in client.get(change).content.decode()


# Companies and VAT


def test_a_dealers_certificate_decides_between_rules_while_it_holds() -> None:
    seller, payer = factory.cpo("DE-ABC"), factory.emsp()
    ours, theirs = seller.legal_entity, payer.legal_entity
    plain = VatRule.objects.between(ours, theirs, LATER)
    assert (plain.category, plain.rate) == ("S", 19)
    theirs.dealer_from, theirs.dealer_to = MONTH, dt.date(2024, 4, 1)
    assert VatRule.objects.between(ours, theirs, LATER).vatex == "VATEX-EU-AE"
    assert VatRule.objects.between(ours, theirs, dt.date(2024, 4, 1)) == plain


def test_the_country_of_the_supply_can_have_a_rule_of_its_own() -> None:
    seller, payer = factory.cpo("NL-AAA"), factory.emsp("NL-EMP")
    ends = {"supplier_country": "NL", "customer_country": "NL", "valid_from": MONTH}
    special = VatRule.objects.create(**ends, supply_country="DE", category="Z")
    ours, theirs = seller.legal_entity, payer.legal_entity
    assert VatRule.objects.between(ours, theirs, LATER, "DE") == special
    assert VatRule.objects.between(ours, theirs, LATER, "NL").rate == 21


@pytest.mark.parametrize(
    ("country", "regime"),
    [("DE", "EU_VAT"), ("US", "US_STATEMENT"), ("BR", "LATAM_PROFORMA"), ("KR", "OTHER")],
)
def test_a_company_has_the_regime_of_its_country_unless_told(country: str, regime: str) -> None:
    assert LegalEntity(country=country).document_regime == regime
    assert LegalEntity(country=country, regime="CA_GST").document_regime == "CA_GST"


@pytest.mark.parametrize(
    ("company", "channel", "categories", "regime"),
    [
        ({"country": "FR"}, "pdf_ok", {"S"}, "eu_vat"),
        ({"country": "FR"}, "peppol_required", {"AE", "S"}, "eu_vat"),
        ({"country": "FR"}, "clearance_required", {"S"}, "pro_forma"),
        ({"country": "FR", "regime": "OTHER"}, "pdf_ok", {"O"}, "pro_forma"),
        ({"country": "FR"}, "pdf_ok", {"O"}, "us_statement"),
        ({"country": "US"}, "pdf_ok", {"O"}, "us_statement"),
        ({"country": "US"}, "pdf_ok", {"S"}, "pro_forma"),
        ({"country": "GB"}, "pdf_ok", {"O"}, "us_statement"),
        ({"country": "GB"}, "pdf_ok", {"S"}, "pro_forma"),
        ({"country": "VE", "regime": "LATAM_PROFORMA"}, "pdf_ok", {"O"}, "pro_forma"),
        ({"country": "JP"}, "pdf_ok", {"O"}, "us_statement"),
    ],
)
def test_the_regime_of_a_document_comes_from_company_channel_and_categories(
    company: dict[str, str], channel: str, categories: set[str], regime: str
) -> None:
    assert regime_of(LegalEntity(**company), channel, categories) == regime


def test_tax_registrations_of_a_country_never_overlap() -> None:
    entity = factory.cpo().legal_entity
    told = {"entity": entity, "country": "BE", "number": "BE0"}
    TaxRegistration.objects.create(**told, valid_from=MONTH)
    with pytest.raises(IntegrityError, match="one_tax_registration"), transaction.atomic():
        TaxRegistration.objects.create(**told, valid_from=LATER)


def test_the_intake_holds_what_nobody_has_agreed_on_and_lets_it_go_when_somebody_has() -> None:
    seller, payer = joined("NL", "CPO", "CPO"), joined("DE", "EMP", "EMSP", modules=["tokens"])
    payer.put(f"2.2.1/receiver/tokens/{payer.path}/CARD1", objects.token(payer.address))
    Agreement.objects.filter(party=seller.party).update(valid_to=dt.date(2024, 1, 1))
    seller.post("2.2.1/receiver/cdrs", objects.cdr(seller.address, payer.address))
    cdr = Cdr.objects.get()
    assert set(cdr.findings.values_list("code", flat=True)) >= {"agreement_missing"}
    assert cdr.state == "held"
    amend(seller.party, begins=dt.date(2026, 11, 1))
    assert list(judging.rejudge([cdr.pk], Verdict.Cause.RETRY, timezone.now())) == ["released"]
