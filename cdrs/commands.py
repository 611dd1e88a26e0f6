"""Commands: from an eMSP to the CPO that can carry them out. Source: OCPI 2.2.1, mod_commands."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from cdrs.models import Session
from hub.ocpi import json, times, types
from hub.ocpi.errors import Invalid, NotEnoughInformation, NotFound, OcpiError, UnknownReceiver
from hub.ocpi.messages import Address, Ids
from hub.ocpi.versions import RECEIVER
from parties import owned, relay, routing, throttling
from parties.errands import ErrandViewSet
from parties.models import Errand, Role
from parties.relay import Order

KINDS: dict[str, Any] = {
    "CANCEL_RESERVATION": types.CancelReservation,
    "RESERVE_NOW": types.ReserveNow,
    "START_SESSION": types.StartSession,
    "STOP_SESSION": types.StopSession,
    "UNLOCK_CONNECTOR": types.UnlockConnector,
}
SUBJECTS = ("reservation_id", "session_id", "location_id")  # the first that a command has
Found = tuple[Role, str]  # a party, and what of the message has led there
UNKNOWN_SESSION = {"result": "UNKNOWN_SESSION", "timeout": 0}


class NoSuchLocation(OcpiError):
    """A command for a location that nobody has told the hub of."""

    status_code = 2003


class NoSuchSession(Exception):
    """The caller has no such session."""


class CommandReceiver(ErrandViewSet):
    """Takes commands from eMSPs and passes them on."""

    module, interface = "commands", RECEIVER

    def create(self, request: Request, version: str, command: str) -> Response:
        """Pass a command on and return what the CPO answers at once."""
        if command not in KINDS:
            raise NotFound(f"{command} is not a command ({', '.join(KINDS)})")
        body = self.valid_body(KINDS[command])
        sender = self.sender(token_owner(body))
        if again := self.replay():
            return again
        check(body, sender)
        throttling.command(command, body, sender.platform.pk)
        try:
            receiver = self.receiver(command, body, sender)
        except NoSuchSession:
            return self.success(UNKNOWN_SESSION)
        return self.entrust(self.order(command, body, sender, receiver), rewriting(body), command)

    def receiver(self, command: str, body: Mapping[str, Any], sender: Role) -> Role:
        """Return the CPO: the one that is named, else the one that the content leads to."""
        receiver = self.decide(sender).receiver
        if receiver is None:
            receiver = self.opened(*found(command, body, sender))
        elif "session_id" in body:
            refuse_foreign_session(receiver, body["session_id"], sender)
        elif command == "CANCEL_RESERVATION":
            refuse_foreign_reservation(receiver, body["reservation_id"], sender)
        check_connector(body, receiver)
        return receiver

    def order(self, command: str, body: Mapping[str, Any], sender: Role, receiver: Role) -> Order:
        """Return the errand that a command is."""
        ids: Ids = self.request._request.ocpi_ids  # type: ignore[attr-defined]
        return Order(
            module=self.module,
            action=command,
            subject=next(body[name] for name in SUBJECTS if name in body),
            sender=sender,
            receiver=receiver,
            response_url=relay.check_response_url(body["response_url"], sender.platform),
            correlation_id=ids.correlation,
            fingerprint=self.fingerprint,
            until=times.parse(body["expiry_date"]) if "expiry_date" in body else None,
        )


def rewriting(body: Mapping[str, Any]) -> Any:
    """Return how a body is rewritten: with another URL for results, all else as it came."""
    return lambda url: {"content": json.dumps({**body, "response_url": url})}


def token_owner(body: Mapping[str, Any]) -> Address | None:
    """Return whose token a command is given with."""
    token = body.get("token")
    return Address.of(token["country_code"], token["party_id"]) if token else None


def check(body: Mapping[str, Any], sender: Role) -> None:
    """Refuse another party's token, and a connector without its EVSE."""
    owner = token_owner(body)
    if owner and owner != sender.party.address:
        raise Invalid(f"the token belongs to {owner}, not to {sender.party}")
    if body.get("connector_id") and not body.get("evse_uid"):
        raise Invalid("connector_id needs evse_uid")


