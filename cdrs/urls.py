"""OCPI: tokens, sessions and CDRs, what is relayed about them; the quick-start paths of 2.2."""

from typing import Any

from django.urls import re_path

from cdrs.authorizing import AuthorizeViewSet
from cdrs.charging_profiles import ProfileReceiver, ProfileSender
from cdrs.commands import CommandReceiver
from cdrs.preferences import PreferencesViewSet
from cdrs.views import (
    CdrReceiver,
    CdrSender,
    SessionReceiver,
    SessionSender,
    SimpleCdr,
    SimpleSession,
    TokenReceiver,
    TokenSender,
)
from parties.paths import CHANGED, OWNER, UID, VERSION, interfaces, lists

_PROFILES: dict[str, Any] = {"get": "retrieve", "put": "update", "delete": "destroy"}

relayed = [
    re_path(
        rf"{VERSION}/receiver/commands/(?P<command>[^/]{{1,40}})/?\Z",
        CommandReceiver.as_view({"post": "create"}),
    ),
    re_path(rf"{VERSION}/receiver/chargingprofiles/{UID}/?\Z", ProfileReceiver.as_view(_PROFILES)),
    re_path(
        rf"{VERSION}/sender/chargingprofiles/{UID}/?\Z", ProfileSender.as_view({"put": "update"})
    ),
    re_path(
        rf"{VERSION}/sender/tokens/{OWNER}/{UID}/authorize/?\Z",
        AuthorizeViewSet.as_view({"post": "create"}),
    ),
    re_path(
        rf"{VERSION}/sender/tokens/{UID}/authorize/?\Z",
        AuthorizeViewSet.as_view({"post": "create"}),
    ),
    re_path(
        rf"{VERSION}/sender/sessions/{UID}/charging_preferences/?\Z",
        PreferencesViewSet.as_view({"put": "update"}),
    ),
]
urlpatterns = [
    *relayed,
    *interfaces("tokens", TokenReceiver, TokenSender),
    *interfaces("sessions", SessionReceiver, SessionSender),
    *lists("cdrs", CdrSender),
    re_path(rf"{VERSION}/receiver/cdrs/?\Z", CdrReceiver.as_view({"post": "create"})),
    re_path(
        rf"{VERSION}/receiver/cdrs/{OWNER}/{UID}/?\Z", CdrReceiver.as_view({"get": "retrieve"})
    ),
    re_path(rf"^2\.2/sessions/{UID}/?\Z", SimpleSession.as_view(CHANGED)),
    re_path(r"^2\.2/cdrs/?\Z", SimpleCdr.as_view({"post": "create"})),
    re_path(rf"^2\.2/cdrs/{UID}/?\Z", SimpleCdr.as_view({"get": "retrieve"})),
]
