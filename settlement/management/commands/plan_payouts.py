"""Plan what every CPO is to be paid."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from hub.commands import JsonCommand
from hub.money import minor_unit
from settlement.banking import payouts
from settlement.snapshot import code_of


class Command(JsonCommand):
    """Plans payouts; a person puts them into a batch, another approves it."""

    help = "Plan the payouts of everybody who can be paid something. Safe to repeat."

    def run(self, **options: Any) -> Mapping[str, Any]:
        """Plan, and tell per party and currency what came of it."""
        plans = payouts.plan(timezone.now())
        return {
            "planned": [_told(plan) for plan in plans if plan.payout],
            "carried": [_told(plan) for plan in plans if not plan.payout],
        }

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the plans line by line."""
        told = ["{party}  {amount:>14} {currency}  {payout}".format(**p) for p in result["planned"]]
        told += ["{party}  {amount:>14} {currency}  {why}".format(**p) for p in result["carried"]]
        return "\n".join(told) or "nobody is owed anything"


def _told(plan: payouts.Plan) -> dict[str, Any]:
    unit = minor_unit(plan.currency)
    return {
        "party": code_of(plan.party),
        "currency": plan.currency,
        "amount": f"{plan.amount.quantize(unit):f}",
        "set_off": f"{plan.set_off.quantize(unit):f}",
        "payout": str(plan.payout) if plan.payout else None,
        "execute_on": plan.payout.execute_on if plan.payout else None,
        "why": plan.why,
    }
