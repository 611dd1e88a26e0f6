"""What staff type about disputes."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from settlement.disputes.moving import TEXT
from settlement.models import Ruling

Outcome = Ruling.Outcome


class RulingForm(forms.Form):
    """How the hub rules; `seen` is what it was looked at with before."""

    outcome = forms.ChoiceField(
        label=_("Ruling"), choices=Outcome.choices, widget=forms.RadioSelect
    )
    amount = forms.DecimalField(
        label=_("Amount, if in part"), required=False, max_digits=18, decimal_places=4
    )
    reasons = forms.CharField(
        label=_("Reasons, which both sides read"),
        max_length=TEXT,
        widget=forms.Textarea(attrs={"rows": 6}),
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        """Ask for the amount where it counts."""
        told = self.cleaned_data
        partial = told.get("outcome") == Outcome.PARTIAL and "amount" not in self.errors
        if partial and told.get("amount") is None:
            self.add_error("amount", _("Say how much."))
        return told


class NoteForm(forms.Form):
    """What staff write to each other."""

    text = forms.CharField(
        label=_("Internal note, which no party sees"),
        max_length=TEXT,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
