"""What CDRs are judged by, every verdict with all that it was based on, and people's decisions."""

from typing import Any, ClassVar

import msgspec
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeBoundary, RangeOperators
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cdrs.models.charging import Cdr
from cdrs.rules import Parameters
from hub.fields import ExactJSONField
from parties.models import Party


class RuleParameters(models.Model):
    """What an agreement sets of the rules' parameters, for the sessions that start while it holds.

    Rows for everyone, for a CPO, for an eMSP and for the two of them are laid over each other in
    this order.
    """

    cpo = models.ForeignKey(
        Party,
        verbose_name=_("CPO"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("empty: every CPO"),
    )
    emsp = models.ForeignKey(
        Party,
        verbose_name=_("eMSP"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("empty: every eMSP"),
    )
    valid_from = models.DateField(_("valid from"))
    valid_to = models.DateField(
        _("valid to"), null=True, blank=True, help_text=_("the first day it no longer holds")
    )
    values = models.JSONField(
        _("parameters"), default=dict, help_text=_("those that differ, such as late_days")
    )

    class Meta:
        verbose_name = _("parameters of the rules")
        verbose_name_plural = _("parameters of the rules")
        ordering = ["pk"]
        constraints = [
            ExclusionConstraint(
                name="one_set_of_parameters_at_a_time",
                expressions=[
                    (Coalesce("cpo", 0), RangeOperators.EQUAL),
                    (Coalesce("emsp", 0), RangeOperators.EQUAL),
                    (
                        Func(
                            F("valid_from"),
                            F("valid_to"),
                            RangeBoundary(),
                            function="daterange",
                            output_field=DateRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
            models.CheckConstraint(
                condition=Q(valid_to=None) | Q(valid_to__gt=F("valid_from")),
                name="parameters_end_after_they_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cpo or '*'} / {self.emsp or '*'}, {self.valid_from}"

    def clean(self) -> None:
        """Refuse values that are not parameters, all at once."""
        if problems := parameter_problems(self.values):
            raise ValidationError({"values": problems})


def parameter_problems(values: Any) -> list[str]:
    """Return what is wrong with values that are to be parameters."""
    if not isinstance(values, dict):
        return [str(_("a JSON object is expected"))]
    known = Parameters.__struct_fields__
    problems = [
        str(_("%(name)s is not a parameter (%(known)s)"))
        % {"name": name, "known": ", ".join(known)}
        for name in sorted(values.keys() - set(known))
    ]
    for name in values.keys() & set(known):
        try:
            msgspec.convert({name: values[name]}, Parameters, strict=False)
        except msgspec.ValidationError as error:
            problems.append(f"{name}: {error}")
    return problems


class Verdict(models.Model):
    """What the rules of a day said of a CDR, with all that they were told; never changed.

    `context` is what they were told, `tariffs` what the hub added where the CDR has none in it:
    with both, and the rules of `rules`, the verdict can be reached again. Amounts are in the CDR's
    currency, `difference` is how much more is claimed than computed.
    """

    class Cause(models.TextChoices):
        INTAKE = "intake", _("it came in")
        LATER = "later", _("it was priced after it came in")
        RETRY = "retry", _("what it lacked may be there now")
        AGAIN = "again", _("somebody wanted it judged again")

    cdr = models.ForeignKey(Cdr, on_delete=models.PROTECT, related_name="verdicts")
    at = models.DateTimeField(_("at"), default=timezone.now)
    cause = models.CharField(_("cause"), max_length=6, choices=Cause.choices)
    rules = models.CharField(_("version of the rules"), max_length=10)
    engine = models.CharField(_("version of the pricing"), max_length=10, blank=True)
    held = models.BooleanField(_("held"))
    cost_verdict = models.CharField(_("verdict on the costs"), max_length=13, blank=True)
    reading = models.CharField(_("reading"), max_length=120, blank=True)
    computed_excl_vat = models.DecimalField(
        _("computed excl. VAT"), max_digits=22, decimal_places=4, null=True
    )
    computed_incl_vat = models.DecimalField(
        _("computed incl. VAT"), max_digits=22, decimal_places=4, null=True
    )
    difference = models.DecimalField(_("difference"), max_digits=22, decimal_places=4, null=True)
    findings = models.JSONField(_("findings"), default=list)
    context = models.JSONField(_("what was known"))
    tariffs = ExactJSONField(_("tariffs of the hub"), null=True)

    class Meta:
        verbose_name = _("verdict")
        verbose_name_plural = _("verdicts")
        ordering = ["pk"]
        indexes: ClassVar = [models.Index(fields=["cdr", "id"], name="verdict_of_cdr")]

    def __str__(self) -> str:
        return f"{self.cdr_id}, {self.rules}"


class Decision(models.Model):
    """What was decided about a held CDR, and why; never changed. Without a person: by a dispute."""

    class Action(models.TextChoices):
        RELEASE = "release", _("released")
        DISCARD = "discard", _("discarded")

    cdr = models.ForeignKey(Cdr, on_delete=models.PROTECT, related_name="decisions")
    action = models.CharField(_("action"), max_length=7, choices=Action.choices)
    reason = models.CharField(_("reason"), max_length=500)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("person"),
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
    )
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(action__in=["release", "discard"]), name="decision_known"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="decision_has_a_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.reason}"


class Norm(models.Model):
    """What is usual for a CPO in a currency: medians and median deviations of three months."""

    owner = models.ForeignKey(Party, on_delete=models.CASCADE, related_name="+")
    currency = models.CharField(_("currency"), max_length=3)
    measured_at = models.DateTimeField(_("measured at"))
    cdrs = models.PositiveIntegerField(_("CDRs"))
    per_kwh = models.DecimalField(_("cost of a kWh"), max_digits=18, decimal_places=4)
    per_kwh_off = models.DecimalField(_("deviation"), max_digits=18, decimal_places=4)
    kwh = models.DecimalField(_("energy (kWh)"), max_digits=18, decimal_places=4)
    kwh_off = models.DecimalField(_("deviation"), max_digits=18, decimal_places=4)
    hours = models.DecimalField(_("hours"), max_digits=18, decimal_places=4)
    hours_off = models.DecimalField(_("deviation"), max_digits=18, decimal_places=4)

    class Meta:
        verbose_name = _("norm")
        verbose_name_plural = _("norms")
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["owner", "currency"], name="one_norm_each")]

    def __str__(self) -> str:
        return f"{self.owner}, {self.currency}"
