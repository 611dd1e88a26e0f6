"""Platforms, their keys, parties, roles and endpoints; what a receiver is owed; the hub's staff."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hub.fields import ExactJSONField
from hub.ocpi.messages import Address
from hub.states import Stateful


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

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []
    objects = UserManager()  # type: ignore[assignment,misc]


class Dialect(models.TextChoices):
    """How a platform speaks."""

    OCPI = "ocpi", _("OCPI as written")
    QUICKSTART = "quickstart", _("the simplified calls of the onboarding guide")


class Platform(Stateful):
    """One OCPI connection: one pair of credentials tokens, one or more parties behind it."""

    class State(models.TextChoices):
        INVITED = "invited", _("invited")
        PUSH_ONLY = "push_only", _("push-only")
        CONNECTED = "connected", _("connected")
        SUSPENDED = "suspended", _("suspended")

    TRANSITIONS: ClassVar = {
        State.INVITED: frozenset({State.PUSH_ONLY, State.CONNECTED, State.SUSPENDED}),
        State.PUSH_ONLY: frozenset({State.CONNECTED, State.SUSPENDED}),
        State.CONNECTED: frozenset({State.SUSPENDED}),
        State.SUSPENDED: frozenset(),
    }

    name = models.CharField(_("name"), max_length=100)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.INVITED
    )
    dialect = models.CharField(
        _("dialect"), max_length=10, choices=Dialect.choices, default=Dialect.OCPI
    )
    version = models.CharField(_("OCPI version"), max_length=5, blank=True)
    versions_url = models.CharField(_("versions URL"), max_length=255, blank=True)
    hosts = ArrayField(
        models.CharField(max_length=255), verbose_name=_("approved hosts"), default=list, blank=True
    )
    token_form = models.CharField(_("form of the token"), max_length=6, default="base64")
    sealed_token = models.TextField(_("its token for us, encrypted"), blank=True, editable=False)
    created_at = models.DateTimeField(_("invited at"), default=timezone.now, editable=False)
    registered_at = models.DateTimeField(_("registered at"), null=True, editable=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    paused_until = models.DateTimeField(_("paused until"), null=True, editable=False)

    class Meta:
        verbose_name = _("platform")
        verbose_name_plural = _("platforms")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["invited", "push_only", "connected", "suspended"]),
                name="platform_state_known",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def registered(self) -> bool:
        """Tell whether the handshake is done and the platform may use the modules."""
        return self.state in {self.State.PUSH_ONLY, self.State.CONNECTED}


class Key(models.Model):
    """A token that the hub has issued, kept as a keyed digest only."""

    class Purpose(models.TextChoices):
        INVITATION = "invitation", _("one-time registration token")
        ACCESS = "access", _("token for all calls")

    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="keys")
    purpose = models.CharField(_("purpose"), max_length=10, choices=Purpose.choices)
    digest = models.BinaryField(unique=True, editable=False)
    hint = models.CharField(_("ends in"), max_length=4)
    created_at = models.DateTimeField(_("issued at"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires at"), null=True)
    used_at = models.DateTimeField(_("used at"), null=True)

    class Meta:
        verbose_name = _("key")
        verbose_name_plural = _("keys")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(purpose__in=["invitation", "access"]), name="key_purpose_known"
            ),
            models.UniqueConstraint(
                fields=["platform"],
                condition=models.Q(purpose="access"),
                name="one_access_key_per_platform",
            ),
        ]

    def __str__(self) -> str:
        return f"…{self.hint}"


class Party(models.Model):
    """A company in the network, known by country code and party id."""

    country_code = models.CharField(_("country code"), max_length=2)
    party_id = models.CharField(_("party id"), max_length=3)
    name = models.CharField(_("name"), max_length=100)
    business_details = ExactJSONField(_("business details"), default=dict, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("party")
        verbose_name_plural = _("parties")
        ordering = ["country_code", "party_id"]
        constraints = [
            models.UniqueConstraint(fields=["country_code", "party_id"], name="unique_party"),
            models.CheckConstraint(
                condition=models.Q(
                    country_code__regex="^[A-Z]{2}$", party_id__regex="^[A-Z0-9]{3}$"
                ),
                name="party_code_in_upper_case",
            ),
        ]

    def __str__(self) -> str:
        return str(self.address)

    @property
    def address(self) -> Address:
        """Return the party's address in messages."""
        return Address(self.country_code, self.party_id)


