"""Countries of ISO 3166-1, between their two spellings."""

from functools import cache

import pycountry


@cache
def alpha_2(code: str) -> str:
    """Return the 2-letter code of a 3-letter one, empty when there is no such country."""
    country = pycountry.countries.get(alpha_3=code.upper()) if code else None
    return str(country.alpha_2) if country else ""


@cache
def alpha_3(code: str) -> str:
    """Return the 3-letter code of a 2-letter one, empty when there is no such country."""
    country = pycountry.countries.get(alpha_2=code.upper()) if code else None
    return str(country.alpha_3) if country else ""
