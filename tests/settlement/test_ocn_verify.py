"""ocn-verify, as a partner runs it: another process, nothing but Python, files on disk."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from settlement import annex, clearing, ocn_verify
from settlement.einvoice import cii
from settlement.models import Document
from tests.papers import FEES, line, paper
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.usefixtures("real_paper")
PROGRAM = Path(settings.BASE_DIR) / "settlement" / "ocn_verify.py"


def run(*files: Path) -> tuple[int, str]:
    """Run the script without any installed package, and return its exit status and words."""
    process = subprocess.run(
        [sys.executable, "-I", "-S", PROGRAM, *files], capture_output=True, text=True
    )
    return process.returncode, process.stdout + process.stderr


@pytest.fixture
def folder(db: None, tmp_path: Path) -> Path:
    """Return the files of a self-billing invoice of 1,000 small sessions and a credit."""
    seller = factory.cpo("NL-AAA")
    sold = factory.cdrs(1000, seller, factory.emsp(), "0.3350")
    factory.credit(sold[0])
    factory.cdrs(3, seller, factory.emsp("NL-EMP"), "1.2345", country="")
    clearing.close(MONTH, now=CLOSING)
    for file in Document.objects.get(party=seller).files.all():
        (tmp_path / f"invoice.{file.kind}").write_bytes(bytes(file.content))
    return tmp_path


@pytest.mark.parametrize("kind", ["pdf", "xml", "ubl"])
def test_a_good_invoice_is_good_in_every_form(folder: Path, kind: str) -> None:
    status, words = run(folder / f"invoice.{kind}", folder / "invoice.csv")
    assert status == 0, words
    assert "EUR 338.36 + 71.06 = 409.42" in words
    assert "335.0000 of 1000 CDRs" in words
    assert "none wrong" in words


def test_without_its_annex_it_says_what_it_did_not_check(folder: Path) -> None:
    status, words = run(folder / "invoice.pdf")
    assert status == 0
    assert "not checked: the CDRs in OCN-NLAAA-2024-000001.csv" in words


def test_a_tampered_annex_is_found_by_digest_and_by_sum(folder: Path) -> None:
    sheet = folder / "invoice.csv"
    sheet.write_bytes(sheet.read_bytes().replace(b"0.3350", b"0.3450", 1))
    status, words = run(folder / "invoice.pdf", sheet)
    assert status == 1
    assert "WRONG  digest of the annex" in words
    assert "335.0100 of 1000 CDRs" in words


def test_an_annex_that_lacks_a_line_is_found(folder: Path) -> None:
    sheet = folder / "invoice.csv"
    kept = [row for row in sheet.read_bytes().splitlines(True) if b"NL-EMP" not in row]
    sheet.write_bytes(b"".join(kept))
    status, words = run(folder / "invoice.xml", sheet)
    assert status == 1
    assert "WRONG  groups of CDRs" in words


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("LineTotalAmount>335.00", "LineTotalAmount>335.01", "line 1: quantity x price"),
        ("CalculatedAmount>71.06", "CalculatedAmount>71.07", "VAT S 21.00 %: rate x base"),
        ("GrandTotalAmount>409.42", "GrandTotalAmount>409.43", "gross: net and VAT"),
        ("SHA-256 ", "SHA-256 f", "digest of the annex"),
    ],
)
def test_a_tampered_invoice_is_found(folder: Path, old: str, new: str, what: str) -> None:
    invoice = folder / "invoice.xml"
    text = invoice.read_text()
    assert old in text
    invoice.write_text(text.replace(old, new, 1))
    status, words = run(invoice, folder / "invoice.csv")
    assert status == 1
    assert f"WRONG  {what}" in words


def test_a_line_and_its_sums_raised_together_are_found_by_the_annex(folder: Path) -> None:
    invoice = folder / "invoice.xml"
    text = invoice.read_text()
    for old, new in (
        (">335.00<", ">336.00<"),
        (">338.36<", ">339.36<"),
        (">71.06<", ">71.27<"),
        (">409.42<", ">410.63<"),
    ):
        text = text.replace(old, new)
    invoice.write_text(text)
    assert run(invoice)[0] == 0
    status, words = run(invoice, folder / "invoice.csv")
    assert status == 1
    assert "must be 335.00" in words


def test_a_statement_without_an_einvoice_is_checked_too(db: None, tmp_path: Path) -> None:
    seller = factory.cpo("US-CHG")
    factory.cdrs(3, seller, factory.emsp(), "0.3350", currency="USD")
    clearing.close(MONTH, now=CLOSING)
    document = Document.objects.get(party=seller)
    assert document.snapshot["regime"] == "us_statement"
    assert sorted(document.files.values_list("kind", flat=True)) == ["csv", "parquet", "pdf"]
    for file in document.files.all():
        (tmp_path / file.name).write_bytes(bytes(file.content))
    paper, sheet = tmp_path / f"{document}.pdf", tmp_path / f"{document}.csv"
    assert run(paper, sheet)[0] == 0
    sheet.write_bytes(sheet.read_bytes().replace(b"0.3350", b"0.3450", 1))
    assert run(paper, sheet)[0] == 1


def test_credit_notes_turn_the_sign_of_their_annex() -> None:
    rows = [
        *("A,S,DE-E01,2026-10,x,y,-1.0000,-10.0049,EUR,FR,yes",),
        *("B,S,DE-E01,2026-10,x,y,-2.0000,-20.0000,EUR,FR,yes",),
    ]
    content = "\r\n".join([",".join(annex.COLUMNS), *rows, ""]).encode()
    listed = {"name": "A.csv", "rows": 2, "sha256": hashlib.sha256(content).hexdigest()}
    taken = line(1, "30.00", credit=True, cdrs=2, quantity="3.0000", base_quantity="3.0000")
    credit = cii.written(paper(taken, kind="emsp_credit_note", annex=listed))
    invoice = ocn_verify.read(credit)
    assert [found for found in ocn_verify.annexed(invoice, content) if not found.holds] == []
    charged = ocn_verify.read(credit.replace(b">381<", b">380<"))
    assert [found for found in ocn_verify.annexed(charged, content) if not found.holds]


def test_fees_have_no_annex(tmp_path: Path) -> None:
    invoice = tmp_path / "fees.xml"
    invoice.write_bytes(cii.written(paper(*FEES, kind="fee_invoice")))
    status, words = run(invoice)
    assert status == 0
    assert "not checked" not in words


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"<a/>", b"%PDF-1.7 nothing", b"<!DOCTYPE a []><a/>", b"\xff\xfe"]
)
def test_what_is_no_document_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.xml"
    file.write_bytes(content)
    status, words = run(file)
    assert status == 2
    assert words.startswith("ocn-verify: ")
    assert "Traceback" not in words
    assert run(tmp_path / "missing.pdf")[0] == 2


def test_it_stays_small_and_alone() -> None:
    text = PROGRAM.read_text()
    assert len(text.splitlines()) < 400
    assert "import settlement" not in text
    assert "from settlement" not in text
