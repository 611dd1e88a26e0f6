"""Sending again, as people want it: what was given up, or everything that one receiver has had."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from parties.delivery.owing import owe_everything
from parties.models import Delivery, Platform

BATCH = 5_000  # rows changed in one transaction


def send_again(deliveries: QuerySet[Delivery]) -> list[int]:
    """Make deliveries due that were not acknowledged, parked and refused ones included.

    Return their platforms, once for each delivery.
    """
    owed = deliveries.filter(wanted__gt=F("acknowledged"))
    afresh = {"state": Delivery.State.LIVE, "attempts": 0, "refusals": 0}
    return _changed(owed, next_attempt_at=timezone.now(), **afresh)


def owe_again(platform: Platform, module: str = "", since: datetime | None = None) -> int:
    """Owe a platform everything again that it has acknowledged, of one module or of all.

    With `since` only what it has acknowledged from then on, else also what it should have been owed
    and was not. A CDR that it says it has already counts as delivered. Return how many are owed.
    """
    had = Delivery.objects.filter(receiver__platform=platform, acknowledged__gt=0)
    had = had.filter(module=module) if module else had
    had = had.filter(acknowledged_at__gte=since) if since else had
    now = timezone.now()
    changed = _changed(
        had,
        acknowledged=0,
        doubtful=True,
        state=Delivery.State.LIVE,
        attempts=0,
        refusals=0,
        owed_since=now,
        next_attempt_at=now,
    )
    if not since:
        _owe_missing(platform)
    return len(changed)


@transaction.atomic
def _owe_missing(platform: Platform) -> None:
    for role in platform.roles.order_by("pk"):
        owe_everything(role)


def _changed(rows: QuerySet[Delivery], **values: object) -> list[int]:
    """Change deliveries, a batch at a time; what is locked is being owed or booked just now."""
    found: list[int] = []
    last = 0
    while ids := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        last = ids[-1]
        with transaction.atomic():
            free = Delivery.objects.select_for_update(skip_locked=True, no_key=True)
            held = list(free.filter(pk__in=ids).order_by().values_list("pk", flat=True))
            some = Delivery.objects.filter(Q(pk__in=held))
            found += some.values_list("receiver__platform_id", flat=True)
            some.update(**values)
    return found
