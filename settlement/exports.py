"""Tables as files: CSV for programs, XLSX for people."""

import csv
import datetime as dt
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]
from django.http import Http404, HttpResponse

from hub.portal import attachment
from hub.spreadsheets import safe

ROWS = 100_000
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def download(
    name: str, kind: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]
) -> HttpResponse:
    """Return a table as a file of a kind, csv or xlsx, of at most ROWS rows."""
    if kind not in TYPES:
        raise Http404
    write = as_csv if kind == "csv" else as_xlsx
    titles = [str(title) for title in header]
    content = write(titles, (row for row, _ in zip(rows, range(ROWS), strict=False)))
    return attachment(content, f"{name}.{kind}", TYPES[kind])


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Write a table as CSV (RFC 4180, UTF-8): dots in decimals, ISO dates, no formulas."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


def as_xlsx(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Write a table as a workbook of one sheet: numbers as numbers, days as days, text as text."""
    out = io.BytesIO()
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, options) as book:
        bold = book.add_format({"bold": True})
        formats = {
            Decimal: book.add_format({"num_format": "#,##0.00##"}),
            dt.date: book.add_format({"num_format": "yyyy-mm-dd"}),
        }
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, max(len(header) - 1, 0), 18)
        sheet.write_row(0, 0, header, bold)
        for number, row in enumerate(rows, start=1):
            for column, cell in enumerate(row):
                _write(sheet, number, column, cell, formats)
    return out.getvalue()


def _write(sheet: Any, row: int, column: int, cell: Any, formats: dict[type, Any]) -> None:
    if isinstance(cell, Decimal):
        sheet.write_number(row, column, cell, formats[Decimal])
    elif isinstance(cell, dt.date) and not isinstance(cell, dt.datetime):
        sheet.write_datetime(row, column, cell, formats[dt.date])
    elif isinstance(cell, int):
        sheet.write_number(row, column, cell)
    else:
        sheet.write_string(row, column, _text(cell))


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return cell.isoformat() if isinstance(cell, dt.date) else str(cell)


def _plain(cell: Any) -> Any:
    """Spell a cell; a text that a spreadsheet would take for a formula is quoted."""
    if isinstance(cell, Decimal | int):
        return f"{cell:f}" if isinstance(cell, Decimal) else cell
    return safe(_text(cell))
