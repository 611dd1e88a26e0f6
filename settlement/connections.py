"""The desk for connections: what staff do with a platform, and registering with a partner."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.states import WrongState
from parties import connecting, invitations, keys, leaving, proposals
from parties.admin import PlatformAdmin
from parties.models import Key, Platform, Role
from settlement import joining


class NotSure(Exception):
    """A deed that cannot be undone was not confirmed."""


MANNERS = ("strict", "names_parties", "always_200")  # what staff may say of a platform
TROUBLE = (
    NotSure,
    connecting.CannotConnect,
    invitations.InvitationError,
    joining.CannotJoin,
    proposals.Outdated,
    WrongState,
)


@dataclass(frozen=True)
class Outcome:
    """What came of a deed, and a token to be shown this once."""

    text: str
    token: str = ""


def invite(platform: Platform, given: QueryDict) -> Outcome:
    """Invite it again."""
    token = invitations.reinvite(platform)
    return Outcome(gettext("Invited again. The token is good for 7 days:"), token)


def rotate(platform: Platform, given: QueryDict) -> Outcome:
    """Change both tokens."""
    return Outcome(connecting.rotate(platform) or gettext("Both tokens were changed."))


def cut(platform: Platform, given: QueryDict) -> Outcome:
    """End the tokens of before at once."""
    keys.revoke(platform, Key.Purpose.PREVIOUS, Key.Purpose.OFFERED)
    keys.forget_previous(platform)
    return Outcome(gettext("Only the newest tokens are good now."))


def manners(platform: Platform, given: QueryDict) -> Outcome:
    """Say how it is treated."""
    named = {name: bool(given.get(name)) for name in MANNERS}
    Platform.objects.filter(pk=platform.pk).update(**named)
    told = ", ".join(f"{name}: {'yes' if value else 'no'}" for name, value in named.items())
    return Outcome(gettext("Treated so from now on: %s") % told)


def suspend(platform: Platform, given: QueryDict) -> Outcome:
    """Suspend it and tell the partner."""
    if not given.get("sure"):
        raise NotSure(gettext("Nothing was done: say that you are sure"))
    return Outcome(gettext("Suspended; %s") % leaving.suspend(platform))


def approve(platform: Platform, given: QueryDict) -> Outcome:
    """Approve the hosts that were seen."""
    hosts = proposals.approve_hosts(platform, given.get("seen", ""))
    return Outcome(gettext("Approved: %s. The partner may try again.") % ", ".join(hosts))


def dismiss(platform: Platform, given: QueryDict) -> Outcome:
    """Dismiss the wish that was seen."""
    proposals.dismiss(platform, given.get("seen", ""))
    return Outcome(gettext("Dismissed; everything stays as it is."))


def forget(platform: Platform, given: QueryDict) -> Outcome:
    """Take back the approval of hosts that are not in use."""
    hosts = proposals.forget_unused_hosts(platform)
    return Outcome(gettext("No longer approved: %s") % (", ".join(hosts) or "-"))


def assign(platform: Platform, given: QueryDict) -> Outcome:
    """Assign a role to a party."""
    address = joining.address_of(given.get("country_code", ""), given.get("party_id", ""))
    role = joining.assign(platform, address, given.get("role", ""), given.get("name", ""))
    return Outcome(gettext("Assigned: %s") % role)


def withdraw(platform: Platform, given: QueryDict) -> Outcome:
    """Withdraw a role."""
    number = given.get("role", "")
    role = get_object_or_404(platform.roles, pk=int(number) if number.isdigit() else 0)
    invitations.withdraw(role)
    return Outcome(gettext("Withdrawn: %s") % role)


DEEDS: Mapping[str, Callable[[Platform, QueryDict], Outcome]] = {
    deed.__name__: deed
    for deed in (
        *(invite, rotate, cut, suspend, manners),
        *(approve, dismiss, forget, assign, withdraw),
    )
}


class ConnectForm(forms.Form):
    """With whom the hub registers, and by which token."""

    country_code = forms.CharField(label=_("country code"), max_length=2)
    party_id = forms.CharField(label=_("party id"), max_length=3)
    roles = forms.MultipleChoiceField(
        label=_("roles"), choices=Role.Kind.choices, widget=forms.CheckboxSelectMultiple
    )
    name = forms.CharField(label=_("name"), max_length=100)
    url = forms.CharField(label=_("its versions URL"), max_length=255)
    token = forms.CharField(
        label=_("the token it gave the hub"),
        max_length=64,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    hosts = forms.CharField(
        label=_("hosts it may name, one a line"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Left empty, those of this registration are approved."),
    )
    again = forms.BooleanField(
        label=_("it takes the hub as registered already: send PUT"), required=False
    )

    def plan(self) -> connecting.Plan:
        """Return what was filled in as a plan; raises CannotJoin."""
        given = self.cleaned_data
        return connecting.Plan(
            address=joining.address_of(given["country_code"], given["party_id"]),
            roles=given["roles"],
            name=given["name"],
            url=given["url"],
            token=given["token"],
            hosts=given["hosts"].lower().split(),
            again=given["again"],
        )


class ConnectionAdmin(PlatformAdmin):
    """Platforms, with the desk at which staff open, change and end their connections."""

    change_form_template = "admin/parties/platform.html"
    change_list_template = "admin/parties/platforms.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the desk, and the form for registering with a partner."""
        view = self.admin_site.admin_view
        return [
            path("connect/", view(self.connect), name="parties_platform_connect"),
            path(
                "<int:platform_id>/connection/",
                view(self.connection),
                name="parties_platform_connection",
            ),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Offer the form to those who may use it."""
        context = {**(extra_context or {}), "may_manage": may_manage(request)}
        return super().changelist_view(request, context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """Offer the desk to those who may use it."""
        context["may_manage"] = may_manage(request)
        return super().render_change_form(request, context, *args, **options)

    def connection(self, request: HttpRequest, platform_id: int) -> HttpResponse:
        """Show how the connection stands, and do one thing about it."""
        require_manager(request)
        platform = get_object_or_404(Platform, pk=platform_id)
        token = ""
        if request.method == "POST":
            outcome = self._done(request, platform)
            if not outcome.token:
                return HttpResponseRedirect(request.path)
            token = outcome.token
            platform.refresh_from_db()
        response = self._page(request, "connection", platform.name, **_facts(platform), token=token)
        response["Cache-Control"] = "no-store"
        return response

    def connect(self, request: HttpRequest) -> HttpResponse:
        """Register the hub with a partner."""
        require_manager(request)
        form = ConnectForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            try:
                party, platform = joining.connect(form.plan())
            except TROUBLE as error:
                form.add_error(None, str(error))
            else:
                text = gettext("Registered with %s") % party
                self.log_change(request, platform, text)
                self.message_user(request, text, messages.SUCCESS)
                return HttpResponseRedirect(
                    reverse("admin:parties_platform_change", args=[platform.pk])
                )
        return self._page(request, "connect", gettext("Register with a partner"), form=form)

    def _done(self, request: HttpRequest, platform: Platform) -> Outcome:
        """Do what was asked for and tell what came of it."""
        deed = DEEDS.get(request.POST.get("deed", ""))
        if deed is None:
            raise PermissionDenied
        try:
            outcome = deed(platform, request.POST)
        except TROUBLE as error:
            self.message_user(request, str(error), messages.ERROR)
            return Outcome("")
        self.log_change(request, platform, outcome.text)
        self.message_user(request, outcome.text, messages.SUCCESS)
        return outcome

    def _page(
        self, request: HttpRequest, name: str, title: str, **context: Any
    ) -> TemplateResponse:
        site = self.admin_site.each_context(request)
        return TemplateResponse(
            request, f"admin/parties/{name}.html", {**site, "title": title, **context}
        )


def may_manage(request: HttpRequest) -> bool:
    """Tell whether somebody may change connections."""
    return request.user.has_perm("parties.change_platform")


def require_manager(request: HttpRequest) -> None:
    """Turn everybody else away."""
    if not may_manage(request):
        raise PermissionDenied


def _facts(platform: Platform) -> dict[str, Any]:
    return {
        "platform": platform,
        "roles": platform.roles.select_related("party"),
        "keys": platform.keys.filter(used_at=None).order_by("pk"),
        "wish": platform.proposal,
        "seen": proposals.fingerprint(platform.proposal),
        "kinds": Role.Kind.choices,
        "can_rotate": platform.registered and bool(platform.sealed_token),
        "can_suspend": platform.state != Platform.State.SUSPENDED,
    }
