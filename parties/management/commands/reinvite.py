"""Invite a platform again."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from hub.commands import JsonCommand
from parties import invitations
from parties.management.platforms import add_platform, chosen_platform


class Command(JsonCommand):
    """Invites again who left, who lost the answer to its registration, or whose time ran out."""

    help = "Print a new one-time token with which a party's platform registers (again)."
    refusals = (invitations.InvitationError,)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whom to invite."""
        add_platform(parser)
        parser.add_argument("--host", default="", help="the only host its URLs may name now")

    def run(self, *, party: str, role: str, host: str, **options: Any) -> Mapping[str, Any]:
        """Invite."""
        platform = chosen_platform(party, role)
        token = invitations.reinvite(platform, host=host.lower())
        return {"party": party.upper(), "platform": platform.name, "token": token}

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the token, and what it is for."""
        return (
            f"The platform of {result['party']} may register with this token, shown only once and "
            f"good for 7 days:\n{result['token']}"
        )
