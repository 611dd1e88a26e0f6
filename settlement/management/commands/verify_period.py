"""Recompute every document of a month from its CDRs."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from cdrs.models import Cdr, Period
from hub.commands import JsonCommand
from settlement.calendar import NotAMonth, parse_month
from settlement.verify import differences


class Command(JsonCommand):
    """Verifies a month; fails if a single cent differs."""

    help = "Recompute every document of a month from its CDRs; fails if a cent differs."
    refusals = (NotAMonth,)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the month."""
        parser.add_argument("month", metavar="YYYY-MM")

    def run(self, *, month: str, **options: Any) -> Mapping[str, Any]:
        """Recompute and compare; a month that is still open has no documents to compare."""
        period = Period.objects.filter(month=parse_month(month)).first()
        if period is None:
            raise CommandError(f"nothing was ever settled in {month}")
        begun = not period.thawed
        return {
            "period": str(period),
            "status": period.state,
            "cdrs": Cdr.objects.billable(period).count(),
            "documents": period.documents.count(),
            "differences": [item._asdict() for item in differences(period)] if begun else [],
        }

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the differences line by line."""
        told = [
            "{where}: {what}: expected {expected}, found {found}".format(**difference)
            for difference in result["differences"]
        ]
        summary = "{period}: {status}, {documents} documents from {cdrs} CDRs".format(**result)
        return "\n".join([summary, *told])

    def failure(self, result: Mapping[str, Any]) -> str:
        """Fail on any difference."""
        count = len(result["differences"])
        return f"{result['period']}: {count} differences" if count else ""
