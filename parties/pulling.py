"""Reading the partners' own lists: what they have to tell and did not push, or pushed in vain.

Every list is read once for each party of a platform, when the platform connects or comes back and
every few hours: from its beginning once a day, else what has changed lately, with an overlap, as
not every partner's filter and clock can be trusted. Sessions and CDRs are read from the
registration on; what was before is none of the hub's business. What could not be read to its end
is gone on with. Source: OCPI 2.2.1, transport_and_format, "Pull and Push"; mod_hub_client_info.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from hub import locks
from hub.ocpi.versions import RECEIVER, SENDER
from parties import crawling, policy, waking
from parties.crawling import Gone, Listing, Reader
from parties.models import Endpoint, Platform, Pull, Role

logger = logging.getLogger(__name__)
LOCK = 0x0CA1  # the advisory locks of readings: (LOCK, platform)
SEAT = 0x0CA2  # and of the few places for them: the other workers have deliveries to make
SEATS = 4
MODULES = ("tariffs", "locations", "tokens", "sessions", "cdrs")  # in the order of reading
FROM_REGISTRATION = frozenset({"sessions", "cdrs"})
MISSING_NOTED = "locations"  # real CPOs leave them out instead of telling that they are gone
SECONDS = 600.0  # for all lists of a platform
FULL_EVERY = timedelta(days=1)
OVERLAP, LATE = timedelta(hours=1), timedelta(days=1)  # the latter for what comes late: see above
RESUMABLE = timedelta(days=1)
KEPT = timedelta(days=30)
AT_ONCE = 8  # platforms whose reading is started in one go
NO_SEAT = 30.0  # seconds until a platform that found no place is tried again
STARTED, NEXT, FAILED, UNFINISHED = 900.0, 4 * 3600.0, 3600.0, 60.0  # seconds to the next reading


def due() -> QuerySet[Platform]:
    """Return the platforms whose lists are to be read now."""
    offered = Endpoint.objects.filter(interface=SENDER, module__in=MODULES)
    rows = Platform.objects.filter(
        Q(pull_at__isnull=True) | Q(pull_at__lte=timezone.now()),
        state=Platform.State.CONNECTED,
        pk__in=offered.values("platform"),
    )
    return rows.order_by(F("pull_at").asc(nulls_first=True), "pk")


def pull_soon(platforms: QuerySet[Platform]) -> int:
    """Have the lists of platforms read now, as staff wants it; return how many can be."""
    chosen = [platform.pk for platform in platforms.filter(state=Platform.State.CONNECTED)]
    count = Platform.objects.filter(pk__in=chosen).update(pull_at=timezone.now())
    waking.start("parties.pull_due")
    return count


@transaction.atomic
def start_due() -> list[int]:
    """Have the platforms that are due read, some at a time; what gets lost is started again."""
    rows = due().select_for_update(skip_locked=True)[:AT_ONCE]
    chosen = [platform.pk for platform in rows]
    Platform.objects.filter(pk__in=chosen).update(pull_at=waking.soon(STARTED))
    for platform_id in chosen:
        transaction.on_commit(partial(waking.start, "parties.pull", platform_id))
    return chosen


def pull(platform_id: int) -> list[Pull]:
    """Read the lists of a platform; return at once when somebody is doing that already."""
    with locks.alone(LOCK, platform_id) as alone, _seat() as seated:
        platform = Platform.objects.get(pk=platform_id)
        if not alone or platform.state != Platform.State.CONNECTED:
            return []
        if not seated:
            Platform.objects.filter(pk=platform_id).update(pull_at=waking.soon(NO_SEAT))
            return []
        return _read(Reader(platform, time.monotonic() + SECONDS))


@contextmanager
def _seat() -> Iterator[bool]:
    """Take one of the few places for readings, in whichever process; tell whether one was free."""
    with ExitStack() as stack:
        yield any(stack.enter_context(locks.alone(SEAT, number)) for number in range(SEATS))


@dataclass(frozen=True)
class Offer:
    """A list that a platform offers, read for one of its parties; `latest` is its last reading."""

    platform: Platform
    role: Role
    endpoint: Endpoint
    latest: Pull | None

    @property
    def unfinished(self) -> bool:
        """Tell whether the last reading was left where it can be gone on with."""
        if self.latest is None or self.latest.complete or not self.latest.next_url:
            return False
        return timezone.now() - self.latest.started_at < RESUMABLE

    def begin(self) -> tuple[Pull, str]:
        """Return a new record, and the URL to begin with: where the last reading was left, if so.

        One that is gone on with counts from when it was begun.
        """
        now, former = timezone.now(), self.latest
        record = Pull(platform=self.platform, party=self.role.party, module=self.endpoint.module)
        record.began_at = record.started_at = now
        if former and self.unfinished:
            record.began_at, record.covers_from = former.began_at, former.covers_from
            return record, former.next_url
        record.covers_from = self._since()
        return record, crawling.first_page(self.endpoint.url, record.covers_from)

    def _since(self) -> datetime | None:
        """Return from when on the list is to be read, None for all of it."""
        known = Pull.objects.of_list(self.platform, self.role.party, self.endpoint.module)
        latest = known.filter(complete=True).first()
        if self.endpoint.module in FROM_REGISTRATION:
            return _since_registration(self.platform, known.last(), latest)
        whole = known.filter(complete=True, covers_from=None).first()
        if latest is None or whole is None or timezone.now() - whole.began_at > FULL_EVERY:
            return None
        return latest.began_at - OVERLAP


def _since_registration(platform: Platform, first: Pull | None, latest: Pull | None) -> datetime:
    """Return from when on sessions or CDRs are read; no later registration moves the beginning."""
    begin = (first and first.covers_from) or platform.registered_at or platform.created_at
    return max(begin, latest.began_at - LATE) if latest else begin


def _read(reader: Reader) -> list[Pull]:
    """Read all lists, those that were not finished first; plan when they are read again."""
    done: list[Pull] = []
    for offer in _offers(reader.platform):
        record, url = offer.begin()
        record.save()
        listing = _listing(offer, record)
        done.append(record)
        try:
            crawling.crawl(reader, listing, url)
        except Gone:
            break
        if record.began_at == record.started_at:  # in one go
            _note_missing(listing)
    reader.line.keep()
    _plan(reader, done)
    return done


def _offers(platform: Platform) -> list[Offer]:
    """Return what there is to read: each list, for each party that may have something in it."""
    offered = platform.endpoints.filter(interface=SENDER, module__in=MODULES)
    offers = [
        Offer(
            platform,
            role,
            endpoint,
            Pull.objects.of_list(platform, role.party, endpoint.module).first(),
        )
        for endpoint in sorted(offered, key=lambda endpoint: MODULES.index(endpoint.module))
        for role in _owners(platform, endpoint.module)
    ]
    return sorted(offers, key=lambda offer: not offer.unfinished)


def _owners(platform: Platform, module: str) -> list[Role]:
    """Return the parties of a platform that may own objects of a module, each once."""
    allowed = policy.ALLOWED[module, RECEIVER]
    roles = platform.roles.filter(role__in=allowed).select_related("party", "platform")
    return list(roles.order_by("party_id", "pk").distinct("party_id"))


def _listing(offer: Offer, record: Pull) -> Listing:
    owners = {role.party.address: role for role in _owners(offer.platform, record.module)}
    since = record.covers_from if record.module in FROM_REGISTRATION else None
    return Listing(record, offer.role, owners, since)


def _note_missing(listing: Listing) -> None:
    """Note which locations a complete list has not shown (again); nothing is told to anybody.

    One that has come by push since the reading began is not missing.
    """
    record = listing.pull
    if record.module != MISSING_NOTED or not record.complete or record.covers_from:
        return
    model = apps.get_model(settings.OCPI_MODELS[record.module])
    rows = model._default_manager.filter(owner=record.party)
    shown = listing.ids_of(record.party)
    older = rows.filter(received_at__lt=record.began_at).values_list("pk", "uid")
    missing = [pk for pk, uid in older if uid.upper() not in shown]
    rows.exclude(missing_since=None).exclude(pk__in=missing).update(missing_since=None)
    news = Q(missing_since=None) | Q(missing_since__lt=F("received_at"))
    count = rows.filter(news, pk__in=missing).update(missing_since=timezone.now())
    if count:
        facts = {"platform": record.platform_id, "count": count}
        logger.warning("locations are missing from the list of their owner", extra=facts)


def _plan(reader: Reader, done: list[Pull]) -> None:
    """Say when the lists are read again, and forget what was long ago."""
    now, complete = timezone.now(), all(record.complete for record in done)
    over = reader.until <= time.monotonic()
    delay = NEXT if complete else UNFINISHED if over else FAILED
    row = Platform.objects.filter(pk=reader.platform.pk)
    row.update(pull_at=waking.soon(delay), **({"pulled_at": now} if complete else {}))
    Pull.objects.filter(platform=reader.platform, started_at__lt=now - KEPT).delete()
