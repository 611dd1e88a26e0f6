"""Tokens, sessions, CDRs with the hub's findings, and the months that CDRs belong to."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Replace, Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cdrs import oddities
from hub.ocpi import types
from hub.ocpi.messages import Address
from hub.states import Stateful
from parties import routing
from parties.models import OwnedObject, OwnedObjectQuerySet, Party, Role, RoleQuerySet

BARE_CONTRACT = Upper(Replace(Replace("contract_id", models.Value("-")), models.Value("*")))

EXPLORED = (
    *("month", "period", "state", "complete", "credit_of"),
    *("currency", "country", "energy_kwh", "total_excl_vat"),
)


class Token(OwnedObject):
    """What a driver is recognised by; belongs to an eMSP. Identity includes the type."""

    module = "tokens"
    kind = types.Token
    key = "uid"
    IDENTITY = ("type",)

    type = models.CharField(_("type"), max_length=11)
    contract_id = models.CharField(_("contract id"), max_length=36)
    valid = models.BooleanField(_("valid"), default=True)

    objects = OwnedObjectQuerySet.as_manager()

    COLUMNS = ("contract_id", "valid")

    class Meta(OwnedObject.Meta):
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        constraints = [
            models.UniqueConstraint("owner", Upper("uid"), "type", name="unique_token"),
        ]
        indexes = [
            models.Index(Upper("uid"), name="token_by_uid"),
            models.Index(BARE_CONTRACT, name="token_by_contract"),
            models.Index(Upper(KT("body__group_id")), name="token_by_group"),
            models.Index(KT("body__visual_number"), name="token_by_visual_number"),
            models.Index(
                fields=["id"], include=["owner", "complete", "last_updated"], name="token_listed"
            ),
            models.Index(fields=["last_updated"], name="token_by_time"),
        ]

    def opened(self) -> QuerySet[Any]:
        """Return the unpublished locations that name this token, spelled as it is, or its group."""
        named = {name: self.body.get(name) for name in ("uid", "group_id", "visual_number")}
        matching = models.Q()
        for name, value in named.items():
            if value:
                matching |= models.Q(body__publish_allowed_to__contains=[{name: value}])
        locations = apps.get_model(settings.OCPI_MODELS["locations"])
        rows: QuerySet[Any] = locations._default_manager.filter(matching, publish=False)
        return rows.exclude(owner=self.owner_id)

    @property
    def query(self) -> str:
        """Return the part of a token's identity that travels as a parameter."""
        return f"?type={self.type}"


class PaidQuerySet(OwnedObjectQuerySet):
    """Sessions and CDRs: for the eMSP that owns the token and for nobody else."""

    def visible_to(self, reader: Role) -> "PaidQuerySet":
        """Keep those that a party pays for."""
        return self.filter(emsp=reader.party_id, complete=True)


class SessionQuerySet(PaidQuerySet):
    """Sessions."""

    def stuck(self, now: dt.datetime) -> "SessionQuerySet":
        """Keep those that have not ended and of which nothing was told for three days.

        The hub invents no end: it is for the CPO to tell.
        """
        running = self.filter(status__in=["ACTIVE", "PENDING", "RESERVATION"])
        return running.filter(received_at__lt=now - dt.timedelta(days=3))

    def unbilled(self, now: dt.datetime) -> "SessionQuerySet":
        """Keep those that have ended with energy a week ago and have no CDR yet."""
        billed = Cdr.objects.alias(session=Upper("session_uid")).filter(
            owner=models.OuterRef("owner"), session=Upper(models.OuterRef("uid"))
        )
        ended = self.filter(status="COMPLETED", received_at__lt=now - dt.timedelta(days=7))
        return ended.filter(~models.Exists(billed), body__kwh__gt=0)


