"""What the pages of all apps share: who this hub is, and where it is reached."""

from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Give every template `hub`: its name, party, environment and address."""
    return {
        "hub": {
            "name": settings.HUB_NAME,
            "party": f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}",
            "country_code": settings.HUB_COUNTRY_CODE,
            "party_id": settings.HUB_PARTY_ID,
            "environment": settings.ENVIRONMENT,
            "sandbox": settings.SANDBOX,
            "base_url": base_url(request),
        }
    }


def base_url(request: HttpRequest) -> str:
    """Return the address partners call: the configured one, else the one this visitor used."""
    unconfigured = f"http://{settings.HOST}:{settings.PORT}"
    if unconfigured != settings.HUB_BASE_URL:
        return settings.HUB_BASE_URL
    try:
        return f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:  # the page that refuses such a host needs an address too
        return unconfigured
