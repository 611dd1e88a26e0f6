"""OCPI: locations and tariffs; the quick-start paths of 2.2."""

from django.urls import re_path

from locations.views import (
    LocationReceiver,
    LocationSender,
    SimpleLocation,
    SimpleTariff,
    TariffReceiver,
    TariffSender,
)
from parties.paths import PUSHED, UID, interfaces

urlpatterns = [
    *interfaces("locations", LocationReceiver, LocationSender),
    *interfaces("tariffs", TariffReceiver, TariffSender),
    re_path(rf"^2\.2/locations/{UID}/?\Z", SimpleLocation.as_view(PUSHED)),
    re_path(rf"^2\.2/tariffs/{UID}/?\Z", SimpleTariff.as_view(PUSHED)),
]
