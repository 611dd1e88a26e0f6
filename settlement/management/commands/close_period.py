"""Close a month: freeze its CDRs, issue the documents, render them."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from hub.commands import JsonCommand
from settlement import clearing
from settlement.calendar import NotAMonth, parse_month
from settlement.issuing import CannotIssue


class Command(JsonCommand):
    """Closes a month; safe to repeat, safe to kill and repeat."""

    help = "Close a month to the end. Safe to repeat, safe to kill and repeat."
    refusals = (clearing.CannotClose, CannotIssue, NotAMonth)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the month, and how to go about it."""
        parser.add_argument("month", metavar="YYYY-MM")
        parser.add_argument("--dry-run", action="store_true", help="Show it and change nothing.")
        parser.add_argument("--force", action="store_true", help="Do not wait for the calendar.")

    def run(self, *, month: str, dry_run: bool, force: bool, **options: Any) -> Mapping[str, Any]:
        """Close the month, or only show what closing it would give."""
        first, now = parse_month(month), timezone.now()
        if dry_run:
            return clearing.preview(first, now=now)
        return clearing.report(clearing.close(first, now=now, force=force))

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the documents line by line."""
        documents = [_told(document) for document in result["documents"]]
        return "\n".join(
            [
                "{period}: {status}, {cdrs} CDRs, {held} held, {rolled} moved out".format(**result),
                *documents,
            ]
        )


def _told(document: dict[str, Any]) -> str:
    name = document["number"] or "(no number)"
    return f"{name:<26} {document['party']}  {document['gross']:>14} {document['currency']}"
