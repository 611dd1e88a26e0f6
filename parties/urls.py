"""OCPI: versions and credentials."""

from typing import Any

from django.urls import re_path

from parties.callbacks import CallbackViewSet, PageViewSet
from parties.paths import VERSION
from parties.views import ClientInfoSender, CredentialsViewSet, NothingViewSet, VersionViewSet

_ANY: dict[str, Any] = dict.fromkeys(NothingViewSet.http_method_names, "answer")
_POST: dict[str, Any] = {"post": "create"}

urlpatterns = [
    re_path(r"^versions/?\Z", VersionViewSet.as_view({"get": "list"})),
    re_path(r"^(?P<version>2\.2\.1|2\.2)/?\Z", VersionViewSet.as_view({"get": "retrieve"})),
    re_path(
        r"^(?P<version>2\.2\.1|2\.2)/credentials/?\Z",
        CredentialsViewSet.as_view(
            {"get": "retrieve", "post": "create", "put": "update", "delete": "destroy"}
        ),
    ),
    re_path(rf"{VERSION}/sender/hubclientinfo/?\Z", ClientInfoSender.as_view({"get": "list"})),
    re_path(r"^page/(?P<secret>[A-Za-z0-9_-]{1,64})/?\Z", PageViewSet.as_view({"get": "retrieve"})),
    re_path(r"^callback/(?P<secret>[A-Za-z0-9_-]{1,64})/?\Z", CallbackViewSet.as_view(_POST)),
    re_path(r"^", NothingViewSet.as_view(_ANY)),
]
