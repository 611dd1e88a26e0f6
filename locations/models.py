"""Locations with their EVSEs and connectors, and tariffs, kept as received."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from hub.fields import ExactJSONField
from hub.ocpi import tariff_lints, types
from locations.audience import IsAllowed
from parties.models import OwnedObject, OwnedObjectQuerySet, Role, RoleQuerySet


class LocationQuerySet(OwnedObjectQuerySet):
    """Locations."""

    def visible_to(self, reader: Role) -> OwnedObjectQuerySet:
        """Keep what others publish; and, for those who have drivers, what concerns these."""
        rows = super().visible_to(reader)
        if reader.role not in Role.WITH_DRIVERS:
            return rows.filter(publish=True)
        allowed = IsAllowed("body__publish_allowed_to", reader.party_id)
        private = Location.objects.filter(allowed, publish=False)
        return rows.filter(Q(publish=True) | Q(pk__in=private.order_by().values("pk")))


class Location(OwnedObject):
    """A place with chargers; its EVSEs and connectors are inside the body."""

    module = "locations"
    kind = types.Location

    name = models.CharField(_("name"), max_length=255, blank=True)
    city = models.CharField(_("city"), max_length=45, blank=True)
    country = models.CharField(_("country"), max_length=3)
    missing_since = models.DateTimeField(  # told to nobody: its owner has not said so
        _("missing from its owner's list since"), null=True, blank=True, editable=False
    )
    publish = models.BooleanField(_("published"), default=True)

    objects = LocationQuerySet.as_manager()

    class Meta(OwnedObject.Meta):
        verbose_name = _("location")
        verbose_name_plural = _("locations")
        indexes: ClassVar = [
            models.Index(Upper("uid"), name="location_by_uid"),
            models.Index(
                fields=["id"],
                include=["owner", "complete", "publish", "last_updated"],
                name="location_listed",
            ),
            models.Index(fields=["last_updated"], name="location_by_time"),
            models.Index(fields=["id"], condition=models.Q(publish=False), name="location_private"),
            GinIndex(
                OpClass(KeyTransform("publish_allowed_to", "body"), name="jsonb_path_ops"),
                condition=models.Q(publish=False),
                name="location_allowed_to",
            ),
        ]

    COLUMNS = ("name", "city", "country", "publish")

    @property
    def missing(self) -> bool:
        """Tell whether it was not in its owner's list, and has not come by push since."""
        return self.missing_since is not None and self.missing_since > self.received_at

    @classmethod
    def open(cls, body: Mapping[str, Any]) -> bool:
        """Tell whether everybody may know of it."""
        return bool(body["publish"])

    def audience(self, everybody: RoleQuerySet) -> RoleQuerySet:
        """Return who is told of it, which may depend on their drivers."""
        if self.open(self.body):
            return everybody
        allowed = Value(self.body.get("publish_allowed_to") or [], ExactJSONField())
        return everybody.filter(IsAllowed(allowed, F("party_id")), role__in=Role.WITH_DRIVERS)


class TariffQuerySet(OwnedObjectQuerySet):
    """Tariffs."""

    def present(self) -> "TariffQuerySet":
        """Keep those that their owners have not deleted."""
        return self.filter(deleted_at=None)


class Tariff(OwnedObject):
    """A price list of a CPO; a deleted one is kept for the sessions and CDRs that name it."""

    module = "tariffs"
    kind = types.Tariff

    currency = models.CharField(_("currency"), max_length=3)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True, editable=False)

    objects = TariffQuerySet.as_manager()

    class Meta(OwnedObject.Meta):
        verbose_name = _("tariff")
        verbose_name_plural = _("tariffs")
        indexes: ClassVar = [
            models.Index(
                fields=["id"],
                include=["owner", "complete", "deleted_at", "last_updated"],
                name="tariff_listed",
            ),
            models.Index(fields=["last_updated"], name="tariff_by_time"),
        ]

    COLUMNS = ("currency",)

    @classmethod
    def open(cls, body: Mapping[str, Any]) -> bool:
        """Tell that everybody may know of it."""
        return True

    @property
    def lints(self) -> list[tariff_lints.Lint]:
        """Return what is odd about it."""
        return tariff_lints.check(self.body)

    @property
    def deleted(self) -> bool:
        """Tell whether its owner has deleted it."""
        return self.deleted_at is not None

    def used_at(self) -> str:
        """Return the id of a location of its owner with a connector that refers to it, or nothing.

        Reads all locations of the owner.
        """
        refers = Func(
            F("body"),
            Value({"id": self.uid}, ExactJSONField()),
            function="jsonb_path_exists",
            arg_joiner=", '$.evses[*].connectors[*].tariff_ids[*] ? (@ == $id)', ",
            output_field=models.BooleanField(),
        )
        rows = Location.objects.filter(refers, owner=self.owner_id)
        return rows.values_list("uid", flat=True).first() or ""


class TariffVersion(models.Model):
    """A tariff as it was from some time on: sessions are priced by what held when they started.

    Written by a trigger (migration 0007) whenever a tariff is stored with another body.
    """

    tariff = models.ForeignKey(Tariff, on_delete=models.CASCADE, related_name="versions")
    known_from = models.DateTimeField(_("known from"))
    body = ExactJSONField(_("body"))

    class Meta:
        verbose_name = _("version of a tariff")
        verbose_name_plural = _("versions of tariffs")
        ordering = ["pk"]
        indexes: ClassVar = [
            models.Index(fields=["tariff", "known_from"], name="tariff_version_by_time")
        ]

    def __str__(self) -> str:
        return f"{self.tariff_id}, {self.known_from}"
