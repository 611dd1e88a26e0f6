"""What a close would settle of a party now, added up by day as the close does; only read.

The rows are those of the table `settlement_day` of a close, of one party. They go to PostgreSQL
again as a value, so that its questions about days are asked in the same words both times.
"""

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import BigIntegerField, Count, Exists, F, OuterRef, Q, Sum, Value
from django.db.models.functions import NullIf, TruncDate

from cdrs.explorer import Side
from cdrs.models import Cdr, CdrQuerySet, Period
from hub.money import ZERO
from parties.models import Party
from settlement import fees, holding
from settlement.holding import Terms, Trade
from settlement.models import Fee

GIVEN = """
WITH settlement_day AS (
    SELECT * FROM jsonb_to_recordset(%s) AS day (month date, owner_id bigint, emsp_id bigint,
        country text, currency text, credit boolean, corrects_id bigint, day date, cdrs bigint,
        energy_kwh numeric, total numeric)
)
"""
KEY = (*Trade._fields, "corrects_id", "day")
NEVER = Value(None, output_field=BigIntegerField())


class Day(NamedTuple):
    """CDRs that started on one day, as a row of `settlement_day`; energy of credits is negative."""

    owner_id: int
    emsp_id: int
    month: dt.date
    country: str
    currency: str
    corrects_id: int | None
    day: dt.date
    credit: bool
    cdrs: int
    energy_kwh: Decimal
    total: Decimal

    @property
    def trade(self) -> Trade:
        """Return what decides whether it can be billed."""
        return Trade(self.owner_id, self.emsp_id, self.month, self.country, self.currency)


def days(party: Party, side: Side, period: Period, terms: Terms) -> dict[Day, tuple[str, ...]]:
    """Return what would be settled, each with the codes of why the close would hold it instead.

    Credits whose original is neither settled nor billed are not in it.
    """
    found = list(merged(_added_up(party, side, period, terms)))
    unagreed = _uncontracted(found)
    return {day: tuple(_reasons(day, terms, unagreed)) for day in found}


def fees_of(party: Party, period: Period, found: Iterable[Day]) -> list[Fee]:
    """Return the fees of a party that what would be settled comes to, unsaved."""
    return list(fees.due(period, _asked(GIVEN + fees.BASES, found), {party.pk}))


def merged(found: Iterable[Day]) -> Iterator[Day]:
    """Put rows that are alike but for their sums into one."""
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for day in found:
        key, amounts = day[: len(KEY) + 1], day[len(KEY) + 1 :]
        before = sums.setdefault(key, [0, ZERO, ZERO])
        sums[key] = [old + new for old, new in zip(before, amounts, strict=True)]
    return (Day(*key, *amounts) for key, amounts in sums.items())


def _reasons(day: Day, terms: Terms, unagreed: set[tuple[Any, ...]]) -> Iterator[str]:
    yield from terms.obstacles(day.trade)
    if day.corrects_id is None and (day.owner_id, day.emsp_id, day.currency, day.day) in unagreed:
        yield holding.NOT_CONTRACTED


def _uncontracted(found: list[Day]) -> set[tuple[Any, ...]]:
    """Return the days on which CPO and eMSP have no agreement; their credits are strays then."""
    asked = f"SELECT * FROM ({holding.UNCONTRACTED_DAYS}) asked"  # noqa: S608 - a constant
    return set(_asked(GIVEN + asked, found))


def _asked(question: str, found: Iterable[Day]) -> list[tuple[Any, ...]]:
    rows = json.dumps([day._asdict() for day in found], default=str)  # amounts as text, exactly
    with connection.cursor() as cursor:
        cursor.execute(question, [rows])
        return list(cursor.fetchall())


def _added_up(party: Party, side: Side, period: Period, terms: Terms) -> Iterator[Day]:
    own = {side.own: party}
    settled = Cdr.objects.billable(period).filter(**own)
    released = _ready(holding.held_for_configuration(period).filter(**own), terms)
    supplies = released.filter(credit_of=None)
    beside = holding.original_settled(period) | _original_in(supplies)
    for cdrs in (settled.filter(credit_of=None), supplies):
        yield from _by_day(cdrs, NEVER)
    corrected = NullIf(F("credit_of__period"), Value(period.pk))
    for cdrs in (settled.exclude(credit_of=None), released.exclude(credit_of=None)):
        yield from _by_day(cdrs.filter(beside), corrected, sign=-1)


def _ready(held: CdrQuerySet, terms: Terms) -> CdrQuerySet:
    """Keep what is held only for want of data that is there by now."""
    trades = held.order_by().values_list(*Trade._fields).distinct()
    ready = Q(pk__in=[])
    for trade in (Trade(*row) for row in trades):
        if not terms.obstacles(trade):
            ready |= Q(**trade._asdict())
    return held.filter(ready)


def _original_in(cdrs: CdrQuerySet) -> Q:
    """Keep credits whose original is one of some CDRs, and was traded likewise."""
    same = {name: OuterRef(name) for name in ("emsp", "currency", "country", "month")}
    return Q(Exists(cdrs.filter(pk=OuterRef("credit_of"), **same)))


def _by_day(cdrs: CdrQuerySet, corrects: Any, *, sign: int = 1) -> Iterator[Day]:
    day = TruncDate("started_at", tzinfo=ZoneInfo(settings.TIME_ZONE))
    sums = {"n": Count("pk"), "energy": Sum("energy_kwh"), "sum": Sum("total_excl_vat")}
    keyed = cdrs.order_by().annotate(corrects_id=corrects, day=day)
    for row in keyed.values(*KEY).annotate(**sums):
        number, energy_kwh, total = row.pop("n"), row.pop("energy"), row.pop("sum")
        amounts = {"cdrs": number, "energy_kwh": sign * energy_kwh, "total": total}
        yield Day(**row, credit=sign < 0, **amounts)
