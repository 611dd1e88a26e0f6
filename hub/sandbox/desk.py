"""The side of a partner that the hub calls: versions, and the interfaces of its roles.

Source: OCPI 2.2.1, version_information_endpoint and transport_and_format.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from hub.ocpi import client, times, types, validation
from hub.ocpi.envelope import envelope
from hub.ocpi.errors import Invalid, MethodNotAllowed, NotFound, NotJson, OcpiError, Unauthorized
from hub.ocpi.json import JsonError
from hub.ocpi.messages import Address, Ids, Route
from hub.ocpi.versions import RECEIVER, SENDER
from hub.sandbox.changing import changed
from hub.sandbox.faults import Fault, Mood
from hub.sandbox.inbox import Inbox, Memory, Received
from hub.sandbox.serving import Reply

VERSION = "2.2.1"
PAGE = 100
CREDENTIALS = "credentials"
KINDS: dict[str, Any] = {
    "locations": types.Location,
    "tariffs": types.Tariff,
    "tokens": types.Token,
    "sessions": types.Session,
    "cdrs": types.CDR,
    "hubclientinfo": types.ClientInfo,
}
TELLS: dict[str, tuple[str, ...]] = {  # what a role owns or asks; the opposite role receives it
    "CPO": ("locations", "tariffs", "sessions", "cdrs"),
    "EMSP": ("tokens", "commands", "chargingprofiles"),
    "NSP": (),
}
CHANGES = ("PATCH", "DELETE")
PLACES = ("locations", "tariffs")
NEWS = ("hubclientinfo",)  # what the hub tells everybody
UNROUTED = frozenset({"", CREDENTIALS, *NEWS})
HEARS = {"CPO": TELLS["EMSP"] + NEWS, "EMSP": TELLS["CPO"] + NEWS, "NSP": PLACES + NEWS}
REPLIES = {
    Fault.ERROR500: Reply(500, b"Internal Server Error", {"Content-Type": "text/plain"}),
    Fault.HANG: Reply(500, b"", fault=Fault.HANG),
    Fault.GARBAGE: Reply(200, b"<!doctype html><title>It works!</title>"),
    Fault.CLOSE: Reply(500, b"", fault=Fault.CLOSE),
    Fault.NOISE: Reply(500, b"", fault=Fault.NOISE),
    Fault.HUGE: Reply(200, b"", fault=Fault.HUGE),
    Fault.REDIRECT: Reply(302, b"", {"Location": "elsewhere"}),
}


class Desk:
    """Answers the hub for one party, and remembers what it was told."""

    def __init__(self, address: Address, roles: Sequence[str], name: str) -> None:
        self.address, self.roles, self.name = address, tuple(roles), name
        self.token = f"own_{secrets.token_urlsafe(24)}"
        self.former = ""  # the token before that, good until the new one is seen
        self.token_form = client.BASE64
        self.url = ""
        self.mood = Mood()
        self.inbox = Inbox()
        self.own = Memory()

    @property
    def versions_url(self) -> str:
        """Return where the hub begins."""
        return f"{self.url}/versions"

    @property
    def received(self) -> list[Received]:
        """Return what the hub has sent of the modules, in order."""
        return [item for item in list(self.inbox.received) if item.module not in {"", CREDENTIALS}]

    def holds(self, module: str) -> dict[str, Any]:
        """Return the objects it was told, by their id."""
        return {key.rsplit("/", 1)[-1]: item for key, item in self.inbox.all(module).items()}

    def recall(self, module: str, items: Sequence[dict[str, Any]]) -> None:
        """Have objects of its own in its list, unless they are there as they are by now."""
        for item in items:
            key = item["uid" if module == "tokens" else "id"]
            if self.own.get(module, key) is None:
                self.own.keep(module, key, item)

    def misbehave(self, fault: Fault, *, module: str = "", times: int | None = None) -> None:
        """Turn the fault knob; `Fault.OK` turns it back."""
        self.mood = Mood(fault, module, times)

    def answer(self, received: Received) -> Reply:
        """Answer a request of the hub, or fail at it as told."""
        self.inbox.note(received)
        fault = self.mood.next(received.module)
        if fault in REPLIES:
            return REPLIES[fault]
        try:
            self._check(received, fault)
            status, data, headers = self._handle(received)
        except OcpiError as error:
            return self._reply(received, error.http_status, failure(error), {})
        reply = self._reply(received, status, envelope(data), headers)
        return Reply(reply.status, reply.content, reply.headers, fault)

    def endpoints(self) -> list[dict[str, str]]:
        """Return its endpoints as its version details list them."""
        base = f"{self.url}/{VERSION}"
        told = {module for role in self.roles for module in TELLS[role]}
        heard = {module for role in self.roles for module in HEARS[role]}
        entries = [(CREDENTIALS, SENDER), (CREDENTIALS, RECEIVER)]
        entries += [(module, SENDER) for module in sorted(told)]
        entries += [(module, RECEIVER) for module in sorted(heard)]
        return [
            {"identifier": module, "role": role, "url": f"{base}/{role.lower()}/{module}"}
            for module, role in entries
        ]

    def authorization(self, token: str) -> str:
        """Return the header in which the hub has to show a token."""
        return client.authorization(token, self.token_form)

    def _check(self, received: Received, fault: Fault) -> None:
        shown = received.headers.get("Authorization")
        new, former = (self.authorization(token) for token in (self.token, self.former))
        if shown == new:
            self.former = ""
        elif not self.former or shown != former:
            raise Unauthorized("this is not the token we gave you")
        if fault is Fault.UNAUTHORIZED:
            raise Unauthorized("we are in no mood to know you")
        if fault is Fault.NOT_FOUND:
            raise NotFound("we know no such party")
        if fault is Fault.REFUSE:
            raise Invalid("we do not like this object")

    def _handle(self, received: Received) -> tuple[int, Any, dict[str, str]]:
        match received.path:
            case ("versions",):
                return 200, [{"version": VERSION, "url": f"{self.url}/{VERSION}"}], {}
            case (version,) if version == VERSION:
                return 200, {"version": VERSION, "endpoints": self.endpoints()}, {}
            case (_, _, "credentials"):
                return 200, self.exchange(received), {}
            case (_, interface, module, *rest) if self.acts(interface, module, rest):
                return 200, self.act(received, interface, module, rest), {}
            case (_, "sender", module, *rest) if self._offers(module, SENDER):
                return self._show(received, module, rest)
            case (_, "receiver", module, *rest) if self._offers(module, RECEIVER):
                key, *part = ["/".join(rest[:3]).upper(), *(name.upper() for name in rest[3:])]
                if part or received.method in CHANGES:
                    return self._change(received, module, key, part)
                return self._take(received, module, key)
        raise NotFound("nothing is served here")

    def exchange(self, received: Received) -> Any:
        """Answer what is done with credentials."""
        raise NotImplementedError

    def acts(self, interface: str, module: str, rest: Sequence[str]) -> bool:
        """Tell whether a request is not about objects, but asks to do something."""
        return False

    def act(self, received: Received, interface: str, module: str, rest: Sequence[str]) -> Any:
        """Do what is asked for and return what is answered."""
        raise NotImplementedError

    def _offers(self, module: str, interface: str) -> bool:
        modules = TELLS if interface == SENDER else HEARS
        return any(module in modules[role] for role in self.roles)

    def _show(
        self, received: Received, module: str, rest: Sequence[str]
    ) -> tuple[int, Any, dict[str, str]]:
        """Answer a GET of its own objects: one, or a page of all."""
        require(received, "GET")
        if rest:
            return 200, found(self.own.get(module, rest[0])), {}
        own = [item for item in self.own.all(module).values() if within(item, received.query)]
        start, limit = (int(received.query.get(*item)) for item in (("offset", 0), ("limit", PAGE)))
        end = start + min(limit, PAGE)
        headers = {"X-Total-Count": str(len(own)), "X-Limit": str(min(limit, PAGE))}
        if end < len(own):
            query = urlencode({**received.query, "offset": end, "limit": min(limit, PAGE)})
            headers["Link"] = f'<{self.url}/{"/".join(received.path)}?{query}>; rel="next"'
        return 200, own[start:end], headers

    def _take(self, received: Received, module: str, key: str) -> tuple[int, Any, dict[str, str]]:
        """Answer a push, or a GET of what was pushed."""
        if received.method == "GET":
            return 200, found(self.inbox.get(module, key)), {}
        require(received, "POST" if module == "cdrs" else "PUT")
        body = checked(module, received)
        if module in NEWS:  # the URL does not say which role it is about
            key = f"{key}/{body['role']}"
        key = key or f"{body['country_code']}/{body['party_id']}/{body['id']}".upper()
        new = self.inbox.keep(module, key, body)
        place = {"Location": f"{self.url}/{VERSION}/receiver/cdrs/{key}"}
        return 201 if new else 200, None, place if module == "cdrs" else {}

    def _change(
        self, received: Received, module: str, key: str, part: Sequence[str]
    ) -> tuple[int, None, dict[str, str]]:
        """Answer a PATCH, a DELETE, or the push of an EVSE or connector."""
        if received.method == "DELETE":
            require(received, "DELETE" if module == "tariffs" else "PUT")
            found(self.inbox.drop(module, key))
            return 200, None, {}
        body = readable(received)
        item = changed(self.inbox.get(module, key), received.method, part, body)
        validation.check(KINDS[module], item)
        self.inbox.keep(module, key, item)
        return 200, None, {}

    def _reply(
        self, received: Received, status: int, content: Mapping[str, Any], headers: dict[str, str]
    ) -> Reply:
        """Return an answer with the ids and the routing headers that belong to it."""
        ids = Ids.from_headers(received.headers)
        route = Route.from_headers(received.headers).answered(self.address)
        shown = route.headers() if received.module not in UNROUTED else {}
        return Reply.of(status, content, **ids.headers(), **shown, **headers)


def within(item: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """Tell whether an object was last updated in the time that a list is asked for."""
    changed_at = times.parse(item["last_updated"])
    begins, ends = query.get("date_from"), query.get("date_to")
    if begins and changed_at < times.parse_parameter(begins):
        return False
    return not (ends and changed_at >= times.parse_parameter(ends))


def failure(error: OcpiError) -> dict[str, Any]:
    """Return the envelope of an error."""
    return envelope(error.data, status_code=error.status_code, message=error.line)


def require(received: Received, method: str) -> None:
    """Refuse other methods."""
    if received.method != method:
        raise MethodNotAllowed(f"only {method} is defined here", allow=method)


def found(item: Any) -> Any:
    """Return an object that must be there."""
    if item is None:
        raise NotFound("no such object")
    return item


def checked(module: str, received: Received) -> dict[str, Any]:
    """Return the body after it passed as the object of a module."""
    return valid(KINDS[module], received)


def valid(kind: Any, received: Received) -> dict[str, Any]:
    """Return the body after it passed as a wire type."""
    body = readable(received)
    validation.check(kind, body)
    return body


def readable(received: Received) -> dict[str, Any]:
    """Return the body, which must be a JSON object."""
    try:
        body = received.body
    except JsonError as error:
        raise NotJson(f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Invalid("a JSON object is expected")
    return body
