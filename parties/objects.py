"""The views that all client-owned modules share: push and read back, list and read."""

from dataclasses import replace
from typing import Any, ClassVar

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from rest_framework.request import Request
from rest_framework.response import Response

from hub import metrics
from hub.ocpi import times
from hub.ocpi.envelope import Stored
from hub.ocpi.errors import Invalid, NotFound, Problem
from hub.ocpi.messages import Address
from hub.ocpi.pagination import Page
from hub.ocpi.versions import RECEIVER, SENDER, endpoint_url
from parties import forwarding, listing, owned, repairs, routing
from parties.direct import DirectViewSet
from parties.listing import Question
from parties.merging import Amendment, Body
from parties.models import Dialect, OwnedObject, Role
from parties.v22 import Draft


class ReceiverViewSet(DirectViewSet):
    """Takes the pushes of a module and lets the owner read back what the hub holds.

    `named` are the country code and party id of the URL. Source: OCPI 2.2.1,
    transport_and_format, "Client Owned Object Push".
    """

    interface = RECEIVER
    model: ClassVar[type[OwnedObject]]
    missing: ClassVar[type[NotFound]] = NotFound
    kinds: ClassVar[tuple[Any, ...]] = ()  # of which a part may be changed, if not of the model's

    def retrieve(self, request: Request, uid: str, **named: str) -> Response:
        """Return the stored object to its owner."""
        owner = self.addressed(named)
        party = owner.party
        if far := self.far(owner, party.country_code, party.party_id, *self.segments):
            return self.ask(far, self.missing.status_code)
        return self.success(self.stored(owner, uid))

    def update(self, request: Request, uid: str, **named: str) -> Response:
        """Create or replace an object and owe it to its receivers."""
        owner = self.addressed(named)
        draft = self.draft(owner, uid)
        self.agree(owner, uid, draft.body)
        if answer := self.pass_on(owner, draft.body):
            return answer
        raw = draft.raw if draft.repairs else None
        push = owned.Push(self.model, owner, draft.body, raw=raw)
        return self.answer(owned.put(push), draft.message)

    def partial_update(self, request: Request, uid: str, **named: str) -> Response:
        """Change some members of an object and owe the change to its receivers."""
        owner = self.addressed(named)
        draft = self.partial_draft(owner)
        if answer := self.pass_on(owner, draft.body):
            return answer
        place, tail = self.target(owner, uid, draft.body)
        return self.amend(place, Amendment("PATCH", tail, draft.body), draft.message)

    def addressed(self, named: dict[str, str]) -> Role:
        """Return the caller's role as the owner that the URL names."""
        return self.owner(named["country_code"], named["party_id"])

    def place(self, owner: Role, uid: str, body: Body | None = None) -> owned.Place:
        """Return where an object is kept, given its id and perhaps a part of its body."""
        return owned.Place(self.model, owner, uid)

    def target(self, owner: Role, uid: str, body: Body) -> tuple[owned.Place, str]:
        """Return the object that a PATCH is about, and which part of it (the rest of the URL)."""
        return self.place(owner, uid, body), ""

    def stored(self, owner: Role, uid: str) -> Any:
        """Return what the owner has stored."""
        return one(self.place(owner, uid).rows().present(), self.missing)

    def draft(self, owner: Role, uid: str) -> Draft:
        """Return the body as valid 2.2.1."""
        return self.checked(self.model.kind, Draft(self.body()))

    def checked(self, kind: Any, draft: Draft) -> Draft:
        """Return a draft that passes as a wire type, repaired where that is allowed."""
        mended = self.accepted(kind, draft.body)
        raw = mended.sent if draft.raw is None else draft.raw
        return replace(draft, body=mended.body, raw=raw, repairs=[*draft.repairs, *mended.told])

    def partial_draft(self, owner: Role) -> Draft:
        """Return the body of a PATCH, which says when the change was.

        On a quick-start connection that is the time of receipt, unless it is told.
        """
        body = self.body()
        if not isinstance(body, dict):
            raise Invalid("a JSON object is expected")
        draft = Draft(dict(body), raw=body)
        if self.quickstart and not self.caller.platform.strict:
            draft.fill("last_updated", times.render(times.now()))
        stamped(draft.body)
        return self.repaired(draft)

    def repaired(self, draft: Draft) -> Draft:
        """Return a change with what could be repaired in it; the merged object is checked later."""
        kind = repairs.closest(self.kinds or (self.model.kind,), draft.body)
        try:
            mended = self.accepted(kind, draft.body, partial=True)
        except Invalid:
            return draft
        return replace(draft, body=mended.body, repairs=[*draft.repairs, *mended.told])

    @property
    def quickstart(self) -> bool:
        """Tell whether the connection speaks the dialect of the onboarding guide."""
        return self.caller.platform.dialect == Dialect.QUICKSTART

    def agree(self, owner: Role, uid: str, body: Body) -> None:
        """Refuse a body whose owner or id differs from the URL's."""
        named = (body["country_code"].upper(), body["party_id"].upper())
        if named != (owner.party.country_code, owner.party.party_id):
            raise Invalid(f"the body belongs to {'*'.join(named)}, the URL to {owner.party}")
        if not uid.isascii() or not uid.isprintable():
            raise Invalid("an id has printable ASCII characters only")
        key = self.model.key
        if body[key].upper() != uid.upper():
            raise Invalid(f"the body's {key} {body[key]} is not the URL's {uid}")

    def amend(self, place: owned.Place, amendment: Amendment, message: str) -> Response:
        """Change a part of an object and answer."""
        return self.answer(owned.amend(place, amendment, self.missing), message)

    def answer(self, kept: owned.Kept, message: str) -> Response:
        """Say what became of a push."""
        if self.module in routing.BROADCASTABLE:
            self.decided(routing.broadcasted(kept.receivers))
        if kept.change is owned.Change.STALE:
            metrics.STALE_PUT.inc()
            message = "Ignored: older than what the hub holds"
        if kept.oddities:
            message = f"{message}; odd: {', '.join(kept.oddities)}"
        return self.success(created=kept.change is owned.Change.CREATED, message=message)


