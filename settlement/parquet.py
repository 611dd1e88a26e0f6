"""The annex once more, in typed columns: Parquet, for whoever analyses it."""

import io

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import csv, parquet

from settlement.annex import COLUMNS

AMOUNT = pa.decimal128(18, 4)
TYPES = {
    **dict.fromkeys(COLUMNS, pa.string()),
    "start": pa.timestamp("ms", tz="UTC"),
    "end": pa.timestamp("ms", tz="UTC"),
    "energy_kwh": AMOUNT,
    "total_excl_vat": AMOUNT,
}


def converted(content: bytes) -> bytes:
    """Return an annex in CSV as Parquet, compressed by zstd; equal rows give equal bytes."""
    options = csv.ConvertOptions(column_types=TYPES, strings_can_be_null=False)
    table = csv.read_csv(io.BytesIO(content), convert_options=options)
    sheet = io.BytesIO()
    parquet.write_table(table, sheet, compression="zstd")
    return sheet.getvalue()


def read(content: bytes) -> pa.Table:
    """Return the rows of a Parquet file."""
    return parquet.read_table(io.BytesIO(content))
