"""The style guide: every component of the portal on one page."""

from datetime import timedelta
from decimal import Decimal

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub import portal

KINDS = {
    "ok": _("Validated, connected, paid: done and good"),
    "progress": _("In progress: the hub is at it"),
    "action": _("Action needed: it is your turn"),
    "waiting": _("Waiting for the counterparty"),
    "held": _("Held: not settled in this cycle"),
    "bad": _("Failed, rejected, offline: needs a correction"),
    "closed": _("Closed, withdrawn, superseded"),
    "practice": _("Sandbox or simulator: not real"),
}


class ExampleForm(forms.Form):
    """A form with mistakes in it."""

    email = forms.EmailField(label=_("E-mail"), help_text=_("Where the invitation goes."))
    access = forms.ChoiceField(label=_("Access"), choices=[("", "-"), ("viewer", _("Viewer"))])
    message = forms.CharField(label=_("Message"), widget=forms.Textarea(attrs={"rows": 3}))


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """Show every component that the pages of the portal are made of."""
    now = timezone.now()
    context = {
        "kinds": list(KINDS.items()),
        "need": portal.Need(
            title=_("Answer dispute D-2026-000123"),
            text=_("DE-EMP contests 41.80 EUR: the price differs from the tariff."),
            button=_("Answer"),
            url="#needs",
            due_at=now + timedelta(days=2, hours=3),
            otherwise=_("If nobody answers, the dispute is accepted."),
        ),
        "card": portal.Card(
            title=_("CDRs this month"),
            figures=["7,412", "12,408.11 EUR"],
            text=_("98.7 % of them without a finding."),
            url="#cards",
            tag="ok",
            state=_("Validated"),
        ),
        "form": ExampleForm({"email": "nobody", "access": ""}),
        "amounts": [Decimal("12408.11"), Decimal("-12.40"), Decimal("1.184"), None],
        "now": now,
    }
    return render(request, "portal/styleguide.html", context)