class SenderViewSet(DirectViewSet):
    """Lists what a caller may see of a module, from the hub's store, oldest first.

    `singly` tells that partners show single objects as well, which OCPI knows of locations only.
    """

    interface = SENDER
    model: ClassVar[type[OwnedObject]]
    missing: ClassVar[type[NotFound]] = NotFound
    singly: ClassVar[bool] = False

    def list(self, request: Request, version: str) -> Response:
        """Return one page; its headers say where the next one is."""
        reader = self.sender()
        if far := self.far(reader):
            return self.relay_page(far, forwarding.url_of(far))
        page = Page.of(request.query_params)
        part = listing.read(self.question(reader, page), page)
        url = endpoint_url(version, self.module, SENDER)
        headers = page.headers(url, total=part.total, shown=len(part.texts))
        return self.success(Stored(part.texts), headers=headers)

    def retrieve(self, request: Request, version: str, uid: str) -> Response:
        """Return one object; an id that two owners use needs OCPI-to-*."""
        reader = self.sender()
        if self.singly and (far := self.far(reader, *self.segments)):
            return self.ask(far, self.missing.status_code)
        return self.success(self.found(self.meant(reader), uid))

    def found(self, rows: QuerySet[Any], uid: str) -> Any:
        """Return the object with an id."""
        return one(rows.filter(uid__iexact=uid), self.missing)

    def question(self, reader: Role, page: Page) -> Question:
        """Return what a party asks for with a page."""
        role = (reader.role, reader.party_id)
        return listing.visible(self.model, role, self.named_owner(reader), page.dates)

    def meant(self, reader: Role) -> QuerySet[Any]:
        """Return what a party may see, of the owner that it names, if it names one."""
        return listing.of_owner(self.visible(reader), self.named_owner(reader))

    def named_owner(self, reader: Role) -> Address | None:
        """Return the party whose objects are asked for; None when it is everybody's."""
        return None if routing.for_hub(self.route, reader) else self.route.to

    def visible(self, reader: Role) -> QuerySet[Any]:
        """Return what a party may see, in the order in which it came into being."""
        return self.model.rows().visible_to(reader).order_by("pk")


def stamped(body: Body) -> None:
    """Refuse a change that does not say when it was."""
    if not isinstance(body.get("last_updated"), str):
        problem = Problem("$.last_updated", "it is required")
        raise Invalid("a change must say when it was", problems=[problem])


def bodies(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the bodies of objects as the JSON text the database holds."""
    return rows.values_list(Cast("body", TextField()), flat=True)


def one(rows: QuerySet[Any], missing: type[NotFound]) -> Stored:
    """Return the only object of a set, or the error that there is none or more than one."""
    texts = list(bodies(rows)[:2])
    if not texts:
        raise missing("no such object")
    if len(texts) > 1:
        raise Invalid("several parties have an object with this id: say whose in OCPI-to-*")
    return Stored(texts[0])


class SimpleReceiver(ReceiverViewSet):
    """A module at the quick-start path of 2.2: the owner is the caller's own party.

    On a quick-start connection the body is made valid first; on any other it must be valid.
    """

    def addressed(self, named: dict[str, str]) -> Role:
        """Return the role in which the caller owns such objects."""
        return self.sender()

    def convert(self, body: Any, owner: Address, uid: str) -> Draft:
        """Return the body as a draft of valid 2.2.1."""
        raise NotImplementedError

    def draft(self, owner: Role, uid: str) -> Draft:
        """Return the body as a draft, converted only where the connection asks for it."""
        if not self.quickstart:
            return super().draft(owner, uid)
        draft = self.convert(self.body(), owner.party.address, uid)
        return self.checked(self.model.kind, draft)
