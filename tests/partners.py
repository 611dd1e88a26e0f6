"""The cast: partners of the hub, real HTTP servers that call the hub in-process."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any

from django.conf import settings
from django.db import connections
from django.test import Client

from hub import egress
from hub.ocpi import client, json
from hub.ocpi.messages import Address, Ids, Route
from hub.sandbox.acting import Job
from hub.sandbox.partner import Partner
from settlement import joining


class InProcess:
    """Sends a partner's calls through Django's test client: the same requests, and no server."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)

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
        """Make one call, as `hub.ocpi.client.send` does."""
        assert url.startswith(settings.HUB_BASE_URL)
        headers = {
            "Authorization": client.authorization(peer.token, peer.token_form),
            **(ids or Ids()).headers(),
            **(route or Route()).headers(),
        }
        response = self.client.generic(
            method,
            url.removeprefix(settings.HUB_BASE_URL),
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body),
            content_type="application/json",
            headers=headers,
        )
        if current_thread() is not main_thread():  # a partner's own, which may wait for long
            connections.close_all()
        reply = egress.Reply(response.status_code, response.headers, response.content, 0.0)
        return client.read(reply)


class Pile(list[Job]):
    """What a partner would do a moment later, done when the test says so, in its own thread."""

    def __call__(self, job: Job) -> None:
        """Put something off."""
        self.append(job)

    def work(self) -> list[Any]:
        """Do what was put off; return what came of it."""
        done = [job() for job in self]
        self.clear()
        return done


@contextmanager
def guest(code: str, roles: list[str], name: str) -> Iterator[tuple[Partner, str]]:
    """Have a partner that is served and invited; yield it with its registration token."""
    address = Address(*code.split("*"))
    with Partner(address, roles, name, send=InProcess(), later=Pile()).served() as partner:
        _, token = joining.join(address, roles, name)
        yield partner, token


@contextmanager
def member(code: str, roles: list[str], name: str) -> Iterator[Partner]:
    """Have a partner that is registered, by a real handshake."""
    with guest(code, roles, name) as (partner, token):
        partner.register(f"{settings.HUB_BASE_URL}/ocpi/versions", token)
        yield partner
