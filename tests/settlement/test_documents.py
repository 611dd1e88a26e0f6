"""Documents of all kinds: credit notes, fees, regimes, the chain, and what is refused in time."""

import csv
import datetime as dt
import io
from decimal import Decimal

import pytest
from django.db import Error, IntegrityError, transaction

from cdrs.models import Cdr, Period
from hub.spreadsheets import safe
from parties.models import Party
from settlement import aggregating, annex, clearing, issuing, rendering
from settlement.einvoice.schemas import CannotValidate
from settlement.invariants import breaches
from settlement.models import (
    Agreement,
    Cell,
    CloseRun,
    Document,
    DocumentLine,
    Fee,
    LegalChannel,
    LegalEntity,
    Series,
    VatRule,
)
from settlement.models.documents import NO_HASH, Kind
from settlement.verify import differences
from tests.racing import at_once
from tests.settlement import factory
from tests.settlement.conftest import tampering
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.django_db
APRIL, MAY = dt.date(2024, 4, 1), dt.date(2024, 5, 1)
LATER = dt.datetime(2024, 6, 6, 9, tzinfo=dt.UTC)


def close(month: dt.date = MONTH) -> Period:
    return clearing.close(month, now=CLOSING, force=True)


def frozen(month: dt.date = APRIL) -> CloseRun:
    """Freeze a month by hand; what is made of it is up to the test."""
    period, _ = Period.objects.get_or_create(month=month)
    period.move_to(Period.State.FROZEN, frozen_at=LATER)
    return CloseRun.objects.create(period=period, issued_on=LATER.date())


def correcting(run: CloseRun, *credits: Cdr) -> None:
    """Make the cells of credits, one each, that correct the month of their originals."""
    for cdr in credits:
        Cell.objects.create(
            period=run.period,
            supply_month=cdr.month,
            cpo=cdr.owner,
            emsp=cdr.emsp,
            country=cdr.country,
            currency=cdr.currency,
            credit=True,
            corrects=cdr.credit_of.period,
            cdr_count=1,
            energy_kwh=-cdr.energy_kwh,
            total=cdr.total_excl_vat,
            decimals=2,
            net=cdr.total_excl_vat.quantize(Decimal("0.01"), "ROUND_HALF_UP"),
        )


def frozen_with(*credits: Cdr, month: dt.date = APRIL) -> CloseRun:
    """Freeze a month of credits that correct earlier ones."""
    run = frozen(month)
    correcting(run, *credits)
    return run


def issued(run: CloseRun) -> Period:
    clearing.settle(run.period, now=LATER)
    rendering.render_period(run.period)
    clearing.finish(run.period, now=LATER)
    run.period.refresh_from_db()
    return run.period


def credited(seller: Party, payer: Party, total: str = "10.0049") -> Cdr:
    """Settle a CDR in March, and a credit for it in April."""
    original = factory.cdr(seller, payer, total, energy="5.0000")
    close()
    original.refresh_from_db()
    return factory.credit(original, settled_in=APRIL)


# Credit notes


def test_a_credit_after_the_issue_becomes_a_credit_note_on_both_sides() -> None:
    seller, payer = factory.cpo("NL-AAA"), factory.emsp("NL-EMP")
    credit = credited(seller, payer)
    run = frozen_with(credit)
    period = issued(run)
    notes = {document.kind: document for document in period.documents.all()}
    assert set(notes) == {Kind.SELF_BILLING_CREDIT, Kind.CREDIT}
    note = notes[Kind.SELF_BILLING_CREDIT]
    invoice = Document.objects.get(kind=Kind.SELF_BILLING)
    assert note.number == "OCN-C-NLAAA-2024-000001"
    assert notes[Kind.CREDIT].number == "OCN-SC-NLEMP-2024-000001"
    assert note.corrected == invoice
    assert list(invoice.credit_notes.all()) == [note]
    said = note.snapshot
    assert (said["type_code"], said["net"], said["tax"], said["gross"]) == (
        "261",
        "10.00",
        "2.10",
        "12.10",
    )
    assert said["references"] == [{"number": invoice.number, "issued_on": "2024-04-06"}]
    assert said["mentions"] == invoice.snapshot["mentions"]
    assert said["exact_net"] == "10.0049"
    assert said["payment"]["direction"] == "set_off"
    assert [(line["quantity"], line["net"]) for line in said["lines"]] == [("5.0000", "10.00")]
    assert b",-5.0000,-10.0049," in bytes(note.files.get(kind="csv").content)
    assert f">{invoice.number}<".encode() in bytes(note.files.get(kind="xml").content)
    assert period.state == Period.State.CLOSED  # nobody has anything to pay
    assert differences(period) == []
    assert breaches() == []


