"""What is odd about a tariff: it is valid OCPI, but bills something else than it seems to.

Every lint is a pure function of the tariff as a partner wrote it (2.2.1, also 2.1.1 and 2.3.0); it
yields where it fires and one plain sentence. Nothing is refused for a lint. docs/cdr-pricing.md
lists them all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import product
from math import prod
from typing import Any, NamedTuple

from hub.countries import alpha_3
from hub.money import is_currency
from hub.ocpi import times, types

ENERGY, TIME, PARKING_TIME, FLAT = "ENERGY", "TIME", "PARKING_TIME", "FLAT"
WITH_UNIT = (ENERGY, TIME, PARKING_TIME)
FEW = 3  # lints that a partner is told at once
RANGES = ("kwh", "current", "power", "duration")
KEYS = {
    "tariff": {*types.Tariff.__struct_fields__, "tax_included", "preauthorize_amount"},
    "element": set(types.TariffElement.__struct_fields__),
    "restrictions": set(types.TariffRestrictions.__struct_fields__),
    "component": set(types.PriceComponent.__struct_fields__),
}
Wire = Mapping[str, Any]
Found = Iterator[tuple[str, str]]  # where, and what
Check = Callable[[Wire], Found]
LINTS: dict[str, Check] = {}


class Lint(NamedTuple):
    """One oddity: its code, where it is (`elements[0].restrictions`, empty for all), and words."""

    code: str
    path: str
    text: str


def check(tariff: Wire) -> list[Lint]:
    """Return everything that is odd about a valid tariff."""
    return [Lint(code, *found) for code, lint in LINTS.items() for found in lint(tariff)]


def told(lints: Sequence[Lint]) -> list[str]:
    """Return one text for the partner, the first few lints in words; nothing where none fired."""
    texts = [f"{item.path or 'tariff'}: {item.text}" for item in lints[:FEW]]
    left = len(lints) - FEW
    return [", ".join([*texts, *([f"and {left} more"] if left > 0 else [])])] if texts else []


def lint(function: Check) -> Check:
    """Register a lint under the name of its function."""
    LINTS[function.__name__] = function
    return function


# Elements and components


@lint
def unreachable(tariff: Wire) -> Found:
    """A price after an element that always prices the same dimension never applies."""
    always: dict[tuple[Any, Any], int] = {}
    for place, element in _elements(tariff):
        reservation, area = _restrictions(element).get("reservation"), _area(element)
        for path, component in _components(place, element):
            key = (reservation, component.get("type"))
            if key in always:
                yield path, f"element {always[key]} always prices {key[1]} before it"
        if not area:
            kinds = {component.get("type") for _, component in _components(place, element)}
            for kind in kinds:
                always.setdefault((reservation, kind), place + 1)


@lint
def duplicate_component(tariff: Wire) -> Found:
    """Of two prices for one dimension in an element only the first counts."""
    for place, element in _elements(tariff):
        seen: set[Any] = set()
        for path, component in _components(place, element):
            if component.get("type") in seen:
                yield path, f"the element has a price for {component['type']} already"
            seen.add(component.get("type"))


@lint
def step_size_zero(tariff: Wire) -> Found:
    """A step_size of 0 rounds nothing; 1 is the smallest step."""
    for path, component in _all_components(tariff):
        if component.get("type") in WITH_UNIT and _number(component.get("step_size")) == 0:
            yield path, f"{component['type']} has a step_size of 0: nothing is rounded"


@lint
def flat_step_size(tariff: Wire) -> Found:
    """A fee is charged once; its step_size means nothing."""
    for path, component in _all_components(tariff):
        step = _number(component.get("step_size"))
        if component.get("type") == FLAT and step is not None and step > 1:
            yield path, f"FLAT has a step_size of {step}, which means nothing"


@lint
def time_step_ignored(tariff: Wire) -> Found:
    """Once parking has been priced, charging time is billed to the second."""
    components = list(_all_components(tariff, reserved=False))
    if all(component.get("type") != PARKING_TIME for _, component in components):
        return
    for path, component in components:
        step = _number(component.get("step_size"))
        if component.get("type") == TIME and step is not None and step > 1:
            yield path, f"the TIME step of {step} s does not count in a session that ends parked"


@lint
def vat_out_of_range(tariff: Wire) -> Found:
    """VAT is a percentage between 0 and 100."""
    for path, component in _all_components(tariff):
        vat = _number(component.get("vat"))
        if vat is not None and not 0 <= vat <= 100:
            yield path, f"vat is {vat}; it is a percentage"


# Restrictions


@lint
def empty_restrictions(tariff: Wire) -> Found:
    """Restrictions that restrict nothing: the element always applies."""
    for place, element in _elements(tariff):
        told = element.get("restrictions")
        if told is not None and not any(value not in (None, []) for value in told.values()):
            yield f"elements[{place}].restrictions", "they are empty: the element always applies"


@lint
def impossible_restriction(tariff: Wire) -> Found:
    """A range without anything in it: the element never applies."""
    for place, element in _elements(tariff):
        for (least, low), (most, high) in _bounds_of(_restrictions(element)):
            if high is not None and (high == 0 or (low is not None and high <= low)):
                text = f"{least} to {most} leaves nothing: the element never applies"
                yield f"elements[{place}].restrictions", text


@lint
def whole_day_window(tariff: Wire) -> Found:
    """A window that ends when it starts is read as the whole day; others read it as never."""
    for place, element in _elements(tariff):
        told = _restrictions(element)
        if told.get("start_time") is not None and told.get("start_time") == told.get("end_time"):
            text = f"start_time is end_time ({told['end_time']}): read as the whole day"
            yield f"elements[{place}].restrictions", text


@lint
def dates_instead_of_window(tariff: Wire) -> Found:
    """Dates on every element are better said once, by the tariff's start and end."""
    dates = [
        (told.get("start_date"), told.get("end_date"))
        for told in (_restrictions(element) for _, element in _elements(tariff))
    ]
    if len(set(dates)) == 1 and dates[0] != (None, None):
        text = "all elements have the same dates: start_date_time and end_date_time would do"
        yield "elements", text


