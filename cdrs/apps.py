"""What happened: tokens, sessions and CDRs."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CdrsConfig(AppConfig):
    """The cdrs app."""

    name = "cdrs"
    verbose_name = _("Tokens, sessions and CDRs")
