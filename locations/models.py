"""Locations with their EVSEs and connectors, and tariffs, kept as received."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from parties.models import OwnedObject


class Location(OwnedObject):
    """A place with chargers; its EVSEs and connectors are inside the body."""

    module = "locations"

    name = models.CharField(_("name"), max_length=255, blank=True)
    city = models.CharField(_("city"), max_length=45, blank=True)
    country = models.CharField(_("country"), max_length=3)

    class Meta(OwnedObject.Meta):
        verbose_name = _("location")
        verbose_name_plural = _("locations")

    COLUMNS = ("name", "city", "country")


class Tariff(OwnedObject):
    """A price list of a CPO."""

    module = "tariffs"

    currency = models.CharField(_("currency"), max_length=3)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True, editable=False)

    class Meta(OwnedObject.Meta):
        verbose_name = _("tariff")
        verbose_name_plural = _("tariffs")

    COLUMNS = ("currency",)
