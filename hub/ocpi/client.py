"""Speaking OCPI to a partner, through the guarded door."""

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hub import egress
from hub.ocpi import json
from hub.ocpi.messages import Ids, Route

PLAIN, BASE64 = "plain", "base64"


@dataclass(frozen=True)
class Peer:
    """How to reach a platform: its token for us, the form it wants it in, its approved hosts."""

    token: str
    token_form: str
    hosts: tuple[str, ...] | None


@dataclass(frozen=True)
class Answer:
    """A partner's answer: HTTP status, OCPI status code (None when it was no envelope), data.

    `content` is the body as it came.
    """

    http: int
    code: int | None
    message: str
    data: Any
    headers: Mapping[str, str]
    content: bytes = b""

    @property
    def succeeded(self) -> bool:
        """Tell whether both HTTP and OCPI say success."""
        return 200 <= self.http < 300 and self.code is not None and 1000 <= self.code < 2000

    @property
    def silent(self) -> bool:
        """Tell whether it is a success of HTTP without any body, as some answer a push."""
        return 200 <= self.http < 300 and self.code is None and not self.content.strip()

    @property
    def item(self) -> Any:
        """Return the one object of the answer."""
        return only(self.data)


def only(data: Any) -> Any:
    """Return the object of a list that has one: some partners wrap single objects."""
    return data[0] if isinstance(data, list) and len(data) == 1 else data


def authorization(token: str, form: str) -> str:
    """Return the Authorization header for a token in the given form (OCPI 2.2.1: Base64)."""
    if form == PLAIN:
        return f"Token {token}"
    return f"Token {base64.b64encode(token.encode()).decode()}"


def join(base: str, *segments: str) -> str:
    """Join URL and path segments, percent-encoded, with exactly one slash between them."""
    return "/".join([base.rstrip("/"), *(quote(segment, safe="") for segment in segments)])


def send(
    method: str,
    url: str,
    *,
    peer: Peer,
    body: Any = None,
    route: Route | None = None,
    ids: Ids | None = None,
    seconds: float,
    largest: int = egress.BODY_LIMIT,
) -> Answer:
    """Send one message and read the answer. Raises the errors of `egress.call`.

    `body` is written exactly (decimals as they are); bytes are sent as they are. `largest` is how
    many bytes the answer may have.
    """
    content = body if isinstance(body, bytes) or body is None else json.dumps(body)
    message = request(
        method, url, peer=peer, body=content, route=route, ids=ids, seconds=seconds, largest=largest
    )
    return read(egress.call(message))


def request(
    method: str,
    url: str,
    *,
    peer: Peer,
    body: bytes | None = None,
    route: Route | None = None,
    ids: Ids | None = None,
    seconds: float,
    largest: int = egress.BODY_LIMIT,
) -> egress.Request:
    """Return a message as the request that carries it."""
    headers = _headers(peer, route or Route(), ids or Ids(), body is not None)
    return egress.Request(method, url, peer.hosts, headers, seconds, body, largest)


def read(reply: egress.Reply) -> Answer:
    """Read a reply as an envelope as far as it is one."""
    try:
        content: Collection[Any] = json.loads(reply.body)
    except json.JsonError:
        content = []
    if not isinstance(content, dict) or not isinstance(content.get("status_code"), int):
        return Answer(reply.status, None, "not an OCPI envelope", None, reply.headers, reply.body)
    return Answer(
        reply.status,
        content["status_code"],
        one_line(str(content.get("status_message") or "")),
        content.get("data"),
        reply.headers,
        reply.body,
    )


def one_line(text: str) -> str:
    """Return what a partner says as one printable line of at most 255 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:1000]).split())[:255]


def _headers(peer: Peer, route: Route, ids: Ids, has_body: bool) -> dict[str, str]:
    return {
        "Authorization": authorization(peer.token, peer.token_form),
        **({"Content-Type": "application/json"} if has_body else {}),
        **ids.headers(),
        **route.headers(),
    }
