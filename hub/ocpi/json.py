"""JSON for money: exact decimals in and out, nothing that two readers could read differently."""

import json
import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

MAX_NESTING = 32
MAX_DIGITS = 18
# A string ends at its quote or at the end of the text: no start is ever tried twice.
_OPENERS = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonError(ValueError):
    """The bytes are not JSON that the hub accepts; the message says why."""


def loads(raw: bytes) -> Any:
    """Read JSON strictly: UTF-8, numbers as int or Decimal.

    Refuses (JsonError) what the grammar or common sense forbids: NaN, Infinity, duplicate keys, NUL
    characters, lone surrogates, nesting beyond 32, numbers beyond 18 digits on a side.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from error
    _refuse_deep(raw)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise JsonError(f"{error.msg} at line {error.lineno} column {error.colno}") from error
    if "\\u" in text:
        _refuse_bad_text(value)
    return value


def dumps(value: Any) -> bytes:
    """Write JSON with every Decimal as the number it is, digit for digit."""
    return _ENCODER.encode(value)


def canonical(value: Any) -> bytes:
    """Write JSON so that equal values become equal bytes, whatever the order of their members."""
    return _CANONICAL.encode(value)


def pretty(value: Any) -> str:
    """Write JSON for people: indented, every Decimal as it is."""
    return msgspec.json.format(dumps(value), indent=2).decode()


def kept(text: str | bytes) -> Any:
    """Read JSON that the hub itself has written: exact decimals, no further checks."""
    return _KEPT.decode(text if isinstance(text, str) else text.decode())


def _refuse_deep(raw: bytes) -> None:
    """Refuse deep nesting before the recursive reader meets it."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_NESTING:
        return
    depth = 0
    for match in _OPENERS.finditer(raw):
        token = match.group()
        depth += 1 if token in b"[{" else -1 if token in b"]}" else 0
        if depth > MAX_NESTING:
            raise JsonError(f"nested deeper than {MAX_NESTING}")


def _refuse_bad_text(value: Any) -> None:
    """Refuse what only an escape can smuggle in: NUL and halves of a surrogate pair."""
    if isinstance(value, str):
        if "\x00" in value:
            raise JsonError("NUL character in a string")
        if _SURROGATE.search(value):
            raise JsonError("lone surrogate in a string")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_bad_text(key)
            _refuse_bad_text(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_bad_text(item)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise JsonError(f"duplicate key {twice!r}")
    return found


def _refuse_constant(name: str) -> Any:
    raise JsonError(f"{name} is not JSON")


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise JsonError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise JsonError(f"a number has more than {MAX_DIGITS} digits in its exponent") from error
    exponent = value.as_tuple().exponent
    if len(text) > 2 * MAX_DIGITS or not isinstance(exponent, int) or abs(exponent) > MAX_DIGITS:
        raise JsonError(f"a number has more than {MAX_DIGITS} digits on a side of the point")
    if value and value.adjusted() >= MAX_DIGITS:
        raise JsonError(f"a number has more than {MAX_DIGITS} digits on a side of the point")
    return value


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_CANONICAL = msgspec.json.Encoder(decimal_format="number", order="sorted")
_KEPT = json.JSONDecoder(parse_float=Decimal)
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_decimal,
    parse_int=_integer,
    parse_constant=_refuse_constant,
)
