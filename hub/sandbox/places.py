"""Where the demo network has its chargers: real cities, real coordinates, real time zones."""

import csv
from pathlib import Path
from typing import NamedTuple

_TABLE = Path(__file__).with_name("places.csv")


class Place(NamedTuple):
    """A site. `vat` is the standard rate there in percent, empty where there is no VAT on it."""

    cpo: str
    name: str
    address: str
    postal_code: str
    city: str
    country: str
    latitude: str
    longitude: str
    time_zone: str
    parking_type: str
    vat: str


def places_of(cpo: str) -> list[Place]:
    """Return the sites of a CPO, named by its party id."""
    with _TABLE.open(encoding="utf-8", newline="") as table:
        return [Place(**row) for row in csv.DictReader(table) if row["cpo"] == cpo]
