"""Money: exact decimals, rounded half up, once, to what the currency has.

An OCPI amount has 4 decimals; an amount on a document has those of its currency (ISO 4217).
"""

from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import pycountry
from babel.numbers import get_currency_precision

ZERO = Decimal(0)
FOUR = Decimal("0.0001")


def is_currency(code: str) -> bool:
    """Tell whether a code is a currency of ISO 4217."""
    return pycountry.currencies.get(alpha_3=code) is not None


@cache
def minor_unit(currency: str) -> Decimal:
    """Return the smallest amount on a document in a currency: 0.01 for EUR, 1 for JPY."""
    return Decimal(1).scaleb(-get_currency_precision(currency))


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round an amount half up (away from zero) to the minor unit of its currency."""
    return amount.quantize(minor_unit(currency), rounding=ROUND_HALF_UP)


def four_decimals(amount: Decimal) -> Decimal:
    """Round an amount half up to OCPI's 4 decimals."""
    return amount.quantize(FOUR, rounding=ROUND_HALF_UP)
