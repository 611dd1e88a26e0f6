"""People, and browsers without a browser."""

import re

from django.test import Client

from parties.models import Letter, User
from parties.people import inviting

PASSWORD = "a password of some length"


def person(email, party=None, access="viewer"):
    """Make a person, with a place at a party."""
    made = User.objects.create_user(email, PASSWORD)
    inviting.prove(made)
    if party:
        inviting.place(made, party, access)
    return made


def visitor(user, password=""):
    """Return a client that is logged in: by the form where a password is given."""
    client = Client()
    if password:
        answer = client.post("/app/account/login/", {"login": user.email, "password": password})
        assert answer.status_code == 302, answer.text
    else:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def link_in(letter: Letter) -> str:
    """Return the path of the link in a letter."""
    return re.search(r"https?://[^/\s]+(/app/\S+)", letter.text)[1]
