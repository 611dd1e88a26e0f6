"""Tariffs of OCPI 2.1.1, 2.2.1 and 2.3.0 in one shape, in which a price is looked up quickly.

The versions differ in what a price says of tax. 2.2.1: prices are net, and without `vat` there is
no tax. 2.1.1: prices are net, tax is unknown. 2.3.0: `tax_included` tells; YES makes prices gross.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, DivisionByZero, InvalidOperation, localcontext
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from cdrs.pricing import restrictions
from cdrs.pricing.moments import Moment, instant
from cdrs.pricing.numbers import EXACT, ZERO, Amount, number, number_or_none
from cdrs.pricing.refusals import Refused
from cdrs.pricing.restrictions import Restriction

RESERVATION, EXPIRES = "RESERVATION", "RESERVATION_EXPIRES"
KEPT, KEPT_BYTES = 512, 20_000  # parsed tariffs, none longer: they take 7 times their JSON
NET, GROSS, UNTAXED, UNKNOWN = "NO", "YES", "N/A", ""  # what `tax_included` says; UNKNOWN is 2.1.1


class Component(NamedTuple):
    """What a unit (kWh, hour, session) of a dimension costs."""

    kind: str
    price: Amount
    vat: Decimal | None
    step: Decimal


@dataclass(frozen=True, slots=True)
class Element:
    """A tariff element; `number` counts from 1, as people do."""

    number: int
    components: tuple[Component, ...]
    restrictions: tuple[Restriction, ...]
    reservation: str | None

    def applies(self, at: Moment) -> bool | None:
        """Tell whether all restrictions hold; None when only a measurement is missing."""
        missing = False
        for restriction in self.restrictions:
            holds = restriction.holds(at)
            if holds is None:
                missing = True
            elif not holds:
                return False
        return None if missing else True

    @property
    def moving(self) -> bool:
        """Whether it may begin or cease to apply while a period lasts."""
        return any(restriction.moving for restriction in self.restrictions)


class Offer(NamedTuple):
    """A component, and the element it stands in."""

    element: Element
    component: Component


class Offers(NamedTuple):
    """Everything that could price one dimension, in the order in which it is asked."""

    listed: tuple[Offer, ...]
    moving: bool  # whether the answer may change while a period lasts


NO_OFFERS = Offers((), moving=False)


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff. `offers` is by (reservation restriction or None, dimension)."""

    uid: str
    currency: str
    starts_at: datetime | None
    ends_at: datetime | None
    elements: tuple[Element, ...]
    offers: Mapping[tuple[str | None, str], Offers]
    least: Amount | None
    most: Amount | None

    def active(self, at: datetime) -> bool:
        """Tell whether it is valid at an instant; its end is exclusive."""
        return (self.starts_at is None or self.starts_at <= at) and (
            self.ends_at is None or self.ends_at > at
        )


def read(raw: Mapping[str, Any], *, taxes_told: bool) -> Tariff:
    """Read a tariff, or return it as read before; without `taxes_told` it is one of OCPI 2.1.1.

    Raises Refused (malformed, out_of_range).
    """
    try:
        content = msgspec.json.encode(raw)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused("malformed", f"a tariff is not JSON: {error}") from error
    return (_kept if len(content) <= KEPT_BYTES else _parsed)(content, taxes_told)


@lru_cache(maxsize=KEPT)
def _kept(content: bytes, taxes_told: bool) -> Tariff:
    return _parsed(content, taxes_told)


def _parsed(content: bytes, taxes_told: bool) -> Tariff:
    raw = msgspec.json.decode(content)
    if not isinstance(raw, dict):
        raise Refused("malformed", "a tariff is not an object")
    try:
        with localcontext(EXACT):
            return _tariff(raw, _taxes(raw, taxes_told))
    except Refused as error:
        raise Refused(error.code, f"tariff {raw.get('id')}: {error}") from error


