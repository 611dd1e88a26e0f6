"""Client-owned objects: pushed by their owner, kept as received, owed to those entitled.

Shared by locations, tariffs, tokens and sessions. Source: OCPI 2.2.1, transport_and_format,
"Client Owned Object Push".
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from hub.ocpi import times
from hub.ocpi.errors import Invalid
from parties import delivery, waking
from parties.models import OwnedObject, Party, RoleQuerySet

logger = logging.getLogger(__name__)
CLOCK_SKEW = timedelta(minutes=15)


class Change(Enum):
    """What a push did to the hub's copy."""

    CREATED = "created"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    STALE = "stale"


@dataclass(frozen=True)
class Push:
    """A pushed object: whose, its id, its body as valid 2.2.1, and what goes beside it.

    `raw` is what the partner sent when it had to be converted; `identity` and `columns` are
    further fields of the row, the former part of what makes it the same object.
    """

    model: type[OwnedObject]
    owner: Party
    uid: str
    body: Mapping[str, Any]
    raw: Any = None
    complete: bool = True
    identity: Mapping[str, Any] | None = None
    columns: Mapping[str, Any] | None = None


@transaction.atomic
def put(push: Push, receivers: RoleQuerySet) -> Change:
    """Store a pushed object and owe it to its receivers, who are woken after the commit.

    An older `last_updated` than the stored one changes nothing, and neither does the same body
    again. Raises Invalid when `last_updated` lies more than 15 minutes ahead.
    """
    stamp = last_updated(push.body)
    delivery.share_network()
    item = _locked(push)
    if item is None and (item := _inserted(push, stamp)):
        change = Change.CREATED
    else:
        item = item or _locked(push)
        change = _replaced(item, push, stamp)
    if push.complete and change in {Change.CREATED, Change.REPLACED}:
        owe(item, receivers)
    return change


def owe(item: OwnedObject, receivers: RoleQuerySet) -> None:
    """Owe an object to roles and wake the drains of their platforms after the commit."""
    pairs = set(receivers.values_list("pk", "platform_id"))
    if not pairs:
        return
    delivery.owe(item, [role for role, _ in pairs])
    platforms = sorted({platform for _, platform in pairs})
    transaction.on_commit(partial(waking.wake, platforms))


def find(module: str, owner: Party) -> QuerySet[Any]:
    """Return what a party owns in a module, whichever app keeps it."""
    model = apps.get_model(settings.OCPI_MODELS[module])
    rows: QuerySet[Any] = model._default_manager.filter(owner=owner)
    return rows


def last_updated(body: Mapping[str, Any]) -> datetime:
    """Return when the owner last changed the object; refuse a clock that runs ahead."""
    try:
        stamp = times.parse(body["last_updated"])
    except ValueError as error:
        raise Invalid(f"last_updated: {error}") from error
    if stamp > times.now() + CLOCK_SKEW:
        raise Invalid("last_updated lies in the future")
    return stamp


def _locked(push: Push) -> Any:
    """Return the row, locked, or None."""
    rows = push.model._default_manager.select_for_update()
    identity = push.identity or {}
    return rows.filter(owner=push.owner, uid__iexact=push.uid, **identity).first()


def _inserted(push: Push, stamp: datetime) -> OwnedObject | None:
    """Return the new row, or None when another request was quicker."""
    identity = push.identity or {}
    item = push.model(owner=push.owner, uid=push.uid, **identity, **_values(push, stamp))
    try:
        with transaction.atomic():
            item.save(force_insert=True)
    except IntegrityError:
        return None
    return item


def _replaced(item: OwnedObject, push: Push, stamp: datetime) -> Change:
    """Replace the row's content, unless that is older or the same.

    Who an object is for (`columns`) stays as it was first told: raises Invalid, under the lock.
    """
    if any(
        getattr(item, name) not in {None, value} for name, value in (push.columns or {}).items()
    ):
        raise Invalid("it belongs to another party's token")
    told = push.raw is None or bool(push.raw.get("last_updated"))
    if told and stamp < item.last_updated:
        logger.info("stale push ignored", extra={"kind": item.module, "object": item.pk})
        return Change.STALE
    same = push.body == item.body if push.raw is None else push.raw == item.raw
    if same:
        return Change.UNCHANGED
    values = {**_values(push, stamp), "version": item.version + 1}
    for name, value in values.items():
        setattr(item, name, value)
    item.save(update_fields=list(values))
    return Change.REPLACED


def _values(push: Push, stamp: datetime) -> dict[str, Any]:
    return {
        "body": push.body,
        "raw": push.raw,
        "complete": push.complete,
        "last_updated": stamp,
        **_columns(push),
    }


def _columns(push: Push) -> dict[str, Any]:
    plain = {name: push.body.get(name) for name in push.model.COLUMNS}
    return {
        **{name: "" if value is None else value for name, value in plain.items()},
        **(push.columns or {}),
    }
