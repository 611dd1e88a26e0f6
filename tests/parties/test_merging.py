"""What partial changes make of whole objects: laws that hold for any of them."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocpi import times, types, validation
from hub.ocpi.errors import Invalid
from parties import merging
from parties.merging import Amendment
from tests import wire

LATER = "2099-01-01T00:00:00Z"
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=4,
)
KINDS = (types.Location, types.EVSE, types.Connector, types.Session, types.Token)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
data = given(data=st.data())


def drawn_change(data, kind):
    """Draw some members of another object of the kind, and the time."""
    other = data.draw(wire.objects(kind))
    names = data.draw(st.sets(st.sampled_from(sorted(other))))
    return {**{name: other[name] for name in names}, "last_updated": LATER}


@every_kind
@wire.examples(20)
@data
@pytest.mark.ocpi("P-06", "P-08")
def test_a_change_of_valid_members_leaves_a_valid_object_and_the_rest_alone(kind, data):
    before, change = data.draw(wire.objects(kind)), drawn_change(data, kind)
    untouched = copy.deepcopy((before, change))
    after = merging.patched(before, change, kind, ())
    assert validation.problems(kind, after) == []
    assert (before, change) == untouched
    for name in before.keys() | change.keys():
        if name not in change:
            assert after[name] == before[name]
        elif name not in {*merging.KEYS, merging.PERIODS}:
            assert after[name] == change[name]


@every_kind
@wire.examples(20)
@data
@pytest.mark.ocpi("P-06", "P-11", "S-04")
def test_the_same_change_again_changes_nothing(kind, data):
    before, change = data.draw(wire.objects(kind)), drawn_change(data, kind)
    once = merging.merged(before, change)
    assert merging.merged(once, change) == once
    assert merging.merged(before, {}) == before


@every_kind
@wire.examples(40)
@data
@pytest.mark.ocpi("P-08", "T-10")
def test_whatever_a_change_holds_it_is_taken_or_refused_in_words(kind, data):
    before = data.draw(wire.objects(kind))
    names = st.sampled_from([item.name for item in wire.members(kind)])
    change = data.draw(st.dictionaries(names, JUNK, min_size=1, max_size=4))
    key = "uid" if "uid" in before else "id"
    after, problems = outcome(before, {**change, "last_updated": LATER}, kind, key)
    assert problems or validation.problems(kind, after) == []
    assert after[key] == before[key]


def outcome(before, change, kind, key):
    try:
        return merging.patched(before, change, kind, (key,)), []
    except Invalid as error:
        return before, error.problems


@wire.examples(40)
@given(whole=wire.objects(types.Location), status=st.sampled_from(["CHARGING", "REMOVED"]))
@pytest.mark.ocpi("L-01", "L-02", "L-15")
def test_every_part_is_found_by_its_path_and_a_change_of_it_is_of_it_alone(whole, status):
    for evse in whole.get("evses", []):
        path = merging.located(whole, evse["uid"].swapcase())
        part = merging.part_at(whole, path)
        assert merging.same(part["uid"], evse["uid"])
        after = merging.placed(whole, path, {**part, "status": status, "last_updated": LATER})
        assert merging.part_at(after, path)["status"] == status
        assert after["last_updated"] == LATER
        assert [item for item in after["evses"] if item["last_updated"] != LATER] == [
            item for item in whole["evses"] if item is not part and item["last_updated"] != LATER
        ]


@pytest.mark.ocpi("L-01", "T-33")
def test_the_longest_id_that_leads_somewhere_is_meant():
    whole = {
        "evses": [
            {"uid": "A", "connectors": [{"id": "B"}, {"id": "B/C"}]},
            {"uid": "A/B", "connectors": [{"id": "C"}]},
        ]
    }
    for tail, path in [
        ("", ()),
        ("A", ("A",)),
        ("a/b", ("A/B",)),
        ("A/B/C", ("A/B", "C")),
        ("A/", None),
        ("A/X", None),
        ("X", None),
        ("AB", None),
    ]:
        assert merging.located(whole, tail) == path, tail
    assert merging.located({}, "A") is None


def stamped(text):
    return {"last_updated": text, "evses": []}


@pytest.mark.ocpi("L-02")
@pytest.mark.parametrize(
    ("whole", "part", "newest"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.001Z", "2026-01-01T00:00:00.001Z"),
        ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.25Z", "2026-01-01T00:00:00.5Z"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00"),
        ("2026-1-1T00:00:00Z", "2025-12-31T23:59:59Z", "2026-1-1T00:00:00Z"),
        ("2026-02-30T00:00:00Z", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
    ],
)
def test_the_newer_time_is_kept_as_it_was_written(whole, part, newest):
    after = merging.placed(stamped(whole), ("E",), {"uid": "E", "last_updated": part})
    assert after["last_updated"] == newest
    older = times.parse(part) < times.parse(newest)
    assert merging.is_older({"last_updated": part}, {"last_updated": newest}) is older


@pytest.mark.ocpi("S-03", "S-04")
def test_periods_are_the_same_whatever_the_order_of_their_members():
    one = {"start_date_time": "S", "dimensions": [{"type": "ENERGY", "volume": 1}]}
    turned = {"dimensions": [{"volume": 1, "type": "ENERGY"}], "start_date_time": "S"}
    other = {**one, "tariff_id": "T"}
    assert merging.appended([one], [turned, other, other]) == [one, other]


@pytest.mark.ocpi("B-07", "P-08", "S-04")
def test_a_change_is_told_as_it_came_only_where_all_read_it_alike():
    def told(body, before=None, after=None, method="PATCH"):
        return Amendment(method, "", body).change((), before or {}, after or {}) is not None

    assert told({"status": "CHARGING"})
    assert told({"charging_periods": [1]}, {}, {"charging_periods": [1]})
    assert not told({"charging_periods": [1]}, {"charging_periods": [1]}, {"charging_periods": [1]})
    assert not told({"name": None})
    assert not told({"evses": []})
    assert not told({"connectors": []})
    assert told({"connectors": [], "name": None}, method="PUT")