@pytest.mark.usefixtures("real_paper")
def test_a_credit_note_is_valid_and_on_paper() -> None:
    credit = credited(factory.cpo(), factory.emsp())
    run = frozen_with(credit)
    period = issued(run)
    assert period.documents.count() == 2
    assert differences(period) == []


def test_what_is_sold_in_that_month_is_billed_as_ever_beside_it() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    credit = credited(seller, payer)
    run = frozen_with(credit)
    Cell.objects.create(
        period=run.period,
        supply_month=APRIL,
        cpo=seller,
        emsp=payer,
        country="FR",
        currency="EUR",
        credit=False,
        cdr_count=1,
        energy_kwh="20.5",
        total="7",
        decimals=2,
        net="7",
    )
    with tampering():
        factory.cdr(seller, payer, "7.0000", month=APRIL)
    period = issued(run)
    kinds = period.documents.order_by("pk").values_list("kind", "net")
    assert [(kind, str(net)) for kind, net in kinds] == [
        ("self_billing_invoice", "7.0000"),
        ("self_billing_credit_note", "10.0000"),
        ("emsp_invoice", "7.0000"),
        ("emsp_credit_note", "10.0000"),
    ]
    assert differences(period) == []


def test_each_corrected_month_has_a_credit_note_of_its_own() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    march, april = factory.cdr(seller, payer), factory.cdr(seller, payer, month=APRIL)
    close()
    close(APRIL)
    credits = [factory.credit(cdr, settled_in=MAY) for cdr in (march, april)]
    run = frozen_with(*credits, month=MAY)
    period = issued(run)
    notes = period.documents.filter(kind=Kind.SELF_BILLING_CREDIT).order_by("seq")
    assert [str(note.corrected.period) for note in notes] == ["2024-03", "2024-04"]
    assert [note.seq for note in notes] == [1, 2]
    assert differences(period) == []


def test_a_credit_note_is_taxed_as_what_it_takes_back_from() -> None:
    seller, payer = factory.cpo("NL-AAA"), factory.emsp("NL-EMP")
    credit = credited(seller, payer)
    VatRule.objects.filter(category="S").update(rate="25.00")
    run = frozen_with(credit)
    issued(run)
    assert set(Document.objects.values_list("taxes__rate", flat=True)) == {Decimal("21.00")}


def test_a_credit_note_needs_the_document_it_takes_back_from() -> None:
    credit = credited(factory.cpo(), factory.emsp())
    run = frozen_with(credit)
    with tampering():
        Cell.objects.filter(corrects__isnull=False).update(corrects=run.period)
    with pytest.raises(issuing.CannotIssue, match="has no document to take back from"):
        issuing.issue_month(run)
    assert not Series.objects.filter(kind=Kind.SELF_BILLING_CREDIT).exists()


def test_the_database_wants_a_credit_note_to_fit_what_it_corrects() -> None:
    credit = credited(factory.cpo(), factory.emsp())
    run = frozen_with(credit)
    issued(run)
    note = Document.objects.get(kind=Kind.SELF_BILLING_CREDIT)
    series = note.series
    series.last_no += 1
    series.save()
    note.pk, note.seq, note.number = None, series.last_no, series.number(series.last_no)
    note.corrected = Document.objects.get(kind=Kind.INVOICE)
    with pytest.raises(Error, match="takes back from a document like it"), transaction.atomic():
        note.save(force_insert=True)
    note.corrected = None
    with pytest.raises(IntegrityError), transaction.atomic():
        note.save(force_insert=True)


# Fees


def fee(run: CloseRun, party: Party, basis: str = "monthly", **facts: object) -> Fee:
    told = {"quantity": "1", "rate": "49", "net": "49", "text": "Connection", "role": "CPO"}
    key = {"period": run.period, "party": party, "currency": "EUR", "basis": basis}
    return Fee.objects.create(**key, **{**told, **facts})


