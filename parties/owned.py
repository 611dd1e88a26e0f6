"""Client-owned objects: pushed by their owner, kept as received, owed to those entitled.

Shared by locations, tariffs, tokens and sessions. Source: OCPI 2.2.1, transport_and_format,
"Client Owned Object Push".
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from hub import metrics
from hub.ocpi import times
from hub.ocpi.errors import Invalid, NotFound
from parties import delivery, merging, routing, storing, waking
from parties.merging import Amendment
from parties.models import Delivery, OwnedObject, OwnedObjectQuerySet, Party, Role, RoleQuerySet
from parties.storing import Written

logger = logging.getLogger(__name__)
CLOCK_SKEW = timedelta(minutes=15)


class Change(Enum):
    """What a push did to the hub's copy."""

    CREATED = "created"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    STALE = "stale"


@dataclass(frozen=True)
class Kept:
    """What became of a push, how many are told of it, and what about it was odd."""

    change: Change
    oddities: tuple[str, ...] = ()
    receivers: int = 0


@dataclass(frozen=True)
class Place:
    """Where an object is kept: its model, its owner in the role in which it speaks, its id.

    `identity` are further columns that tell it from others; `seen` is the object, if it has just
    been read.
    """

    model: type[OwnedObject]
    owner: Role
    uid: str
    identity: Mapping[str, Any] = field(default_factory=dict)
    seen: OwnedObject | None = None

    def rows(self) -> OwnedObjectQuerySet:
        """Return the object, if there is one, deleted or not."""
        rows = self.model.rows().filter(owner=self.owner.party_id, **self.identity)
        return rows.filter(uid__iexact=self.uid)

    def locked(self) -> Any:
        """Return the object, locked, or None."""
        return self.rows().select_for_update().first()


@dataclass(frozen=True)
class Push:
    """An object as its owner told it: whole, as valid 2.2.1.

    `raw` is what the partner sent when that had to be converted; `change` what it told when that
    was only a part.
    """

    model: type[OwnedObject]
    owner: Role
    body: Mapping[str, Any]
    raw: Any = None
    change: Mapping[str, Any] | None = None

    @property
    def uid(self) -> str:
        """Return the object's id."""
        return str(self.body[self.model.key])

    @property
    def place(self) -> Place:
        """Return where it is to be kept."""
        identity = {name: self.body[name] for name in self.model.IDENTITY}
        return Place(self.model, self.owner, self.uid, identity)

    @property
    def told(self) -> bool:
        """Tell whether the owner itself says when it changed the object."""
        return not isinstance(self.raw, dict) or bool(self.raw.get("last_updated"))


def put(push: Push) -> Kept:
    """Store a pushed object and owe it to its receivers, who are woken after the commit.

    An older `last_updated` than the stored one changes nothing, and neither does the same body
    again. Raises Invalid when `last_updated` lies more than 15 minutes ahead.
    """
    stamp = last_updated(push.body)
    if push.model.open(push.body):
        values = {"uid": push.uid, **push.place.identity, **_values(push, stamp)}
        written = storing.put(push.model, push.owner, values, newest=not push.told)
        if written:
            return _woken(written, Change.CREATED if written.created else Change.REPLACED)
    return _put_under_lock(push, stamp)


@transaction.atomic
def _put_under_lock(push: Push, stamp: datetime) -> Kept:
    """Store a pushed object, looking first at what there is."""
    delivery.share_network()
    item = push.place.locked()
    if item is None and (item := _inserted(push, stamp)):
        return _owed(item, push, Kept(Change.CREATED))
    item = item or push.place.locked()
    return _owed(item, push, _replaced(item, push, stamp))


