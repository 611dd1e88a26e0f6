"""Claims about CDRs, for the tests of disputes."""

import datetime as dt
from decimal import Decimal

from cdrs.models import Cdr
from parties.models import Party, User
from settlement.disputes import opening
from settlement.models import Dispute
from tests.portal.cast import person
from tests.settlement import factory

NOW = dt.datetime(2024, 3, 20, 10, 0, tzinfo=dt.UTC)  # a Wednesday of the month that is traded in


def claim(
    cdrs: Cdr | list[Cdr], by: Party | None = None, amount: str = "", ask: str = "", **told: object
) -> Dispute:
    """Open a dispute, for a full credit unless an amount is asked for; by the eMSP."""
    chosen = cdrs if isinstance(cdrs, list) else [cdrs]
    return opening.open_dispute(
        **{
            "claimant": by or chosen[0].emsp,
            "cdrs": chosen,
            "reason": "wrong_price",
            "ask": ask or ("corrected" if amount else "full"),
            "amount": Decimal(amount) if amount else None,
            "message": "The tariff says otherwise.",
            "person": None,
            "now": NOW,
            **told,
        }
    )


def staff(name: str) -> User:
    """Make a member of the hub's staff."""
    made = person(f"{name}@hub.example")
    made.is_staff = True
    made.save()
    return made


def traded(total: str = "10.0000", **facts: object) -> Cdr:
    """Store a CDR between two parties that are ready to trade."""
    return factory.cdr(factory.cpo(), factory.emsp(), total, **facts)
