"""The end of a connection: a partner leaves, or the hub's staff suspend its platform.

Both tokens are worth nothing at once, the endpoints are forgotten and nothing is sent any more.
What is on record stays. Who comes back needs a fresh invitation. Source: OCPI 2.2.1, credentials,
DELETE.
"""

import logging
from dataclasses import dataclass

from django.db import transaction

from hub import egress
from hub.ocpi import client
from hub.ocpi.errors import Unauthorized
from parties import calling, clientinfo, keys, registration
from parties.authentication import Caller
from parties.handshake import CREDENTIALS
from parties.models import Platform

logger = logging.getLogger(__name__)
GOODBYE_SECONDS = 10.0


@dataclass(frozen=True)
class Goodbye:
    """How to tell a partner that its credentials are deleted; no URL when it cannot be told."""

    platform: Platform
    peer: client.Peer
    url: str

    @classmethod
    def to(cls, platform: Platform) -> "Goodbye":
        """Take down how the partner is reached, as long as that is known."""
        endpoint = platform.endpoints.filter(module=CREDENTIALS).first()
        url = endpoint.url if endpoint and platform.sealed_token else ""
        return cls(platform, calling.peer_of(platform), url)

    def say(self) -> str:
        """Send DELETE credentials, once; return in words what came of it."""
        if not self.url:
            return "the partner was not told: it has no endpoint for credentials"
        call = calling.Call("DELETE", self.url, module=CREDENTIALS, seconds=GOODBYE_SECONDS)
        try:
            answer = calling.make(self.platform, call, self.peer)
        except (egress.EgressDeniedError, egress.EgressFailedError) as error:
            return f"the partner could not be told: {error}"
        told = "the partner was told" if answer.succeeded else "the partner refused to hear of it"
        return f"{told}: HTTP {answer.http}, OCPI {answer.code}"


@transaction.atomic
def leave(caller: Caller) -> None:
    """End the connection of a partner that sends DELETE credentials.

    Raises MethodNotAllowed when it is not registered, Unauthorized when its token is dead by now.
    """
    registration.require_registration(caller)
    platform = clientinfo.locked(caller.platform)
    if not platform.keys.filter(pk=caller.key.pk).exists():
        raise Unauthorized("this token has just been replaced or revoked")
    _end(platform)
    logger.info("platform has left", extra={"platform": platform.pk})


def suspend(platform: Platform) -> str:
    """End a connection by the hub's own will, tell the partner, and return how that went."""
    with transaction.atomic():
        locked = clientinfo.locked(platform)
        goodbye = Goodbye.to(locked)
        _end(locked)
    outcome = goodbye.say()
    logger.info("platform suspended; %s", outcome, extra={"platform": platform.pk})
    return outcome


def _end(platform: Platform) -> None:
    keys.revoke(platform)
    platform.endpoints.all().delete()
    platform.sealed_token, platform.proposal = "", None
    platform.previous_sealed_token, platform.previous_until = "", None
    platform.save()
    clientinfo.move(platform, Platform.State.SUSPENDED)
