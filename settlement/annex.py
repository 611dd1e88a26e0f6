"""The annex of a document: every CDR behind it, as CSV that a spreadsheet cannot misread."""

from typing import Any, NamedTuple

from django.db import connection
from django.db.models import (
    Case,
    CharField,
    F,
    Func,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
    Window,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Collate, Concat, Replace, RowNumber

from cdrs.models import Cdr, CdrQuerySet, Period
from hub.spreadsheets import FORMULA
from parties.models import Party
from settlement.models import DocumentLine

COLUMNS = (
    *("cdr_id", "session_id", "counterparty", "supply_month", "start", "end"),
    *("energy_kwh", "total_excl_vat", "currency", "country", "credit"),
)


PLAIN = "^[A-Za-z0-9][A-Za-z0-9._:*/-]*$|^$"  # neither unsafe nor in need of quotes
# The lines in parts of a thousand: row by row they would cost more to fetch than to write.
LINES = """
SELECT string_agg(line, E'\\r\\n' ORDER BY place), count(*) FROM ({rows}) row
GROUP BY (place - 1) / 1000 ORDER BY (place - 1) / 1000
"""


class Listing(NamedTuple):
    """An annex as CSV, and how many CDRs it lists."""

    content: bytes
    size: int


def cdrs_behind(
    period: Period, party: Party, currency: str, side: str, corrects: Period | None = None
) -> CdrQuerySet:
    """Return the CDRs that a party's document of a month and currency bills.

    A credit whose original was settled in an earlier month is behind the credit note for that
    month, everything else behind the main document.
    """
    role = "owner" if side == DocumentLine.Side.PAYABLE else "emsp"
    cdrs = Cdr.objects.billable(period).filter(**{role: party}, currency=currency)
    if corrects is not None:
        return cdrs.filter(credit_of__period=corrects)
    # the few that are elsewhere, rather than a look at every CDR's original
    elsewhere = cdrs.exclude(credit_of=None).exclude(credit_of__period=period)
    return cdrs.exclude(pk__in=elsewhere.values("pk"))


def written(cdrs: CdrQuerySet, side: str) -> Listing:
    """Write CDRs as CSV: RFC 4180, UTF-8, dot decimals, UTC, by id and then by counterparty.

    What its parties wrote is made safe. A credit counts negative in energy as well, so that the
    columns add up to the document's lines. PostgreSQL does the work, 5 s per million CDRs.
    """
    other = "emsp" if side == DocumentLine.Side.PAYABLE else "owner"
    query, parameters = _rows(cdrs, other).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(LINES.format(rows=query), parameters)
        parts = cursor.fetchall()
    lines = [",".join(COLUMNS), *(lines for lines, _ in parts), ""]
    return Listing("\r\n".join(lines).encode(), sum(size for _, size in parts))


def _rows(cdrs: CdrQuerySet, other: str) -> QuerySet[Any, Any]:
    """Return the lines of the annex, each with its place."""
    order = Collate(F("uid"), "C"), f"{other}__country_code", f"{other}__party_id"
    columns: dict[str, Any] = {
        "cdr_id": _safe("uid"),
        "session_id": _safe("session_uid"),
        "counterparty": Concat(f"{other}__country_code", Value("-"), f"{other}__party_id"),
        "supply_month": _stamp("month", "YYYY-MM"),
        "start": _instant("started_at"),
        "end": _instant("ended_at"),
        "energy": Case(When(credit_of=None, then=F("energy_kwh")), default=-F("energy_kwh")),
        "total": F("total_excl_vat"),
        "money": _safe("currency"),
        "place": _safe("country"),
        "back": Case(When(credit_of=None, then=Value("no")), default=Value("yes")),
    }
    line = Func(Value(","), *columns.values(), function="concat_ws", output_field=TextField())
    place = Window(RowNumber(), order_by=order)
    lines: QuerySet[Any, Any] = cdrs.order_by().annotate(place=place, line=line)
    return lines.values("place", "line")


def _safe(column: str) -> Case:
    """Do in SQL what `safe` does, and then put in quotes what needs them (RFC 4180)."""
    plain = Q(**{f"{column}__regex": PLAIN})
    risky = Q(**{f"{column}__regex": f"^{FORMULA.pattern}"})
    safe = Case(When(risky, then=Concat(Value("'"), column)), default=F(column))
    doubled = Replace(safe, Value('"'), Value('""'))
    return Case(When(plain, then=F(column)), default=Concat(Value('"'), doubled, Value('"')))


def _stamp(column: str | Combinable, spelling: str) -> Func:
    return Func(column, Value(spelling), function="to_char", output_field=CharField())


def _instant(column: str) -> Case:
    """Spell an instant as OCPI does: milliseconds only when there are any."""
    utc = Func(Value("UTC"), F(column), function="timezone")
    whole = Func(Value("second"), F(column), function="date_trunc")
    return Case(
        When(Q(**{column: whole}), then=_stamp(utc, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
        default=_stamp(utc, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    )
