"""Who is connected, how to reach them, what they are owed."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from hub import scraping


class PartiesConfig(AppConfig):
    """The parties app."""

    name = "parties"
    verbose_name = _("Parties and connections")

    def ready(self) -> None:
        """Have the database asked for figures when somebody reads /metrics."""
        from parties import monitoring  # the models are not there before

        scraping.ASKED.append(monitoring.collect)
