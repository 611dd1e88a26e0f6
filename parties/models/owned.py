"""What parties own: OCPI objects as they were received; and what the hub says of its parties."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from msgspec import Struct

from hub.fields import ExactJSONField
from hub.ocpi import types
from parties.models.network import Party, Role, RoleQuerySet


class OwnedObjectQuerySet(models.QuerySet[Any]):
    """Objects of one module."""

    def present(self) -> "OwnedObjectQuerySet":
        """Keep those that their owners have not deleted."""
        return self

    def visible_to(self, reader: Role) -> "OwnedObjectQuerySet":
        """Keep what a party may know of: complete objects of others, who share it with everybody.

        What is listed to a party, owed to it when it joins, and sent to it: one rule for all.
        """
        return self.present().filter(complete=True).exclude(owner=reader.party_id)


class OwnedObject(models.Model):
    """An OCPI object that belongs to a party, kept as it was received.

    `body` is the object as valid 2.2.1; `raw` is what the partner sent where that differs.
    `version` counts the changes of this object and is what a receiver's debt is measured in.
    """

    module: ClassVar[str]
    kind: ClassVar[type[Struct]]  # its wire type
    key: ClassVar[str] = "id"
    IDENTITY: ClassVar[tuple[str, ...]] = ()  # columns that, besides the key, tell objects apart
    COLUMNS: ClassVar[tuple[str, ...]] = ()  # members of the body that have a column

    owner = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    uid = models.CharField(_("id"), max_length=39)
    body = ExactJSONField(_("body"))
    raw = ExactJSONField(_("as received"), null=True, blank=True)
    complete = models.BooleanField(_("complete"), default=True)
    last_updated = models.DateTimeField(_("last updated"))
    version = models.PositiveIntegerField(_("version"), default=1)
    change = ExactJSONField(  # {"method", "path", "body"}; None when the whole object was put
        _("the last change, where it concerned a part"), null=True, blank=True, editable=False
    )
    received_at = models.DateTimeField(_("received at"), default=timezone.now)

    class Meta:
        abstract = True
        ordering = ["pk"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint("owner", Upper("uid"), name="unique_%(class)s")
        ]

    def __str__(self) -> str:
        return f"{self.owner}/{self.uid}"

    @classmethod
    def rows(cls) -> OwnedObjectQuerySet:
        """Return all objects of the module."""
        return cast(OwnedObjectQuerySet, cls._default_manager.all())

    @classmethod
    def derived(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return columns that follow from a body, and do not change once they are known."""
        return {}

    @classmethod
    def open(cls, body: Mapping[str, Any]) -> bool:
        """Tell whether an object is for everybody, and a newer one never refused or odd."""
        return False

    @property
    def deleted(self) -> bool:
        """Tell whether its owner has deleted it."""
        return False

    @property
    def follows(self) -> int | None:
        """Return the object of the module that a receiver must have before this one."""
        return None

    def audience(self, everybody: RoleQuerySet) -> RoleQuerySet:
        """Return who is to be told of it, of all who could be."""
        return everybody

    def opened(self) -> Iterable["OwnedObject"]:
        """Return the objects of others that its owner may know of through it."""
        return ()

    def oddities(self, body: Mapping[str, Any]) -> list[str]:
        """Return what is odd about a body that is to replace this object's, in words."""
        return []

    @property
    def path(self) -> list[str]:
        """Return the path segments of the object below a Receiver endpoint."""
        return [self.owner.country_code, self.owner.party_id, self.uid]

    @property
    def query(self) -> str:
        """Return the query string that belongs to the object's URL."""
        return ""


class ClientInfo(OwnedObject):
    """What the hub tells its parties of each other, one for each role of a party.

    Source: OCPI 2.2.1, mod_hub_client_info.
    """

    module = "hubclientinfo"
    kind = types.ClientInfo

    status = models.CharField(_("status"), max_length=9)

    objects = OwnedObjectQuerySet.as_manager()

    COLUMNS = ("status",)

    class Meta(OwnedObject.Meta):
        verbose_name = _("client info")
        verbose_name_plural = _("client infos")
        constraints: ClassVar = [
            models.UniqueConstraint("owner", Upper("uid"), name="unique_clientinfo"),
            models.CheckConstraint(
                condition=models.Q(status__in=["PLANNED", "CONNECTED", "OFFLINE", "SUSPENDED"]),
                name="client_info_status_known",
            ),
        ]

    @property
    def path(self) -> list[str]:
        """Return the path segments: the role is not among them."""
        return [self.owner.country_code, self.owner.party_id]