class RoleQuerySet(models.QuerySet["Role"]):
    """Roles of parties."""

    def at(self, address: Address) -> "RoleQuerySet":
        """Keep those of one party."""
        return self.filter(
            party__country_code=address.country_code, party__party_id=address.party_id
        )

    def receiving(self, module: str) -> "RoleQuerySet":
        """Keep those that take pushes of a module."""
        return self.filter(
            platform__state=Platform.State.CONNECTED,
            platform__endpoints__module=module,
            platform__endpoints__interface=Endpoint.RECEIVER,
        )


class Role(models.Model):
    """A party in one role, reached through one platform."""

    class Kind(models.TextChoices):
        CPO = "CPO", _("charge point operator")
        EMSP = "EMSP", _("mobility service provider")
        NAP = "NAP", _("national access point")
        NSP = "NSP", _("navigation service provider")
        OTHER = "OTHER", _("other")
        SCSP = "SCSP", _("smart charging service provider")

    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="roles")
    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="roles")
    role = models.CharField(_("role"), max_length=5, choices=Kind.choices)

    objects = RoleQuerySet.as_manager()

    class Meta:
        verbose_name = _("role")
        verbose_name_plural = _("roles")
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["party", "role"], name="role_on_one_platform"),
            models.CheckConstraint(
                condition=models.Q(role__in=["CPO", "EMSP", "NAP", "NSP", "OTHER", "SCSP"]),
                name="role_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party} ({self.role})"


class Endpoint(models.Model):
    """Where a platform offers one interface of a module."""

    SENDER, RECEIVER = "SENDER", "RECEIVER"

    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="endpoints")
    module = models.CharField(_("module"), max_length=36)
    interface = models.CharField(_("interface"), max_length=8)
    url = models.CharField(_("URL"), max_length=255)

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "module", "interface"], name="one_endpoint_per_interface"
            )
        ]

    def __str__(self) -> str:
        return f"{self.module} {self.interface}"


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


class Delivery(models.Model):
    """What one receiver is owed of one object: the wanted version and the acknowledged one.

    The body is rendered when it is sent, from the object as it is then.
    """

    class State(models.TextChoices):
        LIVE = "live", _("live")
        REJECTED = "rejected", _("refused by the receiver")
        PARKED = "parked", _("waiting for a person")

    receiver = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="deliveries")
    module = models.CharField(_("module"), max_length=36)
    object_id = models.BigIntegerField(_("object"))
    wanted = models.PositiveIntegerField(_("wanted version"))
    acknowledged = models.PositiveIntegerField(_("acknowledged version"), default=0)
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.LIVE)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    owed_since = models.DateTimeField(_("owed since"), default=timezone.now)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)
    leased_until = models.DateTimeField(_("leased until"), null=True)
    acknowledged_at = models.DateTimeField(_("acknowledged at"), null=True)
    last_answer = models.CharField(_("last answer"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(
                fields=["receiver", "module", "object_id"], name="one_debt_per_object"
            ),
            models.CheckConstraint(
                condition=models.Q(acknowledged__lte=models.F("wanted")),
                name="acknowledged_at_most_wanted",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["live", "rejected", "parked"]),
                name="delivery_state_known",
            ),
        ]
        indexes = [
            models.Index(  # what a drain and the sweep look for
                fields=["receiver", "next_attempt_at"],
                condition=models.Q(state="live", wanted__gt=models.F("acknowledged")),
                name="delivery_owed",
            )
        ]

    def __str__(self) -> str:
        return f"{self.module}/{self.object_id} to {self.receiver}"