@lint
def reservation_dimension(tariff: Wire) -> Found:
    """A reservation has time and a fee, no energy and no parking."""
    for path, component in _all_components(tariff, reserved=True):
        if component.get("type") in {ENERGY, PARKING_TIME}:
            yield path, f"{component['type']} in an element for reservations is never charged"


# The tariff as a whole


@lint
def no_fallback(tariff: Wire) -> Found:
    """A dimension that is priced under some circumstances only is free under all others."""
    for kind in WITH_UNIT:
        areas = [
            _area(element)
            for place, element in _elements(tariff)
            if not _restrictions(element).get("reservation")
            and any(part.get("type") == kind for _, part in _components(place, element))
        ]
        if areas and not _cover_everything(areas):
            yield "elements", f"{kind} is free where none of the restrictions holds"


@lint
def neither_energy_nor_time(tariff: Wire) -> Found:
    """A tariff that is not free altogether prices energy or time."""
    charging = [component for _, component in _all_components(tariff, reserved=False)]
    kinds = {part.get("type") for part in charging}
    if kinds & {ENERGY, TIME} or all(_number(part.get("price")) == 0 for part in charging):
        return
    yield "elements", "neither ENERGY nor TIME has a price: charging is free"


@lint
def min_above_max(tariff: Wire) -> Found:
    """min_price does not exceed max_price; where they cross, max_price wins."""
    least, most = tariff.get("min_price") or {}, tariff.get("max_price") or {}
    for side in ("excl_vat", "incl_vat", "before_taxes", "after_taxes"):
        low, high = _number(least.get(side)), _number(most.get(side))
        if low is not None and high is not None and low > high:
            yield "min_price", f"min_price {low} exceeds max_price {high} ({side})"


@lint
def never_active(tariff: Wire) -> Found:
    """A tariff starts before it ends."""
    start, end = (_instant(tariff.get(f"{name}_date_time")) for name in ("start", "end"))
    if start and end and start >= end:
        yield "end_date_time", "it ends before it starts: the tariff is never valid"


@lint
def country_code_form(tariff: Wire) -> Found:
    """A country has two capital letters of ISO 3166."""
    code = tariff.get("country_code")
    if code is not None and not (code.isupper() and len(code) == 2 and alpha_3(code)):
        yield "country_code", f"{code} is not a country in two capital letters"


@lint
def currency_form(tariff: Wire) -> Found:
    """A currency has three capital letters of ISO 4217."""
    code = tariff.get("currency")
    if code is not None and not (code.isupper() and is_currency(code)):
        yield "currency", f"{code} is not a currency in three capital letters"


