"""The paths of a module's two interfaces, the same in every version."""

from typing import Any

from django.urls import URLPattern, re_path

from parties.objects import ReceiverViewSet, SenderViewSet

VERSION = r"^(?P<version>2\.2\.1|2\.2)"
OWNER = r"(?P<country_code>[A-Za-z]{2})/(?P<party_id>[A-Za-z0-9]{3})"
UID = r"(?P<uid>(?s:.){1,39}?)"  # with slashes: a server hands the path over decoded
PUSHED: dict[str, Any] = {"get": "retrieve", "put": "update"}


def interfaces(
    module: str, receiver: type[ReceiverViewSet], sender: type[SenderViewSet]
) -> list[URLPattern]:
    """Return the URL patterns of a client-owned module, with and without a trailing slash."""
    path = rf"{VERSION}/receiver/{module}/{OWNER}/{UID}/?\Z"
    return [re_path(path, receiver.as_view(PUSHED)), *lists(module, sender)]


def lists(module: str, sender: type[SenderViewSet]) -> list[URLPattern]:
    """Return the URL patterns of a module's Sender interface: the list and the single object."""
    base = rf"{VERSION}/sender/{module}"
    return [
        re_path(rf"{base}/?\Z", sender.as_view({"get": "list"})),
        re_path(rf"{base}/{UID}/?\Z", sender.as_view({"get": "retrieve"})),
    ]
