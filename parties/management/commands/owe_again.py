"""Owe a receiver everything again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from hub.commands import JsonCommand
from parties import delivery, invitations, waking
from parties.management.platforms import add_platform, chosen_platform


class Command(JsonCommand):
    """Has everything sent again that a platform has acknowledged, as it is now."""

    help = "Owe a platform everything again: all modules or one, all times or since an instant."
    refusals = (invitations.InvitationError,)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whom, and of what."""
        add_platform(parser)
        parser.add_argument("--module", default="", help="locations, tariffs, tokens, ...")
        parser.add_argument("--since", type=instant, help="what was acknowledged from then on")

    def run(
        self, *, party: str, role: str, module: str, since: datetime | None, **options: Any
    ) -> Mapping[str, Any]:
        """Owe it again."""
        platform = chosen_platform(party, role)
        if module and module not in settings.OCPI_MODELS:
            raise CommandError(f"not a module that is delivered: {module}")
        count = delivery.owe_again(platform, module, since)
        waking.wake([platform.pk])
        return {"party": party.upper(), "platform": platform.name, "owed_again": count}


def instant(text: str) -> datetime:
    """Read an instant in ISO 8601, UTC where no zone is told."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
