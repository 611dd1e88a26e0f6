"""Send again what was given up."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from hub.commands import JsonCommand
from parties import delivery, invitations, waking
from parties.management.platforms import add_platform, chosen_platform
from parties.models import Delivery


class Command(JsonCommand):
    """Has the hub try again what a platform has refused, or what waits for a person."""

    help = "Send a platform again what was parked or refused, of all modules or one."
    refusals = (invitations.InvitationError,)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whom, and of what."""
        add_platform(parser)
        parser.add_argument("--module", default="", help="locations, tariffs, tokens, ...")

    def run(self, *, party: str, role: str, module: str, **options: Any) -> Mapping[str, Any]:
        """Send it again."""
        platform = chosen_platform(party, role)
        rows = Delivery.objects.filter(receiver__platform=platform)
        rows = rows.exclude(state=Delivery.State.LIVE)
        sent = delivery.send_again(rows.filter(module=module) if module else rows)
        waking.wake([platform.pk])
        return {"party": party.upper(), "platform": platform.name, "sent_again": len(sent)}
