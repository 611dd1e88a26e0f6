"""Whether the platforms are still there: heard of, else probed; OFFLINE and back are announced.

A platform that has been silent for a while is asked for its versions, which has no side effects.
Three failures in a row make it OFFLINE, one is enough while deliveries to it have been failing for
two minutes. It is back after two good probes or when it calls, but not before a minute is over, so
that one that comes and goes is not announced all the time. While it is OFFLINE nothing is sent but
probes. Source: OCPI 2.2.1, mod_hub_client_info, "Still alive check".
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from hub import egress, locks
from parties import calling, clientinfo, delivery, waking
from parties.models import Platform

logger = logging.getLogger(__name__)
LOCK = 0x0CA0  # the advisory lock of whoever probes: (LOCK, 0)
SILENCE = timedelta(seconds=settings.SILENT_SECONDS)
STEADY = timedelta(seconds=60)  # the least time between two changes that are announced
BREAKER = timedelta(seconds=120)
FAILURES, SUCCESSES = 3, 2
IN_FLIGHT = 8
SECONDS = 5.0  # for one probe
EVERY, AGAIN, RARELY = 30.0, 10.0, 300.0  # seconds to the next probe: usual, after a good one, ...
LONG_GONE = 120  # ... after so many failures in a row
_State = Platform.State


def heard(platform: Platform) -> None:
    """Note that a platform has called: one UPDATE a minute at most, unless it is back by that.

    While deliveries to it fail its calls say nothing of its server; then only probes do.
    """
    now = timezone.now()
    steady = now - platform.state_since >= STEADY
    if platform.state == _State.OFFLINE and steady and not _failing(platform):
        come_back(platform)
    if platform.heard_at and now - platform.heard_at < delivery.MARK_EVERY:
        return
    away = platform.state == _State.OFFLINE
    marks = {"probe_at": now} if away else {"probe_at": None, "probes_failed": 0}
    Platform.objects.filter(pk=platform.pk).update(heard_at=now, **marks)


def probe_due() -> int:
    """Probe the platforms that are due, a few at a time; return how many that were.

    Returns at once when another worker is at it.
    """
    probed = 0
    with locks.alone(LOCK, 0) as alone:
        while alone and (batch := _claim()):
            lines = [calling.Line(platform) for platform in batch]
            with ThreadPoolExecutor(IN_FLIGHT) as pool:
                failures = list(pool.map(_probe, lines))
            for line, failure in zip(lines, failures, strict=True):
                line.keep()
                _book(line.platform, failure)
            probed += len(batch)
    return probed


def due() -> QuerySet[Platform]:
    """Return the platforms to be probed now: silent, failing, offline, or asked for by staff."""
    now = timezone.now()
    silent = Q(heard_at__lt=now - SILENCE)
    silent |= Q(heard_at__isnull=True, state_since__lt=now - SILENCE)
    failing = Q(openings__gt=0, failing_since__lt=now - BREAKER)
    first = Q(probe_at__isnull=True) & (silent | failing | Q(state=_State.OFFLINE))
    rows = Platform.objects.filter(state__in=[_State.CONNECTED, _State.OFFLINE])
    return rows.filter(Q(probe_at__lte=now) | first).exclude(versions_url="")


def probe_soon(platforms: QuerySet[Platform]) -> int:
    """Have platforms probed now, as staff wants it; return how many can be."""
    rows = platforms.filter(state__in=[_State.CONNECTED, _State.OFFLINE]).exclude(versions_url="")
    count = rows.order_by().update(probe_at=timezone.now())
    waking.start("parties.probe")
    return count


@transaction.atomic
def go_offline(platform: Platform) -> None:
    """Announce that a platform is gone, unless it was heard of in the meantime."""
    locked = clientinfo.locked(platform)
    lately = locked.heard_at and timezone.now() - locked.heard_at < SILENCE
    if locked.state == _State.CONNECTED and (_failing(locked) or not lately):
        clientinfo.move(locked, _State.OFFLINE, probe_at=waking.soon(EVERY))


@transaction.atomic
def come_back(platform: Platform) -> None:
    """Announce that a platform is back, a minute after the last change at the earliest.

    What it is owed is sent at once, and its own lists are read.
    """
    locked = clientinfo.locked(platform)
    now = timezone.now()
    if locked.state != _State.OFFLINE or now - locked.state_since < STEADY:
        return
    clientinfo.move(locked, _State.CONNECTED, heard_at=now)
    delivery.hasten(locked.pk)
    transaction.on_commit(partial(waking.wake, [locked.pk]))
    platform.state, platform.heard_at = locked.state, locked.heard_at


@transaction.atomic
def _claim() -> list[Platform]:
    """Return the next platforms to probe, and put their next probe off."""
    rows = due().order_by(F("probe_at").asc(nulls_first=True), "pk")
    batch = list(rows.select_for_update(skip_locked=True)[:IN_FLIGHT])
    for platform in batch:
        Platform.objects.filter(pk=platform.pk).update(probe_at=_next(platform))
    return batch


def _probe(line: calling.Line) -> str:
    """Ask a platform for its versions; return what went wrong, nothing when all is well."""
    url = line.platform.versions_url
    try:
        answer = line.make(calling.Call("GET", url, module="versions", seconds=SECONDS))
    except (egress.EgressDeniedError, egress.EgressFailedError) as error:
        return str(error)
    return "" if answer.succeeded else f"HTTP {answer.http}, OCPI {answer.code}: {answer.message}"


def _book(platform: Platform, failure: str) -> None:
    """Note how a probe went, and draw the conclusion."""
    if failure:
        _failed(platform, failure)
    else:
        _passed(platform)


def _failed(platform: Platform, failure: str) -> None:
    row = Platform.objects.filter(pk=platform.pk)
    row.update(probes_failed=F("probes_failed") + 1, probes_passed=0)
    platform.refresh_from_db()
    facts = {"platform": platform.pk, "in_a_row": platform.probes_failed}
    logger.warning("a probe failed: %s", failure, extra=facts)
    if platform.state == _State.CONNECTED and (
        platform.probes_failed >= FAILURES or _failing(platform)
    ):
        go_offline(platform)


def _passed(platform: Platform) -> None:
    """Note a good probe: who is connected need not be probed soon, who is offline is back."""
    row, now = Platform.objects.filter(pk=platform.pk), timezone.now()
    row.filter(state=_State.CONNECTED).update(
        heard_at=now, probes_failed=0, probe_at=waking.soon(EVERY) if _failing(platform) else None
    )
    row.filter(state=_State.OFFLINE).update(
        heard_at=now,
        probes_failed=0,
        probes_passed=F("probes_passed") + 1,
        probe_at=waking.soon(AGAIN),
    )
    platform.refresh_from_db()
    if platform.state == _State.OFFLINE and platform.probes_passed >= SUCCESSES:
        come_back(platform)


def _failing(platform: Platform) -> bool:
    """Tell whether deliveries have been failing for so long that the platform may be gone."""
    since = platform.failing_since
    return bool(platform.openings and since and timezone.now() - since > BREAKER)


def _next(platform: Platform) -> datetime:
    return waking.soon(RARELY if platform.probes_failed > LONG_GONE else EVERY)
