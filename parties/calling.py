"""Calling a partner: the one way in which the hub sends a platform a request.

Everything that leaves goes through here, so that it is journalled with its correlation id and so
that what is known of how the platform speaks is used.
"""

from dataclasses import dataclass, field
from typing import Any

from hub import egress
from hub.ocpi import client
from hub.ocpi.errors import HubError, NotConnected, TimedOut
from hub.ocpi.messages import Ids, Route
from parties import keys
from parties.models import Platform


@dataclass(frozen=True)
class Call:
    """A request to a partner: `seconds` bounds the whole exchange."""

    method: str
    url: str
    module: str = ""
    interface: str = ""
    body: Any = None
    route: Route = field(default_factory=Route)
    ids: Ids = field(default_factory=Ids)
    seconds: float = 10.0


def peer_of(platform: Platform) -> client.Peer:
    """Return how to reach a platform."""
    return client.Peer(
        keys.unseal(platform.sealed_token), platform.token_form, tuple(platform.hosts)
    )


def endpoint_of(platform: Platform, module: str, interface: str) -> str:
    """Return where a platform offers an interface of a module.

    Raises NotConnected when the platform cannot be called now, HubError when it does not offer it.
    """
    if platform.state != Platform.State.CONNECTED:
        raise NotConnected(f"{platform} is not connected")
    found = platform.endpoints.filter(module=module, interface=interface).first()
    if found is None:
        raise HubError(f"{platform} does not offer {module} as {interface}")
    return str(found.url)


def make(platform: Platform, call: Call, peer: client.Peer | None = None) -> client.Answer:
    """Make a call and return the answer, whatever it says.

    `peer` is how to reach the platform where that is not what is stored: in a handshake.
    Raises the errors of `egress.call`.
    """
    return client.send(
        call.method,
        call.url,
        peer=peer or peer_of(platform),
        body=call.body,
        route=call.route,
        ids=call.ids,
        seconds=call.seconds,
    )


def ask(platform: Platform, call: Call) -> client.Answer:
    """Make a call on behalf of somebody who waits for the answer.

    Raises TimedOut (4002) when no answer came in time, NotConnected (4003) when none could come.
    """
    try:
        return make(platform, call)
    except egress.EgressFailedError as error:
        if error.timeout:
            raise TimedOut(f"{platform} did not answer within {call.seconds:g} s") from error
        raise NotConnected(f"{platform} cannot be reached: {error}") from error
    except egress.EgressDeniedError as error:
        raise NotConnected(f"{platform} cannot be reached: {error}") from error
