"""What receivers are owed: written with the object, in the transaction that stores it."""

from collections.abc import Iterable, Iterator

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.utils import timezone

from hub.ocpi.versions import RECEIVER
from parties import policy
from parties.models import Delivery, OwnedObject, OwnedObjectQuerySet, Role

JOINING = 0x0C9E  # taken shared by who broadcasts, alone by who joins
ROUTED = frozenset({"cdrs", "sessions"})  # from the CPO itself; the rest is broadcast by the hub
UNROUTED = frozenset({"hubclientinfo"})  # the hub's own, without routing headers


def owe(item: OwnedObject, receivers: Iterable[int]) -> None:
    """Note that receivers (ids of roles) should have the present version of an object.

    Call in the transaction that stores the object.
    """
    with connection.cursor() as cursor:
        row = [item.module, item.pk, item.version, item.follows, sorted(receivers)]
        cursor.execute(_OWE, row)


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


def hasten(platform_id: int) -> None:
    """Make everything that a platform is owed due now: it is back.

    What is locked is being owed at this moment, and due by that.
    """
    owed = Delivery.objects.filter(
        receiver__platform=platform_id, state=Delivery.State.LIVE, wanted__gt=F("acknowledged")
    )
    free = owed.select_for_update(of=("self",), skip_locked=True).values("pk")
    Delivery.objects.filter(pk__in=free).update(next_attempt_at=timezone.now())


def _lock(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [JOINING])


def _broadcastable() -> Iterator[tuple[str, type[OwnedObject]]]:
    for module, label in settings.OCPI_MODELS.items():
        if module not in ROUTED | UNROUTED:
            yield module, apps.get_model(label)


DEBT = """
    INSERT INTO parties_delivery (receiver_id, module, object_id, wanted, follows, acknowledged,
        state, attempts, refusals, doubtful, owed_since, next_attempt_at, last_answer)
    SELECT {what}, {follows}, 0, 'live', 0, 0, false, now(), now(), ''
    FROM {whence}
    ON CONFLICT (receiver_id, module, object_id) DO UPDATE SET
        wanted = greatest(parties_delivery.wanted, EXCLUDED.wanted),
        state = 'live', attempts = 0, refusals = 0, next_attempt_at = EXCLUDED.next_attempt_at,
        owed_since = CASE WHEN parties_delivery.acknowledged < parties_delivery.wanted
            THEN parties_delivery.owed_since ELSE EXCLUDED.owed_since END
"""
# What owing is: said here, and written by `storing` too, in the statement that stores an object.
OWED = DEBT.replace("{follows}", "NULL::bigint")
_OWE = DEBT.format(
    what="receiver, %s, %s, %s", follows="%s::bigint", whence="unnest(%s::bigint[]) AS receiver"
)
_CATCH_UP = f"""
    {OWED.format(what="%s, %s, item.id, item.version", whence="({items}) AS item")}
    WHERE parties_delivery.wanted < EXCLUDED.wanted
"""
