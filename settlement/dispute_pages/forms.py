"""What people type into disputes; files that are fine survive what is wrong with the rest."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from cdrs import explorer
from cdrs.explorer import Side
from parties.models import Party
from settlement.disputes.evidence import Upload, problem
from settlement.disputes.moving import TEXT
from settlement.models import Evidence
from settlement.models.disputes import Ask, Reason
from settlement.models.evidence import LARGEST


class FilesInput(forms.FileInput):
    """Several files at once."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Files, as a list."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile[Any]]:
        """Take each."""
        chosen = data if isinstance(data, list | tuple) else [data] if data else []
        if self.required and not chosen:
            raise ValidationError(_("Choose a file."))
        return list(chosen)


class EvidenceForm(forms.Form):
    """Files; `taken` are those that can be evidence, also where others cannot."""

    evidence = FilesField(
        label=_("Files"),
        required=False,
        help_text=_("PDF, PNG, JPEG, CSV, XLSX, JSON or text; up to 10 files, 20 MiB at a time."),
        widget=FilesInput(attrs={"accept": ".pdf,.png,.jpg,.jpeg,.csv,.xlsx,.json,.txt"}),
    )
    hub_only = forms.BooleanField(
        label=_("Only for the hub: the other side does not get these files"), required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.taken: list[Upload] = []

    def clean(self) -> dict[str, Any]:
        """Look into each file."""
        told = self.cleaned_data
        audience = Evidence.Audience.HUB if told.get("hub_only") else Evidence.Audience.PARTIES
        problems = []
        for file in told.get("evidence") or []:
            upload = Upload(file.name or "", file.read(LARGEST + 1), audience)
            if text := problem(upload):
                problems.append(text)
            else:
                self.taken.append(upload)
        if problems:
            self.add_error(
                "evidence", ValidationError([ValidationError(text) for text in problems])
            )
        return told


def _message(label: Any, help_text: Any = "", *, required: bool = True) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=required,
        max_length=TEXT,
        widget=forms.Textarea(attrs={"rows": 6}),
    )


BOTH_READ = _("Plain text, up to 2,000 characters. Both sides and the hub read it.")


class SayForm(EvidenceForm):
    """A message, or a question."""

    message = _message(_("Message"), BOTH_READ, required=False)
    question = forms.BooleanField(
        label=_("It is a question"),
        required=False,
        help_text=_("Nobody's clock stops for it."),
    )
    field_order = ["message", "question", "evidence", "hub_only"]

    def clean(self) -> dict[str, Any]:
        """Ask for one thing at least."""
        told = super().clean()
        if not told.get("message") and not told.get("evidence"):
            self.add_error("message", _("Write something, or choose a file."))
        return told


class ConfirmForm(forms.Form):
    """A word to go with it, if one likes."""

    message = _message(_("Message (optional)"), BOTH_READ, required=False)


class ExplainForm(forms.Form):
    """The explanation that is asked for."""

    message = _message(_("Your explanation"), BOTH_READ)


class NothingForm(forms.Form):
    """Nothing but the button."""


class ReasonsForm(EvidenceForm):
    """Why, with files."""

    message = _message(_("Your reasons"), BOTH_READ)
    field_order = ["message", "evidence", "hub_only"]


class OfferForm(ReasonsForm):
    """How much, and why."""

    amount = forms.DecimalField(
        label=_("Amount you offer"), max_digits=18, decimal_places=4, min_value=Decimal("0.0001")
    )
    seen = forms.DecimalField(required=False, widget=forms.HiddenInput)
    field_order = ["amount", "message", "evidence", "hub_only"]


class EscalateForm(ReasonsForm):
    """What the hub should know."""

    message = _message(_("Summary for the hub"), BOTH_READ)


# Opening


class ListForm(forms.Form):
    """A list of CDR ids."""

    csv = forms.FileField(
        label=_("Or a list: CSV with a column of CDR ids"),
        required=False,
        help_text=_("A column “cdr_id”, as in our own export, or nothing but ids."),
        widget=forms.FileInput(attrs={"accept": ".csv,.txt"}),
    )


class ReasonForm(forms.Form):
    """What is wrong."""

    reason = forms.ChoiceField(
        label=_("What is wrong?"), choices=Reason.choices, widget=forms.RadioSelect
    )


class AskForm(EvidenceForm):
    """What is asked for, why, and what shows it."""

    ask = forms.ChoiceField(
        label=_("What do you ask for?"), choices=Ask.choices, widget=forms.RadioSelect
    )
    amount = forms.DecimalField(
        label=_("Amount"),
        required=False,
        max_digits=18,
        decimal_places=4,
        min_value=Decimal("0.0001"),
    )
    message = _message(_("What happened, in your words"), BOTH_READ)
    field_order = ["ask", "amount", "message", "evidence", "hub_only"]

    def __init__(self, *args: Any, asks: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = [choice for choice in Ask.choices if choice[0] in asks]
        self.fields["ask"].choices = offered  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Ask for the amount where it counts."""
        told = super().clean()
        wanted = told.get("ask") == Ask.CORRECTED and "amount" not in self.errors
        if wanted and told.get("amount") is None:
            self.add_error("amount", _("Say by how much."))
        return told


# The list


class FilterForm(forms.Form):
    """What a person looks for among the disputes of their party."""

    partner = forms.ChoiceField(label=_("Partner"), required=False)
    role = forms.ChoiceField(
        label=_("Opened by"),
        required=False,
        choices=[("", _("Any")), ("claimant", _("you")), ("respondent", _("the partner"))],
    )
    reason = forms.ChoiceField(
        label=_("Reason"), required=False, choices=[("", _("Any")), *Reason.choices]
    )
    q = forms.CharField(label=_("Reference or CDR id"), required=False, max_length=39)

    def __init__(self, data: Any, party: Party, sides: Sequence[Side]) -> None:
        super().__init__(data)
        self.partners = {
            other.address.code: other for side in sides for other in explorer.partners(party, side)
        }
        named = sorted((code, f"{code} {other.name}") for code, other in self.partners.items())
        self.fields["partner"].choices = [("", _("Any")), *named]  # type: ignore[attr-defined]
