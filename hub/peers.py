"""Who is at the other end of a request."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED")


def address(request: HttpRequest) -> str:
    """Return the address of the client: the peer, or whom trusted proxies say they speak for."""
    found = str(request.META.get("REMOTE_ADDR", ""))
    chain = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while _is_trusted(found) and chain and (said := chain.pop().strip()):
        found = said
    return found


def is_inside(request: HttpRequest) -> bool:
    """Tell whether a request comes from this machine or a private network, and by no other way.

    What an unknown proxy passes on may come from anywhere.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    if not _is_trusted(peer) and any(name in request.META for name in FORWARDED):
        return False
    try:
        return ip_address(address(request)).is_private
    except ValueError:
        return False


def _is_trusted(text: str) -> bool:
    try:
        found = ip_address(text)
    except ValueError:
        return False
    return any(found in network for network in settings.TRUSTED_PROXIES)
