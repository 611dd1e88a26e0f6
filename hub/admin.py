"""The admin site of the hub's own staff."""

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _


class HubAdminConfig(AdminConfig):
    """Puts our site in place of Django's."""

    default_site = "hub.admin.HubAdminSite"


class HubAdminSite(AdminSite):
    """Finance and operations desk."""

    site_header = _("Open Charge Network")
    site_title = _("Open Charge Network")
    index_title = _("Finance and operations")
    final_catch_all_view = False
