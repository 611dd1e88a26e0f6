"""What a partner would like to change that only a person may: its hosts, its roles.

A stolen token must not lead the network's data elsewhere (a host), nor let its thief speak for
somebody else (a role). So nothing changes, and the wish waits for the hub's staff.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from hub import egress
from hub.ocpi import json, times
from parties.models import Platform

logger = logging.getLogger(__name__)
LIMIT = 20  # hosts, and roles, of one wish


def keep(
    platform: Platform,
    credentials: Mapping[str, Any],
    *,
    hosts: Sequence[str] = (),
    roles: Iterable[Mapping[str, Any]] = (),
) -> None:
    """Keep a wish for hosts or roles in the place of any other; tokens are no part of it."""
    wish: dict[str, Any] = {
        "url": credentials["url"],
        "hosts": list(hosts)[:LIMIT],
        "roles": [_role(item) for item in roles][:LIMIT],
    }
    known = dict(platform.proposal or {})
    known.pop("at", None)
    if known == wish:
        return
    wish["at"] = times.render(times.now())
    Platform.objects.filter(pk=platform.pk).update(proposal=wish)
    logger.warning("change of credentials waits for a person", extra={"platform": platform.pk})


class Outdated(Exception):
    """The wish is not the one that was looked at any more."""


def fingerprint(wish: Mapping[str, Any] | None) -> str:
    """Return what tells this wish from every other, so that a person approves what they saw."""
    return hashlib.sha256(json.dumps(wish)).hexdigest()


@transaction.atomic
def approve_hosts(platform: Platform, seen: str) -> list[str]:
    """Approve the hosts of the wish with the fingerprint `seen` and return them.

    The partner may then repeat what it tried. Raises Outdated.
    """
    locked = _locked(platform, seen)
    wish: dict[str, Any] = locked.proposal or {"hosts": [], "roles": []}
    hosts = [str(host) for host in wish["hosts"]]
    locked.hosts = sorted({*locked.hosts, *hosts})
    locked.proposal = {**wish, "hosts": []} if wish["roles"] else None
    locked.save(update_fields=["hosts", "proposal"])
    logger.info("hosts approved", extra={"platform": locked.pk, "hosts": hosts})
    return hosts


@transaction.atomic
def dismiss(platform: Platform, seen: str) -> None:
    """Drop the wish with the fingerprint `seen`: everything stays as it is. Raises Outdated."""
    locked = _locked(platform, seen)
    locked.proposal = None
    locked.save(update_fields=["proposal"])
    logger.info("proposal dismissed", extra={"platform": locked.pk})


@transaction.atomic
def drop_granted(platform: Platform) -> None:
    """Take what has been granted by now out of a wish."""
    locked = Platform.objects.select_for_update().get(pk=platform.pk)
    if not locked.proposal:
        return
    assigned = {(str(role.party), role.role) for role in locked.roles.select_related("party")}
    open_roles = [item for item in locked.proposal["roles"] if _name(item) not in assigned]
    wish = {**locked.proposal, "roles": open_roles}
    locked.proposal = wish if open_roles or wish["hosts"] else None
    locked.save(update_fields=["proposal"])


@transaction.atomic
def forget_unused_hosts(platform: Platform) -> list[str]:
    """Take back the approval of hosts that no URL of the platform names; return them."""
    locked = Platform.objects.select_for_update().get(pk=platform.pk)
    urls = [locked.versions_url, *locked.endpoints.values_list("url", flat=True)]
    used = {egress.check_url(url, None) for url in urls if url}
    unused = [host for host in locked.hosts if host not in used]
    if not used or not unused:
        return []
    locked.hosts = [host for host in locked.hosts if host in used]
    locked.save(update_fields=["hosts"])
    logger.info("hosts forgotten", extra={"platform": locked.pk, "hosts": unused})
    return unused


def _locked(platform: Platform, seen: str) -> Platform:
    locked = Platform.objects.select_for_update().get(pk=platform.pk)
    if not locked.proposal or fingerprint(locked.proposal) != seen:
        raise Outdated("the partner has asked for something else in the meantime")
    return locked


def _name(item: Mapping[str, Any]) -> tuple[str, str]:
    return f"{item['country_code']}*{item['party_id']}", item["role"]


def _role(item: Mapping[str, Any]) -> dict[str, str]:
    return {
        "country_code": str(item["country_code"]).upper(),
        "party_id": str(item["party_id"]).upper(),
        "role": str(item["role"]),
        "name": str(item["business_details"]["name"]),
    }
