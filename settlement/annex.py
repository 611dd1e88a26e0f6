"""The annex of a document: every CDR behind it, as CSV that a spreadsheet cannot misread."""

import csv
import io
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import F
from django.db.models.functions import Collate

from cdrs.models import Cdr, CdrQuerySet, Period
from hub.ocpi import times
from parties.models import Party
from settlement.models import DocumentLine

FORMULA = re.compile("[\\s'\"]*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


class Row(NamedTuple):
    """One CDR in the annex, in the order of the columns; what its parties wrote is made safe.

    A credit counts negative in energy as well, so that the columns add up to the document's lines.
    """

    cdr_id: str
    session_id: str
    counterparty: str
    supply_month: str
    start: str
    end: str
    energy_kwh: Decimal
    total_excl_vat: Decimal
    currency: str
    country: str
    credit: str


def cdrs_behind(period: Period, party: Party, currency: str, side: str) -> CdrQuerySet:
    """Return the CDRs that a party's document of a month and currency bills."""
    role = "owner" if side == DocumentLine.Side.PAYABLE else "emsp"
    return Cdr.objects.billable(period).filter(**{role: party}, currency=currency)


def written(cdrs: CdrQuerySet, side: str) -> tuple[bytes, int]:
    """Write CDRs as CSV (RFC 4180, UTF-8, dot decimals, UTC, sorted by id) and count them."""
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(Row._fields)
    count = 0
    for row in rows(cdrs, side):
        writer.writerow(row)
        count += 1
    return sheet.getvalue().encode(), count


def rows(cdrs: CdrQuerySet, side: str) -> Iterator[Row]:
    """Read the rows of CDRs from the database, sorted by id and then by counterparty."""
    other = "emsp" if side == DocumentLine.Side.PAYABLE else "owner"
    facts = cdrs.values(
        *("uid", "session_uid", "month", "started_at", "ended_at", "energy_kwh"),
        *("total_excl_vat", "currency", "country", "credit_of"),
        other_country=F(f"{other}__country_code"),
        other_id=F(f"{other}__party_id"),
    )
    ordered = facts.order_by(Collate(F("uid"), "C"), "other_country", "other_id")
    return map(_row, ordered.iterator(chunk_size=5000))


def _row(facts: dict[str, Any]) -> Row:
    credit = facts["credit_of"] is not None
    return Row(
        cdr_id=safe(facts["uid"]),
        session_id=safe(facts["session_uid"]),
        counterparty=f"{facts['other_country']}-{facts['other_id']}",
        supply_month=f"{facts['month']:%Y-%m}",
        start=times.render(facts["started_at"]),
        end=times.render(facts["ended_at"]),
        energy_kwh=-facts["energy_kwh"] if credit else facts["energy_kwh"],
        total_excl_vat=facts["total_excl_vat"],
        currency=safe(facts["currency"]),
        country=safe(facts["country"]),
        credit="yes" if credit else "no",
    )


def safe(text: str) -> str:
    """Mark a text that a spreadsheet could execute with an apostrophe in front."""
    return f"'{text}" if FORMULA.match(text) else text
