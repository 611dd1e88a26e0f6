"""Versions and credentials: what a partner meets first."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from hub.ocpi import versions
from hub.ocpi.errors import NotFound
from hub.ocpi.messages import Address
from hub.ocpi.pagination import Page
from hub.ocpi.types import Credentials
from parties import clientinfo, leaving, listing, registration, v22
from parties.listing import Question
from parties.models import ClientInfo, Role
from parties.objects import SenderViewSet
from parties.ourselves import credentials_for
from parties.viewsets import OcpiViewSet


class VersionViewSet(OcpiViewSet):
    """The version list and the details of a version. Source: OCPI 2.2.1, versions."""

    open_to_invited: ClassVar[bool] = True

    def list(self, request: Request) -> Response:
        """Return the versions that the hub speaks."""
        return self.success(versions.versions())

    def retrieve(self, request: Request, version: str) -> Response:
        """Return the endpoints of one version."""
        return self.success({"version": version, "endpoints": versions.endpoints(version)})


class CredentialsViewSet(OcpiViewSet):
    """Credentials. Source: OCPI 2.2.1, credentials."""

    open_to_invited: ClassVar[bool] = True

    def retrieve(self, request: Request, version: str) -> Response:
        """Return the hub's credentials as the caller uses them."""
        return self.success(credentials_for(self.caller.platform, self.caller.token))

    def create(self, request: Request, version: str) -> Response:
        """Register the caller."""
        registration.require_invitation(self.caller)
        answer = registration.register(self.caller, self.credentials(version), version)
        return self.success(answer, message=self.told(f"Welcome {self.names()}"))

    def update(self, request: Request, version: str) -> Response:
        """Replace the tokens, both ways, and read the caller's endpoints anew."""
        registration.require_registration(self.caller)
        answer = registration.update(self.caller, self.credentials(version), version)
        return self.success(answer, message=self.told(f"Credentials of {self.names()} replaced"))

    def destroy(self, request: Request, version: str) -> Response:
        """Let the caller leave."""
        leaving.leave(self.caller)
        return self.success(message="Goodbye. To come back, ask the hub for a new invitation")

    def credentials(self, version: str) -> Any:
        """Return the credentials that came, as 2.2.1 has them."""
        body = self.body()
        if version == "2.2":
            body = v22.credentials(self.caller.platform, body)
        return self.accepted(Credentials, body).body

    def told(self, text: str) -> str:
        """Return what is said to a success, with the repairs that it took."""
        return f"{text}. {self.mended.message}"[:500] if self.mended else text

    def names(self) -> str:
        """Return the caller's parties in one line."""
        return ", ".join(sorted({str(role.party) for role in self.roles}))


class ClientInfoSender(SenderViewSet):
    """Tells who is connected. Source: OCPI 2.2.1, mod_hub_client_info.

    A configuration module: it has no routing headers, so it is the platform that asks, for all its
    parties, and whatever headers came along say nothing.
    """

    module, model, routed = "hubclientinfo", ClientInfo, False

    def sender(self, owner: Address | None = None) -> Role:
        """Return any role of the platform: all may ask, and all are told the same."""
        return self.roles[0]

    def question(self, reader: Role, page: Page) -> Question:
        """Return what a platform asks for: all its roles decide what it may know."""
        return listing.question(listing.dated(self.visible(reader), page.dates))

    def visible(self, reader: Role) -> QuerySet[ClientInfo]:
        """Return what the caller's platform may know."""
        return clientinfo.visible_to(reader.platform)


class NothingViewSet(OcpiViewSet):
    """Everything below /ocpi that is not there."""

    open_to_invited: ClassVar[bool] = True
    http_method_names = ["get", "post", "put", "patch", "delete"]

    def answer(self, request: Request) -> Response:
        """Say so."""
        raise NotFound("no such resource; start at /ocpi/versions")
