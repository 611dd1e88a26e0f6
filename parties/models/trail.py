"""The audit trail of a party: who did what, each entry bound to the one before by its digest."""

import datetime as dt
import hashlib
import json
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from parties.models.network import Party

NOTHING = "0" * 64  # what the first entry has for the digest of the one before


class TrailEntry(models.Model):
    """What somebody did; a trigger numbers and chains the entries of a party, none ever changes.

    `seq`, `previous` and `digest` are the database's: see migration 0023. `details` is JSON text,
    kept to the letter, for the digest is over it.
    """

    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="trail")
    seq = models.PositiveBigIntegerField(_("number"), default=0)
    at = models.DateTimeField(_("at"), default=timezone.now)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("person"),
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
    )
    who = models.CharField(_("who"), max_length=254, help_text=_("as they were called then"))
    area = models.CharField(_("area"), max_length=20)
    deed = models.CharField(_("deed"), max_length=40)
    subject = models.CharField(_("what"), max_length=255, blank=True)
    details = models.TextField(_("details"), default="{}")
    address = models.CharField(_("from address"), max_length=45, blank=True)
    previous = models.CharField(_("digest of the entry before"), max_length=64, editable=False)
    digest = models.CharField("SHA-256", max_length=64, editable=False)

    class Meta:
        verbose_name = _("entry of the audit trail")
        verbose_name_plural = _("audit trail")
        ordering = ["party", "-seq"]
        constraints = [
            models.UniqueConstraint(fields=["party", "seq"], name="trail_numbered_once"),
        ]

    def __str__(self) -> str:
        return f"{self.party} {self.seq}: {self.deed}"

    @property
    def told(self) -> dict[str, Any]:
        """Return the details."""
        found: dict[str, Any] = json.loads(self.details)
        return found

    def expected_digest(self) -> str:
        """Compute the digest anew, by other means than the database's."""
        parts = [str(self.seq), str(self.party_id)]
        parts += [f"{self.at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}", self.who]
        parts += [self.area, self.deed, self.subject, self.details, self.address, self.previous]
        text = "".join(f"{len(part)}:{part}," for part in parts)
        return hashlib.sha256(text.encode()).hexdigest()


class TrailHead(models.Model):
    """Where the trail of a party ends: its last number and digest; the row is its lock, too."""

    party = models.OneToOneField(Party, on_delete=models.PROTECT, related_name="trail_head")
    seq = models.PositiveBigIntegerField(_("last number"))
    digest = models.CharField("SHA-256", max_length=64)

    class Meta:
        verbose_name = _("end of an audit trail")
        verbose_name_plural = _("ends of audit trails")

    def __str__(self) -> str:
        return f"{self.party}: {self.seq}"
