"""What holds for every valid body of every object of OCPI 2.2.1."""

import copy
from decimal import Decimal as D
from typing import Any, Literal, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocpi import json, types, validation
from tests import wire

WITH_MUSTS = [k for k in wire.STRUCTS if not all(item.optional for item in wire.members(k))]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.just(D("1.50")) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=4,
)

every_kind = pytest.mark.parametrize("kind", wire.STRUCTS, ids=lambda kind: kind.__name__)
data = given(data=st.data())


@every_kind
@wire.examples(15)
@data
@pytest.mark.ocpi("T-27")
def test_a_valid_body_has_no_problems_and_survives_the_wire(kind, data):
    body = data.draw(wire.objects(kind))
    assert validation.problems(kind, body) == []
    read = json.loads(json.dumps(body))
    assert read == body
    assert json.dumps(read) == json.dumps(body)  # 1.50 has stayed 1.50


@every_kind
@wire.examples(5)
@data
@pytest.mark.ocpi("T-28")
def test_a_null_counts_as_absent(kind, data):
    body = data.draw(wire.objects(kind))
    for holder, _, own in list(objects_of(kind, body)):
        holder.update({item.name: None for item in own if item.name not in holder})
    assert validation.problems(kind, body) == []


@every_kind
@wire.examples(5)
@data
@pytest.mark.ocpi("T-31")
def test_unknown_members_pass(kind, data):
    body = data.draw(wire.objects(kind))
    for holder, _, _ in list(objects_of(kind, body)):
        holder["x_extra"] = data.draw(JUNK)
    assert validation.problems(kind, body) == []


@pytest.mark.parametrize("kind", WITH_MUSTS, ids=lambda kind: kind.__name__)
@wire.examples(10)
@data
def test_a_missing_member_is_reported_at_its_object(kind, data):
    body = data.draw(wire.objects(kind))
    holder, path, name = data.draw(
        st.sampled_from(
            [
                (holder, path, item.name)
                for holder, path, own in objects_of(kind, body)
                for item in own
                if not item.optional
            ]
        )
    )
    if data.draw(st.booleans()):
        del holder[name]
    else:
        holder[name] = None
    found = validation.problems(kind, body)
    assert [(item.path, item.problem) for item in found] == [(path, f"{name} is required")]


@every_kind
@wire.examples(20)
@data
def test_a_broken_member_is_reported_where_it_is(kind, data):
    body = data.draw(wire.objects(kind))
    holder, name, value, path = data.draw(
        st.sampled_from(
            [
                (holder, item.name, value, f"{path}.{item.name}{index}")
                for holder, path, own in objects_of(kind, body)
                for item in own
                for value, index in breakages(item, holder.get(item.name))
            ]
        )
    )
    holder[name] = value
    assert {item.path for item in validation.problems(kind, body)} == {path}
    with pytest.raises(validation.Invalid):
        validation.check(kind, body)


@pytest.mark.parametrize(
    "item", {m.type: m for k in wire.STRUCTS for m in wire.members(k)}.values()
)
def test_every_type_can_be_broken_but_one(item):
    assert bool(wrong(item.type)) == (item.type is not Any)


@wire.examples(10)
@given(body=wire.objects(types.Token, uid="CARD1", valid=st.just(True)))
def test_members_can_be_fixed(body):
    assert (body["uid"], body["valid"]) == ("CARD1", True)


def objects_of(kind, body, path="$"):
    """Yield every object in a body: itself, its path and the members of its kind."""
    own = wire.members(kind)
    yield body, path, own
    for item in own:
        value = body.get(item.name)
        if not item.struct or value is None:
            continue
        if not item.listed:
            yield from objects_of(item.type, value, f"{path}.{item.name}")
        for index, inner in enumerate(value if item.listed else []):
            yield from objects_of(item.type, inner, f"{path}.{item.name}[{index}]")


def breakages(member, value):
    """Return values that a member must not have, each with the index that is at fault."""
    if not member.listed:
        return [(one, "") for one in wrong(member.type)]
    items = copy.copy(value or [])
    inside = [([*items, one], f"[{len(items)}]") for one in wrong(member.type)]
    return [*inside, ({}, ""), ("text", ""), *([([], "")] if member.at_least else [])]


def wrong(hint):
    """Return values that are not of a type of the wire."""
    if hint is Any:
        return []
    if get_origin(hint) is Literal:
        return ["NO_SUCH_VALUE", "", 7]
    if isinstance(hint, type) and issubclass(hint, wire.Struct):
        return ["text", 7, []]
    limits = wire.meta(hint)
    base = getattr(hint, "__origin__", hint)
    return BASES[base] + [
        value
        for value, applies in [
            ("\n", limits.pattern),
            ("", limits.min_length),
            ("x" * ((limits.max_length or 0) + 1), limits.max_length),
            ((limits.ge or 0) - 1, limits.ge is not None),
            ((limits.le or 0) + 1, limits.le is not None),
        ]
        if applies
    ]


BASES = {
    str: [7, True, ["text"], {}],
    int: ["7", True, D("1.5")],
    D: ["1.0", True, []],
    bool: ["true", 1, D("0")],
}
