"""CDRs as real partners get them wrong, and one that is put right again."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hub.sandbox.catalogue import EMSPS, LOST_CARD, SECRET_CARD, card
from hub.sandbox.charging import Charge, cdr, cdr_token

Item = dict[str, Any]


def secret_token(charge: Charge) -> list[Item]:
    """The eMSP has told nobody of this card."""
    token = card(EMSPS[0], SECRET_CARD, "")
    return [{**cdr(charge), "cdr_token": cdr_token(token), "auth_method": "WHITELIST"}]


def blocked_token(charge: Charge) -> list[Item]:
    """The card was reported lost long before."""
    token = card(EMSPS[1], LOST_CARD, "")
    return [{**cdr(charge), "cdr_token": cdr_token(token), "auth_method": "WHITELIST"}]


def backwards(charge: Charge) -> list[Item]:
    """Start and end were exchanged."""
    body = cdr(charge)
    ends = {
        "start_date_time": body["end_date_time"],
        "end_date_time": body["start_date_time"],
    }
    return [body | ends]


def wrong_sum(charge: Charge) -> list[Item]:
    """The total is not the sum of the charging periods."""
    body = cdr(charge)
    return [body | {"total_energy": body["total_energy"] + 5}]


def watt_hours(charge: Charge) -> list[Item]:
    """The charging periods are in Wh, the total is in kWh."""
    return [cdr(charge) | {"charging_periods": cdr(charge.scaled(1000))["charging_periods"]}]


def twice(charge: Charge) -> list[Item]:
    """The same session is billed under two ids."""
    body = cdr(charge)
    return [body, body | {"id": f"{body['id']}-2"}]


def other_currency(charge: Charge) -> list[Item]:
    """The CDR is in another currency than its tariff."""
    return [cdr(charge) | {"currency": "GBP"}]


def never_published(charge: Charge) -> list[Item]:
    """Nobody has heard of the location; worth a look, but it is paid."""
    body = cdr(charge)
    place = body["cdr_location"] | {"id": "SITE-UNDER-TEST"}
    return [body | {"cdr_location": place}]


def corrected(charge: Charge) -> list[Item]:
    """A meter ran at half its speed: the CDR is credited in full and replaced."""
    wrong, right = cdr(charge.scaled(Decimal("0.5"))), cdr(charge)
    taken_back = {name: -amount for name, amount in wrong["total_cost"].items()}
    credit = wrong | {
        "id": f"{wrong['id']}-CREDIT",
        "total_cost": taken_back,
        "credit": True,
        "credit_reference_id": wrong["id"],
        "remark": "the meter ran too slowly",
    }
    return [wrong, credit, right | {"id": f"{right['id']}-NEW"}]


MISTAKES: tuple[Callable[[Charge], list[Item]], ...] = (
    corrected,
    secret_token,
    twice,
    wrong_sum,
    watt_hours,
    other_currency,
    backwards,
    blocked_token,
    never_published,
)
