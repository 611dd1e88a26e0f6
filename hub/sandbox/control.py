"""How the demo network is told what to do: a few calls in JSON, from this machine only.

GET  /control/partners
POST /control/partners/{name}/register   {"hub": versions URL, "token": registration token}
POST /control/partners/{name}/renew      {}  the tokens, by PUT credentials
POST /control/partners/{name}/leave      {}  by DELETE credentials
POST /control/partners/{name}/fault      {"fault": "hang", "module": "", "times": null}
POST /control/publish                    {"stamp": DateTime}
POST /control/replay                     {"month", "from", "until", "late": bool}
POST /control/live                       {}
"""

from typing import Any

from hub.egress import EgressDeniedError, EgressFailedError
from hub.ocpi import times
from hub.ocpi.json import JsonError
from hub.sandbox.faults import Fault
from hub.sandbox.history import Span
from hub.sandbox.inbox import Received
from hub.sandbox.member import HandshakeError
from hub.sandbox.network import Network, NotReadyError
from hub.sandbox.partner import Partner, RefusedError
from hub.sandbox.serving import Reply

TROUBLE = (
    HandshakeError,
    NotReadyError,
    RefusedError,
    EgressDeniedError,
    EgressFailedError,
)


class Control:
    """The control interface of a network."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.partners = {item.prefix: item for item in network.partners.values()}

    def answer(self, received: Received) -> Reply:
        """Do what is asked for and say what came of it."""
        if received.method == "GET" and received.path == ("partners",):
            return Reply.of(200, self.network.describe())
        if received.headers.get("Content-Type") != "application/json":  # keeps web pages out
            return Reply.of(415, {"error": "application/json is expected"})
        try:
            return Reply.of(200, self._do(received.path, received.body))
        except TROUBLE as error:
            return Reply.of(409, {"error": str(error)})
        except (JsonError, KeyError, TypeError, ValueError) as error:
            return Reply.of(400, {"error": f"{type(error).__name__}: {error}"})

    def _do(self, path: tuple[str, ...], body: dict[str, Any]) -> dict[str, Any]:
        match path:
            case ("partners", name, "register"):
                self.network.register(self.partners[name], body["hub"], body["token"])
            case ("partners", name, "renew"):
                self.partners[name].renew()
            case ("partners", name, "leave"):
                self.partners[name].leave()
            case ("partners", name, "fault"):
                _misbehave(self.partners[name], body)
            case ("publish",):
                return {"published": self.network.publish(times.parse(body["stamp"]))}
            case ("replay",):
                ends = (times.parse(body["from"]), times.parse(body["until"]))
                return {"cdrs": self.network.replay(Span(body["month"], *ends), late=body["late"])}
            case ("live",):
                self.network.go_live()
            case _:
                raise KeyError("/".join(path))
        return {}


def health(received: Received) -> Reply:
    """Answer that the sandbox runs."""
    return Reply.of(200, {"live": True})


def _misbehave(partner: Partner, body: dict[str, Any]) -> None:
    partner.misbehave(Fault(body["fault"]), module=body.get("module", ""), times=body.get("times"))
