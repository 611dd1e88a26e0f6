"""Reading one list of a partner, page by page; its objects go the way of a push.

A link to the next page is followed as it is; what it may lead to, the guarded door knows. An
object that is no good is noted and passed over, and a list that goes round in a circle is left.
Source: OCPI 2.2.1, transport_and_format, "Pagination".
"""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import msgspec
from django.apps import apps
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone
from django.utils.module_loading import import_string
from msgspec import Raw, Struct

from hub import egress
from hub.ocpi import client, json, times
from hub.ocpi.errors import NotJson, OcpiError
from hub.ocpi.messages import Address, Ids, Route
from hub.ocpi.pagination import is_number
from hub.ocpi.versions import SENDER
from parties import calling, far_pages, owned, quirks, repairs
from parties.masking import Mask
from parties.models import Party, Platform, Pull, Role
from parties.owned import Change
from parties.repairs import Mended
from parties.routing import hub_address

logger = logging.getLogger(__name__)
MOST = 10_000  # objects on a page, of partners that know no limit
LIMIT = 100  # objects on a page, as far as that is ours to say
MAX_PAGES = 5_000
MAX_BYTES = 8 * 1024 * 1024  # of a page
SECONDS = 20.0  # for a page
REFUSALS = 20  # that are kept in words
SHOWN = 80  # characters of an object without an id
EMPTY = 10  # pages without objects in a row that are put up with
_ID = re.compile(r'"id"\s*:\s*"([^"\\]{1,39})"')


class Stopped(Exception):
    """The list cannot be read on now, but later perhaps; the message says why."""


class Useless(Stopped):
    """It makes no sense to go on from here: the next reading starts at the beginning."""


class Gone(Stopped):
    """The platform does not answer at all."""


class Envelope(Struct):
    """An envelope whose objects are still the text that they came as."""

    status_code: int
    data: list[Raw]


@dataclass(frozen=True)
class Unreadable:
    """An object that is not JSON as the hub reads it."""

    text: str
    reason: str


class Reader:
    """A platform that is being read, until an instant of the monotonic clock."""

    def __init__(self, platform: Platform, until: float) -> None:
        self.platform, self.until = platform, until
        self.line, self.ids = calling.Line(platform), Ids()

    def get(self, module: str, party: Party, url: str) -> client.Answer:
        """Ask for a page of a party's list. Raises Stopped."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise Stopped("the time for this reading is over")
        call = calling.Call(
            "GET",
            url,
            module,
            SENDER,
            route=Route(to=party.address, sender=hub_address()),
            ids=self.ids.next(),
            seconds=min(SECONDS, left),
            largest=MAX_BYTES,
        )
        try:
            return self.line.make(call)
        except egress.EgressDeniedError as error:
            raise Useless(f"the hub does not call {urlsplit(url).netloc}: {error}") from error
        except egress.EgressFailedError as error:
            raise Gone(str(error)) from error


@dataclass
class Listing:
    """A list while it is read: its record, whose objects count, and which have come so far.

    What was last changed before `floor` is ignored.
    """

    pull: Pull
    role: Role
    owners: Mapping[Address, Role]
    floor: datetime | None = None
    seen: set[tuple[int, str]] = field(default_factory=set)
    empty: int = 0  # pages without objects in a row

    def take(self, items: list[Any], until: float) -> bool:
        """Take the objects of a page; return whether there was any that had not come before.

        Raises Stopped when the time (of the monotonic clock) is over.
        """
        before = len(self.seen)
        for item in items:
            if time.monotonic() > until:
                raise Stopped("the time for this reading is over")
            self._take_one(item)
        return len(self.seen) > before

    def ids_of(self, party: Party) -> set[str]:
        """Return the ids of a party's objects that have come, in upper case."""
        return {name for owner, name in self.seen if owner == party.pk}

    def _take_one(self, item: Any) -> None:
        owner = self._owner(item)
        self.seen.add((owner.party_id if owner else 0, identity(item)))
        if owner is None or self._is_old(item):
            self.pull.ignored += 1
            return
        try:
            _refuse_unreadable(item)
            change = take(self.pull.module, owner, item)
        except OcpiError as error:
            self._refuse(item, error.line)
        except OperationalError:
            raise  # the database is away: that is no fault of the object
        except Exception:
            logger.exception("a listed object could not be taken", extra=self._facts)
            self._refuse(item, "the hub failed")
        else:
            self._count(change)

    def _owner(self, item: Any) -> Role | None:
        """Return whose an object is; one that does not say is taken to be the list's party's."""
        if not isinstance(item, dict):
            return self.role
        country, party = item.get("country_code"), item.get("party_id")
        if not isinstance(country, str) or not isinstance(party, str):
            return self.role
        return self.owners.get(Address.of(country, party))

    def _is_old(self, item: Any) -> bool:
        if self.floor is None:
            return False
        try:
            return times.parse(item["last_updated"]) < self.floor
        except (KeyError, TypeError, ValueError, AttributeError):
            return False  # taking it will tell what is wrong

    def _count(self, change: Change) -> None:
        if change in {Change.CREATED, Change.REPLACED}:
            self.pull.taken += 1
        else:
            self.pull.unchanged += 1

    def _refuse(self, item: Any, reason: str) -> None:
        self.pull.refused += 1
        if self.pull.refused <= REFUSALS:
            mask = Mask(self.pull.module)
            name = identity(item)[:SHOWN]
            name = mask.driver(name) if self.pull.module == "tokens" else name
            self.pull.refusals += f"{name}: {mask.text(reason)}\n"

    @property
    def _facts(self) -> dict[str, Any]:
        return {"platform": self.pull.platform_id, "kind": self.pull.module}


