"""Tokens, sessions and CDRs over OCPI."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from cdrs import intake, v22
from cdrs.models import Cdr, Session, Token
from hub.ocpi import times, validation
from hub.ocpi.client import join
from hub.ocpi.errors import Invalid, NotFound, Problem, UnknownToken
from hub.ocpi.messages import Address
from hub.ocpi.versions import RECEIVER, base_url, endpoint_url
from parties import owned, repairs, routing
from parties.merging import Body
from parties.models import Role
from parties.objects import ReceiverViewSet, SenderViewSet, SimpleReceiver
from parties.v22 import Draft


class TokenReceiver(ReceiverViewSet):
    """Takes tokens from eMSPs; the type is part of a token's identity."""

    module, model, missing = "tokens", Token, UnknownToken

    def agree(self, owner: Role, uid: str, body: Body) -> None:
        """Refuse a body whose type differs from the parameter's."""
        super().agree(owner, uid, body)
        self.type_in(body)

    def place(self, owner: Role, uid: str, body: Body | None = None) -> owned.Place:
        """Return where a token is: of the type that is told, else RFID, else of its only type."""
        place = super().place(owner, uid, body)
        told = self.type_in(body or {})
        return replace(place, identity={"type": told or self.usual_type(place)})

    def type_in(self, body: Body) -> Any:
        """Return the type that the parameter or the body tells."""
        named, inside = self.request.query_params.get("type"), body.get("type")
        if named and inside and named != inside:
            raise Invalid(f"?type={named} is not the body's {inside}")
        return named or inside

    def usual_type(self, place: owned.Place) -> str:
        """Return the type of the token that is meant when none is told."""
        types = set(place.rows().values_list("type", flat=True))
        if len(types) > 1 and "RFID" not in types:
            raise Invalid("there are several tokens with this uid: say which in ?type=")
        return "RFID" if "RFID" in types else str(next(iter(types), "RFID"))


class TokenSender(SenderViewSet):
    """Shows tokens to CPOs."""

    module, model, missing = "tokens", Token, UnknownToken


class SessionReceiver(ReceiverViewSet):
    """Takes sessions from CPOs."""

    module, model = "sessions", Session

    def pass_on(self, owner: Role, body: Any = None) -> None:
        """Pass nothing on: the hub keeps every session, and owes it to its token's owner."""
        payer = payer_in(body.get("cdr_token") or self.known_token(owner))
        self.decided(routing.custody(self.route, owner, payer))

    def known_token(self, owner: Role) -> Any:
        """Return the token of the session as it is stored."""
        rows = self.place(owner, self.kwargs["uid"]).rows()
        return rows.values_list("body__cdr_token", flat=True).first()


class SessionSender(SenderViewSet):
    """Shows sessions to the eMSP."""

    module, model = "sessions", Session

    def list(self, request: Request, version: str) -> Response:
        """Return one page; without date_from it begins with the first, unless we are strict."""
        if self.caller.platform.strict and not request.query_params.get("date_from"):
            raise Invalid("date_from is required")
        return super().list(request, version)


class SimpleSession(SimpleReceiver, SessionReceiver):
    """Takes sessions in the quick-start dialect."""

    def convert(self, body: Any, owner: Address, uid: str) -> Draft:
        """Return the session as a draft of valid 2.2.1."""
        token = intake.find_token(v22.contract(body))
        known = v22.Known(token=token.body if token else None)
        return v22.session(body, owner, uid, times.now(), known)

    def partial_draft(self, owner: Role) -> Draft:
        """Return the change, with its members as 2.2.1 names them."""
        draft = super().partial_draft(owner)
        return v22.renamed(draft) if self.quickstart else draft


class CdrReceiver(ReceiverViewSet):
    """Takes CDRs from CPOs. Source: OCPI 2.2.1, mod_cdrs."""

    module, model = "cdrs", Cdr

    def create(self, request: Request, version: str) -> Response:
        """Take a CDR in; the answer says where the CPO can read it back."""
        if isinstance(self.body(), list):
            raise Invalid("CDRs come one by one", problems=[Problem("$", "is a list")])
        body = self.valid_body(self.model.kind)
        try:
            owner = self.owner(body["country_code"], body["party_id"])
        except NotFound as error:
            raise Invalid(error.message) from error
        raw = self.mended.sent if self.mended else None
        receipt = self.take(owner, intake.Claim(owner.party, body, raw))
        named = (owner.party.country_code, owner.party.party_id, receipt.uid)
        url = join(endpoint_url(version, "cdrs", RECEIVER), *named)
        return self.success(created=receipt.created, headers={"Location": url})

    def take(self, owner: Role, claim: intake.Claim) -> intake.Receipt:
        """Take a claim in, unless it is addressed to somebody else than its payer."""
        payer = payer_in(claim.body.get("cdr_token"))
        decision = self.decided(routing.custody(self.route, owner, payer))
        return intake.receive(replace(claim, payer=decision.receiver), now=times.now())


class CdrSender(SenderViewSet):
    """Shows CDRs to the eMSP."""

    module, model = "cdrs", Cdr


class SimpleCdr(CdrReceiver):
    """Takes CDRs as the onboarding guide writes them."""

    def addressed(self, named: dict[str, str]) -> Role:
        """Return the role in which the caller owns CDRs."""
        return self.sender()

    def create(self, request: Request) -> Response:  # type: ignore[override]
        """Take a CDR in, completed from what the hub knows."""
        owner, raw = self.sender(), self.body()
        draft = self.completed(owner, raw)
        self.check(draft)
        self.agree(owner, draft.body["id"], draft.body)
        changed = draft.repairs or draft.lacking
        claim = intake.Claim(
            owner.party, draft.body, raw if changed else None, tuple(draft.lacking)
        )
        receipt = self.take(owner, claim)
        url = join(base_url("2.2"), "cdrs", receipt.uid)
        return self.success(
            created=receipt.created, message=draft.message, headers={"Location": url}
        )

    def check(self, draft: Draft) -> None:
        """Check the draft, and repair it where that is allowed."""
        found = self.problems(draft.body, draft.lacking)
        if not found:
            return
        mended = repairs.mend(self.model.kind, draft.body)
        if self.caller.platform.strict or self.problems(mended.body, draft.lacking):
            raise Invalid("not a valid CDR", problems=found)
        draft.body, draft.repairs = mended.body, [*draft.repairs, *mended.told]
        self.quirks |= mended.quirks

    def problems(self, body: Any, lacking: Iterable[str]) -> list[Problem]:
        """Return what is wrong; what could not be derived may be missing."""
        missing = {f"{name} is required" for name in lacking}
        found = validation.problems(self.model.kind, body)
        return [item for item in found if item.path != "$" or item.problem not in missing]

    def completed(self, owner: Role, raw: Any) -> Draft:
        """Return the body as a draft, converted only where the connection asks for it."""
        if not self.quickstart:
            return self.checked(self.model.kind, Draft(raw))
        received = times.now()
        begun = v22.begin(raw, owner.party.address, received).body
        return v22.cdr(raw, owner.party.address, received, _known(owner, begun))


def payer_in(token: Any) -> Address | None:
    """Return the eMSP that a token names; None when it is none, as in a PATCH it may be."""
    named = token if isinstance(token, dict) else {}
    code, party = named.get("country_code"), named.get("party_id")
    return Address.of(code, party) if isinstance(code, str) and isinstance(party, str) else None


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