def amend(place: Place, amendment: Amendment, missing: type[NotFound] = NotFound) -> Kept:
    """Change a part of a stored object, and owe the change to its receivers.

    Changes at once come one after the other: an object that has been seen is replaced only if
    nobody was quicker, and else looked at once more, with its row locked. What is older than the
    part as it is stored changes nothing. Raises `missing` when there is no such object or part,
    Invalid when the part would not be valid afterwards.
    """
    last_updated(amendment.body)
    if place.seen and (kept := _amend_seen(place.seen, place, amendment, missing)):
        return kept
    return _amend_under_lock(place, amendment, missing)


def _amend_seen(
    item: OwnedObject, place: Place, amendment: Amendment, missing: type[NotFound]
) -> Kept | None:
    """Change a part of an object as it was seen; None when that takes the lock of its row."""
    push, new = _amendment(item, place, amendment, missing)
    if push is None:
        return Kept(Change.STALE)
    if not place.model.open(push.body) or not place.model.open(item.body):
        return None
    stamp = last_updated(push.body)
    if unchanged := _not_taken(item, push, stamp):
        return unchanged
    written = storing.replace(item, place.owner, _values(push, stamp))
    return _woken(written, Change.CREATED if new else Change.REPLACED) if written else None


@transaction.atomic
def _amend_under_lock(place: Place, amendment: Amendment, missing: type[NotFound]) -> Kept:
    delivery.share_network()
    item = place.locked()
    push, new = _amendment(item, place, amendment, missing)
    if push is None:
        return Kept(Change.STALE)
    kept = _owed(item, push, _replaced(item, push, last_updated(push.body)))
    return replace(kept, change=Change.CREATED) if new else kept


def _amendment(
    item: OwnedObject | None, place: Place, amendment: Amendment, missing: type[NotFound]
) -> tuple[Push | None, bool]:
    """Return the object as it is after a change, None when that is older, and if a part is new."""
    path = None if item is None or item.deleted else amendment.path(item.body)
    if item is None or path is None:
        raise missing("there is no such object yet: put it first")
    part = merging.part_at(item.body, path)
    if merging.is_older(amendment.body, part):
        return None, False
    body = _amended(item, amendment, path)
    change = amendment.change(path, item.body, body)
    return Push(place.model, place.owner, body, change=change), part is None


@transaction.atomic
def delete(place: Place, missing: type[NotFound] = NotFound) -> OwnedObject:
    """Mark an object as deleted, and owe that to everybody who was ever owed the object.

    Raises `missing` when there is none. A later PUT revives it.
    """
    delivery.share_network()
    item = place.locked()
    if item is None or item.deleted:
        raise missing("no such object")
    item.deleted_at, item.version, item.change = times.now(), item.version + 1, None
    item.save(update_fields=["deleted_at", "version", "change"])
    told = Delivery.objects.filter(module=item.module, object_id=item.pk)
    owe(item, Role.objects.filter(pk__in=told.values("receiver")))
    return cast(OwnedObject, item)


def owe(item: OwnedObject, receivers: RoleQuerySet) -> int:
    """Owe an object to roles and wake the drains of their platforms after the commit.

    Return how many roles there are.
    """
    pairs = set(receivers.values_list("pk", "platform_id"))
    if not pairs:
        return 0
    delivery.owe(item, [role for role, _ in pairs])
    wake({platform for _, platform in pairs})
    return len(pairs)


def wake(platforms: Iterable[int]) -> None:
    """Wake the drains of platforms after the commit."""
    transaction.on_commit(partial(waking.wake, sorted(platforms)))


def _woken(written: Written, change: Change) -> Kept:
    """Wake the drains for what was written; say what became of the push."""
    wake(written.awake)
    return Kept(change, receivers=written.receivers)


def find(module: str, owner: Party) -> QuerySet[Any]:
    """Return what a party owns in a module, whichever app keeps it."""
    model: type[OwnedObject] = apps.get_model(settings.OCPI_MODELS[module])
    return model.rows().present().filter(owner=owner)


