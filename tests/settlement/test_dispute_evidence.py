"""Files in disputes: only what really is what it says, within limits, and opened after a scan."""

import datetime as dt
import hashlib
import io
import json
import zipfile
from collections.abc import Callable

import pytest
import xlsxwriter
from PIL import Image
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from settlement.disputes import answering, evidence, files, sealing
from settlement.disputes.evidence import Upload
from settlement.disputes.moving import CannotDispute
from settlement.models import Dispute, Evidence
from tests.settlement import factory
from tests.settlement.claims import NOW, claim, sent, traded

pytestmark = pytest.mark.django_db
EXE = b"MZ\x90\x00\x03" + bytes(2000)


def pdf(script: str = "", password: str = "") -> bytes:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    if script:
        action = {
            NameObject("/S"): NameObject("/JavaScript"),
            NameObject("/JS"): TextStringObject(script),
        }
        writer.root_object[NameObject("/OpenAction")] = DictionaryObject(action)
    if password:
        writer.encrypt(password)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def picture(kind: str, width: int = 4) -> bytes:
    out = io.BytesIO()
    Image.new("1" if width > 4 else "RGB", (width, width)).save(out, kind)
    return out.getvalue()


def sheet() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        book.add_worksheet().write(0, 0, "kWh")
    return out.getvalue()


def package(**parts: bytes) -> bytes:
    """Return a spreadsheet with parts of its own."""
    out = io.BytesIO(sheet())
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name.replace("__", "/").replace("_", "."), content)
    return out.getvalue()


GOOD: dict[str, Callable[[], bytes]] = {
    "meter.pdf": pdf,
    "photo.PNG": lambda: picture("PNG"),
    "photo.jpeg": lambda: picture("JPEG"),
    "session.csv": lambda: b"time;kWh\r\n10:00;4.2\r\n",
    "letter.txt": lambda: "Die Säule war gestört.\n".encode(),
    "curve.xlsx": sheet,
    "session.json": lambda: b'{"kwh": 4.2}',
}
BOMB = b"<a>" + b"0" * 60_000_000 + b"</a>"
LAUGHS = b'<!DOCTYPE a [<!ENTITY b "ha">]><a>&b;</a>'
BAD: dict[str, Callable[[], bytes]] = {
    "program.pdf": lambda: EXE,
    "broken.pdf": lambda: pdf()[:80],
    "nothing.pdf": lambda: b"%PDF-1.7\n%%EOF",
    "script.pdf": lambda: pdf(script="app.alert(1)"),
    "secret.pdf": lambda: pdf(password="x"),
    "program.png": lambda: EXE,
    "half.png": lambda: picture("PNG")[:40],
    "huge.png": lambda: picture("PNG", 7000),
    "really-a-png.jpg": lambda: picture("PNG"),
    "program.txt": lambda: EXE,
    "latin.txt": lambda: "Säule".encode("latin-1"),
    "empty.txt": lambda: b"",
    "program.csv": lambda: EXE,
    "open-quote.csv": lambda: b'a,"b\r\n',
    "a.zip.xlsx": lambda: zipped(),
    "bomb.xlsx": lambda: package(xl__worksheets__sheet9_xml=BOMB),
    "laughs.xlsx": lambda: package(xl__extra_xml=LAUGHS),
    "macro.xlsx": lambda: package(xl__vbaProject_bin=b"x"),
    "torn.xlsx": lambda: sheet()[:300],
    "wrong.json": lambda: b'{"kwh": }',
    "deep.json": lambda: b"[" * 100 + b"]" * 100,
    "page.html": lambda: b"<script>alert(1)</script>",
    "picture.svg": lambda: b"<svg/>",
    "no-ending": lambda: b"text",
    "large.txt": lambda: b"x" * (10 * 1024 * 1024 + 1),
}


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("readme.txt", "not a spreadsheet")
    return out.getvalue()


@pytest.fixture
def dispute() -> Dispute:
    return claim(traded())


def add(dispute: Dispute, *uploads: Upload, now: dt.datetime = NOW) -> list[Evidence]:
    return evidence.add(dispute, dispute.claimant, None, uploads, now)


@pytest.mark.parametrize("name", GOOD)
def test_what_is_what_it_says_is_kept(name: str) -> None:
    assert evidence.problem(Upload(name, GOOD[name]())) == ""


def test_it_is_kept_with_its_digest_and_shown_to_the_other_side(dispute: Dispute) -> None:
    [item] = add(dispute, Upload("../a\u202efdp.pdf", pdf()))
    assert (item.name, item.type, item.state) == ("afdp.pdf", "pdf", "clean")
    assert item.sha256 == hashlib.sha256(bytes(item.content)).hexdigest()
    assert Evidence.objects.visible_to(dispute.respondent).get() == item
    assert Evidence.objects.visible_to(factory.emsp("NL-X00")).count() == 0
    assert dispute.events.last().details == {"names": "afdp.pdf"}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_is_refused(name: str) -> None:
    problem = evidence.problem(Upload(name, BAD[name]()))
    assert problem.startswith(f"{name}: ")


