"""The side of a partner that becomes and stays a member: credentials, whoever sends them.

Source: OCPI 2.2.1, credentials.
"""

import secrets
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Protocol

from hub.egress import EgressDeniedError, EgressFailedError
from hub.ocpi import client, types
from hub.ocpi.errors import CannotUseApi, MethodNotAllowed
from hub.ocpi.messages import Address, Ids, Route
from hub.ocpi.versions import SENDER
from hub.sandbox.acting import Actor, Job, soon
from hub.sandbox.desk import VERSION, valid
from hub.sandbox.inbox import Received

SECONDS = 20.0


class HandshakeError(Exception):
    """The hub could not be registered with; the message says why."""


class Send(Protocol):
    """How calls are made; `hub.ocpi.client.send`, unless a test knows a shorter way."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        peer: client.Peer,
        body: Any = None,
        route: Route | None = None,
        ids: Ids | None = None,
        seconds: float,
    ) -> client.Answer:
        """Make one call."""


class Member(Actor):
    """An actor that exchanges credentials with the hub, in both directions.

    `changed` is called whenever a token has changed, so that it can be kept.
    """

    def __init__(
        self,
        address: Address,
        roles: Sequence[str],
        name: str,
        *,
        send: Send = client.send,
        later: Callable[[Job], None] = soon,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(address, roles, name, later=later)
        self.send, self.changed = send, changed
        self.hub_token = ""
        self.hub_endpoints: dict[str, str] = {}
        self._exchanging = Lock()

    @property
    def registered(self) -> bool:
        """Tell whether the handshake is done."""
        return bool(self.hub_token)

    def credentials(self) -> dict[str, Any]:
        """Return what it tells the hub about itself."""
        named = {"party_id": self.address.party_id, "country_code": self.address.country_code}
        details = {"business_details": {"name": self.name}}
        roles = [{"role": role, **details, **named} for role in self.roles]
        return {"token": self.token, "url": self.versions_url, "roles": roles}

    def register(self, versions_url: str, registration_token: str) -> None:
        """Do the handshake: find the hub's endpoints, exchange credentials, keep both.

        Raises HandshakeError, and the errors of `egress.call`.
        """
        peer = client.Peer(registration_token, client.BASE64, None)
        endpoints = self._endpoints_at(peer, versions_url)
        self.hub_token = self._tell(peer, "POST", endpoints)
        self.hub_endpoints = endpoints
        self.changed()

    def renew(self) -> None:
        """Replace both tokens; raises as `register` does, and then keeps those of before."""
        before = self.token
        self.former, self.token = before, new_token()
        try:
            self.hub_token = self._tell(self._peer(), "PUT", self.hub_endpoints)
        except Exception:
            self.token, self.former = before, ""
            raise
        self.changed()

    def leave(self) -> None:
        """Delete the credentials at the hub, and here."""
        self._ask(self._peer(), "DELETE", self.hub_endpoints[f"credentials {SENDER}"])
        self._forget()

    def exchange(self, received: Received) -> Any:
        """Answer the hub that sends, fetches or deletes credentials."""
        with self._exchanging:
            match received.method:
                case "GET":
                    return self.credentials()
                case "POST" if not self.registered:
                    return self._take_over(received)
                case "PUT" if self.registered:
                    return self._take_over(received)
                case "DELETE" if self.registered:
                    return self._forget()
        allowed = "GET, PUT, DELETE" if self.registered else "GET, POST"
        raise MethodNotAllowed(f"only {allowed} make sense now", allow=allowed)

    def _take_over(self, received: Received) -> dict[str, Any]:
        """Call the hub back, keep its credentials, and answer with ours and a new token."""
        theirs = valid(types.Credentials, received)
        peer = client.Peer(theirs["token"], client.BASE64, None)
        try:
            endpoints = self._endpoints_at(peer, theirs["url"])
        except (HandshakeError, EgressDeniedError, EgressFailedError) as error:
            raise CannotUseApi(str(error)) from error
        self.former = self.token if self.registered else ""
        self.token, self.hub_token = new_token(), theirs["token"]
        self.hub_endpoints = endpoints
        self.changed()
        return self.credentials()

    def _forget(self) -> None:
        """Forget the hub; whoever comes later needs the new token."""
        self.hub_token, self.token, self.former = "", new_token(), ""
        self.hub_endpoints = {}
        self.changed()

    def _peer(self) -> client.Peer:
        return client.Peer(self.hub_token, client.BASE64, None)

    def _endpoints_at(self, peer: client.Peer, versions_url: str) -> dict[str, str]:
        """Return the hub's endpoints, as "module ROLE"."""
        offered = self._ask(peer, "GET", versions_url)
        details = next((item["url"] for item in offered if item["version"] == VERSION), None)
        if details is None:
            raise HandshakeError(f"the hub does not speak {VERSION}")
        return {
            f"{item['identifier']} {item['role']}": str(item["url"])
            for item in self._ask(peer, "GET", details)["endpoints"]
        }

    def _tell(self, peer: client.Peer, method: str, endpoints: dict[str, str]) -> str:
        """Send our credentials and return the hub's token for us."""
        url = endpoints[f"credentials {SENDER}"]
        return str(self._ask(peer, method, url, self.credentials())["token"])

    def _ask(self, peer: client.Peer, method: str, url: str, body: Any = None) -> Any:
        """Make a call of the handshake and return its data."""
        answer = self.send(method, url, peer=peer, body=body, seconds=SECONDS)
        if not answer.succeeded:
            raise HandshakeError(
                f"{method} {url}: HTTP {answer.http}, OCPI {answer.code}: {answer.message}"
            )
        return answer.data


def new_token() -> str:
    """Return a token for the hub."""
    return f"own_{secrets.token_urlsafe(24)}"