def _tariff(raw: Mapping[str, Any], taxes: str) -> Tariff:
    elements = tuple(
        _element(place, item, taxes) for place, item in enumerate(_list(raw, "elements"), 1)
    )
    return Tariff(
        uid=str(raw.get("id") or ""),
        currency=str(raw.get("currency") or ""),
        starts_at=_instant(raw, "start_date_time"),
        ends_at=_instant(raw, "end_date_time"),
        elements=elements,
        offers=_offers(elements),
        least=_limit(raw, "min_price"),
        most=_limit(raw, "max_price"),
    )


def _taxes(raw: Mapping[str, Any], taxes_told: bool) -> str:
    told = raw.get("tax_included")
    if told is None:
        return NET if taxes_told else UNKNOWN
    if told not in (NET, GROSS, UNTAXED):
        raise Refused("malformed", f"tax_included: {told!r} is not YES, NO or N/A")
    return str(told)


def _element(place: int, raw: Mapping[str, Any], taxes: str) -> Element:
    try:
        restricted = _object(raw.get("restrictions"), "restrictions")
        return Element(
            number=place,
            components=tuple(_component(item, taxes) for item in _list(raw, "price_components")),
            restrictions=restrictions.read(restricted),
            reservation=str(restricted.get("reservation") or "") or None,
        )
    except Refused as error:
        raise Refused(error.code, f"element {place}: {error}") from error
    except (AttributeError, TypeError) as error:
        raise Refused("malformed", f"element {place} is not an object") from error


def _component(raw: Mapping[str, Any], taxes: str) -> Component:
    vat = None if taxes == UNTAXED else number_or_none(raw.get("vat"), "vat")
    step = number_or_none(raw.get("step_size"), "step_size") or ZERO
    if step < 0:
        raise Refused("malformed", f"step_size: {step} is negative")
    price = _price(number(raw.get("price"), "price"), vat, taxes)
    return Component(str(raw.get("type")), price, vat, step)


def _price(price: Decimal, vat: Decimal | None, taxes: str) -> Amount:
    """Return a price before and with tax."""
    if vat is None:
        return {GROSS: Amount(None, price), UNKNOWN: Amount(price, None)}.get(
            taxes, Amount(price, price)
        )
    factor = 1 + vat / 100
    if taxes != GROSS:
        return Amount(price, price * factor)
    try:
        return Amount(price / factor, price)
    except (DivisionByZero, InvalidOperation) as error:
        raise Refused("malformed", f"vat: {vat} leaves no price before tax") from error


def _limit(raw: Mapping[str, Any], name: str) -> Amount | None:
    """Read min_price or max_price; 2.3.0 calls its members otherwise."""
    told = _object(raw.get(name), name)
    if not told:
        return None
    excl, incl = (
        ("before_taxes", "after_taxes") if "before_taxes" in told else ("excl_vat", "incl_vat")
    )
    return Amount(
        number_or_none(told.get(excl), f"{name}.{excl}"),
        number_or_none(told.get(incl), f"{name}.{incl}"),
    )


def _offers(elements: Sequence[Element]) -> dict[tuple[str | None, str], Offers]:
    """Sort what the elements offer: in list order, one component per element and dimension."""
    listed: dict[tuple[str | None, str], list[Offer]] = {}
    for element in elements:
        for component in _first_of_each_kind(element.components):
            offer = Offer(element, component)
            listed.setdefault((element.reservation, component.kind), []).append(offer)
    return {
        key: Offers(tuple(offers), any(offer.element.moving for offer in offers))
        for key, offers in listed.items()
    }


def _first_of_each_kind(components: Sequence[Component]) -> Iterator[Component]:
    kinds: set[str] = set()
    for component in components:
        if component.kind not in kinds:
            kinds.add(component.kind)
            yield component


def _instant(raw: Mapping[str, Any], name: str) -> datetime | None:
    return None if raw.get(name) is None else instant(raw[name], name)


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    value = raw.get(name)
    if not isinstance(value, list):
        raise Refused("malformed", f"{name} is not a list")
    return value


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict | None):
        raise Refused("malformed", f"{name} is not an object")
    return value or {}
