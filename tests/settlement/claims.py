"""Claims about CDRs, for the tests of disputes."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cdrs import intake, judging
from cdrs.facts import Facts
from cdrs.models import Cdr, Token
from hub.ocpi.messages import Address
from parties.models import Party, User
from settlement.disputes import opening
from settlement.models import Dispute
from settlement.staff import grant
from tests import objects
from tests.settlement import factory

LONG_AGO = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
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
    return grant(f"{name}@hub.example", "approver", "a password of some length")[0]


def traded(total: str = "10.0000", **facts: object) -> Cdr:
    """Store a CDR between two parties that are ready to trade."""
    return factory.cdr(factory.cpo(), factory.emsp(), total, **facts)


def sent(
    seller: Party, payer: Party, total: str = "10.0000", now: dt.datetime = NOW, **told: object
) -> Cdr:
    """Have a CDR of 20 kWh at 0.50 come in, with its tariff, from the month that is traded in."""
    ends = {"country_code": seller.country_code, "party_id": seller.party_id}
    owner = Address(seller.country_code, seller.party_id)
    driver = Address(payer.country_code, payer.party_id)
    body = objects.cdr(owner, driver) | ends
    Token.objects.get_or_create(
        owner=payer,
        uid="CARD1",
        type="RFID",
        defaults={
            "contract_id": body["cdr_token"]["contract_id"],
            "body": objects.token(driver),
            "last_updated": LONG_AGO,
        },
    )
    start, end = "2024-03-10T08:00:00Z", "2024-03-10T10:00:00Z"
    body |= {
        "start_date_time": start,
        "end_date_time": end,
        "last_updated": end,
        "charging_periods": [body["charging_periods"][0] | {"start_date_time": start}],
        "tariffs": [objects.tariff(owner, last_updated="2024-03-01T00:00:00Z")],
        "total_cost": {"excl_vat": Decimal(total)},
        **told,
    }
    return take(seller, body, now)


def take(seller: Party, body: Mapping[str, Any], now: dt.datetime = NOW) -> Cdr:
    """Take a body in as a CDR of its CPO."""
    payer = judging.payer_of(Facts(body))
    receipt = intake.receive(intake.Claim(seller, body, payer=payer), now=now)
    return Cdr.objects.get(owner=seller, uid=receipt.uid)
