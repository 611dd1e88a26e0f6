"""How a platform departs from the letter, learned at the wire, kept and used.

Source: OCPI 2.2.1, transport_and_format (the note on flags), and what running software does. A
quirk is only counted when it is met; the journal's thread writes it, once an hour and process.
"""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from threading import Lock

from django.db import DatabaseError, connection, models, transaction
from django.utils.translation import gettext_lazy as _

from hub.ocpi import client
from hub.ocpi.messages import SAFE_ID
from parties import keys
from parties.models import Quirk

logger = logging.getLogger(__name__)
HOUR = 3600.0
FRESH = 60.0  # seconds for which what is known of a platform is not read again
FIELD_NAMES = ("to-country-code", "to-party-id", "from-country-code", "from-party-id")


class Habit(models.TextChoices):
    """What the hub copes with; repairs of bodies are noted as `repair: ...` besides."""

    TOKEN_PLAIN = "token_plain", _("sends its token plain, not in Base64")
    TOKEN_BARE = "token_bare", _("sends its token without the word Token")
    TOKEN_BEARER = "token_bearer", _("sends its token as Bearer")
    TOKEN_URL_SAFE = "token_url_safe", _("encodes its token in the URL-safe alphabet")
    TOKEN_UNPADDED = "token_unpadded", _("leaves the padding of Base64 out")
    TOKEN_NEWLINE = "token_newline", _("encodes its token with a line break after it")
    NO_IDS = "no_ids", _("sends no X-Request-ID or X-Correlation-ID")
    ODD_IDS = "odd_ids", _("sends message ids that cannot be repeated safely")
    NO_SENDER = "no_sender", _("does not say in OCPI-from-* who sends")
    LOWER_CASE = "lower_case", _("writes country codes or party ids in lower case")
    NULLS = "nulls", _("writes null for what is absent")
    CONTENT_TYPE = "content_type", _("sends bodies that are not called application/json")
    WANTS_PLAIN = "wants_plain", _("wants the hub's token plain")
    WANTS_BASE64 = "wants_base64", _("wants the hub's token in Base64 after all")
    FORMER_TOKEN = "former_token", _("still wants the token before the last change")
    SLASH = "slash", _("wants URLs to end in a slash (one row for each module)")
    NO_PATCH = "no_patch", _("takes no changes, only whole objects (one row for each module)")
    REDIRECTS = "redirects", _("sends calls elsewhere on its host (307, 308)")
    SILENT = "silent", _("answers a push with an empty body")
    NO_ENVELOPE = "no_envelope", _("answers in something else than OCPI's envelope")
    NO_ECHO = "no_echo", _("does not repeat the message ids in its answers")
    LIST_OF_ONE = "list_of_one", _("wraps a single object in a list")


class Known:
    """What one process knows of all platforms, so that the database is asked rarely."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._met: dict[tuple[int, str], tuple[int, str]] = {}  # (platform, name): times, example
        self._written: dict[tuple[int, str], float] = {}
        self._names: dict[int, tuple[float, frozenset[str]]] = {}
        self._tried: dict[tuple[int, str], float] = {}

    def of(self, platform: int) -> frozenset[str]:
        """Return the names of a platform's quirks, as they were a minute ago at most."""
        read, names = self._names.get(platform, (-FRESH, frozenset[str]()))
        if time.monotonic() - read >= FRESH:
            rows = Quirk.objects.filter(platform_id=platform)
            names = frozenset(rows.values_list("name", flat=True)) | self._unwritten(platform)
            self._names[platform] = time.monotonic(), names
        return names

    def note(self, platform: int, found: Mapping[str, str]) -> None:
        """Count quirks of a platform (name -> example); `write` stores them."""
        with self._lock:
            for name, example in found.items():
                times, _ = self._met.get((platform, name), (0, ""))
                self._met[platform, name] = times + 1, example
        read, names = self._names.get(platform, (0.0, frozenset[str]()))
        if read and not names.issuperset(found):
            self._names[platform] = read, names | frozenset(found)

    def write(self) -> None:
        """Store what was met for the first time, or again after an hour."""
        now = time.monotonic()
        with self._lock:
            due = [key for key in self._met if now - self._written.get(key, -HOUR) >= HOUR]
            rows = {key: self._met.pop(key) for key in due}
            self._written |= dict.fromkeys(due, now)
        for (platform, name), (times, example) in rows.items():
            _upsert(platform, name, example, times)

    def tried(self, platform: int, remedy: str) -> bool:
        """Tell whether a remedy was tried within the hour already; from now on it was."""
        key, now = (platform, remedy), time.monotonic()
        with self._lock:
            if key in self._tried and now - self._tried[key] < HOUR:
                return True
            self._tried[key] = now
            return False

    def forget(self) -> None:
        """Know nothing any more."""
        for known in (self._met, self._written, self._names, self._tried):
            known.clear()

    def _unwritten(self, platform: int) -> frozenset[str]:
        with self._lock:
            return frozenset(name for key, name in self._met if key == platform)


