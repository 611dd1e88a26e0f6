"""The month as it would be, and the documents of a party."""

import hashlib
import re
from collections import defaultdict
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cdrs.explorer import Side
from cdrs.models import Cdr, Finding, Period
from parties.models import Party, TrailEntry
from settlement import clearing, previewing
from settlement.models import (
    Agreement,
    Document,
    DocumentFile,
    FxRate,
    LegalEntity,
    SelfBillingAgreement,
    VatRule,
)
from tests.papers import print_quickly
from tests.portal.cast import person, visitor
from tests.settlement import factory
from tests.settlement.conftest import tampering
from tests.settlement.factory import CLOSING, MONTH

PREVIEW = "/app/NL-CPO/preview/"


@pytest.fixture(autouse=True)
def quick_paper(monkeypatch):
    """Have paper made quickly: how it looks has tests of its own."""
    print_quickly(monkeypatch)


@pytest.fixture
def market(seller, buyer):
    """A month with rounding, two countries, a credit, and some that cannot be billed."""
    french, swiss = factory.emsp("FR-MSP"), factory.emsp("CH-MSP")
    factory.cdrs(3, seller, buyer, "0.3350")
    factory.cdrs(2, seller, buyer, "0.0049", country="DE")
    factory.cdr(seller, french, "12.3456", energy="7.1000")
    factory.cdr(seller, swiss, "8.0000", currency="CHF")
    factory.rate("CHF", "EUR", CLOSING.date(), timezone.localdate())
    factory.credit(factory.cdr(seller, buyer, "5.5550"))
    factory.cdr(factory.cpo("BE-CPO"), buyer, "4.0000")
    return seller


@pytest.fixture
def clerk(seller):
    return visitor(person("finance@cpo.example", seller, "finance"))


@pytest.fixture
def payer(buyer):
    return visitor(person("finance@emp.example", buyer, "finance"))


def documents(month=MONTH, now=CLOSING):
    """Return what the close itself would bill: by party, kind and currency."""
    found = defaultdict(list)
    for paper in clearing.preview(month, now=now)["documents"]:
        amounts = tuple(D(paper[key]) for key in ("net", "tax", "gross"))
        found[paper["party"], paper["kind"], paper["currency"]].append(amounts)
    return {key: sorted(papers) for key, papers in found.items()}


def previews(month=MONTH, now=CLOSING):
    """Return what the portal shows of it, likewise."""
    found = defaultdict(list)
    period = Period.objects.get(month=month)
    for party in Party.objects.exclude(legal_entity=None):
        for side in Side:
            for sheet in previewing.preview(party, side, period, now):
                if sheet.lines:
                    key = (f"{party.country_code}-{party.party_id}", sheet.kind, sheet.currency)
                    found[key].append((sheet.net, sheet.tax, sheet.gross))
    return {key: sorted(papers) for key, papers in found.items()}


def test_the_preview_is_what_the_close_would_bill(market):
    billed = documents()
    assert len(billed) == 6
    assert previews() == billed


def test_it_is_that_too_where_something_cannot_be_billed(market):
    SelfBillingAgreement.objects.filter(supplier__party__party_id="CPO").exclude(
        supplier__party=market
    ).delete()
    LegalEntity.objects.filter(party__country_code="FR").update(address="")
    billed = documents()
    assert "BE-CPO" not in {party for party, *_ in billed}
    assert previews() == billed


def test_it_is_that_too_where_something_held_can_be_billed_by_now(market):
    LegalEntity.objects.filter(party__country_code="FR").update(address="")
    clearing.close(MONTH, now=CLOSING)
    LegalEntity.objects.filter(party__country_code="FR").update(address="Rue 1")
    april = Period.objects.create(month=MONTH.replace(month=4))
    factory.cdr(market, Cdr.objects.filter(emsp__country_code="FR").first().emsp, "1.0000",
                month=april.month)  # fmt: skip
    assert previews(april.month) == documents(april.month)
    sheets = previewing.preview(market, Side.SOLD, april, CLOSING)
    assert sum(line.cdrs for sheet in sheets for line in sheet.lines) == 2


