"""What is on offer: locations with their chargers, and tariffs."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LocationsConfig(AppConfig):
    """The locations app."""

    name = "locations"
    verbose_name = _("Locations and tariffs")
