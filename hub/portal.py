"""What the pages of all apps share: who this hub is, addresses, needs, cards, downloads."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import Promise
from django.utils.http import content_disposition_header

Text = str | Promise


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Give every template `hub`: its name, party, environment and address."""
    return identity(base_url(request))


def identity(base_url: str = "") -> dict[str, Any]:
    """Say who this hub is, for templates that no request asks for."""
    return {
        "hub": {
            "name": settings.HUB_NAME,
            "party": f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}",
            "country_code": settings.HUB_COUNTRY_CODE,
            "party_id": settings.HUB_PARTY_ID,
            "environment": settings.ENVIRONMENT,
            "sandbox": settings.SANDBOX,
            "base_url": base_url or settings.HUB_BASE_URL,
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


class PartyCode:
    """A party in the address of a page: BR-ACM."""

    regex = "[A-Z]{2}-[A-Z0-9]{3}"

    def to_python(self, value: str) -> str:
        """Keep it as it is."""
        return value

    def to_url(self, value: str) -> str:
        """Keep it as it is."""
        return value


def number(text: str) -> int:
    """Return the id of a row that a form or an address names; 0, which no row has, for others."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0


@dataclass(frozen=True)
class Need:
    """Something that waits for a person: what, why, by when, what happens else, one thing to do."""

    title: Text
    text: Text
    button: Text
    url: str
    due_at: dt.datetime | None = None
    otherwise: Text = ""
    tag: str = "action"


@dataclass(frozen=True)
class Card:
    """A figure of the first page with a sentence; the figure leads to what it is made of."""

    title: Text
    figures: Sequence[Text]
    text: Text
    url: str = ""
    tag: str = ""
    state: Text = ""


def attachment(content: bytes, name: str, content_type: str) -> HttpResponse:
    """Return a file as a download that no browser opens or guesses about."""
    response = HttpResponse(content, content_type=content_type)
    as_download(response, name)
    return response


def as_download(response: HttpResponseBase, name: str) -> None:
    """Have an answer kept as a file under a name."""
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
