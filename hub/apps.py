"""The ground floor as an app: it has no tables, but checks of its own."""

from importlib import import_module

from django.apps import AppConfig


class HubConfig(AppConfig):
    """The hub app."""

    name = "hub"

    def ready(self) -> None:
        """Have the checks known."""
        import_module("hub.checks")
