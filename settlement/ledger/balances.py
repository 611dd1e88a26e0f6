"""What the ledger says: the trial balance, and the account statement of a party."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Case, DecimalField, F, Q, QuerySet, Sum, When
from django.db.models.functions import Coalesce

from hub.money import ZERO
from parties.models import Party
from settlement.models import Account, Leg

MONEY: DecimalField[Any, Any] = DecimalField(max_digits=18, decimal_places=4)


class Balance(NamedTuple):
    """One row of the trial balance; `balance` is positive where debits prevail."""

    kind: str
    name: str
    party: str
    currency: str
    debit: Decimal
    credit: Decimal
    balance: Decimal


class Movement(NamedTuple):
    """A line of a party's account; positive is to the party's credit, as in `balance`."""

    booked_on: dt.date
    text: str
    cause: str
    amount: Decimal
    balance: Decimal


class PartyStatement(NamedTuple):
    """What a party is owed (positive) or owes (negative): opening, what happened, closing."""

    party: Party
    currency: str
    start: dt.date
    end: dt.date
    opening: Decimal
    movements: list[Movement]
    closing: Decimal

    @property
    def totals(self) -> list[tuple[str, Decimal]]:
        """Return what happened by cause; with the opening they add up to the closing."""
        sums: dict[str, Decimal] = {}
        for movement in self.movements:
            sums[movement.cause] = sums.get(movement.cause, ZERO) + movement.amount
        return sorted(sums.items())


def trial_balance(on: dt.date, *, by_party: bool = False) -> list[Balance]:
    """Return the debits, credits and balance of every account up to and including a day."""
    keys = ["account__kind", "account__currency"]
    if by_party:
        keys += ["account__party__country_code", "account__party__party_id"]
    rows = Leg.objects.filter(entry__booked_on__lte=on).order_by().values(*keys)
    summed = rows.annotate(debit=_sum(amount__gt=0), credit=_sum(amount__lt=0))
    return [_balance(row) for row in sorted(summed, key=_place)]


def currency_sums(rows: list[Balance]) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    """Return debits, credits and their difference per currency; the difference must be zero."""
    sums: dict[str, list[Decimal]] = {}
    for row in rows:
        total = sums.setdefault(row.currency, [ZERO, ZERO])
        total[0] += row.debit
        total[1] += row.credit
    return [
        (currency, debit, credit, debit - credit)
        for currency, (debit, credit) in sorted(sums.items())
    ]


def balance_column() -> Coalesce:
    """Return the balance of an account as a column of a query."""
    return Coalesce(Sum("legs__amount"), ZERO, output_field=MONEY)


def balance_of(kind: str, party: Party | None, currency: str) -> Decimal:
    """Return the balance of one account now; positive where debits prevail."""
    legs = Leg.objects.filter(account__kind=kind, account__party=party, account__currency=currency)
    return legs.aggregate(sum=Sum("amount", default=ZERO))["sum"]  # type: ignore[no-any-return]


def owed_to(party: Party, currency: str) -> Decimal:
    """Return what the hub owes a party as a CPO; negative if the party owes."""
    return -balance_of(Account.Kind.PAYABLE, party, currency)


def party_statement(party: Party, currency: str, start: dt.date, end: dt.date) -> PartyStatement:
    """Return the account of a party in a currency, both roles together, of the days given."""
    legs = Leg.objects.filter(account__party=party, account__currency=currency)
    before = legs.filter(entry__booked_on__lt=start)
    opening = -before.aggregate(sum=Sum("amount", default=ZERO))["sum"]
    during = legs.filter(entry__booked_on__range=(start, end)).select_related("entry")
    movements = list(_movements(during.order_by("entry__booked_on", "entry", "no"), opening))
    closing = movements[-1].balance if movements else opening
    return PartyStatement(party, currency, start, end, opening, movements, closing)


def currencies_of(party: Party) -> list[str]:
    """Return the currencies that a party has accounts in."""
    rows = Account.objects.filter(party=party).order_by("currency")
    return list(rows.values_list("currency", flat=True).distinct())


def _movements(legs: QuerySet[Leg], balance: Decimal) -> Iterator[Movement]:
    for leg in legs:
        balance -= leg.amount
        entry = leg.entry
        yield Movement(
            entry.booked_on, entry.text, str(entry.get_cause_display()), -leg.amount, balance
        )


def _sum(**sign: int) -> Coalesce:
    size = Case(When(amount__lt=0, then=-F("amount")), default=F("amount"))
    return Coalesce(Sum(size, filter=Q(**sign)), ZERO, output_field=MONEY)


def _balance(row: dict[str, Any]) -> Balance:
    party = "-".join(
        row[name]
        for name in ("account__party__country_code", "account__party__party_id")
        if row.get(name)
    )
    kind = Account.Kind(row["account__kind"])
    return Balance(
        kind.value,
        str(kind.label),
        party,
        row["account__currency"],
        row["debit"],
        row["credit"],
        row["debit"] - row["credit"],
    )


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    order = [kind.value for kind in Account.Kind]
    party = (row.get("account__party__country_code"), row.get("account__party__party_id"))
    return (
        row["account__currency"],
        order.index(row["account__kind"]),
        *(text or "" for text in party),
    )
