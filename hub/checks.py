"""What must be so before a hub starts that moves real money."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error, register

PRIVATE = Error(
    "A live hub must not call private networks: partners choose the URLs that it calls.",
    hint="Unset ALLOW_PRIVATE_NETWORKS, or set ENVIRONMENT=sandbox.",
    id="hub.E001",
)


SECRET = Error(
    "A live hub needs a SECRET_KEY that nobody can guess: it opens partners' tokens.",
    hint="Set SECRET_KEY to 50 random characters or more, e.g. from `openssl rand -base64 48`.",
    id="hub.E002",
)
ADDRESS = Error(
    "A live hub must be told its own address, which it is only reached at by TLS.",
    hint="Set HUB_BASE_URL to https://... as partners call it.",
    id="hub.E003",
)
DEBUG = Error(
    "A live hub must not show its inside to whoever makes it fail.",
    hint="Leave DEBUG off.",
    id="hub.E004",
)


def unsafe() -> list[Error]:
    """Return everything for which a hub must not start."""
    return [
        *no_private_networks_when_live(),
        *no_guessed_secret_when_live(),
        *no_address_but_by_tls_when_live(),
        *no_debugging_when_live(),
    ]


@register()
def no_guessed_secret_when_live(**options: Any) -> list[Error]:
    """Refuse to start a live hub with a secret that is short, of few characters, or made up."""
    secret = str(settings.SECRET_KEY)
    weak = len(secret) < 32 or len(set(secret)) < 10 or secret.startswith("django-insecure-")
    return [SECRET] if weak and not settings.SANDBOX else []


@register()
def no_address_but_by_tls_when_live(**options: Any) -> list[Error]:
    """Refuse to start a live hub that would name partners a URL without TLS, or hear any host."""
    by_tls = urlsplit(settings.HUB_BASE_URL).scheme == "https"
    return [] if settings.SANDBOX or (by_tls and "*" not in settings.ALLOWED_HOSTS) else [ADDRESS]


@register()
def no_debugging_when_live(**options: Any) -> list[Error]:
    """Refuse to start a live hub that shows tracebacks."""
    return [DEBUG] if settings.DEBUG and not settings.SANDBOX else []


@register()
def no_private_networks_when_live(**options: Any) -> list[Error]:
    """Refuse to start a live hub whose door leads to loopback and private addresses."""
    return [] if settings.SANDBOX or not settings.ALLOW_PRIVATE_NETWORKS else [PRIVATE]