_known = Known()
known, note, write = _known.of, _known.note, _known.write
tried, forget = _known.tried, _known.forget


def slash(module: str) -> str:
    """Return the name of the quirk that a module's URLs must end in a slash."""
    return f"{Habit.SLASH.value} {module}".strip()


def no_patch(module: str) -> str:
    """Return the name of the quirk that a module's objects are wanted whole."""
    return f"{Habit.NO_PATCH.value} {module}"


def described(name: str) -> str:
    """Return a quirk's name in words."""
    habit, _, rest = name.partition(" ")
    if habit not in Habit.values:
        return name
    return f"{Habit(habit).label} {rest}".strip()


def _upsert(platform: int, name: str, example: str, times: int) -> None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_UPSERT, [platform, name[:40], example[:255], times])
    except DatabaseError:
        logger.exception("a quirk could not be noted", extra={"platform": platform, "quirk": name})


def of_request(headers: Mapping[str, str], token: str, *, functional: bool) -> dict[str, str]:
    """Return what is unusual about the head of an authenticated request.

    `functional` tells that its module has routing headers.
    """
    found = dict.fromkeys(_of_token(headers.get("Authorization", ""), token), "")
    ids = [headers.get(name) for name in ("X-Request-ID", "X-Correlation-ID")]
    if not all(ids):
        found[Habit.NO_IDS] = ""
    elif not all(SAFE_ID.match(item) for item in ids if item):
        found[Habit.ODD_IDS] = ""
    if functional:
        found |= _of_routing(headers)
    return found


def of_body(content_type: str, body: bytes) -> dict[str, str]:
    """Return what is unusual about the body of a request as it came."""
    found = {}
    if body and content_type.partition(";")[0].strip().lower() != "application/json":
        found[Habit.CONTENT_TYPE.value] = content_type[:80]
    if b"null" in body and (null := _NULL.search(body)):
        found[Habit.NULLS.value] = null[1].decode(errors="replace")
    return found


def of_answer(answer: client.Answer, request_id: str, *, wants_data: bool) -> dict[str, str]:
    """Return what is unusual about an answer; `wants_data` tells that it is to a GET."""
    if answer.silent and not wants_data:
        return {Habit.SILENT: f"HTTP {answer.http}"}
    if answer.code is None:
        return {Habit.NO_ENVELOPE: f"HTTP {answer.http}, {answer.headers.get('Content-Type', '')}"}
    found: dict[str, str] = {}
    if answer.headers.get("X-Request-ID") != request_id:
        found[Habit.NO_ECHO] = ""
    if not wants_data and answer.item is not answer.data:
        found[Habit.LIST_OF_ONE] = ""
    return found


def _of_token(header: str, token: str) -> Iterator[str]:
    """Name how the token was spelled; the token itself is never kept."""
    word, _, given = header.strip().rpartition(" ")
    if not word:
        yield Habit.TOKEN_BARE
    elif word.strip().lower() == "bearer":
        yield Habit.TOKEN_BEARER
    if given == token:
        yield Habit.TOKEN_PLAIN
        return
    if "-" in given or "_" in given:
        yield Habit.TOKEN_URL_SAFE
    if len(given) % 4:
        yield Habit.TOKEN_UNPADDED
    if keys.decode(given) != token:
        yield Habit.TOKEN_NEWLINE


def _of_routing(headers: Mapping[str, str]) -> dict[str, str]:
    values = {name: headers.get(f"OCPI-{name}", "") for name in FIELD_NAMES}
    found: dict[str, str] = {}
    if not values["from-party-id"]:
        found[Habit.NO_SENDER] = ""
    for name, value in values.items():
        if value != value.upper():
            found[Habit.LOWER_CASE] = f"OCPI-{name}: {value}"
    return found


_NULL = re.compile(rb'"(\w{1,40})"\s*:\s*null\b')
_UPSERT = """
    INSERT INTO parties_quirk (platform_id, name, example, count, first_seen_at, last_seen_at)
    VALUES (%s, %s, %s, %s, now(), now())
    ON CONFLICT (platform_id, name) DO UPDATE SET
        count = parties_quirk.count + EXCLUDED.count, example = EXCLUDED.example,
        last_seen_at = EXCLUDED.last_seen_at
"""