def test_it_has_the_fees_and_what_is_taken_back_from_months_before(market, seller, buyer):
    later = MONTH.replace(month=4)
    begins = MONTH.replace(month=2)
    both = factory.party("SE-TWO", "CPO", "EMSP")
    for party, kind, terms in (
        (seller, "cpo", {"fee_percent": "2.5", "fee_monthly": 10, "fee_per_kwh": "0.001"}),
        (buyer, "emsp", {"fee_per_cdr": "0.333"}),
        (both, "cpo", {"fee_monthly": "0.07"}),
        (both, "emsp", {"fee_monthly": "0.07"}),
    ):
        Agreement.objects.create(party=party, kind=kind, valid_from=begins, **terms)
    old = factory.cdr(seller, buyer, "77.7700", month=begins)
    other = factory.cdr(seller, buyer, "11.1100", country="DE")
    clearing.close(begins, now=CLOSING)
    clearing.close(MONTH, now=CLOSING)
    VatRule.objects.filter(supplier_country="NL", customer_country="NL").update(valid_to=MONTH)
    VatRule.objects.create(supplier_country="NL", customer_country="NL", category="S", rate=9,
                           valid_from=MONTH)  # fmt: skip
    factory.cdrs(3, seller, buyer, "0.3350", month=later)
    factory.cdr(both, both, "5.0000", month=later)
    for original in (old, other):
        factory.credit(original, settled_in=later)
    billed = documents(later)
    kinds = defaultdict(int)
    for (_, kind, _), papers in billed.items():
        kinds[kind] += len(papers)
    assert kinds == {
        "self_billing_invoice": 2,
        "self_billing_credit_note": 2,
        "emsp_invoice": 2,
        "emsp_credit_note": 2,
        "fee_invoice": 3,
    }
    assert previews(later) == billed


def test_it_has_nothing_of_what_was_begun_without_an_agreement(market, seller, buyer):
    began = MONTH.replace(day=10)
    Agreement.objects.filter(party=buyer, kind="emsp").update(valid_to=began)
    factory.credit(factory.cdr(seller, buyer, "6.0000"))
    assert previews() == documents()
    left = [line for sheet in previewing.preview(seller, Side.SOLD, Period.objects.get(), CLOSING)
            for line in sheet.left]  # fmt: skip
    assert {line.reasons for line in left} == {("agreement_missing",)}


def test_a_month_that_is_over_is_shown_until_its_freeze(market, clerk):
    march = Period.objects.get(month=MONTH)
    march.move_to("grace", grace_until=CLOSING)
    assert previewing.open_periods(CLOSING) == [march]
    assert "You would receive" in clerk.get(PREVIEW).text
    clearing.step(march, now=CLOSING)
    assert previewing.open_periods(CLOSING) == []


def test_it_is_that_too_where_a_rate_is_missing(market):
    FxRate.objects.all().delete()
    assert previews() == documents()
    assert "CHF" not in {currency for *_, currency in previews()}


def test_a_stray_credit_is_not_in_it(market, seller, buyer):
    original = factory.cdr(seller, buyer, "3.0000", month=MONTH.replace(month=2))
    before = previews()
    factory.credit(original, settled_in=MONTH)
    assert previews() == before == documents()


def test_looking_changes_nothing(market, clerk):
    rows = list(Cdr.objects.order_by("pk").values_list("pk", "state", "period"))
    assert clerk.get(PREVIEW).status_code == 200
    assert list(Cdr.objects.order_by("pk").values_list("pk", "state", "period")) == rows
    assert Period.objects.get(month=MONTH).state == "open"


def test_each_line_leads_to_the_cdrs_that_make_it(market, clerk):
    text = clerk.get(PREVIEW).text
    lines = []
    for row in re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL):
        link = re.search(r'href="(/app/NL-CPO/cdrs/[^"]+)"', row)
        amounts = re.findall(r'class="amount">([\d.,-]+) <abbr>(\w+)', row)
        if link and amounts:
            lines.append((link[1], *amounts[-1]))
    assert len(lines) == 5
    sums = defaultdict(D)
    for path, net, currency in lines:
        rows = clerk.get(path.replace("&amp;", "&").replace("/cdrs/", "/cdrs/export.csv"))
        cells = [row.split(",") for row in rows.text.splitlines()[1:]]
        total = sum(D(cell[14]) for cell in cells)
        assert round(total, 2) - D("0.01") <= D(net) <= round(total, 2) + D("0.01")
        sums[currency] += D(net)
    assert sums["EUR"] == previews()["NL-CPO", "self_billing_invoice", "EUR"][0][0]


