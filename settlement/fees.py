"""The hub's fees of a month, by the versions of agreements that held when sessions started."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count

from cdrs.models import Period
from hub.money import ZERO, rounded
from settlement.calendar import last_day
from settlement.models import Agreement, Fee

COUNT = Count("pk")
HUNDRED = Decimal(100)
MICRO = Decimal("0.000001")
# Of each party and version what there was; an agreement in the currency beats one in any.
BASES = """
SELECT a.id, day.party_id, day.role, day.currency, sum(day.cdrs), sum(day.energy_kwh),
    sum(day.total)
FROM (
    SELECT owner_id AS party_id, 'CPO' AS role, currency, day, sum(cdrs) AS cdrs,
        sum(energy_kwh) AS energy_kwh, sum(total) AS total
    FROM settlement_day GROUP BY owner_id, currency, day
    UNION ALL
    SELECT emsp_id, 'EMSP', currency, day, sum(cdrs), sum(energy_kwh), sum(total)
    FROM settlement_day GROUP BY emsp_id, currency, day
) day
JOIN LATERAL (
    SELECT a.* FROM settlement_agreement a
    WHERE a.party_id = day.party_id AND a.kind = lower(day.role)
        AND a.currency IN ('', day.currency)
        AND a.valid_from <= day.day AND (a.valid_to IS NULL OR a.valid_to > day.day)
    ORDER BY a.currency DESC LIMIT 1
) a ON a.fee_percent > 0 OR a.fee_per_kwh > 0 OR a.fee_per_cdr > 0 OR a.fee_monthly > 0
    OR a.fee_min > 0
GROUP BY a.id, day.party_id, day.role, day.currency
ORDER BY day.party_id, day.role, day.currency, a.id
"""

Key = tuple[int, str, str]
Row = tuple[Any, ...]


class Base(NamedTuple):
    """What is charged by one version of an agreement."""

    agreement: Agreement
    cdrs: Decimal
    energy_kwh: Decimal
    total: Decimal


class Charge(NamedTuple):
    """A fee of one basis: a quantity at a rate, exactly."""

    quantity: Decimal
    rate: Decimal
    amount: Decimal
    text: str


def charge(period: Period, only: Collection[int] = ()) -> None:
    """Write the fees of the CDRs that have been added up by day (see `aggregating`).

    Of all parties, or of some: those that were added up in whole.
    """
    with connection.cursor() as cursor:
        cursor.execute(BASES)
        rows = cursor.fetchall()
    Fee.objects.bulk_create(due(period, rows, only), ignore_conflicts=True)


def due(period: Period, rows: Iterable[Row], only: Collection[int] = ()) -> Iterator[Fee]:
    """Return the fees, not saved yet, that the rows of BASES come to, of all parties or of some.

    Credits of earlier months lessen what a fee is on, but no fee is below zero.
    """
    for (party, role, currency), bases in _by_party(rows).items():
        if only and party not in only:
            continue
        terms = _terms(period, bases[-1].agreement, currency)
        for basis, found in _limited(terms, _charges(bases, terms), currency).items():
            net = rounded(found.amount, currency)
            if net > 0:
                key = {"party_id": party, "role": role, "currency": currency, "basis": basis}
                values = {"quantity": found.quantity, "rate": found.rate, "text": found.text}
                yield Fee(period=period, **key, **values, net=net)


def _by_party(rows: Iterable[Row]) -> dict[Key, list[Base]]:
    rows = list(rows)
    agreements = Agreement.objects.in_bulk({row[0] for row in rows})
    found: dict[Key, list[Base]] = defaultdict(list)
    for agreement, party, role, currency, cdrs, energy_kwh, total in rows:
        base = Base(agreements[agreement], Decimal(cdrs), energy_kwh, total)
        found[party, role, currency].append(base)
    return found


def _terms(period: Period, last: Agreement, currency: str) -> Agreement | None:
    """Return the last version in force in a month: what has ended before asks no monthly fee."""
    if last.valid_to is None or last.valid_to > period.month:
        return last
    return Agreement.objects.of(last.party_id, last.kind, currency, last_day(period.month))


def _charges(bases: list[Base], terms: Agreement | None) -> dict[str, Charge]:
    """Return the fees by basis, before least and highest fee."""
    shares = {
        Fee.Basis.PERCENT: [(base.total, base.agreement.fee_percent) for base in bases],
        Fee.Basis.KWH: [(base.energy_kwh, base.agreement.fee_per_kwh) for base in bases],
        Fee.Basis.CDR: [(base.cdrs, base.agreement.fee_per_cdr) for base in bases],
        Fee.Basis.MONTHLY: [(Decimal(1), terms.fee_monthly if terms else ZERO)],
    }
    return {basis: _charged(basis, parts) for basis, parts in shares.items()}


def _charged(basis: str, parts: list[tuple[Decimal, Decimal]]) -> Charge:
    """Add up what several versions charge; then the rate is that of the whole."""
    divisor = HUNDRED if basis == Fee.Basis.PERCENT else Decimal(1)
    quantity = max(sum((part for part, _ in parts), ZERO), ZERO)
    amount = max(sum((part * rate for part, rate in parts), ZERO) / divisor, ZERO)
    rates = sorted({rate for _, rate in parts})
    rate = rates[0] if len(rates) == 1 else _rate(amount, quantity, divisor)
    named = str(Fee.Basis(basis).label)
    told = ", ".join(f"{part:f} at {rate:f}" for part, rate in parts)
    return Charge(quantity, rate, amount, (named if len(parts) == 1 else f"{named}: {told}")[:200])


def _rate(amount: Decimal, quantity: Decimal, divisor: Decimal) -> Decimal:
    return (amount * divisor / quantity).quantize(MICRO) if quantity else ZERO


def _limited(
    terms: Agreement | None, charges: dict[str, Charge], currency: str
) -> dict[str, Charge]:
    """Hold a month's fees to the least and the highest of the last version in force."""
    if terms is None:
        return charges
    sums = {basis: rounded(item.amount, currency) for basis, item in charges.items()}
    total = sum(sums.values(), ZERO)
    if terms.fee_min is not None and total < terms.fee_min:
        return _raised(charges, terms.fee_min - total)
    if terms.fee_max is not None and total > terms.fee_max:
        return dict(_lowered(charges, sums, terms.fee_max))
    return charges


def _raised(charges: dict[str, Charge], by: Decimal) -> dict[str, Charge]:
    monthly = charges[Fee.Basis.MONTHLY]
    amount = monthly.amount + by
    text = f"{Fee.Basis.MONTHLY.label}, up to the least fee"
    return charges | {Fee.Basis.MONTHLY: Charge(Decimal(1), amount, amount, text)}


def _lowered(
    charges: dict[str, Charge], sums: dict[str, Decimal], highest: Decimal
) -> Iterator[tuple[str, Charge]]:
    """Charge one after the other until the highest fee is reached."""
    left = highest
    for basis, item in charges.items():
        amount = min(sums[basis], left)
        left -= amount
        if amount == sums[basis]:
            yield basis, item
            continue
        divisor = HUNDRED if basis == Fee.Basis.PERCENT else Decimal(1)
        rate = _rate(amount, item.quantity, divisor)
        yield basis, Charge(item.quantity, rate, amount, f"{item.text}, at the highest fee"[:200])