def last_updated(body: Mapping[str, Any]) -> datetime:
    """Return when the owner last changed the object; refuse a clock that runs ahead."""
    try:
        stamp = times.parse(body["last_updated"])
    except ValueError as error:
        raise Invalid(f"last_updated: {error}") from error
    if stamp > times.now() + CLOCK_SKEW:
        metrics.FUTURE_CLOCK.inc()
        raise Invalid("last_updated lies in the future")
    return stamp


def _owed(item: OwnedObject, push: Push, kept: Kept) -> Kept:
    """Owe a changed object to those who are to be told of it."""
    if kept.change in {Change.CREATED, Change.REPLACED}:
        everybody = routing.broadcast(item.module, push.owner)
        kept = replace(kept, receivers=owe(item, item.audience(everybody)))
        for other in item.opened():
            itself = Role.objects.receiving(other.module).filter(party=item.owner_id)
            owe(other, other.audience(itself))
    return kept


def _amended(item: OwnedObject, amendment: Amendment, path: merging.Path) -> merging.Body:
    """Return the body with the part as it is now."""
    if amendment.level:
        return merging.placed(item.body, path, amendment.body)
    kind, fixed = item.kind, ("country_code", "party_id", item.key, *item.IDENTITY)
    if path:
        level = merging.LEVELS[len(path) - 1]
        kind, fixed = level.kind, (level.key,)
    part = merging.part_at(item.body, path) or {}
    return merging.placed(item.body, path, merging.patched(part, amendment.body, kind, fixed))


def _inserted(push: Push, stamp: datetime) -> OwnedObject | None:
    """Return the new row, or None when another request was quicker."""
    place = push.place
    item = push.model(
        owner=push.owner.party,
        uid=push.uid,
        **place.identity,
        **push.model.derived(push.body),
        **_values(push, stamp),
    )
    try:
        with transaction.atomic():
            item.save(force_insert=True)
    except IntegrityError:
        return None
    return item


def _replaced(item: OwnedObject, push: Push, stamp: datetime) -> Kept:
    """Replace the row's content, unless that is older or the same; a deleted object comes back."""
    if unchanged := _not_taken(item, push, stamp):
        return unchanged
    revived, oddities = item.deleted, _tolerated(item, push)
    values = {**_derived(item, push), **_values(push, stamp), "version": item.version + 1}
    if revived:
        values["deleted_at"] = None
    for name, value in values.items():
        setattr(item, name, value)
    item.save(update_fields=list(values))
    return Kept(Change.CREATED if revived else Change.REPLACED, oddities)


def _not_taken(item: OwnedObject, push: Push, stamp: datetime) -> Kept | None:
    """Say why a push changes nothing, if so it is: it is older than what is stored, or the same."""
    if push.told and stamp < item.last_updated:
        logger.info("stale push ignored", extra={"kind": item.module, "object": item.pk})
        return Kept(Change.STALE)
    same = push.body == item.body or (push.raw is not None and push.raw == item.raw)
    return Kept(Change.UNCHANGED) if same and not item.deleted else None


def _derived(item: OwnedObject, push: Push) -> dict[str, Any]:
    """Return whom the object is for, which stays as it was first told: raises Invalid otherwise."""
    values = push.model.derived(push.body)
    if any(getattr(item, name) not in {None, value} for name, value in values.items()):
        raise Invalid("it belongs to another party's token")
    return values


def _tolerated(item: OwnedObject, push: Push) -> tuple[str, ...]:
    """Return what is odd about the new state; on a strict platform, refuse it."""
    oddities = tuple(item.oddities(push.body))
    if oddities and push.owner.platform.strict:
        raise Invalid("; ".join(oddities))
    if oddities:
        logger.warning("odd: %s", "; ".join(oddities), extra={"object": item.pk})
    return oddities


def _values(push: Push, stamp: datetime) -> dict[str, Any]:
    plain = {name: push.body.get(name) for name in push.model.COLUMNS}
    return {
        **{name: "" if value is None else value for name, value in plain.items()},
        "body": push.body,
        "raw": push.raw,
        "change": push.change,
        "last_updated": stamp,
        "received_at": times.now(),
    }
