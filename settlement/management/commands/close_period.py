"""Close a month: freeze its CDRs, issue the documents, render them."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
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
        parser.add_argument(
            "--sample",
            metavar="CC-PID[,CC-PID...]",
            default="",
            help="Change nothing; write DRAFT documents of these parties.",
        )
        parser.add_argument("--to", default=".", metavar="DIR", help="where samples are written")
        parser.add_argument("--force", action="store_true", help="Do not wait for the calendar.")

    def run(
        self, *, month: str, dry_run: bool, sample: str, to: str, force: bool, **options: Any
    ) -> Mapping[str, Any]:
        """Close the month, or only show what closing it would give."""
        first, now = parse_month(month), timezone.now()
        if sample:
            return {"period": month, "files": list(_sampled(first, sample, Path(to)))}
        if dry_run:
            return clearing.preview(first, now=now)
        return clearing.report(clearing.close(first, now=now, force=force))

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the documents line by line."""
        if "files" in result:
            return "\n".join(result["files"])
        documents = [_told(document) for document in result["documents"]]
        return "\n".join(
            [
                "{period}: {state}, {cdrs} CDRs, {held} held, {rolled} moved out".format(**result),
                _answered(result["statements"]),
                *documents,
            ]
        )


def _answered(statements: Mapping[str, int]) -> str:
    """Say what became of the statements: this run has ended what nobody had answered."""
    told = "{approved} statements approved, {silent} by silence, {objected} revised".format(
        **statements
    )
    return told + (
        ", {published} await an answer".format(**statements) * bool(statements["published"])
    )


def _sampled(month: dt.date, codes: str, folder: Path) -> Iterator[str]:
    """Write drafts, and yield where."""
    wanted = {code.strip().upper() for code in codes.split(",")}
    for name, content in clearing.sample(month, wanted, now=timezone.now()).items():
        file = folder / name
        file.write_bytes(content)
        yield str(file)


def _told(document: dict[str, Any]) -> str:
    name = document["number"] or "(no number)"
    return f"{name:<26} {document['party']}  {document['gross']:>14} {document['currency']}"