def test_a_party_has_one_fee_invoice_for_all_its_fees() -> None:
    seller, payer = factory.cpo("NL-AAA"), factory.emsp()
    run = frozen()
    fee(run, seller)
    fee(run, seller, "percent", quantity="1234.50", rate="2.5", net="30.86", text="Clearing")
    fee(run, seller, "cdr", role="EMSP", quantity="100", rate="0.01", net="1", text="CDRs")
    fee(run, payer, role="EMSP", net="10", rate="10")
    period = issued(run)
    invoice = Document.objects.get(party=seller)
    assert (invoice.kind, invoice.number) == ("fee_invoice", "OCN-F-NLAAA-2024-000001")
    said = invoice.snapshot
    assert (said["net"], said["tax"], said["gross"]) == ("80.86", "16.98", "97.84")
    assert [line["text"] for line in said["lines"]] == ["Connection", "Clearing", "CDRs"]
    assert (said["supplier"]["party"], said["customer"]["party"]) == ("XX-OCN", "NL-AAA")
    assert (said["annex"], said["payment"]["direction"]) == (None, "payable_to_hub")
    assert sorted(invoice.files.values_list("kind", flat=True)) == ["pdf", "ubl", "xml"]
    assert Document.objects.get(party=payer).snapshot["net"] == "10.00"
    assert period.state == Period.State.SETTLING
    assert differences(period) == []
    assert breaches() == []


def test_verification_finds_a_fee_that_was_changed() -> None:
    run = frozen()
    billed = fee(run, factory.cpo())
    period = issued(run)
    with tampering():
        Fee.objects.filter(pk=billed.pk).update(net="50")
    assert {found.what for found in differences(period)} == {"printed fees", "stored fees"}
    assert breaches()


def test_a_month_with_an_unbilled_fee_is_not_finished() -> None:
    run = frozen()
    fee(run, factory.cpo())
    clearing.finish(run.period, now=LATER)
    run.period.refresh_from_db()
    assert run.period.state == Period.State.FROZEN


def test_a_fee_is_billed_once_and_a_line_is_one_thing() -> None:
    run = frozen()
    fee(run, factory.cpo())
    issued(run)
    line = DocumentLine.objects.get()
    line.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        line.save(force_insert=True)
    line.fee, line.no = None, 1
    with pytest.raises(Error), transaction.atomic():
        line.save(force_insert=True)


# What is refused before a number is spent


def test_an_invalid_einvoice_spends_no_number() -> None:
    factory.cdr(factory.cpo("NL-AAA"), factory.emsp())
    LegalEntity.objects.filter(party__party_id="AAA").update(vat_id="NL")
    with pytest.raises(issuing.CannotIssue, match=r"of NL\*AAA in EUR .*Article 226 \(3\)"):
        close()
    assert Document.objects.count() == Series.objects.count() == 0


@pytest.mark.usefixtures("real_paper")
def test_the_schematron_is_asked_before_a_number_is_spent() -> None:
    factory.cdr(factory.cpo("NL-AAA"), factory.emsp())
    LegalEntity.objects.filter(party__party_id="AAA").update(vat_id="12345678901")
    with pytest.raises(issuing.CannotIssue, match="BR-CO-09"):
        close()
    assert Series.objects.count() == 0


