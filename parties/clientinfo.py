"""Who is connected: what the hub tells its parties of each other.

One ClientInfo for each role of a party, changed in the transaction that moves its platform, and
owed to the parties that may communicate with it. Source: OCPI 2.2.1, mod_hub_client_info.
"""

import logging
import random
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from hub.ocpi import times
from hub.ocpi.versions import RECEIVER
from parties import delivery, policy, waking
from parties.models import ClientInfo, Platform, Role

logger = logging.getLogger(__name__)
FIRST_READ = 10.0  # seconds within which the lists of who has just connected are read
_State = Platform.State
STATUS = {
    _State.INVITED: "PLANNED",
    _State.PUSH_ONLY: "CONNECTED",
    _State.CONNECTED: "CONNECTED",
    _State.OFFLINE: "OFFLINE",
    _State.SUSPENDED: "SUSPENDED",
}
RECEIVING = frozenset({_State.CONNECTED, _State.OFFLINE})  # broadcasts reach it, now or later


@transaction.atomic
def move(platform: Platform, state: str, **changes: Any) -> Platform:
    """Move a platform to a state and tell those who may know what that means for its parties.

    The only door for a platform's state. Raises WrongState when no move leads there.
    """
    _guard_broadcasts(platform, state)
    before = (
        Platform.objects.select_for_update().values_list("state", flat=True).get(pk=platform.pk)
    )
    if state != before:
        changes = {**_afresh(state), **changes}
    if state == _State.CONNECTED:
        changes = {"pull_at": _shortly(), **changes}
    platform.move_to(state, **changes)
    refresh(platform)
    if state != before:
        logger.info("platform is %s now", state, extra={"platform": platform.pk, "was": before})
    return platform


@transaction.atomic
def refresh(platform: Platform) -> None:
    """Bring the ClientInfos of a platform's roles into step with its state.

    Call in the transaction that gives the platform a role.
    """
    found = locked(platform)
    for role in _in_order(found):
        _tell(role, STATUS[_State(found.state)])


def locked(platform: Platform) -> Platform:
    """Return the platform with its row locked, after the broadcasts; in a transaction.

    Whoever moves or ends a platform locks in this order.
    """
    delivery.share_network()
    return Platform.objects.select_for_update().get(pk=platform.pk)


@transaction.atomic
def withdraw(role: Role) -> None:
    """Tell that a party is no longer there in a role; call before the role is deleted."""
    delivery.share_network()
    _tell(role, STATUS[_State.SUSPENDED])


def visible_to(platform: Platform) -> QuerySet[ClientInfo]:
    """Return what a platform may know: the roles that one of its own can communicate with.

    Its own parties are not among them, in whichever role and on whichever platform.
    """
    own = platform.roles.all()
    kinds = {kind for role in own for kind in policy.OPPOSITE[role.role]}
    rows = ClientInfo.objects.filter(uid__in=kinds)
    return rows.exclude(owner__in=own.values("party")).order_by("pk")


def _guard_broadcasts(platform: Platform, state: str) -> None:
    """Let nobody be told anything while the platform becomes one of those who are told."""
    if state == _State.CONNECTED and platform.state not in RECEIVING:
        delivery.pause_broadcasts()
    else:
        delivery.share_network()


def owe_all(platform: Platform) -> None:
    """Owe a platform that has just told its endpoints everything that it may know, once.

    What it has acknowledged before is not sent again. Call while broadcasts are paused: otherwise
    two platforms that are owed each other's news could wait for each other.
    """
    if not platform.endpoints.filter(module=ClientInfo.module, interface=RECEIVER).exists():
        return
    own = list(platform.roles.order_by("pk"))
    for info in visible_to(platform).select_related("owner"):
        fitting = [role.pk for role in own if role.role in policy.OPPOSITE[info.uid]]
        delivery.owe(info, fitting[:1])


def _afresh(state: str) -> dict[str, Any]:
    """Return what begins anew with a state."""
    found = {"state_since": times.now(), "probes_passed": 0, "probes_failed": 0, "probe_at": None}
    if state == _State.CONNECTED:
        found |= Platform.WELL
    return found


def _shortly() -> datetime:
    """Return when the lists of who has just connected are read."""
    return times.now() + timedelta(seconds=random.uniform(0, FIRST_READ))  # noqa: S311 - jitter


def _in_order(platform: Platform) -> list[Role]:
    """Return a platform's roles in the order of their ClientInfos, in which all lock deliveries."""
    infos = ClientInfo.objects.filter(owner__roles__platform=platform)
    known = {(info.owner_id, info.uid): info.pk for info in infos}
    last = max(known.values(), default=0) + 1
    roles = platform.roles.select_related("party").order_by("pk")
    return sorted(roles, key=lambda role: known.get((role.party_id, role.role), last))


def _tell(role: Role, status: str) -> None:
    """Note the status of a role; only a change is told to others."""
    info = ClientInfo.objects.select_for_update().filter(owner=role.party, uid=role.role).first()
    if info and info.status == status:
        return
    info = info or ClientInfo(owner=role.party, uid=role.role, version=0)
    info.status, info.last_updated = status, times.now()
    info.version += 1
    info.body = _body(role, status, info.last_updated)
    info.save()
    _owe(info, role)


def _owe(info: ClientInfo, role: Role) -> None:
    """Owe a ClientInfo once to every platform that may know, whichever of its roles that is by."""
    told = Role.objects.receiving(info.module).filter(role__in=policy.OPPOSITE[role.role])
    others = told.exclude(platform__roles__party=role.party_id)
    rows = others.order_by("platform_id", "pk").distinct("platform_id")
    pairs = list(rows.values_list("platform_id", "pk"))
    delivery.owe(info, [receiver for _, receiver in pairs])
    transaction.on_commit(partial(waking.wake, [platform for platform, _ in pairs]))


def _body(role: Role, status: str, stamp: datetime) -> dict[str, Any]:
    return {
        "party_id": role.party.party_id,
        "country_code": role.party.country_code,
        "role": role.role,
        "status": status,
        "last_updated": times.render(stamp),
    }
