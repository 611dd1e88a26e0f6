"""The admin site of the hub's own staff takes the place of Django's."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app
from django.core.checks import CheckMessage, Tags, register


class HubAdminConfig(SimpleAdminConfig):
    """Puts our site in place of Django's.

    Its pages are found with the URLs, so that only processes that serve pages take time for them.
    """

    default_site = "hub.staff_site.HubAdminSite"

    def ready(self) -> None:
        """Have the pages checked, wherever checks are run."""
        super().ready()
        register(check_pages, Tags.admin)


def check_pages(**options: Any) -> list[CheckMessage]:
    """Find all pages, then check them as Django does."""
    import_module(settings.ROOT_URLCONF)
    return list(check_admin_app(**options))
