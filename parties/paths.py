"""The paths of a module's two interfaces, the same in every version."""

from collections.abc import Mapping
from typing import Any

from django.urls import URLPattern, re_path

from parties.objects import ReceiverViewSet, SenderViewSet
from parties.viewsets import OcpiViewSet

VERSION = r"^(?P<version>2\.2\.1|2\.2)"
OWNER = r"(?P<country_code>[A-Za-z]{2})/(?P<party_id>[A-Za-z0-9]{3})"
UID = r"(?P<uid>(?s:.){1,39}?)"  # with slashes: a server hands the path over decoded
PUSHED: dict[str, Any] = {"get": "retrieve", "put": "update"}
CHANGED = {**PUSHED, "patch": "partial_update"}
DELETED = {**PUSHED, "delete": "destroy"}


def interfaces(
    module: str,
    receiver: type[ReceiverViewSet],
    sender: type[SenderViewSet],
    actions: Mapping[str, str] = CHANGED,
) -> list[URLPattern]:
    """Return the URL patterns of a client-owned module, with and without a trailing slash."""
    path = rf"{VERSION}/receiver/{module}/{OWNER}"
    return [*single(path, receiver, actions), *lists(module, sender)]


def lists(module: str, sender: type[SenderViewSet]) -> list[URLPattern]:
    """Return the URL patterns of a module's Sender interface: the list and the single object."""
    base = rf"{VERSION}/sender/{module}"
    page = re_path(rf"{base}/?\Z", sender.as_view({"get": "list"}))
    return [page, *single(base, sender, {"get": "retrieve"})]


def single(base: str, view: type[OcpiViewSet], actions: Mapping[str, str]) -> list[URLPattern]:
    """Return the URL patterns of one object, and of the parts that it has."""
    called = view.as_view(dict(actions))
    return [re_path(rf"{base}/{tail}/?\Z", called) for tail in getattr(view, "tails", (UID,))]
