"""What receivers are owed: written with the object, sent until acknowledged.

The truth is the delivery table. A drain sends one platform what is due; any number of drains may
be started, an advisory lock lets one act. The body is rendered when it is sent, so that nothing
stale is replayed (OCPI 2.2.1, transport_and_format, "Offline behaviour").
"""

import logging
import random
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from hub import egress, locks
from hub.ocpi import client, json
from hub.ocpi.messages import Route
from hub.ocpi.versions import RECEIVER
from parties import calling, policy, quirks
from parties.models import (
    Delivery,
    Endpoint,
    OwnedObject,
    OwnedObjectQuerySet,
    Platform,
    Role,
)
from parties.routing import hub_address

logger = logging.getLogger(__name__)
LOCK = 0x0C9D  # the advisory locks of drains: (LOCK, platform)
JOINING = 0x0C9E  # taken shared by who broadcasts, alone by who joins
IN_FLIGHT = 8
SLOW_START = timedelta(seconds=60)
LEASE = timedelta(seconds=30)  # longer than any call: a lost drain's calls are over when it ends
SECONDS = {"cdrs": 20.0}
MONEY = frozenset({"cdrs"})
ROUTED = frozenset({"cdrs", "sessions"})  # from the CPO itself; the rest is broadcast by the hub
UNROUTED = frozenset({"hubclientinfo"})  # the hub's own, without routing headers
MONEY_DELAYS = (5, 30, 120, 600, 1800, 3600, 7200, 14400)
MONEY_PATIENCE = timedelta(hours=72)
REFUSALS = 3
NOT_HERE = frozenset({405, 501})  # what a partner answers to a method that it does not have
FAILURES_BEFORE_PAUSE = 5
MARK_EVERY = timedelta(seconds=60)  # how often it is noted that a platform was heard of
NOT_NOW = frozenset({401, 403, 408, 410, 429})  # about us or the hour, not about the object

_MONEY_FIRST = Case(When(module__in=MONEY, then=Value(0)), default=Value(1))


class Outcome(Enum):
    """What an answer means for the delivery."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    TRANSIENT = "transient"


@dataclass(frozen=True)
class Shipment:
    """A delivery with what is sent for it: the object's version and the request."""

    delivery: Delivery
    version: int
    method: str
    url: str
    body: bytes | None
    route: Route
    partial: bool = False  # what changed alone, not the whole object


@dataclass(frozen=True)
class Result:
    """How a shipment went."""

    shipment: Shipment
    outcome: Outcome
    answer: str


