"""Charging preferences: from the driver's eMSP to the CPO of the session.

Source: OCPI 2.2.1, mod_sessions, "Set: Charging Preferences".
"""

from rest_framework.request import Request
from rest_framework.response import Response

from cdrs.commands import capabilities, evse_of, only_owner
from cdrs.models import Session
from hub.ocpi import types
from hub.ocpi.errors import Forbidden, NotFound, OcpiError
from hub.ocpi.versions import SENDER
from parties import forwarding, owned, routing
from parties.models import Role
from parties.viewsets import OcpiViewSet


class NotCapable(OcpiError):
    """The EVSE cannot take preferences into account."""

    http_status, status_code = 404, 2001


class PreferencesViewSet(OcpiViewSet):
    """Passes preferences on and relays what the CPO makes of them."""

    module, interface = "sessions", SENDER

    def update(self, request: Request, version: str, uid: str) -> Response:
        """Set the preferences of a session of the caller's own tokens."""
        content = self.content_of(self.valid_body(types.ChargingPreferences))
        sender = self.sender()
        if sender.role == Role.Kind.SCSP:
            raise Forbidden("only the owner of the session's token may set preferences")
        receiver = self.receiver(uid, sender)
        path = (uid, "charging_preferences")
        outgoing = self.outgoing(sender, receiver, *path, content=content)
        return self.relay(forwarding.relayed(forwarding.forward(outgoing), "PUT"))

    def receiver(self, uid: str, sender: Role) -> Role:
        """Return the CPO of the session, which must not be known as another eMSP's."""
        receiver = self.decide(sender).receiver
        if receiver is None:
            rows = routing.owners("sessions", uid, emsp=sender.party)
            if not rows:
                raise NotFound("no such session")
            addresses = [row.owner.address for row in rows]
            receiver = self.opened(*only_owner(addresses, "session_id"))
        check_session(Session.objects.filter(owner=receiver.party, uid__iexact=uid).first(), sender)
        return receiver


def check_session(session: Session | None, sender: Role) -> None:
    """Refuse another eMSP's session, and one at an EVSE without the capability."""
    if session is None:
        return
    if session.emsp_id != sender.party_id:
        raise NotFound("no such session")
    rows = owned.find("locations", session.owner)
    location = rows.filter(uid__iexact=session.body["location_id"]).first()
    evse = evse_of(location.body, session.body["evse_uid"]) if location else None
    if evse and "CHARGING_PREFERENCES_CAPABLE" not in capabilities(evse):
        raise NotCapable("this EVSE does not take charging preferences")
