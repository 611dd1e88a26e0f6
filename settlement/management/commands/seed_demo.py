"""Build the demo network."""

from collections.abc import Mapping
from typing import Any

from hub.commands import JsonCommand
from settlement import clearing, demo
from settlement.issuing import CannotIssue


class Command(JsonCommand):
    """Builds the demo network on a running hub with an empty database."""

    help = "Build the demo network through the interfaces of the running hub. Safe to repeat."
    refusals = (demo.CannotBuild, clearing.CannotClose, CannotIssue)

    def run(self, *args: Any, **options: Any) -> Mapping[str, Any]:
        """Build it, or see that there is nothing to do."""
        return demo.build()
