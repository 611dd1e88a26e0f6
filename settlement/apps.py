"""Who owes whom: agreements, periods, documents."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SettlementConfig(AppConfig):
    """The settlement app."""

    name = "settlement"
    verbose_name = _("Settlement")
