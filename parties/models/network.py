"""The network: platforms with their keys and endpoints, parties in their roles."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hub.fields import ExactJSONField
from hub.ocpi.messages import Address
from hub.states import Stateful


class Dialect(models.TextChoices):
    """How a platform speaks."""

    OCPI = "ocpi", _("OCPI as written")
    QUICKSTART = "quickstart", _("the simplified calls of the onboarding guide")


class Pause(models.TextChoices):
    """Why a platform is sent nothing for a while, although it is connected."""

    FAILING = "failing", _("it fails")
    AUTH = "auth", _("it does not accept the hub's token")
    GONE = "gone", _("its endpoint is gone")
    THROTTLED = "throttled", _("it asked for less")


AT_ONCE = [MinValueValidator(1), MaxValueValidator(64)]


class Platform(Stateful):
    """One OCPI connection: one pair of credentials tokens, one or more parties behind it."""

    class State(models.TextChoices):
        INVITED = "invited", _("invited")
        PUSH_ONLY = "push_only", _("push-only")
        CONNECTED = "connected", _("connected")
        OFFLINE = "offline", _("offline")
        SUSPENDED = "suspended", _("suspended")

    TRANSITIONS: ClassVar = {
        State.INVITED: frozenset({State.PUSH_ONLY, State.CONNECTED, State.SUSPENDED}),
        State.PUSH_ONLY: frozenset({State.PUSH_ONLY, State.CONNECTED, State.SUSPENDED}),
        State.CONNECTED: frozenset(
            {State.PUSH_ONLY, State.CONNECTED, State.OFFLINE, State.SUSPENDED}
        ),
        State.OFFLINE: frozenset({State.PUSH_ONLY, State.CONNECTED, State.SUSPENDED}),
        State.SUSPENDED: frozenset({State.INVITED}),
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
    previous_sealed_token = models.TextField(
        _("its token before that, encrypted"), blank=True, editable=False
    )
    previous_until = models.DateTimeField(
        _("its token before that is tried until"), null=True, editable=False
    )
    strict = models.BooleanField(
        _("strict"), default=False, help_text=_("refuse what would otherwise be repaired")
    )
    names_parties = models.BooleanField(
        _("names parties"),
        default=False,
        help_text=_("name the parties behind the hub in the hub's credentials, against the letter"),
    )
    always_200 = models.BooleanField(
        _("always 200"),
        default=False,
        help_text=_("answer HTTP 200, and never 201, to who takes 201 for a failure"),
    )
    proposal = ExactJSONField(
        _("change that waits for a person"), null=True, blank=True, editable=False
    )
    state_since = models.DateTimeField(_("in this state since"), default=timezone.now)
    heard_at = models.DateTimeField(_("last heard of"), null=True, editable=False)
    probes_passed = models.PositiveSmallIntegerField(default=0, editable=False)
    probes_failed = models.PositiveSmallIntegerField(default=0, editable=False)
    probe_at = models.DateTimeField(_("probed next at"), null=True, editable=False)
    pulled_at = models.DateTimeField(_("its lists were read at"), null=True, editable=False)
    pull_at = models.DateTimeField(_("its lists are read next at"), null=True, editable=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    paused_until = models.DateTimeField(_("paused until"), null=True, editable=False)
    pause_reason = models.CharField(
        _("paused because"), max_length=9, choices=Pause.choices, blank=True, editable=False
    )
    openings = models.PositiveSmallIntegerField(_("pauses in a row"), default=0, editable=False)
    garbled = models.PositiveIntegerField(
        _("answers in a row that were no OCPI"), default=0, editable=False
    )
    pace = models.PositiveSmallIntegerField(_("pace (%)"), default=100, editable=False)
    paced_at = models.DateTimeField(_("throttled at"), null=True, editable=False)
    reread_at = models.DateTimeField(_("its versions are read next at"), null=True, editable=False)
    rate = models.PositiveSmallIntegerField(
        _("deliveries per second"), default=50, help_text=_("at most; 0 for no limit")
    )
    states_at_once = models.PositiveSmallIntegerField(
        _("deliveries at once"), default=8, validators=AT_ONCE, help_text=_("except CDRs")
    )
    cdrs_at_once = models.PositiveSmallIntegerField(
        _("CDRs at once"), default=2, validators=AT_ONCE
    )

    WELL: ClassVar = {  # what is noted of deliveries to a platform that answers as it should
        "failures": 0,
        "failing_since": None,
        "paused_until": None,
        "pause_reason": "",
        "openings": 0,
        "garbled": 0,
    }

    class Meta:
        verbose_name = _("platform")
        verbose_name_plural = _("platforms")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["invited", "push_only", "connected", "offline", "suspended"]
                ),
                name="platform_state_known",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def registered(self) -> bool:
        """Tell whether the handshake is done and the platform may use the modules."""
        return self.state in {self.State.PUSH_ONLY, self.State.CONNECTED, self.State.OFFLINE}


class Key(models.Model):
    """A token that the hub has issued, kept as a keyed digest only."""

    class Purpose(models.TextChoices):
        INVITATION = "invitation", _("one-time registration token")
        ACCESS = "access", _("token for all calls")
        PREVIOUS = "previous", _("token before the last change, until the new one is used")
        OFFERED = "offered", _("token sent to a partner that the hub registers with")

    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="keys")
    purpose = models.CharField(_("purpose"), max_length=10, choices=Purpose.choices)
    digest = models.BinaryField(unique=True, editable=False)
    hint = models.CharField(_("ends in"), max_length=4)
    created_at = models.DateTimeField(_("issued at"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires at"), null=True)
    used_at = models.DateTimeField(_("used up at"), null=True)
    last_used_at = models.DateTimeField(_("last used"), null=True)  # to the minute

    class Meta:
        verbose_name = _("key")
        verbose_name_plural = _("keys")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(purpose__in=["invitation", "access", "previous", "offered"]),
                name="key_purpose_known",
            ),
            models.UniqueConstraint(
                fields=["platform"],
                condition=models.Q(purpose="access"),
                name="one_access_key_per_platform",
            ),
            models.UniqueConstraint(
                fields=["platform"],
                condition=models.Q(purpose="previous"),
                name="one_previous_key_per_platform",
            ),
            models.UniqueConstraint(
                fields=["platform"],
                condition=models.Q(purpose="offered"),
                name="one_offered_key_per_platform",
            ),
            models.UniqueConstraint(
                fields=["platform"],
                condition=models.Q(purpose="invitation", used_at__isnull=True),
                name="one_open_invitation_per_platform",
            ),
            models.CheckConstraint(
                condition=~models.Q(purpose__in=["previous", "offered"])
                | models.Q(expires_at__isnull=False),
                name="passing_key_expires",
            ),
        ]

    def __str__(self) -> str:
        return f"…{self.hint}"

    @property
    def opens_modules(self) -> bool:
        """Tell whether the token is good for more than versions and credentials."""
        return self.purpose in {self.Purpose.ACCESS, self.Purpose.PREVIOUS}


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

    def paying(self, party: int | None) -> "RoleQuerySet":
        """Keep the one in which a party pays for its drivers."""
        payers = self.filter(party=party, role__in=Role.WITH_DRIVERS)
        return payers.order_by("role")[:1]

    def receiving(self, module: str) -> "RoleQuerySet":
        """Keep those that take pushes of a module; who is offline is owed them for later."""
        return self.filter(
            platform__state__in=[Platform.State.CONNECTED, Platform.State.OFFLINE],
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

    WITH_DRIVERS: ClassVar = (Kind.EMSP, Kind.OTHER)

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
