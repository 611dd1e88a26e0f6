"""What parties own: OCPI objects as they were received; and what the hub says of its parties."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hub.fields import ExactJSONField
from parties.models.network import Party


class OwnedObject(models.Model):
    """An OCPI object that belongs to a party, kept as it was received.

    `body` is the object as valid 2.2.1; `raw` is what the partner sent where that differs.
    `version` counts the changes of this object and is what a receiver's debt is measured in.
    """

    module: ClassVar[str]
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

    status = models.CharField(_("status"), max_length=9)

    COLUMNS = ("status",)

    class Meta(OwnedObject.Meta):
        verbose_name = _("client info")
        verbose_name_plural = _("client infos")

    @property
    def path(self) -> list[str]:
        """Return the path segments: the role is not among them."""
        return [self.owner.country_code, self.owner.party_id]
