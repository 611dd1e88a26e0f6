"""The side of a partner that does what it is asked: a CPO charges, an eMSP authorises.

Results follow a moment later, to the URL that was named for them.
"""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from threading import Timer
from typing import Any

from hub.ocpi import client, types
from hub.ocpi.errors import NotFound, UnknownToken
from hub.ocpi.messages import Address
from hub.sandbox.desk import Desk, require, valid
from hub.sandbox.inbox import Received
from hub.sandbox.station import Deed, Station

MOMENT = 0.5  # seconds between an answer and its result
COMMANDS: dict[str, Any] = {
    "CANCEL_RESERVATION": types.CancelReservation,
    "RESERVE_NOW": types.ReserveNow,
    "START_SESSION": types.StartSession,
    "STOP_SESSION": types.StopSession,
    "UNLOCK_CONNECTOR": types.UnlockConnector,
}
Job = Callable[[], Any]


def soon(job: Job) -> None:
    """Do something in a moment, in a thread of its own."""
    timer = Timer(MOMENT, job)
    timer.daemon = True
    timer.start()


class Actor(Desk):
    """A desk behind which somebody acts; what is done a moment later goes through `later`."""

    def __init__(
        self,
        address: Address,
        roles: Sequence[str],
        name: str,
        *,
        later: Callable[[Job], None] = soon,
    ) -> None:
        super().__init__(address, roles, name)
        self.later = later
        self.station = Station(self.own)

    def acts(self, interface: str, module: str, rest: Sequence[str]) -> bool:
        """Tell whether a request asks to do something."""
        actions = {"authorize", "charging_preferences"}
        served = self._offers(module, interface.upper())
        return served and (
            module in {"commands", "chargingprofiles"} or bool(rest and rest[-1] in actions)
        )

    def act(self, received: Received, interface: str, module: str, rest: Sequence[str]) -> Any:
        """Do what is asked for and return what is answered."""
        match interface, module, *rest:
            case "receiver", "commands", name if name in COMMANDS:
                require(received, "POST")
                body = valid(COMMANDS[name], received)
                return self.do(self.station.obey(name, body), body["response_url"])
            case "receiver", "chargingprofiles", uid:
                return self.control(received, uid)
            case "sender", "tokens", uid, "authorize":
                return self.authorise(received, uid)
            case "sender", "sessions", uid, "charging_preferences":
                require(received, "PUT")
                return self.station.prefer(uid, valid(types.ChargingPreferences, received))
            case "sender", _, uid:
                return self.hear(received, module, uid)
        raise NotFound("nothing is served here")

    def do(self, deed: Deed, response_url: str) -> dict[str, Any]:
        """Return the answer of a deed; its result and what is to be told follow in a moment."""
        if deed.result:
            self.later(partial(self.finish, deed, response_url))
        return deed.response

    def control(self, received: Received, uid: str) -> dict[str, Any]:
        """Set, clear or show a charging profile."""
        body = valid(types.SetChargingProfile, received) if received.method == "PUT" else {}
        url = body.get("response_url") or received.query.get("response_url", "")
        return self.do(self.station.control(received.method, uid, body), url)

    def authorise(self, received: Received, uid: str) -> dict[str, Any]:
        """Say whether one of its tokens may charge."""
        require(received, "POST")
        place = valid(types.LocationReferences, received) if received.content else None
        token = self.own.get("tokens", uid)
        if token is None or token["type"] != received.query.get("type", "RFID"):
            raise UnknownToken("this is no token of ours")
        return {
            "allowed": "ALLOWED" if token["valid"] else "BLOCKED",
            "token": token,
            **({"location": place} if place else {}),
            "authorization_reference": secrets.token_hex(8),
        }

    def hear(self, received: Received, module: str, uid: str) -> None:
        """Take a result, or the profile that is active now."""
        kept = "results" if received.method == "POST" else module
        self.inbox.keep(kept, uid, received.body)

    def finish(self, deed: Deed, response_url: str) -> client.Answer | None:
        """Post a result and tell what has changed; the partner knows how."""
        raise NotImplementedError
