"""What to think of the figures that a CDR claims, beside those that its tariffs make."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Any, NamedTuple

from cdrs.pricing.accounts import PARTS, RESERVATION_FLAT, Account
from cdrs.pricing.engine import Wire, settle
from cdrs.pricing.numbers import EXACT, NOTHING, ZERO, Amount, number, number_or_none, total
from cdrs.pricing.readings import TOLERATED, Reading
from cdrs.pricing.refusals import Refused
from cdrs.pricing.sessions import FLAT, PARKING_TIME, RESERVATION_TIME

TOLERANCE = Decimal("0.00005")
CENT = Decimal("0.01")
VOLUMES = ("total_energy", "total_time", "total_parking_time")
TOTAL = "total_cost"
SIDES = ("excl_vat", "incl_vat")
FEES = ("total_fixed_cost", "total_parking_cost", "total_reservation_cost")
ALL_FEES = "total_fixed_cost + total_parking_cost + total_reservation_cost"
UNDECIDED = frozenset({"restriction_data_missing", "period_spans_price_change"})


class Verdict(StrEnum):
    """How well a claim agrees, the best first."""

    MATCH = "match"
    ROUNDED = "match_rounded"
    VARIANT = "match_variant"
    INCONCLUSIVE = "inconclusive"
    MISMATCH = "mismatch"


RANK = {verdict: place for place, verdict in enumerate(Verdict)}
AGREES = (Verdict.MATCH, Verdict.ROUNDED)


class Comparison(NamedTuple):
    """One figure: as claimed, as computed, and the verdict. `field` is like total_cost.excl_vat."""

    field: str
    claimed: Decimal
    computed: Decimal
    verdict: Verdict

    @property
    def difference(self) -> Decimal:
        """Return how much more is claimed than computed."""
        return EXACT.subtract(self.claimed, self.computed)


@dataclass(frozen=True)
class Assessment:
    """The claims of a CDR beside its account."""

    account: Account
    volumes: list[Comparison]
    costs: list[Comparison]
    reading: Reading | None = None  # the tolerated one that explains the costs

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of all figures."""
        return worst([*self.volumes, *self.costs])

    @property
    def cost_verdict(self) -> Verdict:
        """Return the worst verdict of the costs: volumes need no tariff to be wrong."""
        return worst(self.costs)

    @property
    def differences(self) -> list[Comparison]:
        """Return the figures that do not simply match."""
        found = [*self.volumes, *self.costs]
        return [item for item in found if item.verdict is not Verdict.MATCH]


@dataclass
class Claims:
    """The figures that a CDR states; `unit` is the smallest amount that it may be rounded to."""

    volumes: dict[str, Decimal] = field(default_factory=dict)
    costs: dict[str, Amount] = field(default_factory=dict)
    unit: Decimal = CENT


def assess(
    cdr: Wire,
    offered: Sequence[Wire] | None = None,
    tz: str | None = None,
    unit: Decimal = CENT,
) -> Assessment:
    """Compare what a CDR claims with what it costs by its tariffs (see `settle` for these).

    `unit` is the smallest amount of its currency. A credit is compared with its total negated.
    Raises Refused when it cannot be priced, or states no total.
    """
    account = settle(cdr, offered, tz)
    with localcontext(EXACT):
        claims = _claims(cdr, unit)
        volumes = _compare_volumes(claims, account)
        costs = _compare_costs(claims, account)
        if worst(costs) in AGREES:
            return Assessment(account, volumes, costs)
        for reading in TOLERATED:
            other = _compare_costs(claims, settle(cdr, offered, tz, reading))
            if worst(other) in AGREES:
                explained = [_explained(item) for item in costs]
                return Assessment(account, volumes, explained, reading)
        return Assessment(account, volumes, [_doubted(item, account) for item in costs])


def worst(comparisons: Sequence[Comparison]) -> Verdict:
    """Return the worst verdict; nothing to compare is a match."""
    verdicts = [item.verdict for item in comparisons]
    return max(verdicts, key=RANK.__getitem__, default=Verdict.MATCH)


# Claims


def _claims(cdr: Wire, unit: Decimal) -> Claims:
    claims = Claims(unit=unit)
    for name in VOLUMES:
        volume = number_or_none(cdr.get(name), name)
        if volume is not None:
            claims.volumes[name] = volume
    for name in (TOTAL, *PARTS):
        if cdr.get(name) is not None:
            claims.costs[name] = _amount(cdr[name], name)
    if TOTAL not in claims.costs:
        raise Refused("malformed", "the CDR states no total_cost")
    return _as_if_charged(claims) if cdr.get("credit") else claims


