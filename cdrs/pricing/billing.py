"""What the lines of an account cost: step_size, tax, sums, and the limits of the total."""

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal

from cdrs.pricing.accounts import PARTS, Account, Bound, Line, Step
from cdrs.pricing.moments import seconds
from cdrs.pricing.numbers import ZERO, Amount, total
from cdrs.pricing.readings import Reading
from cdrs.pricing.sessions import CHARGING, ENERGY, PARKING_TIME, RESERVATION_TIME, TIME

UNITS = {ENERGY: Decimal(1000)}  # Wh per kWh; all else are seconds per hour
SECONDS = Decimal(3600)
Pick = Callable[[Decimal, Decimal], Decimal]


def bill(account: Account, reading: Reading) -> None:
    """Round the volumes, and work out every cost and sum."""
    _round_all(account, reading)
    for line in account.lines:
        line.billed = line.volume + line.extra
        line.cost = line.offer.component.price.times(line.billed)
    account.parts = {name: _part(account, kinds) for name, kinds in PARTS.items()}
    account.sum = total(line.cost for line in account.lines)
    account.volumes = _volumes(account)
    _limit(account)


def _part(account: Account, kinds: Sequence[str]) -> Amount | None:
    costs = [line.cost for line in account.of(*kinds)]
    return total(costs) if costs else None


# step_size: once per session and bucket, by the step of the last line, which takes what is added


def _round_all(account: Account, reading: Reading) -> None:
    _round(account, reading, ENERGY)
    _round(account, reading, RESERVATION_TIME)
    if reading.shared_time_step:
        _round(account, reading, TIME, PARKING_TIME)
        return
    parking_is_priced = any(account.of(PARKING_TIME))
    _round(account, reading, TIME, stepped=not parking_is_priced)
    _round(account, reading, PARKING_TIME)


def _round(account: Account, reading: Reading, *kinds: str, stepped: bool = True) -> None:
    lines = list(account.of(*kinds))
    if not lines:
        return
    last, unit = lines[-1], UNITS.get(kinds[0], SECONDS)
    exact = _counted(account, reading, lines, kinds) * unit
    counted = exact
    if reading.whole_seconds and unit == SECONDS:
        counted = exact.quantize(Decimal(1), ROUND_HALF_UP)
    size = last.offer.component.step if stepped else ZERO
    billed = _stepped(counted, size)
    if billed != exact:
        last.extra = (billed - exact) / unit
        account.steps.append(Step(last.kind, exact, size, billed, last))


def _counted(
    account: Account, reading: Reading, lines: Sequence[Line], kinds: Sequence[str]
) -> Decimal:
    """Return the volume that is rounded: what is priced."""
    if reading.step_counts_unpriced:
        return sum((account.session.volume(kind) for kind in kinds), ZERO)
    return sum((line.volume for line in lines), ZERO)


def _stepped(units: Decimal, size: Decimal) -> Decimal:
    """Round up to a multiple of the step; a step of 0 rounds nothing."""
    remainder = units % size if size else ZERO
    return units + size - remainder if remainder > 0 else units


def _volumes(account: Account) -> dict[str, Decimal]:
    session = account.session
    lasted = session.periods[-1].ended_at - session.periods[0].started_at
    billed = {kind: sum((item.billed for item in account.of(kind)), ZERO) for kind in CHARGING}
    return {
        "total_energy": session.volume(ENERGY),
        "total_time": seconds(lasted) / SECONDS,
        "total_charging_time": session.volume(TIME),
        "total_parking_time": session.volume(PARKING_TIME),
        "billed_energy": billed[ENERGY],
        "billed_charging_time": billed[TIME],
        "billed_parking_time": billed[PARKING_TIME],
    }


# min_price and max_price of the first period's tariff: they bound the total, and nothing else


def _limit(account: Account) -> None:
    tariff = account.stages[0].tariff
    account.total = account.sum
    if tariff.least:
        _bound(account, "min_price", tariff.least, max)
    if tariff.most:
        _bound(account, "max_price", tariff.most, min)
    if account.total != account.sum:
        account.remark("total_clamped", None, "min_price or max_price sets the total")
    excl, incl = account.total
    if excl is not None and incl is not None and incl < excl:
        account.total = Amount(excl, excl)
        account.remark("negative_tax", None, "with tax it costs less than without; tax is left out")


def _bound(account: Account, name: str, limit: Amount, pick: Pick) -> None:
    before = account.total
    excl = _picked(before.excl, limit.excl, pick)
    incl = _picked(before.incl, limit.incl, pick)
    if limit.incl is None and incl is not None:
        incl = _in_proportion(incl, before.excl, excl)
    account.total = Amount(excl, incl)
    if account.total != before:
        account.bounds.append(Bound(name, limit, before, account.total))


def _picked(value: Decimal | None, limit: Decimal | None, pick: Pick) -> Decimal | None:
    """Apply one side of a limit; what is unknown stays unknown."""
    return value if value is None or limit is None else pick(value, limit)


def _in_proportion(incl: Decimal, before: Decimal | None, after: Decimal | None) -> Decimal:
    """Move the amount with tax as the one without was moved."""
    if before is None or after is None or after == before:
        return incl
    return incl * after / before if before else after
