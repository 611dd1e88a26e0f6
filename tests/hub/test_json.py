"""The strict, exact JSON reader and writer."""

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocpi import json


@pytest.mark.ocpi("T-27")
def test_numbers_keep_every_digit():
    value = json.loads(b'{"a": 15.00, "b": 12345678901234.123456789, "c": 7, "d": 1e3}')
    assert value == {
        "a": Decimal("15.00"),
        "b": Decimal("12345678901234.123456789"),
        "c": 7,
        "d": Decimal("1e3"),
    }
    assert json.dumps({"a": value["a"]}) == b'{"a":15.00}'
    assert str(json.loads(b"[15.00]")[0]) == "15.00"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "duplicate key 'c'"),
        (b'{"a": "\\u0000"}', "NUL character"),
        (b'{"\\u0000": 1}', "NUL character"),
        (b'["\\ud800"]', "lone surrogate"),
        (b'["\xff"]', "not UTF-8 at byte 2"),
        (b"[" * 33 + b"]" * 33, "nested deeper than 32"),
        (b'{"a":' * 100_000, "nested deeper than 32"),
        (b"[1234567890123456789]", "more than 18 digits"),
        (b"[1e99999999999999999999]", "digits in its exponent"),
        (b"[1e400000000]", "more than 18 digits"),
        (b"[0.1234567890123456789012345]", "more than 18 digits"),
        (b"[1234567890123456789.5]", "more than 18 digits"),
        (b"[1,]", "line 1 column"),
        (b"{'a': 1}", "line 1 column 2"),
        (b"", "line 1 column 1"),
        (b'["a\nb"]', "control character"),
    ],
)
@pytest.mark.ocpi("T-09", "T-25")
def test_it_refuses(raw, reason):
    with pytest.raises(json.JsonError, match=f"(?i){reason}"):
        json.loads(raw)


def test_an_unterminated_string_costs_no_more_than_its_length():
    raw = b"[" + b"[]," * 40 + b'"' + b'\\"' * 1_000_000
    started = time.process_time()
    with pytest.raises(json.JsonError):
        json.loads(raw)
    assert time.process_time() - started < 2  # a second look at each quote would take hours


def test_nesting_of_32_is_read_and_brackets_in_strings_do_not_count():
    assert json.loads(b"[" * 32 + b"]" * 32)
    assert json.loads(b'["' + b"[" * 100 + b'\\"[[{"]') == ["[" * 100 + '"[[{']


def test_a_pair_of_surrogates_is_a_character():
    assert json.loads(b'["\\ud83d\\ude97"]') == ["\U0001f697"]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.decimals(-(10**9), 10**9, places=4)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=20,
)


@given(values)
@pytest.mark.ocpi("T-27")
def test_what_is_written_is_read_back_the_same(value):
    assert json.loads(json.dumps(value)) == value
    assert json.kept(json.dumps(value)) == value