def test_both_sides_are_told_who_pays(market, clerk, payer):
    assert "You would receive" in clerk.get(PREVIEW).text
    assert "You would owe" in payer.get("/app/DE-EMP/preview/").text


def test_what_is_at_risk_is_told_with_what_to_do(market, clerk, seller, buyer):
    held = factory.cdr(seller, buyer, "9.8765", state="held")
    Finding.objects.create(cdr=held, code="token_unknown", severity="hold", text="x")
    LegalEntity.objects.filter(party__country_code="FR").update(address="")
    text = clerk.get(PREVIEW).text
    assert "At risk before the close" in text
    assert "9.8765" in text
    assert "Left out: the close would hold these" in text
    assert "company data" in text
    home = clerk.get("/app/NL-CPO/").text
    assert "1 CDR is held" in home
    assert "9.88 EUR" in home


def test_before_the_first_month_there_is_nothing(clerk):
    assert "No month is open yet" in clerk.get(PREVIEW).text


# Documents


@pytest.fixture
def closed(market):
    clearing.close(MONTH, now=CLOSING)
    return Document.objects.get(party=market, currency="EUR")


def test_a_party_finds_its_documents_with_their_files(closed, clerk):
    text = clerk.get("/app/NL-CPO/documents/").text
    assert closed.number in text
    others = Document.objects.exclude(party=closed.party).values_list("number", flat=True)
    assert others
    assert not any(number in text for number in others)
    page = clerk.get(f"/app/NL-CPO/documents/{closed.pk}/").text
    for line in closed.lines.all():
        assert f"{line.cell.emsp.country_code}-{line.cell.emsp.party_id}" in page
    for file in closed.files.all():
        assert file.sha256 in page


def test_a_file_comes_as_it_was_made_and_that_is_noted(closed, clerk):
    for file in closed.files.all():
        answer = clerk.get(f"/app/NL-CPO/documents/{closed.pk}/files/{file.kind}")
        assert hashlib.sha256(answer.content).hexdigest() == file.sha256
        assert answer["Content-Disposition"] == f'attachment; filename="{file.name}"'
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Type"] == file.content_type
        assert "no-store" in answer["Cache-Control"]
        entry = TrailEntry.objects.get(deed="downloaded", subject=file.name)
        assert entry.told == {"sha256": file.sha256}
    assert clerk.get(f"/app/NL-CPO/documents/{closed.pk}/files/exe").status_code == 404


def test_documents_of_others_are_not_there(closed, payer, clerk):
    foreign = Document.objects.exclude(party=closed.party).first()
    for client, code, document in (
        (payer, "DE-EMP", closed),
        (payer, "NL-CPO", closed),
        (clerk, "NL-CPO", foreign),
    ):
        url = f"/app/{code}/documents/{document.pk}/"
        assert client.get(url).status_code == 404
        assert client.get(f"{url}files/pdf").status_code == 404
    assert not TrailEntry.objects.filter(deed="downloaded").exists()


def test_what_is_to_be_paid_stands_on_the_first_page(closed, payer, clerk, buyer):
    owed = Document.objects.get(party=buyer, currency="EUR")
    with tampering():
        Document.objects.filter(pk=owed.pk).update(due_on=timezone.localdate())
    text = payer.get("/app/DE-EMP/").text
    assert f"Pay {owed.spelled(owed.gross)} EUR" in text
    assert f"/app/DE-EMP/documents/{owed.pk}/" in text
    assert "Pay " not in clerk.get("/app/NL-CPO/").text


def test_the_list_takes_as_many_queries_for_many_as_for_few(closed, clerk, seller, buyer):
    with CaptureQueriesContext(connection) as few:
        clerk.get("/app/NL-CPO/documents/")
    for month in (4, 5, 6):
        factory.cdr(seller, buyer, month=MONTH.replace(month=month))
        clearing.close(MONTH.replace(month=month), now=CLOSING.replace(month=month + 1))
    with CaptureQueriesContext(connection) as many:
        clerk.get("/app/NL-CPO/documents/")
    assert len(few) == len(many) <= 12
    assert DocumentFile.objects.filter(document__party=seller).count() >= 10
