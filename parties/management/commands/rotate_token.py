"""Change the tokens of a connection."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from hub.commands import JsonCommand
from parties import connecting, invitations
from parties.management.platforms import add_platform, chosen_platform


class Command(JsonCommand):
    """Changes both tokens by PUT credentials; the partner reads the hub's endpoints anew."""

    help = "Send a partner PUT credentials with a new token; it answers with a new one for the hub."
    refusals = (connecting.CannotConnect, invitations.InvitationError)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whose."""
        add_platform(parser)

    def run(self, *, party: str, role: str, **options: Any) -> Mapping[str, Any]:
        """Rotate."""
        platform = chosen_platform(party, role)
        remark = connecting.rotate(platform)
        return {"party": party.upper(), "platform": platform.name, "remark": remark}