def found(command: str, body: Mapping[str, Any], sender: Role) -> Found:
    """Return the CPO that a command is for when it names no party."""
    if "location_id" in body:
        return at_location(body)
    if command == "STOP_SESSION":
        return of_session(body["session_id"], sender)
    return of_reservation(body["reservation_id"], sender)


def at_location(body: Mapping[str, Any]) -> Found:
    """Return the owner of a location; its EVSE decides where several have one with this id."""
    rows = routing.owners("locations", body["location_id"])
    if len(rows) > 1 and body.get("evse_uid"):
        rows = [row for row in rows if evse_of(row.body, body["evse_uid"])]
    if not rows:
        raise NoSuchLocation("no party has told the hub of this location")
    key = "location_id and evse_uid" if body.get("evse_uid") else "location_id"
    return only_owner([row.owner.address for row in rows], key)


def of_session(uid: str, sender: Role) -> Found:
    """Return the owner of a session of the sender's own tokens; raises NoSuchSession."""
    rows = routing.owners("sessions", uid, emsp=sender.party)
    if not rows:
        raise NoSuchSession
    return only_owner([row.owner.address for row in rows], "session_id")


def of_reservation(uid: str, sender: Role) -> Found:
    """Return the CPO that a reservation of the sender was made with."""
    rows = reservations(uid).filter(sender__party=sender.party)
    parties = {row.receiver.party.address for row in rows.select_related("receiver__party")}
    if not parties:
        raise UnknownReceiver("no party holds this reservation: say whose it is in OCPI-to-*")
    return only_owner(sorted(parties, key=str), "reservation_id")


def reservations(uid: str) -> QuerySet[Errand]:
    """Return the reservations with an id that were passed on and not refused."""
    rows = Errand.objects.filter(module="commands", action="RESERVE_NOW", subject__iexact=uid)
    return rows.exclude(state=Errand.State.REFUSED)


def only_owner(addresses: list[Address], key: str) -> Found:
    """Return the only CPO that a key leads to; raises NotEnoughInformation."""
    if len(addresses) > 1:
        raise NotEnoughInformation(f"{key} is used by several parties: name one in OCPI-to-*")
    role = routing.cpo_role(addresses[0])
    if role is None:
        raise UnknownReceiver(f"{addresses[0]} is no CPO of this network")
    return role, key


def refuse_foreign_session(owner: Role, uid: str, sender: Role) -> None:
    """Refuse a session that is known to be another eMSP's; raises NoSuchSession."""
    known = Session.objects.filter(owner=owner.party, uid__iexact=uid).first()
    if known and known.emsp_id != sender.party_id:
        raise NoSuchSession


def refuse_foreign_reservation(owner: Role, uid: str, sender: Role) -> None:
    """Refuse a reservation that is known to be another eMSP's alone; raises UnknownReceiver."""
    known = reservations(uid).filter(receiver__party=owner.party)
    others = known.exclude(sender__party=sender.party)
    if others.exists() and not known.filter(sender__party=sender.party).exists():
        raise UnknownReceiver(f"{owner.party} holds no reservation of {sender.party} by this id")


def check_connector(body: Mapping[str, Any], receiver: Role) -> None:
    """Refuse a start without a connector at an EVSE that needs one."""
    if "location_id" not in body or not body.get("evse_uid") or body.get("connector_id"):
        return
    rows = owned.find("locations", receiver.party).filter(uid__iexact=body["location_id"])
    location = rows.first()
    evse = evse_of(location.body, body["evse_uid"]) if location else None
    if "token" in body and "START_SESSION_CONNECTOR_REQUIRED" in capabilities(evse):
        raise Invalid("this EVSE needs connector_id to start a session")


def evse_of(location: Mapping[str, Any], uid: str) -> Mapping[str, Any] | None:
    """Return an EVSE of a location."""
    evses = location.get("evses") or []
    return next((evse for evse in evses if evse["uid"].upper() == uid.upper()), None)


def capabilities(evse: Mapping[str, Any] | None) -> list[str]:
    """Return what an EVSE can do, as far as the hub was told."""
    return list((evse or {}).get("capabilities") or [])
