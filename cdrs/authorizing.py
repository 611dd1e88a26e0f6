"""Real-time authorisation: a CPO asks the eMSP whether a token may charge; the hub only asks.

Source: OCPI 2.2.1, mod_tokens, "POST Method" of the Sender interface.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from cdrs.models import Authorization, Token
from hub import batches
from hub.ocpi import types
from hub.ocpi.client import only
from hub.ocpi.errors import HubError, NotEnoughInformation, UnknownReceiver, UnknownToken
from hub.ocpi.messages import Address
from hub.ocpi.versions import SENDER
from parties import forwarding, routing
from parties.forwarding import Relayed
from parties.models import Role
from parties.viewsets import OcpiViewSet

RFID = "RFID"


class AuthorizeViewSet(OcpiViewSet):
    """Passes the question on to the owner of the token; a driver waits at the pole."""

    module, interface = "tokens", SENDER
    seconds: ClassVar[float] = 4.0

    def create(
        self, request: Request, version: str, uid: str, country_code: str = "", party_id: str = ""
    ) -> Response:
        """Return what the eMSP says of a token, and keep it for matching CDRs."""
        sender = self.sender()
        place = self.valid_body(types.LocationReferences) if self.content else None
        named = Address.of(country_code, party_id) if country_code else None
        receiver, token = self.owner_of(uid, sender, named)
        kind = request.query_params.get("type") or (token.type if token else "")
        uid = token.uid if token else uid
        changes = {"query": self.query(kind), "content": self.content_of(place) if place else None}
        outgoing = self.outgoing(sender, receiver, uid, "authorize", **changes)
        answer = forwarding.forward(outgoing)
        relayed = authorization(forwarding.relayed(answer, "POST", missing=2004), token)
        keep(uid, kind, sender, receiver, place or {}, relayed)
        return self.relay(relayed)

    def owner_of(self, uid: str, sender: Role, named: Address | None) -> tuple[Role, Token | None]:
        """Return the eMSP that owns a token, and the token as far as it is known."""
        receiver = self.decide(sender).receiver
        if receiver is None and named:
            receiver = routing.addressee(named, self.module, self.interface)
            self.opened(receiver, "the owner in the URL")
        tokens = tokens_of(uid, self.request.query_params.get("type") or "", receiver)
        if receiver:
            return receiver, tokens[0] if len(tokens) == 1 else None
        return self.found(tokens), tokens[0]

    def found(self, tokens: list[Token]) -> Role:
        """Return the only owner of tokens with the same uid."""
        owners = {token.owner.address for token in tokens}
        if not owners:
            raise UnknownToken("no eMSP of this network has such a token")
        if len(owners) > 1:
            raise NotEnoughInformation("several eMSPs have such a token: name one in OCPI-to-*")
        role = routing.emsp_role(owners.pop())
        if role is None:
            raise UnknownReceiver("the token's owner is no eMSP of this network")
        return self.opened(role, "token uid")

    def query(self, kind: str) -> str:
        """Return the query as it came, with the type where it is needed and was left out."""
        query = str(self.request.META.get("QUERY_STRING", ""))
        if self.request.query_params.get("type") or kind in {"", RFID}:
            return query
        return "&".join(filter(None, (query, f"type={kind}")))


def tokens_of(uid: str, kind: str, owner: Role | None) -> list[Token]:
    """Return the tokens with a uid; without a type the RFID cards, else whatever has that uid."""
    tokens = Token.objects.filter(uid__iexact=uid).select_related("owner")
    if owner:
        tokens = tokens.filter(owner=owner.party)
    if kind:
        return list(tokens.filter(type=kind))
    return list(tokens.filter(type=RFID)) or list(tokens)


def authorization(answer: Relayed, token: Token | None = None) -> Relayed:
    """Return an answer as OCPI wants it: an unknown token is a 404 with 2004 and no data.

    Where the eMSP leaves the token out, it is added as the eMSP last told it.
    Raises HubError for a success that says nothing about the token.
    """
    if answer.code == 2004 or answer.http == 404:
        return Relayed(404, 2004, answer.message or "unknown token")
    data = only(answer.data)
    if not answer.succeeded:
        return Relayed(200, answer.code, answer.message, data)
    if not isinstance(data, dict) or not isinstance(data.get("allowed"), str):
        raise HubError("the eMSP answers with success, but without an authorisation")
    if token and not data.get("token"):
        data = {**data, "token": token.body}
    return Relayed(200, answer.code, answer.message, data)


def keep(
    uid: str, kind: str, cpo: Role, emsp: Role, place: Mapping[str, Any], answer: Relayed
) -> None:
    """Keep what an eMSP has said of a token."""
    data = answer.data if answer.succeeded else {}
    Authorization.objects.create(
        token_uid=uid,
        token_type=kind or RFID,
        cpo=cpo.party,
        emsp=emsp.party,
        location_uid=place.get("location_id") or "",
        allowed=data.get("allowed", "")[:11],
        status_code=answer.code,
        reference=str(data.get("authorization_reference") or "")[:36],
    )


def forget(days: int) -> int:
    """Delete what was said more than so many days ago; return how many answers that were."""
    before = timezone.now() - timedelta(days=days)
    return batches.delete(Authorization.objects.filter(at__lt=before))
