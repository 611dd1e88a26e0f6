"""How long ago somebody has shown who they are: by logging in, or by doing so again."""

import time

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import HttpRequest


def came_lately(request: HttpRequest) -> bool:
    """Tell whether a person has logged in, or confirmed who they are, within some minutes."""
    records = get_authentication_records(request, request.user)
    newest = max((record["at"] for record in records), default=0.0)
    return bool(time.time() - newest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)
