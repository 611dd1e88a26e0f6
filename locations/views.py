"""Locations and tariffs over OCPI."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from hub.ocpi import tariff_lints, times, types
from hub.ocpi.errors import UnknownLocation
from hub.ocpi.messages import Address
from locations import parts, v22
from locations.models import Location, Tariff
from parties import owned
from parties.merging import CONNECTORS, EVSES, Amendment, Body, Level
from parties.models import Role
from parties.objects import ReceiverViewSet, SenderViewSet, SimpleReceiver
from parties.v22 import Draft
from parties.viewsets import OcpiViewSet


class Parts(OcpiViewSet):
    """The paths of a location, an EVSE and a connector.

    Ids may hold slashes, so only what is stored tells the segments apart: they are joined again.
    """

    tails = (
        r"(?P<uid>[^/]{1,36})",
        r"(?P<uid>[^/]{1,36})/(?P<evse_uid>[^/]{1,36})",
        r"(?P<uid>[^/]{1,36})/(?P<evse_uid>[^/]{1,36})/(?P<connector_id>[^/]{1,36})",
        r"(?P<uid>(?s:.){1,110}?)",
    )

    @property
    def segments(self) -> tuple[str, ...]:
        """Return the segments of the path as they came."""
        return tuple(self.kwargs["uid"].split("/"))

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer with the rest of the path in one piece."""
        inner = [kwargs.pop(name) for name in ("evse_uid", "connector_id") if name in kwargs]
        if inner:
            kwargs["uid"] = "/".join([kwargs["uid"], *inner])
        return super().dispatch(request, *args, **kwargs)


class LocationReceiver(Parts, ReceiverViewSet):
    """Takes locations from CPOs, and their EVSEs and connectors one by one."""

    module, model, missing = "locations", Location, UnknownLocation
    kinds = parts.KINDS

    def update(self, request: Request, uid: str, **named: str) -> Response:
        """Create or replace a location, or an EVSE or connector in it."""
        kind = parts.kind_of(self.body(), uid)
        if kind is types.Location:
            return super().update(request, uid, **named)
        owner = self.addressed(named)
        level = EVSES if kind is types.EVSE else CONNECTORS
        draft = self.part_draft(level, uid)
        around = parts.outside(uid, draft.body[level.key])
        if answer := self.pass_on(owner, draft.body):
            return answer
        place, tail = self.target(owner, around, draft.body)
        return self.amend(place, Amendment("PUT", tail, draft.body, level), draft.message)

    def part_draft(self, level: Level, uid: str) -> Draft:
        """Return the body as a valid EVSE or connector."""
        return self.checked(level.kind, Draft(self.body()))

    def target(self, owner: Role, uid: str, body: Body) -> tuple[owned.Place, str]:
        """Return the location that a path begins with, and the rest of the path."""
        location, tail = parts.split(owner.party_id, uid)
        return replace(self.place(owner, location.uid), seen=location), tail

    def stored(self, owner: Role, uid: str) -> Any:
        """Return the location, EVSE or connector that a path names."""
        return parts.read(Location.objects.filter(owner=owner.party_id), uid)


class LocationSender(Parts, SenderViewSet):
    """Shows locations to eMSPs and the like."""

    module, model, missing = "locations", Location, UnknownLocation
    singly = True

    def found(self, rows: QuerySet[Any], uid: str) -> Any:
        """Return a location, or an EVSE or connector in it."""
        return parts.read(rows, uid)


class TariffReceiver(ReceiverViewSet):
    """Takes tariffs from CPOs."""

    module, model = "tariffs", Tariff
    lints: Sequence[tariff_lints.Lint] = ()

    def checked(self, kind: Any, draft: Draft) -> Draft:
        """Return a valid tariff, and note what is odd about it: nothing is refused for that."""
        found = super().checked(kind, draft)
        self.lints = tariff_lints.check(found.body)
        return found

    def answer(self, kept: owned.Kept, message: str) -> Response:
        """Say what became of a push, and what is odd about the tariff."""
        return super().answer(kept, "; odd: ".join([message, *tariff_lints.told(self.lints)]))

    def destroy(self, request: Request, uid: str, **named: str) -> Response:
        """Delete a tariff for future use, and tell everybody who has it."""
        owner = self.addressed(named)
        if answer := self.pass_on(owner):
            return answer
        tariff = cast(Tariff, owned.delete(self.place(owner, uid), self.missing))
        used = tariff.used_at()
        told = f"Deleted, though location {used} still refers to it" if used else "Success"
        return self.success(message=told)


class TariffSender(SenderViewSet):
    """Shows tariffs to eMSPs and the like."""

    module, model = "tariffs", Tariff


class SimpleLocation(SimpleReceiver, LocationReceiver):
    """Takes locations as the onboarding guide writes them."""

    def convert(self, body: Any, owner: Address, uid: str) -> Draft:
        """Return the location as a draft of valid 2.2.1."""
        return v22.location(body, owner, uid, times.now())

    def part_draft(self, level: Level, uid: str) -> Draft:
        """Return the EVSE or connector, completed as far as that can be derived."""
        if not self.quickstart:
            return super().part_draft(level, uid)
        return self.checked(level.kind, v22.part(level, self.body(), uid, times.now()))

    def partial_draft(self, owner: Role) -> Draft:
        """Return the change, with its members as 2.2.1 names and writes them."""
        draft = super().partial_draft(owner)
        return v22.change(draft) if self.quickstart else draft


class SimpleTariff(SimpleReceiver, TariffReceiver):
    """Takes tariffs without their owner and time."""

    def convert(self, body: Any, owner: Address, uid: str) -> Draft:
        """Return the tariff as a draft of valid 2.2.1."""
        return v22.tariff(body, owner, uid, times.now())
