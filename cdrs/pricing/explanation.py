"""Why a CDR costs what it costs: the account told step by step, for machines and for people.

Every figure is the account's own, and its totals are the sums of its lines; nothing is calculated
here. The JSON has all digits; text and HTML show 4 decimals.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from cdrs.pricing.accounts import RESERVATION_FLAT, Account, Line, Lookup, Stage, Step
from cdrs.pricing.matching import priced_as
from cdrs.pricing.moments import seconds
from cdrs.pricing.numbers import Amount, brief
from cdrs.pricing.sessions import ENERGY, FLAT
from cdrs.pricing.tariffs import Element

FEES = frozenset({FLAT, RESERVATION_FLAT})


@dataclass(frozen=True)
class Money:
    """An amount without and with tax; None is unknown."""

    excl_vat: Decimal | None
    incl_vat: Decimal | None


@dataclass(frozen=True)
class NotUsed:
    """An element that did not set a price, and why."""

    element: int
    reason: str


@dataclass(frozen=True)
class Choice:
    """Which element priced a volume of a period, or a fee; None when none did."""

    dimension: str
    volume: Decimal
    unit: str
    element: int | None
    not_used: list[NotUsed]


@dataclass(frozen=True)
class PeriodTold:
    """A charging period: what was judged, and what came of it. Times have their offset."""

    period: int
    begins: str
    ends: str
    local_time: str
    tariff: str
    duration_so_far_s: Decimal
    energy_so_far_kwh: Decimal
    choices: list[Choice]


@dataclass(frozen=True)
class LineTold:
    """A line of the account; `vat` in percent, None where no tax is told."""

    dimension: str
    period: int
    tariff: str
    element: int
    volume: Decimal
    added_by_step_size: Decimal
    billed: Decimal
    unit: str
    price: Money
    vat: Decimal | None
    cost: Money


@dataclass(frozen=True)
class StepTold:
    """A rounding by step_size; what it adds is paid in a period."""

    dimension: str
    total: Decimal
    step_size: Decimal
    billed: Decimal
    unit: str
    period: int


@dataclass(frozen=True)
class LimitTold:
    """What min_price or max_price made of the total."""

    name: str
    limit: Money
    before: Money
    after: Money


@dataclass(frozen=True)
class WarningTold:
    """Something odd that changes no figure; without a period it is about the whole CDR."""

    code: str
    period: int | None
    text: str


@dataclass(frozen=True)
class Explanation:
    """The whole account, in the order in which it comes about."""

    currency: str
    time_zone: str
    periods: list[PeriodTold]
    steps: list[StepTold]
    lines: list[LineTold]
    totals: dict[str, Money | None]
    sum_of_lines: Money
    limits: list[LimitTold]
    total_cost: Money
    warnings: list[WarningTold]


def explain(account: Account) -> Explanation:
    """Tell an account."""
    told = [search for search in account.lookups if not _idle(search)]
    by_period = groupby(told, key=lambda search: search.stage.period.number)
    searches = {number: list(found) for number, found in by_period}
    return Explanation(
        currency=account.session.currency,
        time_zone=account.zone.key,
        periods=[_period(item, searches.get(item.period.number, [])) for item in account.stages],
        steps=[_step(item) for item in account.steps],
        lines=[_line(item) for item in account.lines],
        totals={name: amount and _money(amount) for name, amount in account.parts.items()},
        sum_of_lines=_money(account.sum),
        limits=[
            LimitTold(item.name, _money(item.limit), _money(item.before), _money(item.after))
            for item in account.bounds
        ],
        total_cost=_money(account.total),
        warnings=[WarningTold(*item) for item in account.remarks],
    )


def unit_of(kind: str) -> str:
    """Return the unit of a dimension's volume; a fee has none."""
    if kind in FEES:
        return ""
    return "kWh" if kind == ENERGY else "h"


def _period(stage: Stage, searches: list[Lookup]) -> PeriodTold:
    return PeriodTold(
        period=stage.period.number,
        begins=_utc(stage.period.started_at),
        ends=_utc(stage.period.ended_at),
        local_time=stage.start.local.isoformat(),
        tariff=stage.tariff.uid,
        duration_so_far_s=_plain(seconds(stage.start.duration[0])),
        energy_so_far_kwh=_plain(stage.start.energy[0]),
        choices=[_choice(search) for search in searches],
    )


def _idle(search: Lookup) -> bool:
    """Tell whether a fee was looked for in a tariff that has none."""
    kinds = {kind for _, kind in search.stage.tariff.offers}
    return search.kind in FEES and FLAT not in kinds


def _choice(search: Lookup) -> Choice:
    chosen = search.offer.element if search.offer else None
    others = [item for item in search.stage.tariff.elements if item is not chosen]
    return Choice(
        dimension=search.kind,
        volume=_plain(search.volume),
        unit=unit_of(search.kind),
        element=chosen.number if chosen else None,
        not_used=[NotUsed(item.number, _why_not(item, chosen, search)) for item in others],
    )


def _why_not(element: Element, chosen: Element | None, search: Lookup) -> str:
    """Return why an element did not set a price, by the first thing that stands against it."""
    dimension = priced_as(search.kind)
    if all(component.kind != dimension for component in element.components):
        return f"it has no price for {dimension}"
    if element.reservation not in search.asked:
        return _wrong_reservation(element, search)
    failing = [item for item in element.restrictions if not item.holds(search.stage.start)]
    if failing:
        return ", and ".join(item.reason(search.stage.start) for item in failing)
    return f"element {chosen.number} goes first" if chosen else "a volume below 0 has no price"


def _wrong_reservation(element: Element, search: Lookup) -> str:
    if element.reservation is None:
        return "it is not for reservations"
    if search.asked == (None,):
        return f"it is for reservations only ({element.reservation})"
    return f"it is for another kind of reservation ({element.reservation})"


def _step(step: Step) -> StepTold:
    return StepTold(
        dimension=step.kind,
        total=_plain(step.total),
        step_size=_plain(step.size),
        billed=_plain(step.billed),
        unit="Wh" if step.kind == ENERGY else "s",
        period=step.line.stage.period.number,
    )


def _line(line: Line) -> LineTold:
    element, component = line.offer
    return LineTold(
        dimension=line.kind,
        period=line.stage.period.number,
        tariff=line.stage.tariff.uid,
        element=element.number,
        volume=_plain(line.volume),
        added_by_step_size=_plain(line.extra),
        billed=_plain(line.billed),
        unit=unit_of(line.kind),
        price=_money(component.price),
        vat=None if component.vat is None else _plain(component.vat),
        cost=_money(line.cost),
    )


def _money(amount: Amount) -> Money:
    return Money(*(None if side is None else _plain(side) for side in amount))


def _utc(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _plain(value: Decimal) -> Decimal:
    """Return the same number without trailing zeros or an exponent."""
    return Decimal(brief(value))
