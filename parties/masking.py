"""What the journal may show: bodies, paths and words without tokens and without drivers' ids.

A token is never shown. A driver's identifier becomes a keyed hash, `~` and 12 digits: the same
driver is recognised, and found by who knows the identifier, but not revealed.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from hub.ocpi import json
from parties import keys

SHOWN = 14_000  # characters of a body
READ = 128 * 1024  # a longer body is not even read
LONGEST = 1_000  # characters of one text
RECALLED = 20  # identifiers that are looked for in words: those of the path and request come first
HIDDEN = "(masked)"
SECRETS = frozenset({"token", "authorization", "password"})
CALLBACKS = frozenset({"response_url"})
DRIVERS = frozenset(
    {"contract_id", "visual_number", "auth_id", "group_id", "authorization_reference"}
)
PARAMETERS = frozenset(
    {"offset", "limit", "date_from", "date_to", "type", "token_type", "duration"}
)
_OWNER = re.compile(r"[A-Za-z]{2}\Z"), re.compile(r"[A-Za-z0-9]{3}\Z")
_TOLD = re.compile(rf"(\.(?:uid|token|{'|'.join(sorted(DRIVERS))})): .*", re.DOTALL)
# A token of the hub's own, plain or in Base64, wherever somebody may have put it
_OURS = re.compile(r"och_[A-Za-z0-9]{20,}|b2NoX[A-Za-z0-9+/_-]{20,}=*")
_PIECE = re.compile(
    r"""
    "(?:[^"\\]|\\.)*(?:"(?P<name>\s*:)?|\\?\Z)  # a string, perhaps without its end
    | [^\s"{}\[\]:,]{6,}  # a number or word
    """,
    re.DOTALL | re.VERBOSE,
)
_NAME = re.compile(r'"[a-z_]{1,40}"\s*:')
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class Mask:
    """Masks what belongs to one exchange; what it has hidden once it hides everywhere."""

    def __init__(self, module: str = "") -> None:
        self.module = module
        self.drivers: dict[str, str] = {}  # identifier -> hash
        self._left = SHOWN

    def driver(self, value: Any) -> str:
        """Return what stands for a driver's identifier."""
        text = str(value)
        if text not in self.drivers:
            self.drivers[text] = keys.pseudonym(text)
        return f"~{self.drivers[text]}"

    def url(self, url: str, *, secret: bool = False) -> str:
        """Return a URL or path as it may be shown; of a `secret` one only the host."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
        if secret:
            return f"{origin}/~{keys.pseudonym(url)}"
        path = "/".join(self._segments(parts.path.split("/")))
        return _OURS.sub(HIDDEN, origin + path + self._query(parts.query))

    def body(self, raw: bytes) -> str:
        """Return a body as masked JSON of limited length, or words about what it is instead."""
        if not raw.strip():
            return ""
        if len(raw) > READ:
            return f"(more than {READ} bytes: too long for the journal)"
        try:
            value = _DECODER.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._unreadable(raw)
        self._left = SHOWN
        return json.dumps(self._masked(value, "", self.module == "locations")).decode()

    def text(self, text: str) -> str:
        """Return words without the identifiers that were masked elsewhere."""
        found = _OURS.sub(HIDDEN, _TOLD.sub(rf"\1: {HIDDEN}", text))
        for value, short in islice(self.drivers.items(), RECALLED):
            if len(value) > 3:
                found = re.sub(re.escape(value), f"~{short}", found, flags=re.IGNORECASE)
        return found[:LONGEST]

    def _segments(self, segments: list[str]) -> Iterable[str]:
        for place, segment in enumerate(segments):
            if segment in {"callback", "page"} and "ocpi" in segments[:place]:
                rest = "/".join(segments[place + 1 :])
                return [*segments[: place + 1], f"~{keys.pseudonym(rest)}"]
        if "tokens" in segments or self.module == "tokens":
            return self._token_path(segments)
        return segments

    def _token_path(self, segments: list[str]) -> list[str]:
        """Mask the token's uid: all that follows `tokens` and the owner (an id may have slashes).

        Where a partner's URL has no segment of that name, its last one is taken for the uid.
        """
        named = "tokens" in segments
        start = len(segments) - segments[::-1].index("tokens") if named else len(segments) - 1
        end = len(segments) - (segments[-1] == "authorize")
        if not named and end < len(segments):
            start -= 1
        owner = segments[start : start + 2]
        if end - start > 2 and _OWNER[0].match(owner[0]) and _OWNER[1].match(owner[1]):
            start += 2
        uid = unquote("/".join(segments[start:end]).strip("/"))
        masked = [self.driver(uid)] if uid else []
        return [*segments[:start], *masked, *segments[end:]]

    def _query(self, query: str) -> str:
        if not query:
            return ""
        pairs = parse_qsl(query, keep_blank_values=True)
        shown = [f"{name}={value if name in PARAMETERS else HIDDEN}" for name, value in pairs]
        return "?" + "&".join(shown)

    def _masked(self, value: Any, name: str, place: bool) -> Any:
        """Mask a value of any kind; `place` tells that a uid here is a charger's."""
        place = (place or name == "evses") and name != "publish_allowed_to"
        if isinstance(value, dict):
            return self._members(value, place)
        if isinstance(value, list):
            return self._items(value, name, place)
        shown = self._leaf(value, name, place)
        self._left -= len(str(shown))
        return shown

    def _members(self, value: Mapping[str, Any], place: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, item in value.items():
            if self._left <= 0:
                found["..."] = f"{len(value) - len(found)} more"
                break
            self._left -= len(name) + 6
            found[name] = self._masked(item, name, place)
        if _TOLD.match(f".{str(value.get('path')).rpartition('.')[2]}: ") and "problem" in found:
            found["problem"] = HIDDEN
        return found

    def _items(self, value: list[Any], name: str, place: bool) -> list[Any]:
        found: list[Any] = []
        for item in value:
            if self._left <= 0:
                return [*found, f"... {len(value) - len(found)} more"]
            found.append(self._masked(item, name, place))
        return found

    def _leaf(self, value: Any, name: str, place: bool) -> Any:
        if value in (None, "") or isinstance(value, bool):
            return value
        if name in SECRETS:
            return HIDDEN
        if name in DRIVERS or (name == "uid" and not place):
            return self.driver(value)
        if name in CALLBACKS:
            return self.url(str(value), secret=True)
        return self.text(value) if isinstance(value, str) else value

    def _unreadable(self, raw: bytes) -> str:
        """Return the skeleton of what was meant to be JSON: marks and names, no values."""
        text = raw[:LONGEST].decode(errors="replace").strip()
        if text[:1] not in {"{", "["}:
            return f"({len(raw)} bytes that are not JSON)"
        return _PIECE.sub(_skeleton, text)


def _skeleton(piece: re.Match[str]) -> str:
    """Return a piece of unreadable JSON if it is a name, else what stands for it."""
    text = piece[0]
    if _NAME.fullmatch(text):
        return text
    return f'"..."{piece["name"] or ""}' if text.startswith('"') else "..."
