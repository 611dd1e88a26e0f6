"""Numbers as OCPI writes them, and amounts of money before and with tax. All of it is exact.

An input number has 4 decimals and is rounded half up to them once, when it is read. Nothing is
rounded after that, until a figure is shown.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, NamedTuple

from cdrs.pricing.refusals import Refused

EXACT = Context(prec=34)  # every calculation runs in this context, whatever the thread has set
ZERO = Decimal(0)
FOUR = Decimal("0.0001")
LIMIT = Decimal(10) ** 12  # a price times a volume below it is exact in 34 digits


class Amount(NamedTuple):
    """An amount before tax and with tax; None is unknown."""

    excl: Decimal | None
    incl: Decimal | None

    def times(self, volume: Decimal) -> "Amount":
        """Return the cost of a volume, this being the price of one unit."""
        return Amount(
            None if self.excl is None else self.excl * volume,
            None if self.incl is None else self.incl * volume,
        )


NOTHING = Amount(ZERO, ZERO)


def total(amounts: Iterable[Amount]) -> Amount:
    """Return the sum; an unknown amount makes it unknown."""
    excl: Decimal | None = ZERO
    incl: Decimal | None = ZERO
    for amount in amounts:
        excl = None if excl is None or amount.excl is None else excl + amount.excl
        incl = None if incl is None or amount.incl is None else incl + amount.incl
    return Amount(excl, incl)


def number(value: Any, name: str) -> Decimal:
    """Read a number, which may be written as a string, to 4 decimals.

    Raises Refused (malformed, out_of_range).
    """
    try:
        exact = value if type(value) is Decimal else Decimal(_digits(value))
        if not -LIMIT < exact < LIMIT:
            raise Refused("out_of_range", f"{name}: {exact} is beyond what a session can have")
        return exact.quantize(FOUR, ROUND_HALF_UP)
    except (InvalidOperation, TypeError) as error:
        raise Refused("malformed", f"{name}: {value!r} is not a number") from error


def number_or_none(value: Any, name: str) -> Decimal | None:
    """Read a number that may be absent."""
    return None if value is None else number(value, name)


def shown(value: Decimal) -> str:
    """Write money or a volume with 4 decimals, half up."""
    return f"{value.quantize(FOUR, ROUND_HALF_UP, EXACT):f}"


def brief(value: Decimal) -> str:
    """Write a number in as few digits as it has."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _digits(value: Any) -> str:
    """Return the digits of a number; those of a float are the shortest that mean it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return str(value)
