"""The views that all client-owned modules share: push and read back, list and read."""

from dataclasses import replace
from typing import Any, ClassVar

from django.db.models import QuerySet, Sum, TextField, Window
from django.db.models.functions import Cast, Length
from rest_framework.request import Request
from rest_framework.response import Response

from hub.ocpi import validation
from hub.ocpi.envelope import Stored
from hub.ocpi.errors import Invalid, NotFound
from hub.ocpi.messages import Address
from hub.ocpi.pagination import Page
from hub.ocpi.versions import RECEIVER, SENDER, endpoint_url
from parties import owned, routing
from parties.models import Dialect, OwnedObject, Role, RoleQuerySet
from parties.v22 import Draft
from parties.viewsets import OcpiViewSet

PAGE_BYTES = 4 * 1024 * 1024


class ReceiverViewSet(OcpiViewSet):
    """Takes the pushes of a module and lets the owner read back what the hub holds.

    Source: OCPI 2.2.1, transport_and_format, "Client Owned Object Push".
    """

    interface = RECEIVER
    model: ClassVar[type[OwnedObject]]
    kind: ClassVar[Any]
    key: ClassVar[str] = "id"
    missing: ClassVar[type[NotFound]] = NotFound

    def retrieve(
        self, request: Request, version: str, country_code: str, party_id: str, uid: str
    ) -> Response:
        """Return the stored object to its owner."""
        owner = self.owner(country_code, party_id)
        rows = self.model._default_manager.filter(owner=owner.party, uid__iexact=uid)
        return self.success(one(rows.filter(**self.identity(None)), self.missing))

    def update(
        self, request: Request, version: str, country_code: str, party_id: str, uid: str
    ) -> Response:
        """Create or replace an object and owe it to its receivers."""
        owner = self.owner(country_code, party_id)
        body = self.valid_body(self.kind)
        self.agree(owner, uid, body)
        return self.store(owner, self.push(owner, uid, body))

    def push(self, owner: Role, uid: str, body: dict[str, Any]) -> owned.Push:
        """Return what is to be stored."""
        return owned.Push(
            self.model, owner.party, body[self.key], body, identity=self.identity(body)
        )

    def identity(self, body: dict[str, Any] | None) -> dict[str, Any]:
        """Return what besides the id makes an object the same."""
        return {}

    def receivers(self, owner: Role, push: owned.Push) -> RoleQuerySet:
        """Return who is entitled to the object: everybody opposite, unless told otherwise."""
        routing.require_broadcast(self.route, owner, self.module)
        return routing.broadcast(self.module, owner)

    def agree(self, owner: Role, uid: str, body: dict[str, Any]) -> None:
        """Refuse a body whose owner or id differs from the URL's."""
        named = (body["country_code"].upper(), body["party_id"].upper())
        if named != (owner.party.country_code, owner.party.party_id):
            raise Invalid(f"the body belongs to {'*'.join(named)}, the URL to {owner.party}")
        if not uid.isascii() or not uid.isprintable():
            raise Invalid("an id has printable ASCII characters only")
        if body[self.key].upper() != uid.upper():
            raise Invalid(f"the body's {self.key} {body[self.key]} is not the URL's {uid}")

    def store(self, owner: Role, push: owned.Push, message: str = "Success") -> Response:
        """Store an object, owe it to those entitled, and answer."""
        receivers = self.receivers(owner, push)
        change = owned.put(push, receivers)
        stale = change is owned.Change.STALE
        return self.success(
            created=change is owned.Change.CREATED,
            message="Ignored: older than what the hub holds" if stale else message,
        )


class SenderViewSet(OcpiViewSet):
    """Lists what a caller may see of a module, from the hub's store, oldest first."""

    interface = SENDER
    model: ClassVar[type[OwnedObject]]
    missing: ClassVar[type[NotFound]] = NotFound

    def list(self, request: Request, version: str) -> Response:
        """Return one page; its headers say where the next one is."""
        page = Page.of(request.query_params)
        rows = self.visible(self.sender())
        if page.date_from:
            rows = rows.filter(last_updated__gte=page.date_from)
        if page.date_to:
            rows = rows.filter(last_updated__lt=page.date_to)
        texts = affordable(rows[page.offset : page.offset + page.limit])
        url = endpoint_url(version, self.module, SENDER)
        headers = page.headers(url, total=rows.count(), shown=len(texts))
        return self.success(Stored(texts), headers=headers)

    def retrieve(self, request: Request, version: str, uid: str) -> Response:
        """Return one object; an id that two owners use needs OCPI-to-*."""
        rows = self.visible(self.sender()).filter(uid__iexact=uid)
        if self.route.to and self.route.to != routing.hub_address():
            rows = rows.filter(
                owner__country_code=self.route.to.country_code,
                owner__party_id=self.route.to.party_id,
            )
        return self.success(one(rows, self.missing))

    def visible(self, reader: Role) -> QuerySet[Any]:
        """Return what a party may see: all complete objects that others have broadcast."""
        rows = self.model._default_manager.filter(complete=True)
        return rows.exclude(owner=reader.party).order_by("pk")


def bodies(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the bodies of objects as the JSON text the database holds."""
    return rows.values_list(Cast("body", TextField()), flat=True)


def affordable(page: QuerySet[Any]) -> list[str]:
    """Return the bodies of a page from its start on, 4 MiB of them or a single larger one."""
    text = Cast("body", TextField())
    running = Window(Sum(Length(text)), order_by="pk")
    rows = page.model._default_manager.filter(pk__in=page.values("pk")).annotate(
        text=text, before=running - Length(text)
    )
    return list(rows.filter(before__lt=PAGE_BYTES).order_by("pk").values_list("text", flat=True))


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

    def convert(self, body: Any, owner: Address, uid: str) -> Draft:
        """Return the body as a draft of valid 2.2.1."""
        raise NotImplementedError

    def retrieve(self, request: Request, uid: str) -> Response:  # type: ignore[override]
        """Return the caller's own object."""
        rows = self.model._default_manager.filter(owner=self.sender().party, uid__iexact=uid)
        return self.success(one(rows, self.missing))

    def update(self, request: Request, uid: str) -> Response:  # type: ignore[override]
        """Create or replace the caller's object."""
        owner, raw = self.sender(), self.body()
        draft = self.draft(owner, uid, raw)
        validation.check(self.kind, draft.body)
        self.agree(owner, uid, draft.body)
        push = replace(self.push(owner, uid, draft.body), raw=raw if draft.repairs else None)
        return self.store(owner, push, draft.message)

    def draft(self, owner: Role, uid: str, raw: Any) -> Draft:
        """Return the body as a draft, converted only where the connection asks for it."""
        if self.caller.platform.dialect == Dialect.QUICKSTART:
            return self.convert(raw, owner.party.address, uid)
        return Draft(raw)
