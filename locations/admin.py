"""Locations and tariffs for the hub's staff."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from locations.models import Location, Tariff
from parties.admin import ObjectAdmin


@admin.register(Location)
class LocationAdmin(ObjectAdmin):
    """Locations."""

    list_display = ("uid", "owner", "name", "city", "country", "last_updated", "version", "missing")
    list_filter = (*ObjectAdmin.list_filter, "missing_since")
    search_fields = ("uid", "name", "city")

    @admin.display(description=_("missing"), boolean=True)
    def missing(self, location: Location) -> bool:
        """Tell whether its owner's list has left it out."""
        return location.missing


@admin.register(Tariff)
class TariffAdmin(ObjectAdmin):
    """Tariffs, those that their owners have deleted among them."""

    list_display = ("uid", "owner", "currency", "last_updated", "deleted_at", "version")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter), "owner", "complete")