def _amount(told: Any, name: str) -> Amount:
    """Read an amount: the object of 2.2.1 or of 2.3.0, or the bare number of 2.1.1."""
    if not isinstance(told, Mapping):
        return Amount(number(told, name), None)
    if "before_taxes" not in told:
        excl = number(told.get("excl_vat"), f"{name}.excl_vat")
        return Amount(excl, number_or_none(told.get("incl_vat"), f"{name}.incl_vat"))
    excl = number(told["before_taxes"], f"{name}.before_taxes")
    taxes = _taxes(told.get("taxes") or [], f"{name}.taxes")
    return Amount(excl, sum(taxes, excl) if taxes else None)


def _taxes(told: Any, name: str) -> list[Decimal]:
    if not isinstance(told, list) or not all(isinstance(tax, Mapping) for tax in told):
        raise Refused("malformed", f"{name} is not a list of taxes")
    return [number(tax.get("amount"), name) for tax in told]


def _as_if_charged(claims: Claims) -> Claims:
    """Turn a credit's amounts round: the total always, the parts where the CPO negated them, too.

    OCPI negates the total alone.
    """
    for name, amount in claims.costs.items():
        if name == TOTAL or (amount.excl or ZERO) < 0:
            claims.costs[name] = amount.times(Decimal(-1))
    return claims


# Comparing


def _compare_volumes(claims: Claims, account: Account) -> list[Comparison]:
    return [
        _compared(name, claimed, account.volumes[name], account, CENT)
        for name, claimed in claims.volumes.items()
    ]


class Pair(NamedTuple):
    """Amounts to compare; `summed` is how many claimed ones were added up."""

    name: str
    claimed: Amount
    computed: Amount
    summed: int = 1


def _compare_costs(claims: Claims, account: Account) -> list[Comparison]:
    return [
        _compared(f"{pair.name}.{side}", told, found, account, claims.unit, pair.summed)
        for pair in _pairs(claims, account)
        for side, told, found in zip(SIDES, pair.claimed, pair.computed, strict=True)
        if told is not None and found is not None
    ]


def _pairs(claims: Claims, account: Account) -> Iterator[Pair]:
    """Pair what is claimed with what is computed; fees that are mixed by their sum."""
    computed = {TOTAL: account.total} | {
        name: amount or NOTHING for name, amount in account.parts.items()
    }
    mixed = _fees_are_mixed(account)
    for name, amount in claims.costs.items():
        if not (mixed and name in FEES):
            yield Pair(name, amount, computed[name])
    if mixed and _all_fees_claimed(claims, account):
        claimed = [claims.costs[name] for name in FEES if name in claims.costs]
        expected = total(computed[name] for name in FEES)
        yield Pair(ALL_FEES, total(claimed), expected, len(claimed))


def _fees_are_mixed(account: Account) -> bool:
    """Tell whether a fee might stand in several totals: no text says which fee is which."""
    kinds = {line.kind for line in account.lines}
    return bool(kinds & {FLAT, RESERVATION_FLAT} and kinds & {PARKING_TIME, RESERVATION_TIME})


def _all_fees_claimed(claims: Claims, account: Account) -> bool:
    return all(name in claims.costs for name in FEES if account.parts[name])


def _compared(
    name: str, claimed: Decimal, computed: Decimal, account: Account, unit: Decimal, summed: int = 1
) -> Comparison:
    difference = abs(claimed - computed)
    verdict = Verdict.MISMATCH
    if difference <= TOLERANCE * summed:
        verdict = Verdict.MATCH
    elif claimed % unit == 0 and difference <= _rounding(account, unit):
        verdict = Verdict.ROUNDED
    return Comparison(name, claimed, computed, verdict)


def _rounding(account: Account, unit: Decimal) -> Decimal:
    """Return how far off a claim may be whose every line was rounded: half a cent each, and once.

    Never more than five cents.
    """
    return min(unit / 2 * (len(account.lines) + 1), unit * 5)


def _explained(item: Comparison) -> Comparison:
    return item if item.verdict in AGREES else item._replace(verdict=Verdict.VARIANT)


def _doubted(item: Comparison, account: Account) -> Comparison:
    """Withhold a mismatch where the charging periods cannot decide."""
    if item.verdict in AGREES or UNDECIDED.isdisjoint(account.warnings):
        return item
    return item._replace(verdict=Verdict.INCONCLUSIVE)
