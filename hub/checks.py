"""What must be so before a hub starts that moves real money."""

from typing import Any

from django.conf import settings
from django.core.checks import Error, register

PRIVATE = Error(
    "A live hub must not call private networks: partners choose the URLs that it calls.",
    hint="Unset ALLOW_PRIVATE_NETWORKS, or set ENVIRONMENT=sandbox.",
    id="hub.E001",
)


@register()
def no_private_networks_when_live(**options: Any) -> list[Error]:
    """Refuse to start a live hub whose door leads to loopback and private addresses."""
    return [] if settings.SANDBOX or not settings.ALLOW_PRIVATE_NETWORKS else [PRIVATE]
