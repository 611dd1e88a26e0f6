"""The wire types against the tables of OCPI 2.2.1, field by field.

tests/data/ocpi-2.2.1.json holds the facts: for each object its fields in order, each with type,
greatest length and cardinality; for each enumeration its values.
"""

import json
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from hub.ocpi import types
from tests import wire

FACTS = json.loads((Path(__file__).parent.parent / "data/ocpi-2.2.1.json").read_text())
STRUCTS = {kind.__name__: kind for kind in wire.STRUCTS}
ENUMS = {name: kind for name, kind in vars(types).items() if get_origin(kind) is Literal}

# Where the hub differs from the tables, and why.
DIFFERENCES = {
    # The errata made the address of a Location longer and forgot the copy of it in a CDR.
    ("CdrLocation", "address"): ("string", 255, "1"),
    ("CdrLocation", "state"): ("string", 45, "?"),
    # The pattern beside the length admits a sign, 2 or 3 digits, a point and 7 decimals.
    ("GeoLocation", "latitude"): ("string", 11, "1"),
    ("GeoLocation", "longitude"): ("string", 12, "1"),
    ("AdditionalGeoLocation", "latitude"): ("string", 11, "1"),
    ("AdditionalGeoLocation", "longitude"): ("string", 12, "1"),
    # "Array or object or string" is anything that an answer may hold.
    ("Envelope", "data"): ("any", None, "?"),
}

# What the tables say of the types whose pattern is narrower than a length.
PATTERNED = {
    types.CountryCode: ("CiString", 2),
    types.PartyId: ("CiString", 3),
    types.Country: ("string", 3),
    types.Currency: ("string", 3),
    types.CredentialsToken: ("string", 64),
    types.Url: ("URL", 255),
    types.DateTime: ("DateTime", None),
    types.LocalTime: ("string", 5),
    types.LocalDate: ("string", 10),
    types.Weekday: ("int", 1),
    types.Int5: ("int", 5),
    types.StatusCode: ("int", None),
    types.Number: ("number", None),
    bool: ("boolean", None),
    int: ("int", None),
    str: ("string", None),
    Any: ("any", None),
}


@pytest.mark.parametrize("name", FACTS["objects"])
@pytest.mark.ocpi("C-02", "D-12", "L-10", "T-28")
def test_an_object_has_the_fields_of_its_table(name):
    assert fields(STRUCTS[name]) == [
        (field, *DIFFERENCES.get((name, field), fact))
        for field, fact in FACTS["objects"][name].items()
    ]


def test_there_are_no_other_objects():
    assert STRUCTS.keys() == FACTS["objects"].keys()
    assert len(STRUCTS) == 56


@pytest.mark.parametrize("name", FACTS["enums"])
@pytest.mark.ocpi("C-18", "H-04", "V-02")
def test_an_enumeration_has_the_values_of_its_table(name):
    assert list(get_args(ENUMS[name])) == FACTS["enums"][name]


def test_there_are_no_other_enumerations():
    assert ENUMS.keys() == FACTS["enums"].keys()
    assert len(set(ENUMS.values())) == len(ENUMS) == 34


def test_every_difference_is_one():
    for (name, field), ours in DIFFERENCES.items():
        assert tuple(FACTS["objects"][name][field]) != ours


LONGEST = [
    (types.CountryCode, "NL", "NLD"),
    (types.PartyId, "ABC", "ABCD"),
    (types.Country, "NLD", "NLDX"),
    (types.Currency, "EUR", "EURO"),
    (types.CredentialsToken, "x" * 64, "x" * 65),
    (types.Url, "u" * 255, "u" * 256),
    (types.LocalTime, "23:59", "23:590"),
    (types.LocalDate, "2026-12-31", "2026-12-310"),
    (types.Latitude, "-89.1234567", "-89.12345678"),
    (types.Longitude, "-179.1234567", "-179.12345678"),
    (types.Weekday, 7, 8),
    (types.Int5, 99_999, 100_000),
    (types.StatusCode, 9999, 10_000),
]


@pytest.mark.parametrize(("kind", "longest", "longer"), LONGEST)
@pytest.mark.ocpi("A-02", "T-30")
def test_a_pattern_keeps_to_the_length(kind, longest, longer):
    assert msgspec.convert(longest, kind) == longest
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(longer, kind)
    _, most = PATTERNED.get(kind, (None, None))
    assert most in (None, len(str(longest)))


@pytest.mark.parametrize(
    "sentinel", ["1970-1-1T00:00:00Z", "1970-01-01T00:00:00Z", "2026-11-10T10:00:00.123"]
)
@pytest.mark.ocpi("D-14", "T-26")
def test_a_date_time_may_be_a_sentinel_or_lack_its_zone(sentinel):
    assert msgspec.convert(sentinel, types.DateTime) == sentinel


@pytest.mark.parametrize(
    "nonsense",
    [
        "2026-13-10T10:00:00Z",
        "2026-11-10T24:00:00Z",
        "2026-11-10T10:60:00Z",
        "2026-11-10 10:00:00Z",
    ],
)
@pytest.mark.ocpi("T-26")
def test_a_date_time_that_cannot_be_is_refused(nonsense):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(nonsense, types.DateTime)


def fields(kind):
    """Describe a Struct as the tables do: (field, type, greatest length, cardinality)."""
    return [(item.name, *named(item.type), cardinality(item)) for item in wire.members(kind)]


def cardinality(item):
    if item.listed:
        assert item.optional == (item.at_least == 0), "a list is optional or has an item"
        return "+" if item.at_least else "*"
    return "?" if item.optional else "1"


def named(hint):
    if hint in PATTERNED:
        return PATTERNED[hint]
    limits = wire.meta(hint)
    if limits.max_length:
        return "CiString" if limits.min_length else "string", limits.max_length
    return next(name for name, kind in {**STRUCTS, **ENUMS}.items() if kind == hint), None