def test_a_validator_that_does_not_answer_stops_the_issue(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(xml: bytes) -> list[str]:
        raise CannotValidate("no answer")

    factory.cdr(factory.cpo(), factory.emsp())
    monkeypatch.setattr("settlement.einvoice.schematron.failed", silent)
    with pytest.raises(issuing.CannotIssue, match="cannot be validated: no answer"):
        close()
    assert Document.objects.count() == 0
    monkeypatch.setattr("settlement.einvoice.schematron.failed", lambda xml: [])
    assert close().state == Period.State.SETTLING


def test_an_annex_that_lists_other_cdrs_than_the_lines_is_refused() -> None:
    factory.cdrs(2, factory.cpo(), factory.emsp())
    run = frozen(MONTH)
    aggregating.add_up(run.period)
    aggregating.make_cells(run.period)
    with tampering():
        Cdr.objects.filter(pk=Cdr.objects.first().pk).update(state="held", period=None)
    with pytest.raises(issuing.CannotIssue, match="the annex has 1 CDRs, its lines 2"):
        issuing.issue_month(run)


# Regimes


def channel(country: str, channel: str, since: dt.date) -> None:
    facts = {"channel": channel}
    LegalChannel.objects.update_or_create(country=country, valid_from=since, defaults=facts)


def test_where_the_state_clears_invoices_it_is_pro_forma_without_an_einvoice() -> None:
    channel("FR", "clearance_required", dt.date(2024, 1, 1))
    factory.cdr(factory.cpo(), factory.emsp())
    period = close()
    document = Document.objects.get(kind=Kind.SELF_BILLING)
    assert (document.snapshot["regime"], document.xml_sha256) == ("pro_forma", "")
    assert document.snapshot["mentions"][0] == "Pro forma"
    assert "Self-billing" not in document.snapshot["mentions"]
    assert not document.files.filter(kind__in=["xml", "ubl"]).exists()
    assert Document.objects.get(kind=Kind.INVOICE).snapshot["regime"] == "eu_vat"
    assert differences(period) == []


def test_a_channel_counts_from_its_day_on() -> None:
    channel("FR", "clearance_required", CLOSING.date() + dt.timedelta(days=1))
    channel("FR", "peppol_required", dt.date(2020, 1, 1))
    factory.cdr(factory.cpo(), factory.emsp())
    close()
    said = Document.objects.get(kind=Kind.SELF_BILLING).snapshot
    assert (said["regime"], said["channel"], said["e_invoice"]) == (
        "eu_vat",
        "peppol_required",
        True,
    )


def test_amounts_finer_than_a_cent_are_no_einvoice() -> None:
    factory.cdr(factory.cpo("NL-AAA"), factory.emsp(), "1.2345", currency="KWD")
    factory.rate("KWD", "EUR", value="3.0125")
    period = close()
    said = Document.objects.get(kind=Kind.SELF_BILLING).snapshot
    assert (said["net"], said["tax"], said["e_invoice"]) == ("1.235", "0.259", False)
    assert differences(period) == []


# VAT in the currency of the state


@pytest.mark.usefixtures("real_paper")
def test_vat_is_told_in_the_currency_of_the_state_too() -> None:
    seller, payer = factory.cpo("NL-AAA"), factory.emsp()
    original = factory.cdr(seller, payer, "100.0000", currency="USD")
    factory.cdr(factory.cpo("FR-ABC"), payer, currency="USD")
    factory.rate("USD", "EUR", CLOSING.date() - dt.timedelta(days=1), value="0.92345")
    factory.rate("USD", "EUR", CLOSING.date() + dt.timedelta(days=1), value="0.5")
    period = close()
    invoice = Document.objects.get(party=seller)
    accounted = {
        "currency": "EUR",
        "tax": "19.39",
        "rate": "0.92345",
        "on": "2024-04-05",
        "source": "ECB",
    }
    assert invoice.snapshot["accounting"] == accounted
    cii, ubl = (bytes(invoice.files.get(kind=kind).content) for kind in ("xml", "ubl"))
    assert b"<ram:TaxCurrencyCode>EUR<" in cii
    assert b'<ram:TaxTotalAmount currencyID="EUR">19.39<' in cii
    assert b"<cbc:TaxCurrencyCode>EUR<" in ubl
    assert b'<cbc:TaxAmount currencyID="EUR">19.39<' in ubl
    assert differences(period) == []
    others = Document.objects.exclude(pk=invoice.pk)
    assert [paper.snapshot["accounting"] for paper in others] == [None, None]  # no VAT on them
    factory.credit(original, settled_in=APRIL)
    close(APRIL)
    note = Document.objects.get(kind=Kind.SELF_BILLING_CREDIT)
    assert note.snapshot["accounting"] == accounted  # at the rate of before


def test_without_a_rate_what_is_taxed_is_held_and_says_so() -> None:
    seller, payer = factory.cpo("NL-AAA"), factory.emsp()
    held = factory.cdr(seller, payer, currency="USD")
    other = factory.cdr(factory.cpo("FR-ABC"), payer, currency="USD")
    factory.rate("USD", "EUR", CLOSING.date() - dt.timedelta(days=11))  # too long ago
    close()
    for cdr in (held, other):
        cdr.refresh_from_db()
    assert (held.state, other.state) == ("held", "accepted")
    (finding,) = held.findings.all()
    assert finding.code == "exchange_rate_missing"
    assert "no exchange rate from USD to EUR of 2024-03-27 to 2024-04-06" in finding.text


def test_a_fee_without_a_rate_keeps_the_documents_waiting() -> None:
    seller = factory.cpo("NL-AAA")
    Agreement.objects.create(party=seller, kind="cpo", valid_from=MONTH, fee_monthly=10)
    VatRule.objects.create(
        supplier_country="NL",
        customer_country="NL",
        subject="electricity",
        category="AE",
        mention="Reverse charge",
        valid_from=MONTH,
    )
    factory.cdr(seller, factory.emsp(), currency="USD")
    with pytest.raises(clearing.CannotClose, match="no exchange rate from USD to EUR"):
        close()


# The chain


def test_documents_of_all_months_form_one_chain() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    for month in (MONTH, APRIL):
        factory.cdr(seller, payer, month=month)
        close(month)
    chain = list(Document.objects.order_by("chain_no"))
    assert [document.chain_no for document in chain] == [1, 2, 3, 4]
    assert [document.prev_hash for document in chain] == [
        NO_HASH,
        *(document.hash for document in chain[:-1]),
    ]


def test_months_closed_at_once_still_form_one_chain(transactional_db: None) -> None:
    seller = factory.cpo()
    months = [dt.date(2024, number, 1) for number in range(1, 5)]
    payers = [factory.emsp(code) for code in ("DE-EMP", "NL-EMP")]
    for month in months:
        for payer in payers:
            factory.cdr(seller, payer, month=month)
    at_once(*(lambda month=month: close(month) for month in months))
    numbers = Document.objects.order_by("chain_no").values_list("chain_no", flat=True)
    assert list(numbers) == list(range(1, 13))
    assert [found for found in breaches() if "future" not in found.check] == []


def test_the_database_refuses_another_place_in_the_chain() -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    close()
    document = Document.objects.get(kind=Kind.INVOICE)
    series = document.series
    series.last_no += 1
    series.save()
    document.pk, document.seq, document.number = None, 2, series.number(2)
    document.period = Period.objects.get_or_create(month=APRIL)[0]
    document.chain_no, document.prev_hash = 3, NO_HASH
    document.seal()
    with pytest.raises(Error, match="chained to the last one"), transaction.atomic():
        document.save(force_insert=True)
    document.prev_hash = Document.objects.get(chain_no=2).hash
    document.hash = "0" * 64
    with pytest.raises(Error, match="document_has_its_hash"), transaction.atomic():
        document.save(force_insert=True)


@pytest.mark.parametrize("change", [{"prev_hash": "1" * 64}, {"chain_no": 9}, {"xml_sha256": ""}])
def test_a_broken_chain_is_found(change: dict[str, object]) -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    period = close()
    with tampering():
        document = Document.objects.get(chain_no=2)
        for name, value in change.items():
            setattr(document, name, value)
        document.seal()
        document.save()
    assert differences(period)
    assert any(found.check == "documents_form_one_chain" for found in breaches()) or (
        "xml_sha256" in change and breaches()
    )


# The annex


NASTY = (
    *("=1+1", "+1", "-1", "@x", "  =1", "'=1", '"=1', "\t=1", "\u00a0=1", "\uff1d1", "\x1c=1"),
    *("a=1", "", "7", "CDR-1", "'quoted'", "\u2003-1", "a,b", 'a"b', "ä"),
)


def test_postgresql_makes_texts_safe_as_python_does() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    for text in NASTY:
        factory.cdr(seller, payer, uid=text)
    cdrs = annex.cdrs_behind(Period.objects.get(), seller, "EUR", "AP")
    listed = annex.written(cdrs, "AP")
    rows = list(csv.DictReader(io.StringIO(listed.content.decode(), newline="")))
    assert [row["cdr_id"] for row in rows] == [safe(text) for text in sorted(NASTY)]
    assert listed.size == len(NASTY)
