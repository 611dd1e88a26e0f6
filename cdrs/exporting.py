"""CDRs as a party may see them, as CSV for a spreadsheet."""

import csv
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, Subquery

from cdrs.explorer import ORDER
from cdrs.models import CdrQuerySet, Finding, Verdict
from hub.ocpi import times
from hub.spreadsheets import safe

CHUNK = 2000


class Row(NamedTuple):
    """One CDR, in the order of the columns; numbers stay numbers, also negative ones.

    A credit counts negative in energy as well, so that the columns add up.
    """

    cdr_id: str
    session_id: str
    cpo: str
    emsp: str
    state: str
    findings: str
    month: str
    settled_in: str
    start: str
    end: str
    evse: str
    country: str
    energy_kwh: Any
    currency: str
    total_excl_vat: Any
    total_incl_vat: Any
    computed_excl_vat: Any
    difference: Any
    credit: str


def written(cdrs: CdrQuerySet) -> tuple[bytes, int]:
    """Write CDRs as CSV (RFC 4180, UTF-8, dot decimals, UTC) and count them."""
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(Row._fields)
    count = 0
    for row in _rows(cdrs):
        writer.writerow(row)
        count += 1
    return sheet.getvalue().encode(), count


def _rows(cdrs: CdrQuerySet) -> Iterator[Row]:
    findings = Finding.objects.filter(cdr=OuterRef("pk"), cleared_at=None).order_by("pk")
    verdicts = Verdict.objects.filter(cdr=OuterRef("pk")).order_by("-pk")
    facts = cdrs.order_by(*ORDER).values(
        *("uid", "session_uid", "state", "month", "started_at", "ended_at", "evse_uid", "country"),
        *("energy_kwh", "currency", "total_excl_vat", "total_incl_vat", "credit_of"),
        settled=F("period__month"),
        cpo_country=F("owner__country_code"),
        cpo_id=F("owner__party_id"),
        emsp_country=F("emsp__country_code"),
        emsp_id_=F("emsp__party_id"),
        codes=ArraySubquery(findings.values("code")),
        computed=Subquery(verdicts.values("computed_excl_vat")[:1]),
        off=Subquery(verdicts.values("difference")[:1]),
    )
    return map(_row, facts.iterator(chunk_size=CHUNK))


def _row(facts: dict[str, Any]) -> Row:
    credit = facts["credit_of"] is not None
    return Row(
        cdr_id=safe(facts["uid"]),
        session_id=safe(facts["session_uid"]),
        cpo=f"{facts['cpo_country']}-{facts['cpo_id']}",
        emsp=f"{facts['emsp_country']}-{facts['emsp_id_']}" if facts["emsp_country"] else "",
        state=facts["state"],
        findings=" ".join(facts["codes"]),
        month=f"{facts['month']:%Y-%m}",
        settled_in=f"{facts['settled']:%Y-%m}" if facts["settled"] else "",
        start=times.render(facts["started_at"]),
        end=times.render(facts["ended_at"]),
        evse=safe(facts["evse_uid"]),
        country=safe(facts["country"]),
        energy_kwh=-facts["energy_kwh"] if credit else facts["energy_kwh"],
        currency=safe(facts["currency"]),
        total_excl_vat=facts["total_excl_vat"],
        total_incl_vat=facts["total_incl_vat"],
        computed_excl_vat=facts["computed"],
        difference=facts["off"],
        credit="yes" if credit else "no",
    )
