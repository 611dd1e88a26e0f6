"""The wire types against the tables of OCPI 2.2.1, field by field.

tests/data/ocpi-2.2.1.json holds the facts: for each object its fields in order, each with type,
greatest length and cardinality; for each enumeration its values.
"""

import json
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest

from hub.ocpi import types

FACTS = json.loads((Path(__file__).parent.parent / "data/ocpi-2.2.1.json").read_text())
STRUCTS = {
    name: kind
    for name, kind in vars(types).items()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct
}
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
def test_an_object_has_the_fields_of_its_table(name):
    assert fields(STRUCTS[name]) == [
        (field, *DIFFERENCES.get((name, field), fact))
        for field, fact in FACTS["objects"][name].items()
    ]


def test_there_are_no_other_objects():
    assert STRUCTS.keys() == FACTS["objects"].keys()
    assert len(STRUCTS) == 56


@pytest.mark.parametrize("name", FACTS["enums"])
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
def test_a_pattern_keeps_to_the_length(kind, longest, longer):
    assert msgspec.convert(longest, kind) == longest
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(longer, kind)
    _, most = PATTERNED.get(kind, (None, None))
    assert most in (None, len(str(longest)))


@pytest.mark.parametrize(
    "sentinel", ["1970-1-1T00:00:00Z", "1970-01-01T00:00:00Z", "2026-11-10T10:00:00.123"]
)
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
def test_a_date_time_that_cannot_be_is_refused(nonsense):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(nonsense, types.DateTime)


def fields(kind):
    """Describe a Struct as the tables do: (field, type, greatest length, cardinality)."""
    hints = get_type_hints(kind, include_extras=True)
    return [(name, *described(hints[name])) for name in kind.__struct_fields__]


def described(hint):
    hint, optional = without_none(hint)
    inner, listed, at_least = without_list(hint)
    if listed:
        assert optional == (at_least == 0), "a list is either optional or has an item"
        return (*leaf(inner), "+" if at_least else "*")
    return (*leaf(inner), "?" if optional or inner is Any else "1")


def without_none(hint):
    rest = [item for item in get_args(hint) if item is not NoneType]
    if NoneType in get_args(hint):
        return rest[0], True
    return hint, False


def without_list(hint):
    """Return what a list is of, whether it is one, and how many items it has at least."""
    outer, *metas = (hint.__origin__, *hint.__metadata__) if annotated(hint) else (hint,)
    if get_origin(outer) is not list:
        return hint, False, 0
    return get_args(outer)[0], True, sum(meta.min_length or 0 for meta in metas)


def leaf(hint):
    if hint in PATTERNED:
        return PATTERNED[hint]
    if annotated(hint):
        (meta,) = hint.__metadata__
        return "CiString" if meta.min_length else "string", meta.max_length
    return next(name for name, kind in {**STRUCTS, **ENUMS}.items() if kind == hint), None


def annotated(hint):
    return hasattr(hint, "__metadata__")
