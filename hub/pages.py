"""The public pages of the hub: the developer hub, and what is shown when we fail."""

from typing import NamedTuple

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub import portal, reference
from hub.ocpi import openapi


class Step(NamedTuple):
    """One step of the onboarding guide; its text is templates/developers/steps/{slug}.html."""

    slug: str
    title: str | Promise

    @property
    def template(self) -> str:
        """Return the name of the template that tells this step."""
        return f"developers/steps/{self.slug}.html"


class Guide(NamedTuple):
    """The way of one role into the network; the calls are in templates/developers/calls/."""

    role: str
    country_code: str
    party_id: str
    name: str
    steps: tuple[Step, ...]


CPO = Guide(
    role="CPO",
    country_code="FR",
    party_id="ABC",
    name="My CPO",
    steps=(
        Step("token", _("Get your token")),
        Step("party-id", _("Obtain a unique party id")),
        Step("credentials", _("Exchange credentials")),
        Step("publish", _("Publish locations, chargers and tariffs")),
        Step("commands", _("Be ready for commands")),
        Step("cdr", _("Charge, and send the CDR")),
        Step("payment", _("Receive the payment")),
    ),
)
EMSP = Guide(
    role="EMSP",
    country_code="DE",
    party_id="EMP",
    name="My eMSP",
    steps=(
        Step("token", _("Get your token")),
        Step("party-id", _("Obtain a unique party id")),
        Step("credentials", _("Exchange credentials")),
        Step("serve", _("Serve your side")),
        Step("drivers", _("Push your tokens, list the locations, start a charge")),
        Step("receive", _("Receive the CDRs")),
        Step("statement", _("Pay the statement")),
    ),
)
GUIDES = {"cpo": CPO, "emsp": EMSP}


@require_safe
def developers(request: HttpRequest) -> HttpResponse:
    """Show the onboarding guide of the role in ?role=, a CPO's unless told otherwise."""
    guide = GUIDES.get(request.GET.get("role", ""), CPO)
    return render(request, "developers/index.html", {"guide": guide})


@require_safe
def api_reference(request: HttpRequest) -> HttpResponse:
    """Show every call of the OCPI interface, with its objects."""
    return render(request, "developers/reference.html", reference.contents())


@require_safe
def openapi_document(request: HttpRequest) -> JsonResponse:
    """Return the OpenAPI document, for tools."""
    servers = [{"url": portal.base_url(request)}]
    return JsonResponse({**openapi.document(), "servers": servers})


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 with a page that needs nothing but its template (Django's passes no context)."""
    return render(None, "500.html", portal.chrome(request), status=500)
