"""Check every invariant of money and delivery over the whole database."""

from collections.abc import Mapping
from typing import Any

from hub.commands import JsonCommand
from settlement.invariants import CHECKS, breaches


class Command(JsonCommand):
    """Checks all invariants; fails on any breach."""

    help = "Check every invariant of money and delivery; fails on any breach."

    def run(self, **options: Any) -> Mapping[str, Any]:
        """Run the checks."""
        return {
            "checks": [check.__name__ for check in CHECKS],
            "breaches": [breach._asdict() for breach in breaches()],
        }

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the breaches line by line."""
        told = ["{check}: {subject}: {text}".format(**breach) for breach in result["breaches"]]
        return "\n".join([f"{len(result['checks'])} invariants checked", *told])

    def failure(self, result: Mapping[str, Any]) -> str:
        """Fail on any breach."""
        count = len(result["breaches"])
        return f"{count} breaches" if count else ""