@lint
def unknown_key(tariff: Wire) -> Found:
    """What OCPI does not know restricts and prices nothing."""
    yield from _unknown("tariff", "", tariff)
    for place, element in _elements(tariff):
        path = f"elements[{place}]"
        yield from _unknown("element", path, element)
        yield from _unknown("restrictions", f"{path}.restrictions", _restrictions(element))
        for where, component in _components(place, element):
            yield from _unknown("component", where, component)


def _unknown(what: str, path: str, told: Wire) -> Found:
    for name in sorted(told.keys() - KEYS[what]):
        yield f"{path}.{name}".lstrip("."), f"OCPI knows no {name} here; it means nothing"


# Reading a tariff


def _elements(tariff: Wire) -> Iterator[tuple[int, Wire]]:
    return enumerate(tariff.get("elements") or ())


def _components(place: int, element: Wire) -> Iterator[tuple[str, Wire]]:
    for number, component in enumerate(element.get("price_components") or ()):
        yield f"elements[{place}].price_components[{number}]", component


def _all_components(tariff: Wire, reserved: bool | None = None) -> Iterator[tuple[str, Wire]]:
    """Return all components, or those of elements that are (not) for reservations."""
    for place, element in _elements(tariff):
        if reserved in {None, bool(_restrictions(element).get("reservation"))}:
            yield from _components(place, element)


def _restrictions(element: Wire) -> Wire:
    return element.get("restrictions") or {}


def _instant(value: Any) -> datetime | None:
    """Read a DateTime; one that does not exist, such as the 31st of February, is none."""
    try:
        return times.parse(value) if value else None
    except ValueError:
        return None


def _number(value: Any) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None


# Where an element applies: an area of ranges [low, high) along some axes; it is empty, {}, for an
# element that always applies

Range = tuple[Any, Any]
Area = Mapping[str, Sequence[Range]]
Bound = tuple[str, Any]
WEEK = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
TRIES = 20_000  # more are not made: the tariff is taken to be complete


def _area(element: Wire) -> Area:
    told = _restrictions(element)
    area: dict[str, Sequence[Range]] = {}
    for (axis, low), (_, high) in _bounds_of(told):
        if low is not None or high is not None:
            area[axis] = [(low, high)]
    if told.get("day_of_week"):
        days = [WEEK.index(day) for day in told["day_of_week"] if day in WEEK]
        area["day_of_week"] = [(day, day + 1) for day in days]
    start, end = told.get("start_time"), told.get("end_time")
    if start != end:
        area["time"] = _window(start, None if end == "00:00" else end)
    return {axis: ranges for axis, ranges in area.items() if ranges != [(None, None)]}


def _bounds_of(told: Wire) -> Iterator[tuple[Bound, Bound]]:
    """Return minimum and maximum of every range; a minimum of 0 is none."""
    for name in RANGES:
        low, high = f"min_{name}", f"max_{name}"
        yield (low, _number(told.get(low)) or None), (high, _number(told.get(high)))
    yield ("start_date", told.get("start_date")), ("end_date", told.get("end_date"))


def _window(start: str | None, end: str | None) -> list[Range]:
    """Return a window of the day, in two ranges when it spans midnight."""
    if start and end and end < start:
        return [(None, end), (start, None)]
    return [(None if start == "00:00" else start, end)]


def _cover_everything(areas: Sequence[Area]) -> bool:
    """Tell whether there is no point outside all areas; where a range ends, a new point begins."""
    axes = sorted({axis for area in areas for axis in area})
    tried = [_points([area[axis] for area in areas if axis in area], axis) for axis in axes]
    return len(areas) * prod(map(len, tried)) > TRIES or all(
        any(_contains(area, dict(zip(axes, point, strict=True))) for area in areas)
        for point in product(*tried)
    )


def _points(ranges: Sequence[Sequence[Range]], axis: str) -> list[Any]:
    """Return one point of every stretch between bounds; None is what lies before all bounds."""
    if axis == "day_of_week":
        return list(range(len(WEEK)))
    bounds = {bound for group in ranges for pair in group for bound in pair if bound is not None}
    return [None, *sorted(bounds)]


def _contains(area: Area, point: Mapping[str, Any]) -> bool:
    return all(
        any(_within(point[axis], low, high) for low, high in ranges)
        for axis, ranges in area.items()
    )


def _within(value: Any, low: Any, high: Any) -> bool:
    if value is None:
        return low is None
    return (low is None or value >= low) and (high is None or value < high)
