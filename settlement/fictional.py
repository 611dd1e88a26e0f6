"""Made-up companies for the sandbox: complete, plausible, the same for the same party."""

import csv
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from hub.countries import alpha_3
from parties.models import Party

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


class Place(NamedTuple):
    """Where companies of a country sit, and how its numbers look: # a digit, ? a letter.

    `account` is an IBAN without country and check digits, or what a country without IBAN uses.
    """

    street: str
    postal_code: str
    city: str
    vat_id: str
    registration: str
    account: str
    iban: str
    form: str


PLACES = Path(__file__).with_name("places.csv")


@cache
def places() -> dict[str, Place]:
    """Return the places by country."""
    with PLACES.open(encoding="utf-8", newline="") as table:
        return {row.pop("country"): Place(**row) for row in csv.DictReader(table)}


def place_of(country: str) -> Place:
    """Return how companies of a country look; one pattern serves the countries not listed."""
    capital = f"{alpha_3(country) or country} City"
    vat_id = f"{country}##########"
    generic = Place("Main Street {}", "10000", capital, vat_id, "No. ######", "#" * 12, "no", "Ltd")
    return places().get(country, generic)


def company(party: Party) -> dict[str, str]:
    """Invent the legal entity of a party; the same code and name give the same company."""
    country, name = party.country_code, party.name
    place, digits = place_of(country), _digits(f"{country}{party.party_id} {name}")
    legal_name = name if name.endswith(place.form) else f"{name} {place.form}"
    account = _filled(place.account, digits)
    return {
        "name": legal_name[:100],
        "address": place.street.format(1 + int(_filled("##", digits))),
        "postal_code": place.postal_code,
        "city": place.city,
        "country": country,
        "vat_id": _filled(place.vat_id, digits),
        "registration": _filled(place.registration, digits),
        "iban": iban(country, account) if place.iban == "yes" else account,
        "account_name": legal_name[:70],
    }


def iban(country: str, account: str) -> str:
    """Complete an account with the check digits that make it an IBAN (ISO 13616, mod 97)."""
    moved = f"{account}{country}00"
    return f"{country}{98 - int(''.join(str(int(sign, 36)) for sign in moved)) % 97:02}{account}"


def _digits(seed: str) -> Iterator[int]:
    """Return endless digits that depend on nothing but the seed."""
    block = seed.encode()
    while True:
        block = hashlib.sha256(block).digest()
        yield from block


def _filled(pattern: str, digits: Iterator[int]) -> str:
    made = {"#": lambda: str(next(digits) % 10), "?": lambda: LETTERS[next(digits) % len(LETTERS)]}
    return "".join(made[sign]() if sign in made else sign for sign in pattern)