@dataclass
class Page:
    """Where a page is; `guessed` tells that nobody has said that it exists."""

    url: str
    guessed: bool = False


def crawl(reader: Reader, listing: Listing, url: str) -> None:
    """Read a list from a page on, to its end or until it cannot be read on.

    What came of it is in its record, which is kept after every page. Raises Gone.
    """
    pull, visited = listing.pull, set[str]()
    page: Page | None = Page(url)
    try:
        while page:
            page = _read(reader, listing, page, visited)
            pull.next_url = page.url if page and len(page.url) <= far_pages.LONGEST else ""
            pull.save()
        pull.complete = True
    except Stopped as error:
        pull.error = str(error)[:255]
        if isinstance(error, Useless):
            pull.next_url = ""
        if isinstance(error, Gone):
            raise
    finally:
        pull.finished_at = timezone.now()
        pull.save()
        _report(pull)


def take(module: str, owner: Role, body: Any) -> Change:
    """Take an object as if its owner had pushed it. Raises OcpiError when it is no good.

    An object that its owner has deleted comes back only when it was changed after that.
    """
    special = settings.OCPI_INTAKES.get(module)
    if special:
        change: Change = import_string(special)(owner, body)
        return change
    model = apps.get_model(settings.OCPI_MODELS[module])
    mended = readable(model.kind, owner, body)
    raw = mended.sent if mended.made else None
    push = owned.Push(model, owner, mended.body, raw=raw)
    known = push.place.rows().first()
    if known and known.deleted and owned.last_updated(push.body) <= known.deleted_at:
        return Change.STALE
    return owned.put(push).change


def readable(kind: Any, owner: Role, body: Any) -> Mended:
    """Return an object of a list as valid, repaired where its platform may be; that is noted."""
    mended = repairs.accepted(kind, body, strict=owner.platform.strict)
    quirks.note(owner.platform_id, mended.quirks)
    return mended


def identity(item: Any) -> str:
    """Return what tells an object of a list from others of its owner, in upper case."""
    if isinstance(item, Unreadable):
        found = _ID.search(item.text)
        return found[1].upper() if found else item.text[:SHOWN]
    if isinstance(item, dict) and isinstance(item.get("id"), str):
        return str(item["id"]).upper()
    if isinstance(item, dict) and isinstance(item.get("uid"), str):
        return f"{item['uid']}/{item.get('type', '')}".upper()
    return json.dumps(item)[:SHOWN].decode(errors="replace")


def following(answer: client.Answer, url: str, count: int, platform: Platform) -> Page | None:
    """Return where the next page is, given where this one was and how many objects it had.

    Without a link the total says whether there is more; without either, a full page says that
    there may be.
    """
    named = far_pages.next_link(answer.headers.get("Link", ""))
    if named is not None:
        return Page(_reachable(urljoin(url, named), url, platform))
    if not count:
        return None
    total = answer.headers.get("X-Total-Count", "").strip()
    reached = _offset(url) + count
    if is_number(total):
        return Page(_with(url, offset=str(reached))) if reached < int(total) else None
    return Page(_with(url, offset=str(reached)), guessed=True) if count >= LIMIT else None


