"""What partners reach by a URL with a secret that the hub gave them: results, and next pages.

For a result the URL is all they need: many partners call back without any header. It is taken into
custody and answered at once. Source: OCPI 2.2.1, mod_commands and mod_charging_profiles, the Sender
interface; transport_and_format, "Pagination".
"""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from hub.ocpi import json, types
from hub.ocpi.client import only
from hub.ocpi.errors import Invalid, NotFound
from hub.ocpi.messages import Ids, Route
from hub.ocpi.versions import SENDER
from parties import authentication, far_pages, relay, results, routing, tidying
from parties.forwarding import Outgoing
from parties.models import Errand, FarPage
from parties.routing import Decision
from parties.viewsets import OcpiViewSet

PROFILES: dict[str, Any] = {
    "GET": types.ActiveChargingProfileResult,
    "PUT": types.ChargingProfileResult,
    "DELETE": types.ClearProfileResult,
}


class CallbackViewSet(OcpiViewSet):
    """Takes the result of an errand, which is then brought to the one who asked."""

    authentication_classes = []
    open_to_invited: ClassVar[bool] = True
    errand: Errand | None = None

    def create(self, request: Request, secret: str) -> Response:
        """Take a result into custody."""
        self.errand = errand = relay.awaited(secret)
        self._refuse_others(errand)
        self.decided(Decision(f"direct: {errand.sender.party} by response_url", errand.sender))
        raw = self.body()
        result = result_of(errand, raw)
        content = self.content if result == raw and self.content else json.dumps(result)
        results.take(errand, content, result)
        return self.success()

    def _refuse_others(self, errand: Errand) -> None:
        """Refuse who shows a token, but not that of the platform that was asked."""
        header = self.request.headers.get("Authorization", "")
        if header and authentication.find(header).platform != errand.receiver.platform:
            raise NotFound("nothing is awaited here (any more)")

    def _answer_route(self) -> Route:
        if self.errand is None:
            return Route()
        sender, receiver = self.errand.receiver.party, self.errand.sender.party
        return Route(to=sender.address, sender=receiver.address)


class PageViewSet(OcpiViewSet):
    """Shows the next page of another party's list to the party that began to read it."""

    page: FarPage | None = None

    def retrieve(self, request: Request, secret: str) -> Response:
        """Return the page, with a URL of the hub's for the one after it."""
        self.page = page = far_pages.find(secret, self.caller.platform)
        self.decided(routing.direct(page.owner))
        ids: Ids = request._request.ocpi_ids  # type: ignore[attr-defined]
        outgoing = Outgoing(
            "GET", page.module, SENDER, page.reader, page.owner, ids=ids, until=self.until
        )
        return self.relay_page(outgoing, page.url)

    def _answer_route(self) -> Route:
        if self.page is None:
            return Route()
        return Route(to=self.page.reader.party.address, sender=self.page.owner.party.address)


def result_of(errand: Errand, body: Any) -> dict[str, Any]:
    """Return a result after it passed as its type, repaired where that is allowed.

    It may come in an envelope, in a list, and with one message instead of a list of them.
    """
    if isinstance(body, dict) and "result" not in body and "data" in body:
        body = body["data"]
    body = only(body)
    if not isinstance(body, dict):
        raise Invalid("a result is expected")
    if isinstance(body.get("message"), dict):
        body = {**body, "message": [body["message"]]}
    return dict(tidying.mended(kind_of(errand), body, errand.receiver.platform))


def kind_of(errand: Errand) -> Any:
    """Return the type of an errand's result."""
    if errand.module == "chargingprofiles":
        return PROFILES[errand.action]
    return types.CommandResult
