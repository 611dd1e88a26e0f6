"""The documents on paper: complete, short, and the same bytes every time."""

import hashlib
import json
import os
import subprocess
import sys
from io import BytesIO

import facturx
import pytest
from django.conf import settings
from lxml import etree
from pypdf import PdfReader

from settlement.einvoice import cii
from settlement.pdf import amount, render_pdf
from tests.papers import CPO, FEES, US_CPO, line, paper

RENDER = """
import django, json, sys
django.setup()
from settlement.einvoice import cii
from settlement.pdf import render_pdf
snapshot = json.load(sys.stdin)
sys.stdout.buffer.write(render_pdf(snapshot, cii.written(snapshot)))
"""


def self_billed(lines=3, **changes):
    return paper(*(line(number + 1) for number in range(lines)), **changes)


def read(pdf):
    return PdfReader(BytesIO(pdf))


def text_of(pdf):
    return "\n".join(page.extract_text() for page in read(pdf).pages)


def words_of(pdf):
    """Return the text without regard to where its lines break."""
    return " ".join(text_of(pdf).split())


def test_a_self_billed_invoice_says_what_the_law_asks():
    text = words_of(render_pdf(self_billed(1)))
    for wanted in (
        "Self-billed invoice",
        "OCN-FRABC-2026-000001",
        "Self-billing · Autofacturation",
        "Drawn up by Open Charge Network B.V. as the customer, in the name and on behalf of",
        "Bornes de France SAS 12 rue de la Paix 75001 Paris FR",
        "VAT id FR40303265045",
        "VAT id NL123456789B01",
        "6 Nov 2026",
        "1 Oct 2026 \u2013 31 Oct 2026",
        "3,456.780",
        "S 21 %",
        "EUR 1,234.56",
        "EUR 259.26",
        "EUR 1,493.82",
        "1,234.5612",
        "by 20 Nov 2026",
        "FR7630006000011234567890189",
        "9f" * 32,
        "Page 1 of 1",
    ):
        assert wanted in text, wanted


def test_an_invoice_asks_for_payment():
    text = words_of(render_pdf(paper(kind="emsp_invoice")))
    assert "Invoice OCN-FRABC-2026-000001" in text
    assert "Please transfer EUR 4,481.45 to the hub by 20 Nov 2026." in text
    assert "elf-bill" not in text
    assert "Drawn up by" not in text


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("self_billing_credit_note", "Self-billed credit note"),
        ("emsp_credit_note", "Credit note"),
    ],
)
def test_a_credit_note_says_what_it_takes_back_from(kind, title):
    text = words_of(render_pdf(paper(line(1, credit=True), kind=kind)))
    for wanted in (
        f"{title} OCN-FRABC-2026-000001",
        "Corrects OCN-FRABC-2026-000007 of 6 Oct 2026: what follows is taken back from it.",
        "Total taken back EUR 1,493.82",
        "The amount is set off against the next settlement.",
        "3,600 credits in OCN-FRABC-2026-000001.csv",
    ):
        assert wanted in text, wanted
    assert "Due" not in text


def test_a_fee_invoice_shows_what_each_fee_comes_from():
    text = words_of(render_pdf(paper(*FEES, kind="fee_invoice")))
    for wanted in (
        "Fee invoice OCN-FRABC-2026-000001",
        "Clearing of charges at your stations 2026-10 EUR 12,345.67 2.5 % AE 0 % 308.64",
        "Energy settled 2026-10 34,567.8 kWh 0.002 AE 0 % 69.14",
        "Settled CDRs 2026-10 12,000 CDRs 0.01 AE 0 % 120.00",
        "EUR 546.78",
        "Please transfer EUR 546.78 to the hub",
    ):
        assert wanted in text, wanted
    assert "Annex" not in text


def test_outside_vat_it_is_a_statement_without_vat():
    text = words_of(render_pdf(outside()))
    assert "Settlement statement OCN-FRABC-2026-000001" in text
    assert "Not subject to VAT; Articles 38 and 39" in text
    assert "Tax id 94-1234567" in text
    assert "O 0 %" not in text
    assert "nvoice" not in text


def test_where_the_state_clears_invoices_it_is_pro_forma_on_every_page():
    pdf = read(render_pdf(outside(40, regime="pro_forma", environment="live")))
    assert "Pro forma invoice" in pdf.pages[0].extract_text()
    for page in pdf.pages:
        assert "Pro forma \u2013 not an invoice" in page.extract_text()
        assert "PRO FORMA" in page.extract_text()


def outside(lines=2, **changes):
    facts = {"regime": "us_statement", "e_invoice": False, "mentions": ["Not subject to VAT"]}
    told = [line(number + 1, category="O") for number in range(lines)]
    return paper(*told, **{"supplier": US_CPO, **facts, **changes})


# The document as data, inside


