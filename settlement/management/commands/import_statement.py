"""Take a bank statement in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.commands import JsonCommand
from settlement.banking import camt, statements


class Command(JsonCommand):
    """Imports a camt.053 file: all of it or nothing, each line once."""

    help = "Import a bank statement (camt.053). Safe to repeat: a line is booked once."
    refusals = (camt.BadStatement,)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file."""
        parser.add_argument("file", metavar="FILE")

    def run(self, *, file: str, **options: Any) -> Mapping[str, Any]:
        """Import it."""
        try:
            content = Path(file).read_bytes()
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        return {"statements": [item._asdict() for item in statements.import_file(content)]}

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the statements line by line."""
        return "\n".join(_told(item) for item in result["statements"])


def _told(item: Mapping[str, Any]) -> str:
    told = "{statement} of {account}: {new} new lines, {matched} matched, {known} known".format(
        **item
    )
    return f"{told}; {item['gap']}" if item["gap"] else told
