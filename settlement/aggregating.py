"""What a frozen month adds up to: cells between two parties, and the fees of the hub.

Both come from one pass over the CDRs, which are first added up by day: the day of its start says
which version of an agreement a CDR goes by. The days are a temporary table that ends with the
transaction. Credits are few and apart, so that PostgreSQL can share the others among its workers;
that there are few days in a month it knows by the statistics of migration 0063.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet, Sum

from cdrs.models import Cdr, Period
from hub.money import minor_unit
from parties.models import Party
from settlement import fees
from settlement.models import Cell

MEMORY = "SET LOCAL work_mem = '256MB'"
DAYS = """
CREATE TEMPORARY TABLE settlement_day ON COMMIT DROP AS
SELECT c.month, c.owner_id, c.emsp_id, c.country, c.currency, false AS credit,
    NULL::bigint AS corrects_id, (c.started_at AT TIME ZONE %(zone)s)::date AS day,
    count(*) AS cdrs, sum(c.energy_kwh) AS energy_kwh, sum(c.total_excl_vat) AS total
FROM cdrs_cdr c
WHERE c.period_id = %(period)s AND c.credit_of_id IS NULL {which}
GROUP BY 1, 2, 3, 4, 5, 8
UNION ALL
SELECT c.month, c.owner_id, c.emsp_id, c.country, c.currency, true,
    nullif(o.period_id, c.period_id), (c.started_at AT TIME ZONE %(zone)s)::date,
    count(*), -sum(c.energy_kwh), sum(c.total_excl_vat)
FROM cdrs_cdr c JOIN cdrs_cdr o ON o.id = c.credit_of_id
WHERE c.period_id = %(period)s AND c.credit_of_id IS NOT NULL {which}
GROUP BY 1, 2, 3, 4, 5, 7, 8
"""
CELLS = """
INSERT INTO settlement_cell (period_id, supply_month, cpo_id, emsp_id, country, currency, credit,
    corrects_id, cdr_count, energy_kwh, total, decimals, net)
SELECT %s, month, owner_id, emsp_id, country, currency, credit, corrects_id,
    sum(cdrs), sum(energy_kwh), sum(total), decimals, round(sum(total), decimals)
FROM settlement_day JOIN unnest(%s::text[], %s::integer[]) AS unit (currency, decimals)
    USING (currency)
GROUP BY month, owner_id, emsp_id, country, currency, credit, corrects_id, decimals
"""
SUMS = """
SELECT currency, sum(cdrs)::bigint, sum(total)::text FROM settlement_day
GROUP BY currency ORDER BY currency
"""


class Negative(NamedTuple):
    """A party whose credits exceed its supplies, in a currency."""

    party: str
    currency: str
    net: Any

    def __str__(self) -> str:
        return f"credits of {self.party} exceed its supplies by {-self.net} {self.currency}"


def add_up(period: Period, *, of: Iterable[Party] = ()) -> None:
    """Add the CDRs of a period up by day, of some parties or of all; one pass over them.

    Call in a transaction that holds the period's row, or for a frozen period.
    """
    parties = [party.pk for party in of]
    which = "AND (c.owner_id = ANY(%(parties)s) OR c.emsp_id = ANY(%(parties)s))"
    facts: dict[str, Any] = {"period": period.pk, "zone": settings.TIME_ZONE, "parties": parties}
    with connection.cursor() as cursor:
        cursor.execute(MEMORY)
        cursor.execute("DROP TABLE IF EXISTS settlement_day")
        cursor.execute(DAYS.format(which=which if parties else ""), facts)


def sums() -> dict[str, list[Any]]:
    """Return what has been added up: per currency the number of CDRs and their exact total."""
    with connection.cursor() as cursor:
        cursor.execute(SUMS)
        return {currency: [cdrs, total] for currency, cdrs, total in cursor.fetchall()}


def make_cells(period: Period, *, of: Iterable[Party] = ()) -> None:
    """Make cells and fees of what has been added up, for some parties or for all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT currency FROM settlement_day")
        currencies = sorted(currency for (currency,) in cursor.fetchall())
        decimals = [-minor_unit(currency).adjusted() for currency in currencies]
        cursor.execute(CELLS, [period.pk, currencies, decimals])
    fees.charge(period, {party.pk for party in of})


def revise(period: Period, *parties: Party) -> None:
    """Make the cells and fees of some parties again; their CDRs have changed."""
    add_up(period, of=parties)
    cells_of(period, parties).delete()
    keys = [party.pk for party in parties]
    period.fees.filter(party__in=keys).delete()
    make_cells(period, of=parties)


def cells_of(period: Period, parties: Iterable[Party]) -> QuerySet[Cell]:
    """Return the cells in which parties buy or sell."""
    keys = [party.pk for party in parties]
    cells = Cell.objects.filter(period=period)
    return cells.filter(cpo__in=keys) | cells.filter(emsp__in=keys)


def difference(period: Period) -> str:
    """Tell how cells and CDRs of a period differ, in words; empty if they do not."""
    cdrs = Cdr.objects.billable(period).order_by().values("currency")
    cells = Cell.objects.filter(period=period).order_by().values("currency")
    found = {row["currency"]: row for row in cells.annotate(n=Sum("cdr_count"), sum=Sum("total"))}
    expected = {
        row["currency"]: row for row in cdrs.annotate(n=fees.COUNT, sum=Sum("total_excl_vat"))
    }
    if found == expected:
        return ""
    return f"the cells of {period} hold {found}, its CDRs {expected}"


def negative(period: Period) -> list[Negative]:
    """Return the parties for which a document of the month would be negative.

    What corrects an earlier month has documents of its own.
    """
    return [*_negative(period, "cpo"), *_negative(period, "emsp")]


def _negative(period: Period, role: str) -> list[Negative]:
    party = (f"{role}__country_code", f"{role}__party_id")
    cells = period.cells.filter(corrects=None).order_by(*party).values(*party, "currency")
    rows = cells.annotate(net=Sum("net")).filter(net__lt=0)
    return [
        Negative("-".join(row[name] for name in party), row["currency"], row["net"]) for row in rows
    ]