def test_the_einvoice_is_inside_as_factur_x():
    snapshot = self_billed()
    xml = cii.written(snapshot)
    pdf = read(render_pdf(snapshot, xml))
    root = pdf.trailer["/Root"]
    assert pdf.attachments == {"factur-x.xml": [xml]}
    assert len(root["/AF"]) == 1
    assert root["/AF"][0].get_object()["/AFRelationship"] == "/Data"
    assert root["/OutputIntents"]
    metadata = root["/Metadata"].get_data()
    described = etree.fromstring(metadata)
    (rdf,) = described.findall("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}RDF")
    fx = "{urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#}"
    told = {node.tag.removeprefix(fx): node.text for node in rdf.iter() if fx in node.tag}
    assert told == {
        "DocumentType": "INVOICE",
        "DocumentFileName": "factur-x.xml",
        "Version": "1.0",
        "ConformanceLevel": "EN 16931",
    }
    assert metadata.count(b"<pdfaProperty:name>") == len(told)


def test_others_find_the_einvoice_too():
    snapshot = self_billed()
    name, xml = facturx.get_xml_from_pdf(
        BytesIO(render_pdf(snapshot, cii.written(snapshot))), check_xsd=True
    )
    assert (name, facturx.get_level(etree.fromstring(xml))) == ("factur-x.xml", "en16931")


def test_without_an_einvoice_the_statement_itself_is_inside():
    snapshot = outside()
    pdf = read(render_pdf(snapshot))
    (content,) = pdf.attachments["statement.json"]
    assert json.loads(content) == snapshot
    assert b"ConformanceLevel" not in pdf.trailer["/Root"]["/Metadata"].get_data()


def test_sandbox_paper_says_so_and_live_paper_does_not():
    assert "Sandbox \u2013 not a tax document" in text_of(render_pdf(self_billed()))
    assert "andbox" not in text_of(render_pdf(self_billed(environment="live"))).lower()


def test_what_is_taken_back_has_a_minus():
    text = words_of(render_pdf(paper(line(1), line(2, net="-1234.50"))))
    assert "Credit" in text
    assert "-1,234.50" in text


def test_a_document_that_owes_nothing_asks_for_nothing():
    text = words_of(render_pdf(self_billed(net="0.00", tax="0.00", gross="0.00")))
    assert "EUR 0.00" in text
    assert "Nothing is to be transferred" in text


@pytest.mark.parametrize(("lines", "pages"), [(3, 1), (12, 1), (20, 1), (40, 2)])
def test_it_stays_short(lines, pages):
    pdf = read(render_pdf(self_billed(lines)))
    assert len(pdf.pages) == pages
    assert [round(float(side)) for side in pdf.pages[0].mediabox[2:]] == [595, 842]


def test_metadata():
    pdf = read(render_pdf(self_billed()))
    assert pdf.metadata.title == "Self-billed invoice OCN-FRABC-2026-000001"
    assert pdf.metadata.author == "Open Charge Network B.V."
    assert pdf.metadata.creation_date.date().isoformat() == "2026-11-06"
    assert pdf.trailer["/Root"]["/Lang"] == "en"
    assert b'pdfaid:part="3"' in pdf.trailer["/Root"]["/Metadata"].get_data()


def test_only_our_fonts_are_used_and_all_are_embedded():
    pdf = read(render_pdf(self_billed()))
    fonts = [font.get_object() for font in pdf.pages[0]["/Resources"]["/Font"].values()]
    assert fonts
    assert all("+Inter" in font["/BaseFont"] for font in fonts)


def test_equal_snapshots_give_equal_bytes_in_any_process():
    snapshot = self_billed(12)
    here = hashlib.sha256(render_pdf(snapshot, cii.written(snapshot))).hexdigest()
    assert {rendered_elsewhere(snapshot, seed) for seed in ("1", "2")} == {here}


def rendered_elsewhere(snapshot, seed):
    """Render in a process with another hash seed and another clock zone."""
    environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": f"UTC{seed}"}
    process = subprocess.run(
        [sys.executable, "-c", RENDER],
        input=json.dumps(snapshot).encode(),
        stdout=subprocess.PIPE,
        check=True,
        env=environment,
        cwd=settings.BASE_DIR,
    )
    return hashlib.sha256(process.stdout).hexdigest()


def test_a_party_cannot_put_markup_or_files_into_it(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    name = (
        f'<img src="file://{secret}"><link rel="attachment" href="file://{secret}"><b>Bold</b> & Co'
    )
    pdf = render_pdf(self_billed(supplier=CPO | {"name": name}))
    assert "<b>Bold</b> & Co" in words_of(pdf)
    assert b"the secret" not in pdf
    assert list(read(pdf).attachments) == ["statement.json"]


def test_nothing_is_opened_over_the_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert render_pdf(self_billed())


def test_invisible_characters_cannot_turn_a_name_around():
    text = words_of(render_pdf(self_billed(supplier=CPO | {"name": "Safe\u202e\u200bName"})))
    assert "SafeName" in text


def test_the_environment_is_left_as_it_was():
    before = dict(os.environ)
    render_pdf(self_billed())
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("text", "currency", "shown"),
    [
        ("1493.82", "EUR", "1,493.82"),
        ("1493.8", "EUR", "1,493.80"),
        ("1493.8200", "EUR", "1,493.82"),
        ("1234.5612", "EUR", "1,234.5612"),
        ("-0.005", "EUR", "-0.005"),
        ("1500", "JPY", "1,500"),
        ("1500.5", "JPY", "1,500.5"),
        ("0", "EUR", "0.00"),
    ],
)
def test_amounts_are_never_rounded(text, currency, shown):
    assert amount(text, currency) == shown
