"""Locations and tariffs for the hub's staff."""

from django.contrib import admin

from locations.models import Location, Tariff
from parties.admin import ObjectAdmin


@admin.register(Location)
class LocationAdmin(ObjectAdmin):
    """Locations."""

    list_display = ("uid", "owner", "name", "city", "country", "last_updated", "version")
    search_fields = ("uid", "name", "city")


@admin.register(Tariff)
class TariffAdmin(ObjectAdmin):
    """Tariffs."""

    list_display = ("uid", "owner", "currency", "last_updated", "version")
