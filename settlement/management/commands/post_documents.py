"""Book documents that an older version has issued without booking them."""

from collections.abc import Mapping
from typing import Any

from hub.commands import JsonCommand
from settlement import booking


class Command(JsonCommand):
    """Books what is not in the ledger; the hub does so by itself once an hour."""

    help = "Book every document that is not in the ledger. Safe to repeat."

    def run(self, **options: Any) -> Mapping[str, Any]:
        """Book."""
        return {"posted": booking.post_missing()}