class Session(OwnedObject):
    """A charging session as the CPO tells it, for the eMSP that owns the token."""

    module = "sessions"
    kind = types.Session

    emsp = models.ForeignKey(
        Party, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    status = models.CharField(_("status"), max_length=11)

    objects = SessionQuerySet.as_manager()

    COLUMNS = ("status",)

    class Meta(OwnedObject.Meta):
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        indexes: ClassVar = [
            models.Index(Upper("uid"), name="session_by_uid"),
            models.Index(
                fields=["emsp", "id"], include=["complete", "last_updated"], name="session_listed"
            ),
            models.Index(fields=["emsp", "last_updated"], name="session_by_time"),
        ]

    @classmethod
    def derived(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return who pays."""
        token = body["cdr_token"]
        payer = routing.emsp_role(Address.of(token["country_code"], token["party_id"]))
        return {"emsp": payer.party if payer else None}

    def audience(self, everybody: RoleQuerySet) -> RoleQuerySet:
        """Return the role in which the eMSP pays, if there is one."""
        return Role.objects.paying(self.emsp_id)

    def oddities(self, body: Mapping[str, Any]) -> list[str]:
        """Return what is odd about the session's next state."""
        return oddities.of_session(self.body, body)


class Period(Stateful):
    """A calendar month of the settlement time zone; its CDRs come and go until they are frozen.

    Writers of CDRs hold its row FOR SHARE, the freeze FOR UPDATE; the triggers of
    migrations 0002 and 0009 see to both. After the freeze CDRs can only be taken out, and only
    while the parties look at their statements.
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        GRACE = "grace", _("over, late CDRs still come")
        FROZEN = "frozen", _("frozen")
        STATEMENT = "statement", _("statements out for approval")
        ISSUING = "issuing", _("documents being issued")
        ISSUED = "issued", _("documents issued")
        SETTLING = "settling", _("being paid")
        CLOSED = "closed", _("closed")

    TRANSITIONS: ClassVar = {
        State.OPEN: frozenset({State.GRACE, State.FROZEN}),
        State.GRACE: frozenset({State.FROZEN}),
        State.FROZEN: frozenset({State.STATEMENT}),
        State.STATEMENT: frozenset({State.ISSUING}),
        State.ISSUING: frozenset({State.ISSUED}),
        State.ISSUED: frozenset({State.SETTLING}),
        State.SETTLING: frozenset({State.CLOSED}),
        State.CLOSED: frozenset(),
    }
    THAWED: ClassVar = (State.OPEN, State.GRACE)

    month = models.DateField(_("month"), unique=True, help_text=_("its first day"))
    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField(_("opened at"), default=timezone.now)
    grace_until = models.DateTimeField(
        _("late CDRs until"), null=True, help_text=_("what comes later is settled a month later")
    )
    frozen_at = models.DateTimeField(_("frozen at"), null=True)
    closed_at = models.DateTimeField(_("closed at"), null=True)

    class Meta:
        verbose_name = _("period")
        verbose_name_plural = _("periods")
        ordering = ["-month"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(month__day=1), name="period_is_named_by_its_first_day"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state__in=[
                        *("open", "grace", "frozen", "statement"),
                        *("issuing", "issued", "settling", "closed"),
                    ]
                ),
                name="period_state_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="grace", grace_until__isnull=True),
                name="period_grace_ends",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"

    @property
    def thawed(self) -> bool:
        """Tell whether CDRs may still be put into it."""
        return self.state in self.THAWED

    def takes(self, arrived_at: dt.datetime) -> bool:
        """Tell whether a CDR that comes at an instant is settled in it."""
        late = self.grace_until is not None and arrived_at >= self.grace_until
        return self.thawed and not late


class CdrQuerySet(PaidQuerySet):
    """CDRs."""

    def billable(self, period: Period) -> "CdrQuerySet":
        """Keep those that are settled in a period, which is what is accepted and nothing else."""
        return self.filter(period=period)

    def held_up_to(self, month: dt.date) -> "CdrQuerySet":
        """Keep those that are held and ended in a month or before it."""
        return self.filter(state=Cdr.State.HELD, month__lte=month)


class Cdr(Stateful, OwnedObject):
    """A charge detail record: immutable as sent, judged once, paid once.

    Energies in kWh and amounts in the CDR's currency, both with OCPI's 4 decimals. A credit has a
    negative amount and, as OCPI has it, the positive energy of what it takes back. What is
    immutable, and the moves that are allowed, the triggers of migration 0002 see to as well.
    """

    module = "cdrs"
    kind = types.CDR
    change = None  # a CDR has none

    class State(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        HELD = "held", _("held")
        DISCARDED = "discarded", _("discarded")

    TRANSITIONS: ClassVar = {
        State.HELD: frozenset({State.ACCEPTED, State.DISCARDED}),
        State.ACCEPTED: frozenset({State.HELD}),
        State.DISCARDED: frozenset(),
    }

    emsp = models.ForeignKey(
        Party, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    state = models.CharField(_("state"), max_length=9, choices=State.choices)
    period = models.ForeignKey(
        Period, on_delete=models.PROTECT, null=True, blank=True, related_name="cdrs"
    )
    month = models.DateField(
        _("month of supply"), help_text=_("first day of the month it ended in")
    )
    started_at = models.DateTimeField(_("started at"))
    ended_at = models.DateTimeField(_("ended at"))
    session_uid = models.CharField(_("session"), max_length=36, blank=True)
    token_uid = models.CharField(_("token"), max_length=36, blank=True)
    evse_uid = models.CharField(_("EVSE"), max_length=36, blank=True)
    country = models.CharField(_("country of supply"), max_length=2, blank=True)
    currency = models.CharField(_("currency"), max_length=3)
    energy_kwh = models.DecimalField(_("energy (kWh)"), max_digits=18, decimal_places=4)
    total_excl_vat = models.DecimalField(_("total excl. VAT"), max_digits=18, decimal_places=4)
    total_incl_vat = models.DecimalField(
        _("total incl. VAT"), max_digits=18, decimal_places=4, null=True, blank=True
    )
    credit_of = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="credited_by"
    )
    digest = models.CharField(_("SHA-256 of the body"), max_length=64)
    rules = models.CharField(_("version of the rules"), max_length=10)

    objects = CdrQuerySet.as_manager()

    class Meta(OwnedObject.Meta):
        verbose_name = _("CDR")
        verbose_name_plural = _("CDRs")
        permissions: ClassVar = [
            ("release_cdr", "Can release held CDRs"),
            ("discard_cdr", "Can discard held CDRs"),
            ("judge_cdr", "Can have CDRs judged again"),
        ]
        constraints = [
            models.UniqueConstraint("owner", Upper("uid"), name="unique_cdr"),
            models.CheckConstraint(
                condition=models.Q(state="accepted", period__isnull=False, emsp__isnull=False)
                | models.Q(state__in=["held", "discarded"], period__isnull=True),
                name="cdr_has_a_period_once_accepted",
            ),
            models.CheckConstraint(
                condition=models.Q(month__day=1), name="cdr_month_is_a_first_day"
            ),
            models.CheckConstraint(
                condition=~models.Q(credit_of=models.F("id")), name="cdr_credits_another"
            ),
        ]
        indexes = [
            models.Index(
                fields=["period", "owner", "currency", "emsp"],
                include=["total_excl_vat", "energy_kwh"],
                name="cdr_settled",
            ),
            models.Index(fields=["period", "emsp", "currency"], name="cdr_settled_with_emsp"),
            models.Index("owner", Upper("evse_uid"), "started_at", name="cdr_at_evse"),
            models.Index("owner", Upper("session_uid"), name="cdr_of_session"),
            models.Index("emsp", Upper("token_uid"), "started_at", name="cdr_of_token"),
            models.Index(
                "owner",
                KT("body__authorization_reference"),
                condition=models.Q(body__has_key="authorization_reference"),
                name="cdr_by_authorization",
            ),
            models.Index(fields=["month"], condition=models.Q(state="held"), name="cdr_held"),
            models.Index(
                fields=["emsp", "id"], include=["complete", "last_updated"], name="cdr_listed"
            ),
            models.Index(fields=["emsp", "last_updated"], name="cdr_by_time"),
            models.Index(fields=["emsp", "received_at"], name="cdr_by_receipt"),
            # the portal's explorer: pages, and sums of whatever is filtered, by the index alone
            models.Index(
                fields=["owner", "ended_at", "id"], include=["emsp", *EXPLORED], name="cdr_sold"
            ),
            models.Index(
                fields=["emsp", "ended_at", "id"], include=["owner", *EXPLORED], name="cdr_bought"
            ),
        ]

    @property
    def credit(self) -> bool:
        """Tell whether this CDR takes another one back."""
        return self.credit_of_id is not None

    @property
    def follows(self) -> int | None:
        """Return the CDR that this one takes back, which its payer must have first."""
        return self.credit_of_id


class Finding(models.Model):
    """What a rule had to say about a CDR."""

    class Severity(models.TextChoices):
        HOLD = "hold", _("held until cleared")
        FLAG = "flag", _("worth a look")

    cdr = models.ForeignKey(Cdr, on_delete=models.CASCADE, related_name="findings")
    code = models.CharField(_("code"), max_length=40)
    severity = models.CharField(_("severity"), max_length=4, choices=Severity.choices)
    text = models.CharField(_("in words"), max_length=255)
    found_at = models.DateTimeField(_("found at"), default=timezone.now)
    cleared_at = models.DateTimeField(_("cleared at"), null=True, blank=True)
    decision = models.ForeignKey(
        "cdrs.Decision",
        verbose_name=_("set aside by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="findings",
    )

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        ordering = ["pk"]
        indexes: ClassVar = [
            models.Index(
                fields=["code"],
                condition=models.Q(severity="hold", cleared_at__isnull=True),
                name="finding_open",
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["cdr", "code"],
                condition=models.Q(cleared_at__isnull=True),
                name="one_open_finding_per_code",
            ),
            models.CheckConstraint(
                condition=models.Q(severity__in=["hold", "flag"]), name="severity_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class Authorization(models.Model):
    """What an eMSP has said when a CPO asked whether a token may charge; CDRs are matched by it.

    `allowed` is empty where the eMSP has answered with an error, as with an unknown token.
    """

    token_uid = models.CharField(_("token"), max_length=39)
    token_type = models.CharField(_("type"), max_length=11)
    cpo = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    emsp = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    location_uid = models.CharField(_("location"), max_length=36, blank=True)
    allowed = models.CharField(_("allowed"), max_length=11, blank=True)
    status_code = models.PositiveSmallIntegerField(_("OCPI status"))
    reference = models.CharField(_("authorization reference"), max_length=36, blank=True)
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("authorisation")
        verbose_name_plural = _("authorisations")
        ordering = ["-pk"]
        indexes = [
            models.Index("cpo", Upper("token_uid"), "at", name="authorization_of_token"),
            models.Index(
                fields=["reference"],
                condition=~models.Q(reference=""),
                name="authorization_by_reference",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.emsp} for {self.cpo}: {self.allowed or self.status_code}"
