"""OCPI: locations and tariffs; the quick-start paths of 2.2."""

from locations.views import (
    LocationReceiver,
    LocationSender,
    SimpleLocation,
    SimpleTariff,
    TariffReceiver,
    TariffSender,
)
from parties.paths import CHANGED, DELETED, interfaces, single

urlpatterns = [
    *interfaces("locations", LocationReceiver, LocationSender),
    *interfaces("tariffs", TariffReceiver, TariffSender, DELETED),
    *single(r"^2\.2/locations", SimpleLocation, CHANGED),
    *single(r"^2\.2/tariffs", SimpleTariff, DELETED),
]
