"""The admin site of the hub's own staff, who need a second factor where the hub is live."""

from typing import Any

from allauth.mfa.adapter import get_adapter
from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class HubAdminSite(AdminSite):
    """Finance and operations desk."""

    site_header = _("Open Charge Network")
    site_title = _("Open Charge Network")
    index_title = _("Finance and operations")
    final_catch_all_view = False

    def has_permission(self, request: HttpRequest) -> bool:
        """Allow staff; in live only those who log in with a second factor."""
        return super().has_permission(request) and is_protected(request)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the login; in live the one with the second factor, which is set up if need be."""
        if not settings.MFA_REQUIRED or self.has_permission(request):
            return super().login(request, extra_context)
        if not request.user.is_authenticated:
            wanted = request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index")
            return redirect_to_login(wanted, reverse("account_login"))
        staff = super().has_permission(request)
        return HttpResponseRedirect(reverse("mfa_activate_totp" if staff else "portal_entrance"))


def is_protected(request: HttpRequest) -> bool:
    """Tell whether who asks has as many factors as the admin site wants."""
    return not settings.MFA_REQUIRED or bool(get_adapter().is_mfa_enabled(request.user))
