"""The versions the hub speaks, and which interface of which module it offers where."""

from django.conf import settings

SENDER, RECEIVER = "SENDER", "RECEIVER"
VERSIONS = ("2.2.1", "2.2")
MODULES = (
    "cdrs",
    "chargingprofiles",
    "commands",
    "locations",
    "sessions",
    "tariffs",
    "tokens",
)


def base_url(version: str) -> str:
    """Return the URL below which a version lives; it is that of its details, too."""
    return f"{settings.HUB_BASE_URL}/ocpi/{version}"


def is_own(url: str) -> bool:
    """Tell whether a URL is one of the hub itself."""
    return f"{url}/".startswith(f"{settings.HUB_BASE_URL}/")


def versions() -> list[dict[str, str]]:
    """Return the version list."""
    return [{"version": version, "url": base_url(version)} for version in VERSIONS]


def endpoint_url(version: str, module: str, interface: str) -> str:
    """Return the URL of one interface; Sender and Receiver never share a base."""
    return f"{base_url(version)}/{interface.lower()}/{module}"


def endpoints(version: str) -> list[dict[str, str]]:
    """Return the endpoints of a version as its details list them.

    Source: OCPI 2.2.1, terminology, "Typical OCPI implementations per role", the hub.
    """
    interfaces = [(module, role) for module in MODULES for role in (SENDER, RECEIVER)]
    interfaces.append(("hubclientinfo", SENDER))
    modules = [
        {"identifier": module, "role": role, "url": endpoint_url(version, module, role)}
        for module, role in interfaces
    ]
    return [_credentials(version), *modules]


def _credentials(version: str) -> dict[str, str]:
    url = f"{base_url(version)}/credentials"
    return {"identifier": "credentials", "role": SENDER, "url": url}