def owe(item: OwnedObject, receivers: Iterable[int]) -> None:
    """Note that receivers (ids of roles) should have the present version of an object.

    Call in the transaction that stores the object.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OWE, [item.module, item.pk, item.version, list(receivers)])


def share_network() -> None:
    """Let nobody join before this transaction has told everybody who is there."""
    _lock("SELECT pg_advisory_xact_lock_shared(%s)")


def pause_broadcasts() -> None:
    """Wait for the broadcasts under way and keep new ones waiting until this transaction ends.

    Who joins meanwhile is then owed either by `owe_everything` or by the broadcast itself.
    """
    _lock("SELECT pg_advisory_xact_lock(%s)")


def owe_everything(role: Role) -> None:
    """Owe a newly connected role every object that would have been broadcast to it.

    What the hub itself has to tell is owed by `clientinfo.owe_all`.
    """
    for module, told in broadcast_to(role):
        items, values = told.values("id", "version").distinct().query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(_CATCH_UP.format(items=items), [role.pk, module, *values])


def broadcast_to(role: Role) -> Iterator[tuple[str, OwnedObjectQuerySet]]:
    """Yield the modules that are broadcast to a role, with the objects; some may come twice."""
    owners = [kind for kind, kinds in policy.BROADCAST_TO.items() if role.role in kinds]
    for module, model in _broadcastable():
        if writers := policy.ALLOWED[module, RECEIVER].intersection(owners):
            yield module, model.rows().visible_to(role).filter(owner__roles__role__in=writers)


def platforms_due() -> list[int]:
    """Return the platforms for which something can be sent now."""
    rows = _due().values_list("receiver__platform_id", flat=True)
    return list(rows.order_by("receiver__platform_id").distinct())


def drain(platform_id: int) -> int:
    """Send a platform what it is owed until nothing is due; return how much was sent.

    One that has just come, or failed the last time, is sent one object first, then two, and so on.
    Returns at once when another drain of this platform is at work. After letting go of the lock
    it looks once more, so that what was owed in between is not left to the sweep.
    """
    sent = 0
    while True:
        with locks.alone(LOCK, platform_id) as alone:
            if not alone:
                return sent
            width = _first_width(platform_id)
            while batch := _claim(platform_id, width):
                sent += _send(platform_id, batch)
                width = min(2 * width, IN_FLIGHT)
        if not _due().filter(receiver__platform_id=platform_id).exists():
            return sent


def _first_width(platform_id: int) -> int:
    """Return how many objects a platform is sent at once, to begin with."""
    recent = Q(failures__gt=0) | Q(state_since__gt=timezone.now() - SLOW_START)
    return 1 if Platform.objects.filter(recent, pk=platform_id).exists() else IN_FLIGHT


def hasten(platform_id: int) -> None:
    """Make everything that a platform is owed due now: it is back.

    What is locked is being owed at this moment, and due by that.
    """
    owed = Delivery.objects.filter(
        receiver__platform=platform_id, state=Delivery.State.LIVE, wanted__gt=F("acknowledged")
    )
    free = owed.select_for_update(of=("self",), skip_locked=True).values("pk")
    Delivery.objects.filter(pk__in=free).update(next_attempt_at=timezone.now())


def _due() -> QuerySet[Delivery]:
    """Return what may be sent now: live, unpaid, not leased, to a platform that can take it."""
    now = timezone.now()
    return Delivery.objects.filter(
        Q(leased_until__isnull=True) | Q(leased_until__lt=now),
        Q(receiver__platform__paused_until__isnull=True)
        | Q(receiver__platform__paused_until__lt=now),
        state=Delivery.State.LIVE,
        wanted__gt=F("acknowledged"),
        next_attempt_at__lte=now,
        receiver__platform__state=Platform.State.CONNECTED,
        receiver__platform__endpoints__module=F("module"),
        receiver__platform__endpoints__interface=RECEIVER,
    )


def _lock(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [JOINING])


@transaction.atomic
def _claim(platform_id: int, width: int) -> list[Delivery]:
    """Lease the next deliveries of a platform: money first, then what is due longest."""
    due = _due().filter(receiver__platform_id=platform_id).select_related("receiver__party")
    rows = due.order_by(_MONEY_FIRST, "next_attempt_at", "pk")
    batch = list(rows.select_for_update(of=("self",), skip_locked=True)[:width])
    ids = [delivery.pk for delivery in batch]
    Delivery.objects.filter(pk__in=ids).update(leased_until=timezone.now() + LEASE)
    return batch


def _send(platform_id: int, batch: list[Delivery]) -> int:
    platform = Platform.objects.get(pk=platform_id)
    line = calling.Line(platform)
    shipments = _shipments(line, batch)
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        results = list(pool.map(lambda shipment: _deliver(line, shipment), shipments))
    line.keep()
    if results:
        _book(platform, results)
    return len(results)


def _shipments(line: calling.Line, batch: list[Delivery]) -> list[Shipment]:
    endpoints = Endpoint.objects.filter(platform=line.platform, interface=RECEIVER)
    urls = dict(endpoints.values_list("module", "url"))
    found = []
    for module in urls.keys() & {delivery.module for delivery in batch}:  # it may just have left
        wanted = [delivery for delivery in batch if delivery.module == module]
        whole = quirks.no_patch(module) in line.known
        found += [_shipment(urls[module], *pair, whole) for pair in _allowed(module, wanted)]
    return found


def _allowed(module: str, deliveries: list[Delivery]) -> Iterator[tuple[Delivery, OwnedObject]]:
    """Yield deliveries with their objects; give up those that should not exist (any more).

    The second line of defence: what is asked is what may be seen now, not when it was owed.
    """
    model: type[OwnedObject] = apps.get_model(settings.OCPI_MODELS[module])
    items = model.rows().select_related("owner").in_bulk([row.object_id for row in deliveries])
    seen = {
        receiver: set(model.rows().visible_to(receiver).filter(pk__in=items).values_list("pk"))
        for receiver in {delivery.receiver for delivery in deliveries}
    }
    for delivery in deliveries:
        item = items[delivery.object_id]
        if item.deleted or (item.pk,) in seen[delivery.receiver]:
            yield delivery, item
        else:
            _give_up(delivery, item)


def _give_up(delivery: Delivery, item: OwnedObject) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(
        state=_given_up(delivery.module),
        leased_until=None,
        last_answer="not sent: it is for another party than this receiver",
    )
    ids = {"delivery": delivery.pk, "object": item.pk, "party": delivery.receiver.party_id}
    ids["payer"] = getattr(item, "emsp_id", None)
    level = logging.ERROR if item.module in ROUTED else logging.INFO  # published before, perhaps
    logger.log(level, "delivery to a party that it is not for", extra={"kind": item.module, **ids})


def _shipment(base: str, delivery: Delivery, item: OwnedObject, whole: bool) -> Shipment:
    receiver = delivery.receiver.party.address
    sender = item.owner.address if item.module in ROUTED else hub_address()
    method, path, body = _message(delivery, item, whole)
    route = Route() if item.module in UNROUTED else Route(to=receiver, sender=sender)
    return Shipment(
        delivery,
        item.version,
        method,
        client.join(base, *path) + item.query,
        None if body is None else json.dumps(body),
        route,
        partial=bool(item.change) and body is not item.body,
    )


def _message(delivery: Delivery, item: OwnedObject, whole: bool) -> tuple[str, list[str], Any]:
    """Return method, path and body of what a receiver is told of an object.

    Of one that it lacks nothing of but the last change, that change, once, unless it wants objects
    whole. What may have arrived is not repeated: charging periods would be appended twice.
    """
    if item.deleted:
        return "DELETE", item.path, None
    if item.module == "cdrs":
        return "POST", [], item.body
    first_try = delivery.attempts == 0 and delivery.leased_until is None
    lacks_one = item.version == delivery.acknowledged + 1
    if item.change and first_try and lacks_one and not whole:
        return item.change["method"], [*item.path, *item.change["path"]], item.change["body"]
    return "PUT", item.path, item.body


def _deliver(line: calling.Line, shipment: Shipment) -> Result:
    """Make the call; everything that can go wrong outside is an outcome."""
    call = calling.Call(
        shipment.method,
        shipment.url,
        shipment.delivery.module,
        RECEIVER,
        shipment.body,
        shipment.route,
        seconds=SECONDS.get(shipment.delivery.module, 10.0),
    )
    try:
        answer = line.make(call)
    except (egress.EgressDeniedError, egress.EgressFailedError) as error:
        return Result(shipment, Outcome.TRANSIENT, str(error)[:255])
    if shipment.partial and answer.http in NOT_HERE:
        line.found[quirks.no_patch(call.module)] = f"HTTP {answer.http}"
    return Result(shipment, judge(answer, shipment.method), _in_words(answer, shipment))


def _in_words(answer: client.Answer, shipment: Shipment) -> str:
    """Tell an answer to staff; a 404 to a push means that the receiver knows the hub only.

    Whoever is pushed an object of a party that is not among the hub's roles may answer 404 by the
    letter of OCPI (transport_and_format, "Errors"), which makes no sense with a hub.
    """
    text = f"HTTP {answer.http}, OCPI {answer.code}: {answer.message}"[:255]
    if answer.http != 404 or shipment.partial or shipment.method == "DELETE":
        return text
    advice = "its check of owners must exempt the hub"
    facts = {"delivery": shipment.delivery.pk, "kind": shipment.delivery.module}
    logger.warning("a receiver answers 404 to a push: %s", advice, extra=facts)
    return f"{text[: 252 - len(advice)]} ({advice})"


def judge(answer: client.Answer, method: str = "PUT") -> Outcome:
    """Say what an answer means; who does not know what is deleted has nothing to delete.

    Acknowledged is a success of HTTP and OCPI, or one of HTTP with an empty body. Refused is what
    concerns this object alone (2xxx, or an HTTP status that says so); everything else is worth
    another try.
    """
    gone = method == "DELETE" and answer.http == 404
    if answer.succeeded or answer.silent or gone:
        return Outcome.ACKNOWLEDGED
    client_error = 2000 <= (answer.code or 0) < 3000
    if client_error and answer.http < 500 and answer.http not in NOT_NOW:
        return Outcome.REFUSED
    return Outcome.REFUSED if answer.http in {400, 404, 405, 413, 422} else Outcome.TRANSIENT


@transaction.atomic
def _book(platform: Platform, results: list[Result]) -> None:
    """Note how it went.

    Locks the platform first and then its deliveries in the order of their objects, as whoever owes
    it several objects does: nobody waits for who waits for them.
    """
    locked = Platform.objects.select_for_update().get(pk=platform.pk)
    failed = sum(result.outcome is Outcome.TRANSIENT for result in results)
    if failed < len(results):
        _note_answers(locked)
    else:
        _note_failures(locked, failed)
    for result in sorted(results, key=lambda result: result.shipment.delivery.object_id):
        _booking(result)


def _booking(result: Result) -> None:
    delivery, now = result.shipment.delivery, timezone.now()
    row = Delivery.objects.filter(pk=delivery.pk)
    if result.outcome is Outcome.ACKNOWLEDGED:
        row.update(
            acknowledged=Least(F("wanted"), result.shipment.version),
            acknowledged_at=now,
            attempts=0,
            leased_until=None,
            last_answer=result.answer,
        )
        return
    attempts = delivery.attempts + 1
    row.filter(wanted=delivery.wanted).update(  # a newer version starts afresh
        state=_state_after(delivery, result.outcome),
        attempts=attempts,
        next_attempt_at=now + _pause(result, attempts),
    )
    row.update(leased_until=None, last_answer=result.answer)


def _pause(result: Result, attempts: int) -> timedelta:
    """Return how long to wait; not at all where a part was refused, as the whole may help."""
    if result.shipment.partial and result.outcome is Outcome.REFUSED:
        return timedelta()
    return delay(result.shipment.delivery.module, attempts, result.outcome)


def _state_after(delivery: Delivery, outcome: Outcome) -> str:
    """Return the state after a failure: a person must look where trying again is no use."""
    if outcome is Outcome.REFUSED and delivery.attempts + 1 >= REFUSALS:
        return _given_up(delivery.module)
    too_old = timezone.now() - delivery.owed_since > MONEY_PATIENCE
    if delivery.module in MONEY and too_old:
        return Delivery.State.PARKED
    return Delivery.State.LIVE


def _given_up(module: str) -> str:
    return Delivery.State.PARKED if module in MONEY else Delivery.State.REJECTED


def delay(module: str, attempts: int, outcome: Outcome) -> timedelta:
    """Return how long to wait before the next try, with jitter."""
    if outcome is Outcome.REFUSED:
        seconds = 60.0
    elif module in MONEY:
        seconds = MONEY_DELAYS[attempts - 1] if attempts <= len(MONEY_DELAYS) else 21600
    else:
        seconds = min(900.0, 2.0**attempts)
    return timedelta(seconds=seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


def _note_answers(platform: Platform) -> None:
    """Note that the platform answers; one UPDATE a minute is enough unless it failed before."""
    now = timezone.now()
    news = Q(failures__gt=0) | Q(heard_at__isnull=True) | Q(heard_at__lt=now - MARK_EVERY)
    Platform.objects.filter(news, pk=platform.pk).update(
        failures=0, failing_since=None, paused_until=None, heard_at=now
    )


def _note_failures(platform: Platform, failed: int) -> None:
    """Count failures in a row; from five on, leave the platform alone for a growing while."""
    failures = platform.failures + failed
    pause = min(300.0, 5 * 2.0 ** min(failures // FAILURES_BEFORE_PAUSE, 6))
    now = timezone.now()
    until = now + timedelta(seconds=pause)
    Platform.objects.filter(pk=platform.pk).update(
        failures=failures,
        failing_since=Coalesce(F("failing_since"), now),
        paused_until=until if failures >= FAILURES_BEFORE_PAUSE else None,
    )


def _broadcastable() -> Iterator[tuple[str, type[OwnedObject]]]:
    for module, label in settings.OCPI_MODELS.items():
        if module not in ROUTED | UNROUTED:
            yield module, apps.get_model(label)


# What owing is: said here, and written by `storing` too, in the statement that stores an object.
OWED = """
    INSERT INTO parties_delivery (receiver_id, module, object_id, wanted, acknowledged,
        state, attempts, owed_since, next_attempt_at, last_answer)
    SELECT {what}, 0, 'live', 0, now(), now(), ''
    FROM {whence}
    ON CONFLICT (receiver_id, module, object_id) DO UPDATE SET
        wanted = greatest(parties_delivery.wanted, EXCLUDED.wanted),
        state = 'live', attempts = 0, next_attempt_at = EXCLUDED.next_attempt_at,
        owed_since = CASE WHEN parties_delivery.acknowledged < parties_delivery.wanted
            THEN parties_delivery.owed_since ELSE EXCLUDED.owed_since END
"""
_OWE = OWED.format(what="receiver, %s, %s, %s", whence="unnest(%s::bigint[]) AS receiver")
_CATCH_UP = f"""
    {OWED.format(what="%s, %s, item.id, item.version", whence="({items}) AS item")}
    WHERE parties_delivery.wanted < EXCLUDED.wanted
"""
