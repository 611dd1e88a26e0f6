"""The base of every OCPI view: who calls, in which role, what they sent, how we answer."""

import logging
import time
from functools import cached_property
from typing import Any, ClassVar, cast

from django.core.exceptions import RequestDataTooBig
from django.db import DataError, InterfaceError, OperationalError
from django.http import HttpResponseBase
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from hub.logs import bound
from hub.ocpi import json
from hub.ocpi.envelope import OcpiRenderer, envelope, error_response
from hub.ocpi.errors import (
    Invalid,
    Later,
    MethodNotAllowed,
    NotEnoughInformation,
    NotFound,
    NotJson,
    OcpiError,
    TooLarge,
    Unauthorized,
    UnknownReceiver,
)
from hub.ocpi.messages import Address, Ids, Route
from parties import far_pages, forwarding, policy, repairs, routing, throttling
from parties.authentication import Caller, TokenAuthentication, admit
from parties.forwarding import Outgoing, Relayed
from parties.models import Role
from parties.repairs import Mended
from parties.routing import Asked, Decision, hub_address

logger = logging.getLogger(__name__)
DATABASE_SECONDS = 5  # that a database takes to be back, mostly


class Internal(OcpiError):
    """The hub's own fault."""

    http_status, status_code = 500, 3000


class JsonAlways(BaseContentNegotiation):
    """Answers in JSON whatever a partner's library says that it accepts."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        """Return nothing: the body is read without DRF."""

    def select_renderer(
        self, request: Any, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        """Return the one renderer."""
        return renderers[0], renderers[0].media_type


class OcpiViewSet(ViewSet):
    """One interface of one module.

    The plug-ins are class attributes rather than settings, so that the HTML pages keep theirs.
    """

    authentication_classes = [TokenAuthentication]
    permission_classes = []
    renderer_classes = [OcpiRenderer]
    parser_classes = []
    content_negotiation_class = JsonAlways
    metadata_class = None  # DRF's answer to OPTIONS is no envelope

    module: ClassVar[str] = ""
    interface: ClassVar[str] = ""
    routed: ClassVar[bool] = True  # whether the module has routing headers
    open_to_invited: ClassVar[bool] = False  # versions and credentials only
    seconds: ClassVar[float] = forwarding.SECONDS  # that the caller waits for a party at most

    decision: Decision | None = None
    acting: Role | None = None
    mended: Mended | None = None  # the body, if it had to be repaired

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.quirks: dict[str, str] = {}  # how this request departs from the letter

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate; an invitation opens nothing but versions and credentials."""
        super().initial(request, *args, **kwargs)
        if isinstance(request.user, Caller):
            throttling.platform(request._request, request.user.platform.pk)
        if not self.open_to_invited:
            admit(self.caller)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer with the ids of the request in every line that is logged meanwhile."""
        self.until = time.monotonic() + self.seconds
        request.ocpi_view = self  # for what is noted of the exchange
        ids: Ids = request.ocpi_ids
        with bound(request_id=ids.request, correlation_id=ids.correlation):
            return super().dispatch(request, *args, **kwargs)

    @property
    def caller(self) -> Caller:
        """Return who calls."""
        return cast(Caller, self.request.user)

    @cached_property
    def route(self) -> Route:
        """Return the routing headers of the request, if its module has any."""
        return Route.from_headers(self.request.headers) if self.routed else Route()

    @property
    def roles(self) -> tuple[Role, ...]:
        """Return the roles of the caller's platform."""
        return self.caller.roles

    @classmethod
    def admitted(cls) -> frozenset[Role.Kind]:
        """Return the roles that may call; none at all means everybody."""
        return policy.ALLOWED.get((cls.module, cls.interface), frozenset())

    def sender(self, owner: Address | None = None) -> Role:
        """Return the role in which the caller acts, given the owner that the URL names."""
        self.acting = policy.acting_role(
            self.roles, self.module, self.interface, self.route.sender, owner
        )
        return self.acting

    def decide(self, sender: Role) -> Decision:
        """Decide where the request goes, and tell it in the answer."""
        method = str(self.request.method)
        asked = Asked(self.module, self.interface, method, self.route)
        return self.decided(routing.decide(asked, sender))

    def decided(self, decision: Decision | str) -> Decision:
        """Tell in the answer and in the log where the request goes."""
        self.decision = Decision(decision) if isinstance(decision, str) else decision
        return self.decision

    def owner(self, country_code: str, party_id: str) -> Role:
        """Return the caller's role as the owner in the URL; a foreign owner is not found."""
        address = Address.of(country_code, party_id)
        if address not in {role.party.address for role in self.roles}:
            raise NotFound(f"{address} is not a party of this platform")
        role = self.sender(address)
        if role.party.address != address:
            raise Invalid(f"OCPI-from-* names {role.party}, the URL {address}")
        return role

    def body(self) -> Any:
        """Return the body as strict JSON with exact decimals."""
        return self._body

    @cached_property
    def _body(self) -> Any:
        try:
            return json.loads(self.request._request.body)
        except RequestDataTooBig as error:
            raise TooLarge("the body is too large") from error
        except json.JsonError as error:
            raise NotJson(f"the body is not acceptable JSON: {error}") from error

    def valid_body(self, kind: Any) -> dict[str, Any]:
        """Return the body after it passed as a wire type, repaired where that is allowed."""
        return cast("dict[str, Any]", self.accepted(kind, self.body()).body)

    def accepted(self, kind: Any, body: Any, *, partial: bool = False) -> Mended:
        """Return a body that passes as a wire type, with the repairs that took; they are noted."""
        strict = self.caller.platform.strict
        mended = repairs.accepted(kind, body, strict=strict, partial=partial)
        if mended.made:
            self.mended = mended
            self.quirks |= mended.quirks
        return mended

    def opened(self, receiver: Role, key: str) -> Role:
        """Tell that the request goes to who was found by a key of its content; return them."""
        self.decided(routing.opened(receiver, key))
        return receiver

    @property
    def content(self) -> bytes | None:
        """Return the body to the byte, or as it was repaired; None when there is none."""
        if self.mended:
            return json.dumps(self.mended.body)
        return self.request._request.body or None

    def content_of(self, body: Any) -> bytes | None:
        """Return a body as it goes on: to the byte, unless it had to be put into order."""
        return self.content if body == self.body() else json.dumps(body)

    def outgoing(self, sender: Role, receiver: Role, *path: str, **changes: Any) -> Outgoing:
        """Return the request as it goes on, with another query or content where that is given."""
        ids: Ids = self.request._request.ocpi_ids  # type: ignore[attr-defined]
        found: dict[str, Any] = {
            "method": self.request.method,
            "query": self.request.META.get("QUERY_STRING", ""),
            "content": self.content,
            **changes,
        }
        return Outgoing(
            module=self.module,
            interface=self.interface,
            sender=sender,
            receiver=receiver,
            path=path,
            ids=ids,
            until=self.until,
            **found,
        )

    def relay(self, relayed: Relayed, headers: dict[str, str] | None = None) -> Response:
        """Return the far side's answer as ours."""
        content = envelope(relayed.data, status_code=relayed.code, message=relayed.message)
        return Response(content, status=relayed.http, headers=headers)

    def relay_page(self, outgoing: Outgoing, url: str) -> Response:
        """Return a page of another party's list, which is at a URL of its platform."""
        answer = forwarding.call(outgoing, url)
        relayed = forwarding.relayed(answer, "GET")
        headers = far_pages.headers(relayed, outgoing, url)
        return self.relay(far_pages.listed(relayed, outgoing), headers)

    def success(
        self,
        data: Any = None,
        *,
        created: bool = False,
        message: str = "Success",
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Return a successful answer: 201 when something came into being, else 200."""
        if self.mended and message == "Success":
            message = self.mended.message
        return Response(
            envelope(data, message=message), status=201 if created else 200, headers=headers
        )

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Add the routing headers of the answer of a functional module, and the decision."""
        allow = response.get("Allow")  # DRF would list every method that is ever allowed here
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        if allow:
            answer["Allow"] = allow
        for name, value in self._answer_route().headers().items():
            answer[name] = value
        if answer.status_code == 201 and self.caller.platform.always_200:
            answer.status_code = 200
        if self.decision:
            answer["X-Hub-Decision"] = self.decision.text
            facts = {"kind": self.module, "interface": self.interface, "method": request.method}
            logger.info("routed: %s", self.decision.text, extra=facts)
        return answer

    def _answer_route(self) -> Route:
        """Return the route of the answer: from who was asked, to who asked."""
        # Not request.user: after a refusal that would authenticate, and fail, once more.
        known = isinstance(getattr(self.request, "_user", None), Caller)
        if not self.module or not self.routed or not known:
            return Route()
        try:
            asker = self.route.sender or (self.acting.party.address if self.acting else None)
        except OcpiError:
            return Route()
        return Route(to=asker, sender=self._answerer())

    def _answerer(self) -> Address:
        """Return who answers: the party that the request went to, unless the hub was addressed."""
        receiver = self.decision.receiver if self.decision else None
        if receiver and self.route.to in {None, receiver.party.address}:
            return receiver.party.address
        return hub_address()

    def explain(self, exc: Exception) -> None:
        """Tell in the answer and in the log that the request went nowhere, and why."""
        if isinstance(exc, UnknownReceiver):
            self.decided("refused: unknown receiver")
        elif isinstance(exc, NotEnoughInformation):
            self.decided("refused: several receivers")

    def handle_exception(self, exc: Exception) -> Any:
        """Turn every exception into an envelope."""
        if not isinstance(exc, OcpiError | exceptions.APIException):
            logger.exception("unexpected error", extra={"request": self.request._request})
        self.explain(exc)
        return error_response(_as_ocpi(exc, ", ".join(self.allowed_methods)))


def _as_ocpi(exc: Exception, allowed: str) -> OcpiError:
    if isinstance(exc, OcpiError):
        return exc
    if isinstance(exc, exceptions.MethodNotAllowed):
        return MethodNotAllowed("this method is not defined here", allow=allowed)
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return Unauthorized("unknown or expired token")
    if isinstance(exc, DataError):
        return Invalid("a value is out of the range that the hub can keep")
    if isinstance(exc, OperationalError | InterfaceError):
        return Later("the hub is busy with its database, try again", seconds=DATABASE_SECONDS)
    return Internal("the hub failed; it has been logged under the X-Request-ID")
