"""Lists of another party, read through the hub page by page.

The far side's link to its next page is of no use to the reader, who has no token there. The hub
keeps it and gives the reader a URL of its own, with a secret, in its place.
Source: OCPI 2.2.1, transport_and_format, "Pagination".
"""

import logging
import re
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from django.conf import settings
from django.utils import timezone

from hub import egress
from hub.ocpi.errors import NotFound
from hub.ocpi.messages import Address
from parties import calling, keys, routing
from parties.forwarding import Outgoing, Relayed
from parties.models import FarPage, Platform
from parties.tidying import tidied

logger = logging.getLogger(__name__)
LIFE = timedelta(hours=1)
LONGEST = 1000  # characters of such a URL
KEPT = ("X-Total-Count", "X-Limit")
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)


def headers(relayed: Relayed, outgoing: Outgoing, url: str) -> dict[str, str]:
    """Return the headers of a page for its reader, given the URL that the page came from."""
    found = {name: relayed.headers[name] for name in KEPT if relayed.headers.get(name)}
    following = next_url(relayed.headers.get("Link", ""), outgoing, url)
    if relayed.succeeded and following:
        found["Link"] = f'<{_keep(outgoing, following)}>; rel="next"'
    return found


def listed(relayed: Relayed, outgoing: Outgoing) -> Relayed:
    """Return a page whose data is a list, of what its reader may see.

    A CPO that knows only the hub may well show all its sessions: those of other eMSPs' drivers
    end here.
    """
    if not relayed.succeeded:
        return relayed
    single = [] if relayed.data is None else [relayed.data]
    items = relayed.data if isinstance(relayed.data, list) else single
    shown = [item for item in items if _may_see(item, outgoing)]
    if len(shown) < len(items):
        logger.warning("objects of others were shown", extra={"kind": outgoing.module})
    return replace(relayed, data=tidied(outgoing.module, shown, outgoing.receiver.platform))


def _may_see(item: Any, outgoing: Outgoing) -> bool:
    if outgoing.module not in routing.HELD:
        return True
    token = item.get("cdr_token") if isinstance(item, dict) else None
    if not isinstance(token, dict):
        return False
    owner = Address.of(str(token.get("country_code")), str(token.get("party_id")))
    return owner == outgoing.sender.party.address


def find(secret: str, reader: Platform) -> FarPage:
    """Return the page that a reader was given a URL of; raises NotFound, without saying why."""
    joined = ("reader__party", "reader__platform", "owner__party", "owner__platform")
    rows = FarPage.objects.select_related(*joined).filter(expires_at__gt=timezone.now())
    page = rows.filter(digest=keys.digest(secret), reader__platform=reader).first()
    if page is None:
        raise NotFound("no such page (any more): read the list again from its beginning")
    return page


def forget() -> int:
    """Delete the pages that nobody can read any more; return how many."""
    return FarPage.objects.filter(expires_at__lte=timezone.now()).delete()[0]


def next_url(link: str, outgoing: Outgoing, url: str) -> str | None:
    """Return where the far side's next page is, None on the last one.

    The link is taken as it is, relative or not, unless it leads where the hub may not call: many
    servers do not know their own outside address. Then its parameters are taken to the endpoint.
    A link that leads nowhere new ends the list.
    """
    named = next_link(link)
    if named is None:
        return None
    platform, target = outgoing.receiver.platform, urljoin(url, named)
    if not may_call(target, platform):
        base = calling.endpoint_of(platform, outgoing.module, outgoing.interface)
        target = f"{base}?{urlsplit(target).query}"
    if not may_call(target, platform) or _leads_back(url, target):
        logger.warning("a link to a next page was dropped", extra={"platform": platform.pk})
        return None
    return target


def next_link(header: str) -> str | None:
    """Return the target of rel="next" in a Link header, however it is spelled."""
    for target, parameters in _LINK.findall(header):
        for quoted, bare in _REL.findall(parameters):
            if "next" in (quoted or bare).lower().split():
                return str(target)
    return None


def may_call(url: str, platform: Platform) -> bool:
    """Tell whether a link of a platform leads where the hub may call it."""
    try:
        egress.check_url(url, platform.hosts, longest=LONGEST)
    except egress.EgressDeniedError:
        return False
    return True


def _leads_back(url: str, target: str) -> bool:
    """Tell whether a next page is the same one again, or an earlier one."""
    here, there = _offset(url), _offset(target)
    return target == url or (there is not None and there <= (here or 0))


def _offset(url: str) -> int | None:
    values = parse_qs(urlsplit(url).query).get("offset", [])
    return int(values[0]) if values and values[0].isdecimal() else None


def _keep(outgoing: Outgoing, url: str) -> str:
    """Keep the far side's URL and return the hub's for it."""
    secret = secrets.token_urlsafe(32)
    FarPage.objects.create(
        digest=keys.digest(secret),
        module=outgoing.module,
        reader=outgoing.sender,
        owner=outgoing.receiver,
        url=url,
        expires_at=timezone.now() + LIFE,
    )
    return f"{settings.HUB_BASE_URL}/ocpi/page/{secret}"