def first_page(url: str, since: datetime | None) -> str:
    """Return where a list begins, given the instant from which on it is asked for."""
    dates = {"date_from": times.render(since)} if since else {}
    return _with(url, **dates, offset="0", limit=str(LIMIT))


def _read(reader: Reader, listing: Listing, page: Page, visited: set[str]) -> Page | None:
    """Read a page and return the next one, None when this was the last."""
    pull = listing.pull
    if page.url in visited:
        raise Useless("its links go round in a circle")
    if pull.pages >= MAX_PAGES:
        raise Stopped(f"it has more than {MAX_PAGES} pages")
    visited.add(page.url)
    answer = reader.get(pull.module, listing.role.party, page.url)
    items = _items(answer)
    pull.pages += 1
    if len(items) > MOST:
        raise Useless(f"a page has more than {MOST} objects")
    listing.empty = 0 if items else listing.empty + 1
    if listing.empty > EMPTY:
        raise Useless("it goes on without objects")
    if items and not listing.take(items, reader.until):
        if page.guessed:
            return None
        raise Useless("it repeats itself")
    return following(answer, page.url, len(items), reader.platform)


def _items(answer: client.Answer) -> list[Any]:
    """Return the objects of a page; some partners do not make a list of a single one."""
    if answer.code is None and 200 <= answer.http < 300:
        return _piece_by_piece(answer)
    if not answer.succeeded:
        raise Stopped(f"HTTP {answer.http}, OCPI {answer.code}: {answer.message}")
    if isinstance(answer.data, list):
        return answer.data
    if isinstance(answer.data, dict):
        return [answer.data]
    if answer.data is None:
        return []
    raise Useless("its data is no list")


def _piece_by_piece(answer: client.Answer) -> list[Any]:
    """Return the objects of a page of which only some may be JSON as the hub reads it."""
    try:
        envelope = msgspec.json.decode(answer.content, type=Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Stopped(f"HTTP {answer.http}: {answer.message}") from error
    if not 1000 <= envelope.status_code < 2000:
        raise Stopped(f"HTTP {answer.http}, OCPI {envelope.status_code}")
    return [_piece(bytes(raw)) for raw in envelope.data]


def _piece(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except json.JsonError as error:
        return Unreadable(raw.decode(errors="replace"), str(error))


def _refuse_unreadable(item: Any) -> None:
    if isinstance(item, Unreadable):
        raise NotJson(f"not acceptable JSON: {item.reason}")


def _report(pull: Pull) -> None:
    """Tell the log how it went; what is refused and why, staff see in the record."""
    facts = {"platform": pull.platform_id, "kind": pull.module, "pages": pull.pages}
    facts |= {"taken": pull.taken, "refused": pull.refused, "ignored": pull.ignored}
    if pull.error or pull.refused:
        logger.warning("a partner's list is not in order: %s", pull.error, extra=facts)
    else:
        logger.info("a partner's list was read", extra=facts)


def _reachable(target: str, url: str, platform: Platform) -> str:
    """Return a link's target as the hub may call it.

    Servers behind a proxy name http instead of https, or a host that exists only there: then the
    parameters of the link are taken to where this page was.
    """
    here, there = urlsplit(url), urlsplit(target)
    if here.scheme == "https" and there.scheme == "http" and here.hostname == there.hostname:
        there = there._replace(scheme="https", netloc=here.netloc)
    if not far_pages.may_call(there.geturl(), platform) and there.query:
        there = here._replace(query=there.query)
    return there.geturl()


def _with(url: str, **parameters: str) -> str:
    """Return a URL with parameters set, and the others as they are."""
    parts = urlsplit(url)
    others = [pair for pair in parse_qsl(parts.query, True) if pair[0] not in parameters]
    return parts._replace(query=urlencode([*others, *parameters.items()])).geturl()


def _offset(url: str) -> int:
    given = dict(parse_qsl(urlsplit(url).query)).get("offset", "")
    return int(given) if is_number(given) else 0
