"""Take in a file of the bank: a statement, or a report on a payment file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from hub.commands import JsonCommand
from settlement.banking import statements, statuses
from settlement.banking.iso20022 import BadFile, is_of


class Command(JsonCommand):
    """Imports a camt.053 or pain.002 file: all of it or nothing, each line once."""

    help = (
        "Import a bank statement (camt.053), or what the bank says of a payment file (pain.002)."
        " Safe to repeat: a line is booked once, a rejection acted upon once."
    )
    refusals = (BadFile,)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file."""
        parser.add_argument("file", metavar="FILE")

    def run(self, *, file: str, **options: Any) -> Mapping[str, Any]:
        """Import it."""
        try:
            content = Path(file).read_bytes()
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        if is_of(content, "pain.002"):
            return {"statements": [], "reports": [statuses.import_file(content)._asdict()]}
        return {"statements": [item._asdict() for item in statements.import_file(content)]}

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the statements line by line."""
        told = [_told(item) for item in result["statements"]]
        return "\n".join([*told, *(_reported(item) for item in result.get("reports", []))])


def _told(item: Mapping[str, Any]) -> str:
    told = "{statement} of {account}: {new} new lines, {matched} matched, {known} known".format(
        **item
    )
    return f"{told}; {item['gap']}" if item["gap"] else told


def _reported(item: Mapping[str, Any]) -> str:
    return (
        "{batch}: {taken} taken on, {rejected} rejected, {late} rejected too late, {known} known"
    ).format(**item)
