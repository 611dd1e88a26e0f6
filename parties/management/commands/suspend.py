"""Suspend a platform."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from hub.commands import JsonCommand
from hub.states import WrongState
from parties import invitations, leaving
from parties.management.platforms import add_platform, chosen_platform


class Command(JsonCommand):
    """Ends a connection at once and tells the partner so."""

    help = "Revoke all tokens of a platform, stop its traffic, and send it DELETE credentials."
    refusals = (WrongState, invitations.InvitationError)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whose."""
        add_platform(parser)

    def run(self, *, party: str, role: str, **options: Any) -> Mapping[str, Any]:
        """Suspend."""
        platform = chosen_platform(party, role)
        outcome = leaving.suspend(platform)
        return {"party": party.upper(), "platform": platform.name, "outcome": outcome}
