"""The base of the views that pass errands on: commands, and requests about charging profiles."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.utils import timezone
from rest_framework.response import Response

from hub.ocpi.client import only
from hub.ocpi.errors import HubError, OcpiError, TimedOut
from parties import forwarding, relay
from parties.forwarding import Outgoing, Relayed
from parties.models import Errand
from parties.relay import Order
from parties.routing import Decision
from parties.viewsets import OcpiViewSet

Rewrite = Callable[[str], dict[str, Any]]


class ErrandViewSet(OcpiViewSet):
    """Passes a request on, with the hub's URL for the result where the caller's stood.

    Whatever goes wrong is told with the data of a rejection, which the caller can read as well.
    """

    def replay(self) -> Response | None:
        """Return the answer once more that this very request got before."""
        errand = relay.find(self.fingerprint)
        return self._again(errand) if errand else None

    def entrust(self, order: Order, rewrite: Rewrite, *path: str) -> Response:
        """Pass a request on, once; `rewrite` returns what changes with the URL for results."""
        outgoing = self.outgoing(order.sender, order.receiver, *path)
        base = forwarding.base_of(outgoing)
        with forwarding.lane(outgoing):
            try:
                errand, url = relay.begin(order)
            except relay.Repeated as repeated:
                return self._answer_of(repeated.errand)
            return self.relay(_run(errand, replace(outgoing, **rewrite(url)), base))

    def handle_exception(self, exc: Exception) -> Any:
        """Answer an error of OCPI as a rejection, unless it lists problems."""
        if isinstance(exc, OcpiError) and exc.http_status == 200 and not exc.problems:
            self.explain(exc)
            return self.relay(relay.rejected(exc))
        return super().handle_exception(exc)

    @property
    def fingerprint(self) -> bytes:
        """Return what tells this request from every other: whose it is, its id, and all it says."""
        request, platform = self.request._request, self.caller.platform
        facts = (platform.pk, request.ocpi_ids.request, request.method, request.get_full_path())  # type: ignore[attr-defined]
        parts = [str(fact).encode() for fact in facts]
        return hashlib.sha256(b"\n".join([*parts, request.body])).digest()

    def _again(self, errand: Errand) -> Response:
        with forwarding.lanes.lane(errand.sender.platform, errand.receiver.platform):
            return self._answer_of(errand)

    def _answer_of(self, errand: Errand) -> Response:
        """Return what was answered to this request when it came before."""
        self.decided(Decision(f"repeated: {errand.receiver.party}", errand.receiver))
        answer = relay.answer_of(errand, self.until)
        if answer is None:
            raise TimedOut("this request came before and has not been answered")
        return self.relay(answer)


def _run(errand: Errand, outgoing: Outgoing, base: str) -> Relayed:
    """Pass an errand on; note and return what is answered at once."""
    forwarded_at = timezone.now()
    try:
        answer = forwarding.send(outgoing, forwarding.url_of(outgoing, base))
        relayed = readable(forwarding.relayed(answer, outgoing.method))
    except OcpiError as error:
        relayed = relay.rejected(error)
    relay.note_answer(errand, relayed, forwarded_at)
    return relayed


def readable(answer: Relayed) -> Relayed:
    """Return an answer whose data every caller can read: one object, its messages in a list.

    Raises HubError for a success without a result.
    """
    data = only(answer.data)
    if isinstance(data, dict) and isinstance(data.get("message"), dict):
        data = {**data, "message": [data["message"]]}
    if answer.succeeded and not (isinstance(data, dict) and isinstance(data.get("result"), str)):
        raise HubError("the receiver answers with success, but without a result")
    return Relayed(answer.http, answer.code, answer.message, data)
