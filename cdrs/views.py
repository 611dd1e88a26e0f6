"""Tokens, sessions and CDRs over OCPI."""

from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from cdrs import intake, v22
from cdrs.models import Cdr, Session, Token
from hub.ocpi import times, types, validation
from hub.ocpi.client import join
from hub.ocpi.errors import Invalid, NotFound, UnknownToken
from hub.ocpi.messages import Address
from hub.ocpi.versions import RECEIVER, base_url, endpoint_url
from parties import owned, routing
from parties.models import Dialect, Role, RoleQuerySet
from parties.objects import ReceiverViewSet, SenderViewSet, SimpleReceiver, one
from parties.v22 import Draft


class TokenReceiver(ReceiverViewSet):
    """Takes tokens from eMSPs; the type is part of a token's identity."""

    module, model, kind, key, missing = "tokens", Token, types.Token, "uid", UnknownToken

    def identity(self, body: dict[str, Any] | None) -> dict[str, Any]:
        """Return the type: what the parameter says, else the body."""
        named = self.request.query_params.get("type")
        if body and named and named != body["type"]:
            raise Invalid(f"?type={named} is not the body's {body['type']}")
        if body:
            return {"type": body["type"]}
        return {"type": named} if named else {}


class TokenSender(SenderViewSet):
    """Shows tokens to CPOs."""

    module, model, missing = "tokens", Token, UnknownToken


class PayerMixin:
    """Sessions and CDRs are for the eMSP that owns the token, never for everybody."""

    def visible(self, reader: Role) -> QuerySet[Any]:
        """Return those of the reader's own tokens."""
        rows = self.model._default_manager.filter(emsp=reader.party)  # type: ignore[attr-defined]
        return rows.filter(complete=True).order_by("pk")  # type: ignore[no-any-return]


class SessionReceiver(ReceiverViewSet):
    """Takes sessions from CPOs."""

    module, model, kind = "sessions", Session, types.Session

    def push(self, owner: Role, uid: str, body: dict[str, Any]) -> owned.Push:
        """Return the session with the eMSP that it is for."""
        payer = _payer(body)
        columns = {"emsp": payer.party if payer else None}
        return owned.Push(Session, owner.party, body["id"], body, columns=columns)

    def receivers(self, owner: Role, push: owned.Push) -> RoleQuerySet:
        """Return the eMSP."""
        payer = _payer(push.body)
        if payer:
            routing.require_payer(self.route, owner, payer.party.address)
        return Role.objects.filter(pk=payer.pk) if payer else Role.objects.none()


class SessionSender(PayerMixin, SenderViewSet):
    """Shows sessions to the eMSP."""

    module, model = "sessions", Session


class SimpleSession(SimpleReceiver, SessionReceiver):
    """Takes sessions in the quick-start dialect."""

    def convert(self, body: Any, owner: Address, uid: str) -> Draft:
        """Return the session as a draft of valid 2.2.1."""
        token = intake.find_token(v22.contract(body))
        known = v22.Known(token=token.body if token else None)
        return v22.session(body, owner, uid, times.now(), known)


class CdrReceiver(ReceiverViewSet):
    """Takes CDRs from CPOs. Source: OCPI 2.2.1, mod_cdrs."""

    module, model, kind = "cdrs", Cdr, types.CDR

    def create(self, request: Request, version: str) -> Response:
        """Take a CDR in; the answer says where the CPO can read it back."""
        body = self.valid_body(self.kind)
        try:
            owner = self.owner(body["country_code"], body["party_id"])
        except NotFound as error:
            raise Invalid(error.message) from error
        cdr, created = self.take(owner, intake.Claim(owner.party, body))
        url = join(endpoint_url(version, "cdrs", RECEIVER), *cdr.path)
        return self.success(created=created, headers={"Location": url})

    def take(self, owner: Role, claim: intake.Claim) -> tuple[Cdr, bool]:
        """Take a claim in, unless it is addressed to somebody else than its payer."""
        token = claim.body.get("cdr_token")
        if token:
            payer = Address.of(token["country_code"], token["party_id"])
            routing.require_payer(self.route, owner, payer)
        return intake.receive(claim, now=times.now())


class CdrSender(PayerMixin, SenderViewSet):
    """Shows CDRs to the eMSP."""

    module, model = "cdrs", Cdr


class SimpleCdr(CdrReceiver):
    """Takes CDRs as the onboarding guide writes them."""

    def retrieve(self, request: Request, uid: str) -> Response:  # type: ignore[override]
        """Return the caller's own CDR."""
        rows = Cdr.objects.filter(owner=self.sender().party, uid__iexact=uid)
        return self.success(one(rows, self.missing))

    def create(self, request: Request) -> Response:  # type: ignore[override]
        """Take a CDR in, completed from what the hub knows."""
        owner, raw = self.sender(), self.body()
        draft = self.draft(owner, raw)
        self.check(draft)
        self.agree(owner, draft.body["id"], draft.body)
        changed = draft.repairs or draft.lacking
        claim = intake.Claim(
            owner.party, draft.body, raw if changed else None, tuple(draft.lacking)
        )
        cdr, created = self.take(owner, claim)
        url = join(base_url("2.2"), "cdrs", cdr.uid)
        return self.success(created=created, message=draft.message, headers={"Location": url})

    def check(self, draft: Draft) -> None:
        """Check the draft; what could not be derived may be missing."""
        lacking = {f"{name} is required" for name in draft.lacking}
        problems = validation.problems(self.kind, draft.body)
        found = [item for item in problems if item.path != "$" or item.problem not in lacking]
        if found:
            raise Invalid("not a valid CDR", problems=found)

    def draft(self, owner: Role, raw: Any) -> Draft:
        """Return the body as a draft, converted only where the connection asks for it."""
        if self.caller.platform.dialect != Dialect.QUICKSTART:
            validation.check(self.kind, raw)
            return Draft(raw)
        received = times.now()
        begun = v22.begin(raw, owner.party.address, received).body
        return v22.cdr(raw, owner.party.address, received, _known(owner, begun))


def _payer(body: Any) -> Role | None:
    token = body["cdr_token"]
    return routing.emsp_role(Address.of(token["country_code"], token["party_id"]))


def _known(owner: Role, body: dict[str, Any]) -> v22.Known:
    """Gather what the hub can contribute to a simplified CDR."""
    token = intake.find_token(v22.contract(body))
    session = _session(owner, body, token)
    locations = owned.find("locations", owner.party).filter(complete=True)
    if session:
        locations = locations.filter(uid__iexact=session["location_id"])
    return v22.Known(
        token=token.body if token else None,
        session=session,
        locations=tuple(locations.values_list("body", flat=True)[:2]),
    )


def _session(owner: Role, body: dict[str, Any], token: Token | None) -> Any:
    """Return the session that a simplified CDR is about: named, or of the token at that time."""
    sessions = Session.objects.filter(owner=owner.party)
    if isinstance(body.get("session_id"), str):
        return (
            sessions.filter(uid__iexact=body["session_id"]).values_list("body", flat=True).first()
        )
    if token is None:
        return None
    same = Q(body__start_date_time=body.get("start_date_time"))
    same &= Q(body__cdr_token__uid=token.uid)
    return sessions.filter(same).values_list("body", flat=True).first()
