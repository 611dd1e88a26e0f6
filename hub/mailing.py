"""Which way letters go: read from the environment, for the settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BACKENDS = {
    "smtp": "django.core.mail.backends.smtp.EmailBackend",
    "smtps": "django.core.mail.backends.smtp.EmailBackend",
    "submission": "django.core.mail.backends.smtp.EmailBackend",
    "console": "django.core.mail.backends.console.EmailBackend",
    "file": "django.core.mail.backends.filebased.EmailBackend",
    "memory": "django.core.mail.backends.locmem.EmailBackend",
}
PORTS = {"smtp": 25, "smtps": 465, "submission": 587}
OFF = {"0", "no", "off", "false"}


class BadMailUrl(ValueError):
    """EMAIL_URL does not say where letters go; the message says what is wrong, not what it is."""


def settings_of(environment: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return Django's EMAIL_ settings.

    From EMAIL_URL (`submission://user:password@host:587`, `smtps://`, `smtp://`, `console:`,
    `file:`), else from Django's own names where EMAIL_HOST is set, else files in a folder.
    Raises BadMailUrl.
    """
    if url := environment.get("EMAIL_URL"):
        return _of_url(url, folder)
    if environment.get("EMAIL_HOST"):
        return _of_names(environment)
    return _of_url("file:", folder)


def _of_url(url: str, folder: Path) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in BACKENDS:
        raise BadMailUrl(f"EMAIL_URL begins with one of {', '.join(BACKENDS)}")
    found: dict[str, Any] = {"EMAIL_BACKEND": BACKENDS[parts.scheme], "EMAIL_TIMEOUT": 20}
    if parts.scheme == "file":
        return found | {"EMAIL_FILE_PATH": parts.path or str(folder)}
    if parts.scheme not in PORTS:
        return found
    if not parts.hostname:
        raise BadMailUrl("EMAIL_URL names no host")
    starts_tls = parse_qs(parts.query).get("tls", ["1" if parts.scheme == "submission" else "0"])
    return found | {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or PORTS[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": starts_tls[0] not in OFF,
    }


def _of_names(environment: Mapping[str, str]) -> dict[str, Any]:
    def switched(name: str) -> bool:
        return environment.get(name, "0").lower() not in OFF

    return {
        "EMAIL_BACKEND": BACKENDS["smtp"],
        "EMAIL_TIMEOUT": 20,
        "EMAIL_HOST": environment["EMAIL_HOST"],
        "EMAIL_PORT": int(environment.get("EMAIL_PORT") or 25),
        "EMAIL_HOST_USER": environment.get("EMAIL_HOST_USER", ""),
        "EMAIL_HOST_PASSWORD": environment.get("EMAIL_HOST_PASSWORD", ""),
        "EMAIL_USE_SSL": switched("EMAIL_USE_SSL"),
        "EMAIL_USE_TLS": switched("EMAIL_USE_TLS"),
    }
