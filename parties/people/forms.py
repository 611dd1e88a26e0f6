"""What people type into the portal."""

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from parties.models import Access, User


class InviteForm(forms.Form):
    """Whom to invite, and as what."""

    email = forms.EmailField(
        label=_("E-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    access = forms.ChoiceField(label=_("Access"), choices=Access.choices, initial=Access.VIEWER)


class AccessForm(forms.Form):
    """What somebody may from now on."""

    access = forms.ChoiceField(label=_("Access"), choices=Access.choices)


class EnlistForm(forms.Form):
    """Who comes in by an invitation; their address is that of the invitation."""

    name = forms.CharField(
        label=_("Your name"),
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=128,
        strip=False,
        help_text=_("8 characters or more, and not one that everybody uses."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, email: str, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.email = email

    def clean_password(self) -> str:
        """Refuse a password that could be guessed."""
        password: str = self.cleaned_data["password"]
        try:
            validate_password(password, User(email=self.email))
        except ValidationError as error:
            raise ValidationError(error.messages) from None
        return password
