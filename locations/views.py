"""Locations and tariffs over OCPI."""

from typing import Any

from hub.ocpi import times, types
from hub.ocpi.errors import UnknownLocation
from hub.ocpi.messages import Address
from locations import v22
from locations.models import Location, Tariff
from parties.objects import ReceiverViewSet, SenderViewSet, SimpleReceiver
from parties.v22 import Draft


class LocationReceiver(ReceiverViewSet):
    """Takes locations from CPOs."""

    module, model, kind, missing = "locations", Location, types.Location, UnknownLocation


class LocationSender(SenderViewSet):
    """Shows locations to eMSPs and the like."""

    module, model, missing = "locations", Location, UnknownLocation


class TariffReceiver(ReceiverViewSet):
    """Takes tariffs from CPOs."""

    module, model, kind = "tariffs", Tariff, types.Tariff


class TariffSender(SenderViewSet):
    """Shows tariffs to eMSPs and the like."""

    module, model = "tariffs", Tariff


class SimpleLocation(SimpleReceiver):
    """Takes locations as the onboarding guide writes them."""

    module, model, kind, missing = "locations", Location, types.Location, UnknownLocation

    def convert(self, body: Any, owner: Address, uid: str) -> Draft:
        """Return the location as a draft of valid 2.2.1."""
        return v22.location(body, owner, uid, times.now())


class SimpleTariff(SimpleReceiver):
    """Takes tariffs without their owner and time."""

    module, model, kind = "tariffs", Tariff, types.Tariff

    def convert(self, body: Any, owner: Address, uid: str) -> Draft:
        """Return the tariff as a draft of valid 2.2.1."""
        return v22.tariff(body, owner, uid, times.now())
