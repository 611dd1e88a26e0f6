"""Locations and tariffs for the hub's staff."""

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
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

    list_display = ("uid", "owner", "currency", "last_updated", "deleted_at", "version", "odd")
    readonly_fields = (*ObjectAdmin.readonly_fields, "oddities")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter), "owner", "complete")

    @admin.display(description=_("oddities"))
    def odd(self, tariff: Tariff) -> int:
        """Return how many things are odd about it."""
        return len(tariff.lints)

    @admin.display(description=_("what is odd about it"))
    def oddities(self, tariff: Tariff) -> SafeString | str:
        """Return it line by line."""
        lints = tariff.lints
        line = "<div>{}: {} <code>{}</code></div>"
        return (
            format_html_join("", line, [(it.path or "-", it.text, it.code) for it in lints]) or "-"
        )
