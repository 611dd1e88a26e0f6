"""People: the hub's staff, the people of the parties, and who is invited."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from parties.models.network import Party


class UserManager(BaseUserManager["User"]):
    """Makes users who log in by e-mail."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user; without a password nobody can log in."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a member of staff who may do everything."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):
    """A person, known by e-mail."""

    username = None  # type: ignore[assignment]
    email = models.EmailField(_("e-mail"), unique=True)
    language = models.CharField(_("language"), max_length=10, default="en")

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []
    objects = UserManager()  # type: ignore[assignment,misc]


class Access(models.TextChoices):
    """What a person is at a party; what that lets them do is in `parties/people/access.py`."""

    OWNER = "owner", _("Owner")
    DEVELOPER = "developer", _("Developer")
    FINANCE = "finance", _("Finance")
    OPERATIONS = "operations", _("Operations")
    VIEWER = "viewer", _("Viewer")


def access_known(name: str) -> models.CheckConstraint:
    """Return the constraint that an access is one that there is."""
    return models.CheckConstraint(condition=Q(access__in=Access.values), name=name)


class Membership(models.Model):
    """A person's place at a party; a person may have one at each of several parties."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("person"),
        on_delete=models.CASCADE,
        related_name="memberships",
    )
    party = models.ForeignKey(
        Party, verbose_name=_("party"), on_delete=models.CASCADE, related_name="memberships"
    )
    access = models.CharField(_("access"), max_length=10, choices=Access.choices)
    created_at = models.DateTimeField(_("since"), default=timezone.now)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        ordering = ["person__email"]
        constraints = [
            models.UniqueConstraint(fields=["person", "party"], name="one_place_at_a_party"),
            access_known("membership_access_known"),
        ]

    def __str__(self) -> str:
        return f"{self.person}, {self.party}: {self.access}"


class Invitation(models.Model):
    """An invitation of somebody to a party; its link works once, and only its digest is kept."""

    party = models.ForeignKey(
        Party, verbose_name=_("party"), on_delete=models.CASCADE, related_name="invitations"
    )
    email = models.EmailField(_("e-mail"))
    access = models.CharField(_("access"), max_length=10, choices=Access.choices)
    digest = models.BinaryField(unique=True, editable=False)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("invited by"),
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
    )
    created_at = models.DateTimeField(_("invited at"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires at"))
    accepted_at = models.DateTimeField(_("accepted at"), null=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["party", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="one_open_invitation_each",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(revoked_at=None),
                name="invitation_accepted_or_revoked",
            ),
            models.CheckConstraint(
                condition=Q(email=models.functions.Lower("email")),
                name="invitation_email_in_lower_case",
            ),
            access_known("invitation_access_known"),
        ]

    def __str__(self) -> str:
        return f"{self.email}, {self.party}: {self.access}"

    @property
    def expired(self) -> bool:
        """Tell whether it is too late to accept it."""
        return self.expires_at <= timezone.now()
