"""What one party sends another, or reads from it, by name: passed on, and not kept.

It is for that party alone: a CPO may show every eMSP other prices.
Source: OCPI 2.2.1, transport_and_format, "Message Routing".
"""

from dataclasses import replace
from typing import Any

from rest_framework.response import Response

from hub.ocpi.client import only
from hub.ocpi.errors import HubError
from hub.ocpi.versions import RECEIVER
from parties import forwarding, quirks, routing, tidying
from parties.forwarding import Outgoing
from parties.models import Role
from parties.routing import Decision
from parties.viewsets import OcpiViewSet


class DirectViewSet(OcpiViewSet):
    """A module that the hub keeps, unless a message names the party that it is for."""

    def pass_on(self, owner: Role, body: Any = None) -> Response | None:
        """Pass a push on to the one party that it names; None when it is for the hub.

        What goes on is what came, unless `body` had to be put into order.
        """
        receiver = self.decide(owner).receiver
        if receiver is None:
            return None
        content = None if body is None else self.content_of(body)
        party = owner.party
        path = (party.country_code, party.party_id, *self.segments)
        return self.ask(self.outgoing(owner, receiver, *path, content=content))

    def far(self, reader: Role, *path: str) -> Outgoing | None:
        """Return the request as it goes on to the party that it names, if that can be asked.

        None when it is for the hub, which also knows what it can of a party that is away. What
        the hub keeps for the payer is read back from the hub.
        """
        if self.interface == RECEIVER and self.module in routing.HELD:
            self.decided("store")
            return None
        receiver = self.decide(reader).receiver
        if receiver is None:
            return None
        if not routing.offers(receiver, self.module, self.interface):
            self.decided(Decision(f"store: {receiver.party} cannot be asked", receiver))
            return None
        return self.outgoing(reader, receiver, *path)

    def ask(self, outgoing: Outgoing, missing: int = 0) -> Response:
        """Pass a request about a single object on and return the answer."""
        answer = forwarding.forward(outgoing)
        relayed = forwarding.relayed(answer, outgoing.method, missing=missing)
        found, platform = only(relayed.data), outgoing.receiver.platform
        if found is not relayed.data:
            quirks.note(platform.pk, {quirks.Habit.LIST_OF_ONE: self.module})
        if relayed.succeeded:
            if outgoing.method == "GET" and not isinstance(found, dict):
                raise HubError("the receiver answers with success, but without the object")
            found = tidying.tidied(self.module, found, platform)
        return self.relay(replace(relayed, data=found))

    @property
    def segments(self) -> tuple[str, ...]:
        """Return the segments of the path that name the object."""
        return (self.kwargs["uid"],)
