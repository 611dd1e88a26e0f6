"""The filters of the CDR explorer, as they stand in addresses."""

import datetime as dt
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from cdrs import explorer, rules, telling
from cdrs.explorer import Filters, Kind, Opinion, Side
from cdrs.models import Cdr
from parties.models import Party


class MonthField(forms.CharField):
    """A month, YYYY-MM, as the first of its days."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"type": "month", "placeholder": "YYYY-MM"})
        super().__init__(required=False, max_length=7, widget=widget, **options)

    def clean(self, value: Any) -> dt.date | None:
        """Read it."""
        text = super().clean(value)
        if not text:
            return None
        try:
            return dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
        except ValueError:
            raise ValidationError(_("A month is written YYYY-MM.")) from None


def _any(choices: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [("", _("Any")), *choices]


def _holding() -> list[tuple[str, Any]]:
    codes = {*rules.by_code(), *telling.BY_THE_CLOSE, *telling.BY_PEOPLE}
    return sorted((code, code) for code in codes)


class FilterForm(forms.Form):
    """What a person looks for among the CDRs of their party."""

    month = MonthField(label=_("Month of charging"))
    settled = MonthField(label=_("Settled in"))
    state = forms.ChoiceField(label=_("State"), choices=_any(Cdr.State.choices), required=False)
    verdict = forms.ChoiceField(label=_("Verdict"), choices=_any(Opinion.choices), required=False)
    finding = forms.ChoiceField(label=_("Finding"), choices=_any(_holding()), required=False)
    partner = forms.ChoiceField(label=_("Partner"), required=False)
    kind = forms.ChoiceField(label=_("Kind"), choices=_any(Kind.choices), required=False)
    least = forms.DecimalField(
        label=_("From amount"), required=False, max_digits=18, decimal_places=4
    )
    most = forms.DecimalField(label=_("To amount"), required=False, max_digits=18, decimal_places=4)
    currency = forms.RegexField("^[A-Z]{3}$", label=_("Currency"), required=False)
    country = forms.RegexField("^[A-Z]{2}$", label=_("Country"), required=False)
    q = forms.CharField(label=_("Id of a CDR, session or EVSE"), required=False, max_length=39)

    def __init__(self, data: Any, party: Party, side: Side) -> None:
        super().__init__(data)
        self._partners = {other.address.code: other for other in explorer.partners(party, side)}
        named = [(code, f"{code} {other.name}") for code, other in self._partners.items()]
        self.fields["partner"].choices = _any(named)  # type: ignore[attr-defined]

    @property
    def filters(self) -> Filters:
        """Return what is looked for, once it is valid."""
        told = dict(self.cleaned_data)
        told["partner"] = self._partners.get(told["partner"])
        return Filters(**told)

    @property
    def narrowed(self) -> bool:
        """Tell whether anything is looked for at all."""
        return any(value for value in self.cleaned_data.values())
