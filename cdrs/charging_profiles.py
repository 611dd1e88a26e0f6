"""Charging profiles: from an eMSP or SCSP to the CPO of a session, and what became of them back.

Source: OCPI 2.2.1, mod_charging_profiles.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from rest_framework.request import Request
from rest_framework.response import Response

from cdrs.commands import (
    UNKNOWN_SESSION,
    Found,
    NoSuchSession,
    of_session,
    only_owner,
    refuse_foreign_session,
    rewriting,
)
from hub.ocpi import types
from hub.ocpi.errors import Invalid, NotEnoughInformation, UnknownReceiver
from hub.ocpi.messages import Address, Ids
from hub.ocpi.versions import RECEIVER, SENDER
from parties import forwarding, relay, routing
from parties.errands import ErrandViewSet, Rewrite
from parties.models import Errand, Role
from parties.relay import Order
from parties.viewsets import OcpiViewSet

_DURATION = re.compile(r"&duration=(\d+)")


class ProfileReceiver(ErrandViewSet):
    """Takes what eMSPs and SCSPs ask about the profile of a session and passes it on."""

    module, interface = "chargingprofiles", RECEIVER

    def retrieve(self, request: Request, version: str, uid: str) -> Response:
        """Ask for the active profile."""
        query = parameters(request.META.get("QUERY_STRING", ""))
        if not re.fullmatch(r"\d{1,9}", query.get("duration", "")):
            raise Invalid("duration must be a whole number of seconds")
        return self.ask(uid, query.get("response_url"), in_query(query))

    def update(self, request: Request, version: str, uid: str) -> Response:
        """Set a profile."""
        body = self.valid_body(types.SetChargingProfile)
        return self.ask(uid, body["response_url"], rewriting(body))

    def destroy(self, request: Request, version: str, uid: str) -> Response:
        """Clear the profile."""
        query = parameters(request.META.get("QUERY_STRING", ""))
        return self.ask(uid, query.get("response_url"), in_query(query))

    def ask(self, uid: str, response_url: str | None, rewrite: Rewrite) -> Response:
        """Pass a request on and return what the CPO answers at once."""
        sender = self.sender()
        if again := self.replay():
            return again
        if not response_url:
            raise Invalid("response_url is required")
        url = relay.check_response_url(response_url, sender.platform)
        try:
            receiver = self.receiver(uid, sender)
        except NoSuchSession:
            return self.success(UNKNOWN_SESSION)
        ids: Ids = self.request._request.ocpi_ids  # type: ignore[attr-defined]
        order = Order(
            module=self.module,
            action=str(self.request.method),
            subject=uid,
            sender=sender,
            receiver=receiver,
            response_url=url,
            correlation_id=ids.correlation,
            fingerprint=self.fingerprint,
        )
        return self.entrust(order, rewrite, uid)

    def receiver(self, uid: str, sender: Role) -> Role:
        """Return the CPO of a session that the sender may control; raises NoSuchSession."""
        receiver = self.decide(sender).receiver
        contracted = sender.role == Role.Kind.SCSP
        if receiver is None:
            return self.opened(*(any_session(uid) if contracted else of_session(uid, sender)))
        if not contracted:
            refuse_foreign_session(receiver, uid, sender)
        return receiver


class ProfileSender(OcpiViewSet):
    """Takes from CPOs which profile is active now, for who has once set one."""

    module, interface = "chargingprofiles", SENDER

    def update(self, request: Request, version: str, uid: str) -> Response:
        """Pass an active profile on to the eMSP or SCSP."""
        content = self.content_of(self.valid_body(types.ActiveChargingProfile))
        sender = self.sender()
        receiver = self.receiver(uid, sender)
        answer = forwarding.forward(self.outgoing(sender, receiver, uid, content=content))
        relayed = forwarding.relayed(answer, "PUT")
        return self.success(message=relayed.message) if relayed.succeeded else self.relay(relayed)

    def receiver(self, uid: str, sender: Role) -> Role:
        """Return who has set a profile for this session of the sender's."""
        named = self.decide(sender).receiver
        rows = Errand.objects.filter(
            module=self.module, action="PUT", subject__iexact=uid, receiver__party=sender.party
        ).exclude(state=Errand.State.REFUSED)
        joined = rows.select_related("sender__party", "sender__platform")
        roles = {row.sender.pk: row.sender for row in joined}
        if named:
            roles = {pk: role for pk, role in roles.items() if role.party_id == named.party_id}
        if not roles:
            raise UnknownReceiver("nobody (or not this party) has set a profile for this session")
        if len(roles) > 1:
            raise NotEnoughInformation("several parties have set a profile: name one in OCPI-to-*")
        role = next(iter(roles.values()))
        return self.opened(role, "session_id") if named is None else role


def any_session(uid: str) -> Found:
    """Return the CPO of a session, whosever the token is."""
    rows = routing.owners("sessions", uid)
    if not rows:
        raise NoSuchSession
    addresses: list[Address] = [row.owner.address for row in rows]
    return only_owner(addresses, "session_id")


def parameters(query: str) -> dict[str, str]:
    """Read a query string with a `response_url` that may not have been encoded.

    Then all that follows belongs to it, but for the duration.
    """
    head, found, tail = query.partition("response_url=")
    pairs = dict(item.partition("=")[::2] for item in head.split("&") if item)
    if found and "://" in tail:
        duration = None if "duration" in pairs else _DURATION.search(tail)
        if duration:
            pairs["duration"] = duration[1]
            tail = tail.replace(duration[0], "", 1)
        pairs["response_url"] = tail
    elif found:
        url, *rest = tail.split("&")
        pairs |= dict(item.partition("=")[::2] for item in rest if item)
        pairs["response_url"] = unquote(url)
    return pairs


def in_query(query: Mapping[str, str]) -> Rewrite:
    """Return how a query string is rewritten: with another URL for results, properly encoded."""
    kept = [f"{name}={value}" for name, value in query.items() if name != "response_url"]
    return lambda url: {"query": "&".join([*kept, f"response_url={quote(url, safe='')}"])}
