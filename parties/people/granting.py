"""Give people accounts by hand: with a password, made up unless it is given."""

import secrets
from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from parties.models import Access, Party, User
from parties.people import inviting


class CannotGrant(Exception):
    """Nobody can be given access like this; the message says why."""


@transaction.atomic
def grant(
    email: str, country_code: str, party_id: str, access: str, password: str = ""
) -> tuple[User, str]:
    """Give somebody an access at a party, and a password; return both. Raises CannotGrant."""
    if access not in Access.values:
        raise CannotGrant(f"{access!r} is not an access ({', '.join(Access.values)})")
    party = Party.objects.filter(country_code=country_code, party_id=party_id).first()
    if party is None:
        raise CannotGrant(f"there is no party {country_code}-{party_id}")
    password = password or secrets.token_urlsafe(12)
    for problem in problems(email, password):
        raise CannotGrant(problem)
    person, _ = User.objects.get_or_create(email=email.lower())
    person.set_password(password)
    person.save(update_fields=["password"])
    inviting.place(person, party, access)
    return person, password


def problems(email: str, password: str) -> Iterator[str]:
    """Say what is wrong; in the sandbox a password may be as simple as one likes."""
    try:
        validate_email(email)
        if not settings.SANDBOX:
            validate_password(password)
    except ValidationError as error:
        yield " ".join(error.messages)
