"""What the tests of this folder share."""

import pytest
from django.test import Client

from parties.models import User


@pytest.fixture
def staff(db: None) -> Client:
    """Have a browser in which somebody of the hub who may do everything has logged in."""
    client = Client()
    client.force_login(User.objects.create_superuser("support@hub.example"))
    return client
