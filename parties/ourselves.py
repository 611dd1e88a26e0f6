"""The hub's own credentials. Source: OCPI 2.2.1, credentials, "Credentials object" and on hubs."""

from typing import Any

from django.conf import settings

from parties import clientinfo
from parties.models import Platform

MEMBERS = ("CONNECTED", "OFFLINE")


def credentials_for(platform: Platform, token: str) -> dict[str, Any]:
    """Return the hub's credentials as a platform sees them with its token.

    The hub has one role, HUB. The parties that it leads to are told by HubClientInfo; only to a
    platform that insists (`names_parties`) they are named here, too.
    """
    parties = _parties(platform) if platform.names_parties else []
    return {
        "token": token,
        "url": f"{settings.HUB_BASE_URL}/ocpi/versions",
        "roles": [_hub(), *parties],
    }


def _hub() -> dict[str, Any]:
    return {
        "role": "HUB",
        "business_details": {"name": settings.HUB_NAME},
        "party_id": settings.HUB_PARTY_ID,
        "country_code": settings.HUB_COUNTRY_CODE,
    }


def _parties(platform: Platform) -> list[dict[str, Any]]:
    infos = clientinfo.visible_to(platform).filter(status__in=MEMBERS).select_related("owner")
    return [
        {
            "role": info.uid,
            "business_details": info.owner.business_details,
            "party_id": info.owner.party_id,
            "country_code": info.owner.country_code,
        }
        for info in infos
    ]