def test_one_bad_file_keeps_all_out_and_the_claim_too(dispute: Dispute) -> None:
    with pytest.raises(CannotDispute, match=r"program\.pdf: the content is not"):
        add(dispute, Upload("good.pdf", pdf()), Upload("program.pdf", EXE))
    assert dispute.evidence.count() == 0
    cdr = factory.cdr(dispute.respondent, dispute.claimant)
    with pytest.raises(CannotDispute):
        claim(cdr, files=[Upload("program.pdf", EXE)])
    assert Dispute.objects.count() == 1
    cdr.refresh_from_db()
    assert cdr.state == "accepted"


def test_ten_files_each_and_no_more(dispute: Dispute) -> None:
    add(dispute, *(Upload(f"{n}.txt", f"{n}".encode()) for n in range(10)))
    with pytest.raises(CannotDispute, match="at most 10"):
        add(dispute, Upload("more.txt", b"more"))
    other = Upload("answer.txt", b"no")
    evidence.add(dispute, dispute.respondent, None, [other], NOW)
    with pytest.raises(CannotDispute, match="already"):
        evidence.add(dispute, dispute.respondent, None, [other], NOW)


def test_a_day_has_its_limit(dispute: Dispute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "A_DAY", 10)
    add(dispute, Upload("a.txt", b"12345678"))
    with pytest.raises(CannotDispute, match="in a day"):
        add(dispute, Upload("b.txt", b"123"))
    add(dispute, Upload("b.txt", b"123"), now=NOW + dt.timedelta(days=1))


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("C:\\Users\\me\\meter.pdf", "meter.pdf"),
        ("..", "file"),
        ("...pdf", "file.pdf"),
        ("a b\n<c>.csv", "a_b_c_.csv"),
        ("x" * 200 + ".json", "x" * 80 + ".json"),
        ("évidence\u0000.txt", "évidence.txt"),
    ],
)
def test_names_are_names_everywhere(name: str, safe: str) -> None:
    assert evidence.safe_name(name) == safe


def scanner(content: bytes, kind: str) -> str:
    """Find what a virus scanner would."""
    return "EICAR" if b"EICAR" in content else ""


def test_before_its_scan_only_its_own_side_knows_of_it(dispute: Dispute, settings: object) -> None:
    settings.EVIDENCE_SCANNER = f"{__name__}.scanner"
    good, bad = add(dispute, Upload("good.txt", b"good"), Upload("bad.txt", b"EICAR"))
    assert Evidence.objects.visible_to(dispute.respondent).count() == 0
    assert evidence.scan_due() == 1
    good.refresh_from_db()
    bad.refresh_from_db()
    assert (good.state, bad.state, bad.problem) == ("clean", "refused", "EICAR")
    assert Evidence.objects.visible_to(dispute.respondent).get() == good
    assert evidence.scan_due() == 0


def test_a_scanner_that_fails_keeps_it_in_quarantine(dispute: Dispute, settings: object) -> None:
    settings.EVIDENCE_SCANNER = "builtins.open"
    [item] = add(dispute, Upload("good.txt", b"good"))
    assert evidence.scan_due() == 0
    item.refresh_from_db()
    assert item.state == "quarantined"


def test_what_is_for_the_hub_only_the_other_side_does_not_see(dispute: Dispute) -> None:
    add(dispute, Upload("contract.txt", b"secret", "hub"))
    assert Evidence.objects.visible_to(dispute.respondent).count() == 0
    assert Evidence.objects.visible_to(dispute.claimant).count() == 1
    assert not dispute.events.filter(kind="evidence").exists()


def test_nothing_is_added_by_others_or_afterwards(dispute: Dispute) -> None:
    file = Upload("late.txt", b"late")
    with pytest.raises(CannotDispute, match="two others"):
        evidence.add(dispute, factory.emsp("NL-X00"), None, [file], NOW)
    answering.withdraw(dispute, dispute.claimant, None, NOW)
    with pytest.raises(CannotDispute, match="over"):
        add(dispute, file)


def test_downloads_have_a_type_for_each() -> None:
    assert set(files.CONTENT_TYPES) == set(files.READERS) == set(Evidence.Type)


# Of the hub


def test_the_hub_seals_what_it_knows_once() -> None:
    cdr = sent(factory.cpo("NL-CPO"), factory.emsp(), "10.5000")
    dispute = claim(cdr, amount="0.5000")
    found = {
        about: sealing.seal(dispute, about, cdr, NOW) for about in ("price", "findings", "tariff")
    }
    price = json.loads(bytes(found["price"].content))["price"]
    assert (price["verdict"], price["claimed"], price["computed"]) == ("mismatch", 10.5, 10)
    assert all(item.sealed and item.party is None for item in found.values())
    assert sealing.seal(dispute, "price", cdr, NOW) == found["price"]
    for about in ("session", "duplicate", "secrets"):
        with pytest.raises(CannotDispute):
            sealing.seal(dispute, about, cdr, NOW)
    assert Evidence.objects.visible_to(dispute.respondent).count() == 3
