"""Whether a file is what its name says, and nothing else: really read, within bounds."""

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import IO

from django.utils.translation import gettext as _
from lxml import etree
from PIL import Image
from pypdf import PdfReader
from pypdf.generic import PdfObject

from hub.ocpi import json
from settlement.models import Evidence

Type = Evidence.Type
ENDINGS = {
    "pdf": Type.PDF,
    "png": Type.PNG,
    "jpg": Type.JPEG,
    "jpeg": Type.JPEG,
    "csv": Type.CSV,
    "txt": Type.TXT,
    "xlsx": Type.XLSX,
    "json": Type.JSON,
}
BEGINNINGS = {
    Type.PDF: b"%PDF-",
    Type.PNG: b"\x89PNG\r\n\x1a\n",
    Type.JPEG: b"\xff\xd8\xff",
    Type.XLSX: b"PK\x03\x04",
}
CONTENT_TYPES = {
    Type.PDF: "application/pdf",
    Type.PNG: "image/png",
    Type.JPEG: "image/jpeg",
    Type.CSV: "text/csv; charset=utf-8",
    Type.TXT: "text/plain; charset=utf-8",
    Type.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Type.JSON: "application/json",
}
PAGES, PIXELS = 500, 30_000_000
UNPACKED, MEMBERS = 50 * 1024 * 1024, 1000  # bytes and parts of a spreadsheet
ACTIVE = frozenset({"/JavaScript", "/JS", "/Launch", "/XFA"})
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
CHUNK = 64 * 1024


class Bad(Exception):
    """The content is not acceptable; the message says why."""


def type_of(name: str) -> str:
    """Return the type that a file's name says, empty for one that is not taken."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return ENDINGS.get(ending, "")


def problem(content: bytes, kind: str) -> str:
    """Say what is wrong with the content of a file of a type; empty if nothing is."""
    try:
        if not content.startswith(BEGINNINGS.get(Type(kind), b"")):
            raise Bad(_("the content is not what the name says"))
        READERS[Type(kind)](content)
    except Bad as error:
        return str(error)
    except Exception:
        return _("it cannot be read as %s: it is damaged, or something else") % kind.upper()
    return ""


def _pdf(content: bytes) -> None:
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted:
        raise Bad(_("it is encrypted"))
    if not 0 < len(reader.pages) <= PAGES:
        raise Bad(_("it has no pages, or more than %d") % PAGES)
    for page in reader.pages:
        page.mediabox.width  # noqa: B018 - reads the page
    if any(name in ACTIVE for name in _named(reader.root_object, 4)):
        raise Bad(_("it has scripts or other programs in it"))


def _named(node: object, depth: int) -> Iterator[str]:
    """Yield the names in the catalogue of a PDF, as deep as actions stand in it."""
    node = node.get_object() if isinstance(node, PdfObject) else node
    if not isinstance(node, dict) or not depth:
        return
    for name, value in node.items():
        yield str(name)
        if name in {"/OpenAction", "/AA", "/Names", "/AcroForm", *ACTIVE}:
            yield from _named(value, depth - 1)
        if name == "/S":
            yield str(value)


def _image(kind: str) -> Callable[[bytes], None]:
    def read(content: bytes) -> None:
        with Image.open(io.BytesIO(content), formats=[kind]) as image:
            if image.width * image.height > PIXELS:
                raise Bad(_("the picture is larger than %d million pixels") % (PIXELS // 10**6))
            image.draft("L", (1, 1))  # a JPEG is then read small
            image.load()

    return read


def _text(content: bytes) -> str:
    text = content.decode("utf-8-sig")
    if CONTROLS.search(text):
        raise Bad(_("it is not plain text"))
    return text


def _csv(content: bytes) -> None:
    rows = csv.reader(io.StringIO(_text(content), newline=""), strict=True)
    if not any(rows):
        raise Bad(_("it is empty"))


def _json(content: bytes) -> None:
    try:
        json.loads(content)
    except json.JsonError as error:
        raise Bad(str(error)) from error


def _xlsx(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        names = package.namelist()
        if len(names) > MEMBERS or not {"[Content_Types].xml", "xl/workbook.xml"} <= set(names):
            raise Bad(_("it is not a spreadsheet"))
        if any("vba" in name.lower() or name.lower().endswith(".bin") for name in names):
            raise Bad(_("it has macros or other programs in it"))
        left = UNPACKED
        for item in package.infolist():
            with package.open(item) as part:
                left -= _part(part, xml=item.filename.endswith((".xml", ".rels")), most=left)


def _part(part: IO[bytes], *, xml: bool, most: int) -> int:
    """Read a part of a spreadsheet to its end and return its size; XML without a DTD."""
    size = 0
    parser = etree.XMLPullParser(
        events=("end",), resolve_entities=False, no_network=True, load_dtd=False
    )
    while chunk := part.read(CHUNK):
        size += len(chunk)
        if size > most:
            raise Bad(_("unpacked it is too large"))
        if xml:
            parser.feed(chunk)
            for _event, element in parser.read_events():
                if isinstance(element, etree._Element):
                    element.clear()
    if xml and parser.close().getroottree().docinfo.internalDTD is not None:
        raise Bad(_("it has a document type in it"))
    return size


READERS: dict[Type, Callable[[bytes], object]] = {
    Type.PDF: _pdf,
    Type.PNG: _image("PNG"),
    Type.JPEG: _image("JPEG"),
    Type.CSV: _csv,
    Type.TXT: _text,
    Type.XLSX: _xlsx,
    Type.JSON: _json,
}
