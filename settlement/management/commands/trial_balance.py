"""Print the trial balance."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from hub.commands import JsonCommand
from hub.money import minor_unit
from settlement.ledger import balances


class Command(JsonCommand):
    """Adds the ledger up; fails if debits and credits differ."""

    help = "Print debits, credits and balance of every account; fails if they do not add up."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the day, and how finely."""
        parser.add_argument("--on", metavar="YYYY-MM-DD", default="", help="default: today")
        parser.add_argument("--by-party", action="store_true", help="a row for every party")

    def run(self, *, on: str, by_party: bool, **options: Any) -> Mapping[str, Any]:
        """Add up."""
        try:
            day = dt.date.fromisoformat(on) if on else timezone.localdate()
        except ValueError:
            raise CommandError(f"a day is written YYYY-MM-DD, not {on!r}") from None
        rows = balances.trial_balance(day, by_party=by_party)
        return {
            "on": day,
            "accounts": [_row(row) for row in rows],
            "totals": [
                {
                    "currency": currency,
                    "debit": _spelled(debit, currency),
                    "credit": _spelled(credit, currency),
                    "difference": _spelled(difference, currency),
                }
                for currency, debit, credit, difference in balances.currency_sums(rows)
            ],
        }

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell it as a table."""
        line = "{kind:<20} {party:<7} {currency} {debit:>16} {credit:>16} {balance:>16}".format
        rows = [line(**row) for row in result["accounts"]]
        total = "{currency}: debit {debit}, credit {credit}, difference {difference}".format
        return "\n".join([*rows, *(total(**row) for row in result["totals"])])

    def failure(self, result: Mapping[str, Any]) -> str:
        """Fail if a currency does not add up."""
        off = [row["currency"] for row in result["totals"] if row["difference"].strip("-0.")]
        return f"debits and credits differ in {', '.join(off)}" if off else ""


def _row(row: balances.Balance) -> dict[str, Any]:
    amounts = ("debit", "credit", "balance")
    told = {name: _spelled(getattr(row, name), row.currency) for name in amounts}
    return {"kind": row.kind, "party": row.party, "currency": row.currency} | told


def _spelled(amount: Any, currency: str) -> str:
    return f"{amount.quantize(minor_unit(currency)):f}"
