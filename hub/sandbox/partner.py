"""A simulated partner: a CPO, an eMSP, or both; it meets the hub over HTTP alone."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from hub.ocpi import client
from hub.ocpi.messages import Address, Route
from hub.ocpi.versions import RECEIVER, SENDER
from hub.sandbox.desk import VERSION
from hub.sandbox.member import SECONDS, Member
from hub.sandbox.serving import Server, by_prefix
from hub.sandbox.station import Deed

_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


class RefusedError(Exception):
    """The hub did not take something; the message says why."""


class Partner(Member):
    """A member of the network that tells and asks what its roles have to tell or ask."""

    @property
    def prefix(self) -> str:
        """Return the first segment of the path under which it is served."""
        return self.address.code.lower()

    @contextmanager
    def served(self) -> Iterator["Partner"]:
        """Answer the hub on a server of its own."""
        server = Server(by_prefix({self.prefix: self.answer}))
        self.url = f"{server.url}/{self.prefix}"
        server.start()
        try:
            yield self
        finally:
            server.stop()

    def publish_location(self, location: dict[str, Any]) -> client.Answer:
        """Publish a location with its EVSEs."""
        return self._put("locations", location, "id")

    def publish_tariff(self, tariff: dict[str, Any]) -> client.Answer:
        """Publish a tariff."""
        return self._put("tariffs", tariff, "id")

    def send_session(self, session: dict[str, Any]) -> client.Answer:
        """Tell a session as it is now."""
        return self._put("sessions", session, "id")

    def push_token(self, token: dict[str, Any]) -> client.Answer:
        """Tell a token."""
        return self._put("tokens", token, "uid", f"?type={token['type']}")

    def send_cdr(self, cdr: dict[str, Any]) -> client.Answer:
        """Send a CDR."""
        self.own.keep("cdrs", cdr["id"], cdr)
        return self.call("POST", "cdrs", RECEIVER, body=cdr)

    def command(
        self, name: str, body: dict[str, Any], *, to: Address | None = None
    ) -> client.Answer:
        """Give a command; its result comes to the inbox under the name in `response_url`."""
        body = {"response_url": self.results(name), **body}
        return self.call("POST", "commands", RECEIVER, name, body=body, to=to)

    def profile(
        self,
        method: str,
        session_id: str,
        profile: Mapping[str, Any] | None = None,
        *,
        to: Address | None = None,
    ) -> client.Answer:
        """Ask for, set or clear the charging profile of a session."""
        url, query, body = self.results(method), "", None
        if profile:
            body = {"charging_profile": profile, "response_url": url}
        else:
            query = f"?duration=900&response_url={quote(url, safe='')}"
        options: dict[str, Any] = {"query": query, "body": body, "to": to}
        return self.call(method, "chargingprofiles", RECEIVER, session_id, **options)

    def show_profile(self, session_id: str, *, to: Address | None = None) -> client.Answer:
        """Tell by which profile a session charges now."""
        active = self.station.active(session_id)
        return self.call("PUT", "chargingprofiles", SENDER, session_id, body=active, to=to)

    def prefer(self, session_id: str, preferences: Mapping[str, Any]) -> client.Answer:
        """Tell what the driver of a session prefers."""
        path = (session_id, "charging_preferences")
        return self.call("PUT", "sessions", SENDER, *path, body=preferences)

    def authorize(
        self, uid: str, query: str = "", place: Any = None, *, to: Address | None = None
    ) -> client.Answer:
        """Ask whether a token may charge."""
        options = {"query": query, "body": place, "to": to}
        return self.call("POST", "tokens", SENDER, uid, "authorize", **options)

    def results(self, name: str) -> str:
        """Return where it takes results."""
        return f"{self.url}/{VERSION}/sender/commands/{name}"

    def finish(self, deed: Deed, response_url: str) -> client.Answer:
        """Post a result and tell what has changed."""
        answer = self.request("POST", response_url, body=deed.result)
        for module, item in deed.told:
            self.send_cdr(item) if module == "cdrs" else self._put(module, item, "id")
        return answer

    def locations(self) -> list[Any]:
        """Fetch all locations of the network."""
        return self.fetch("locations")

    def fetch(self, module: str) -> list[Any]:
        """Fetch all objects of a module from the hub, page by page."""
        found: list[Any] = []
        url: str | None = self.hub_endpoints[f"{module} {SENDER}"]
        while url:
            answer = taken(self.request("GET", url))
            found += answer.data
            link = _NEXT.search(answer.headers.get("Link", ""))
            url = link.group(1) if link else None
        return found

    def call(
        self,
        method: str,
        module: str,
        interface: str,
        *path: str,
        query: str = "",
        body: Any = None,
        to: Address | None = None,
    ) -> client.Answer:
        """Call an interface of the hub as it was discovered."""
        url = client.join(self.hub_endpoints[f"{module} {interface}"], *path)
        return self.request(method, url + query, body=body, to=to)

    def request(
        self, method: str, url: str, *, body: Any = None, to: Address | None = None
    ) -> client.Answer:
        """Call any URL of the hub with the token that the hub gave us."""
        peer = client.Peer(self.hub_token, client.BASE64, None)
        route = Route(to=to, sender=self.address)
        return self.send(method, url, peer=peer, body=body, route=route, seconds=SECONDS)

    def _put(self, module: str, item: dict[str, Any], key: str, query: str = "") -> client.Answer:
        self.own.keep(module, item[key], item)
        path = (item["country_code"], item["party_id"], item[key])
        return self.call("PUT", module, RECEIVER, *path, query=query, body=item)


def taken(answer: client.Answer) -> client.Answer:
    """Return an answer that is a success, or raise RefusedError."""
    if not answer.succeeded:
        raise RefusedError(f"HTTP {answer.http}, OCPI {answer.code}: {answer.message}")
    return answer
