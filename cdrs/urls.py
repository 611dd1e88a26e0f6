"""OCPI: tokens, sessions and CDRs; the quick-start paths of 2.2."""

from django.urls import re_path

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
from parties.paths import OWNER, PUSHED, UID, VERSION, interfaces, lists

urlpatterns = [
    *interfaces("tokens", TokenReceiver, TokenSender),
    *interfaces("sessions", SessionReceiver, SessionSender),
    *lists("cdrs", CdrSender),
    re_path(rf"{VERSION}/receiver/cdrs/?\Z", CdrReceiver.as_view({"post": "create"})),
    re_path(
        rf"{VERSION}/receiver/cdrs/{OWNER}/{UID}/?\Z", CdrReceiver.as_view({"get": "retrieve"})
    ),
    re_path(rf"^2\.2/sessions/{UID}/?\Z", SimpleSession.as_view(PUSHED)),
    re_path(r"^2\.2/cdrs/?\Z", SimpleCdr.as_view({"post": "create"})),
    re_path(rf"^2\.2/cdrs/{UID}/?\Z", SimpleCdr.as_view({"get": "retrieve"})),
]
