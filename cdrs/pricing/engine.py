"""A CDR and its tariffs make an account."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any

from cdrs.pricing import billing, choosing, matching, sessions, tariffs, zones
from cdrs.pricing.accounts import Account
from cdrs.pricing.numbers import EXACT, Amount
from cdrs.pricing.readings import OURS, Reading
from cdrs.pricing.refusals import Refused

Wire = Mapping[str, Any]


def settle(
    cdr: Wire, offered: Sequence[Wire] | None = None, tz: str | None = None, reading: Reading = OURS
) -> Account:
    """Return the account of a CDR.

    The tariffs given replace those in the CDR. `tz` is the location's IANA time zone; without it
    the CDR must tell it, or be from a country that has only one. Raises Refused.
    """
    with localcontext(EXACT):
        session = sessions.read(cdr)
        listed = _listed(cdr) if offered is None else offered
        known = [tariffs.read(raw, taxes_told=session.taxes_told) for raw in listed]
        chosen = choosing.choose(session, known)
        zone = zones.of(session, tz)
        stages = list(matching.stages(session, chosen, zone, reading))
        account = Account(session, zone, stages, remarks=list(session.remarks))
        matching.match(account)
        billing.bill(account, reading)
        return account


def _listed(cdr: Wire) -> Sequence[Wire]:
    found = cdr.get("tariffs") or []
    if not isinstance(found, list):
        raise Refused("malformed", "tariffs is not a list")
    return found


def price(cdr: Wire, tariffs: Sequence[Wire] | None, tz: str | None) -> dict[str, Any]:
    """Return what a CDR costs: its totals by the names OCPI gives them, unrounded, and warnings.

    Raises Refused with a `code`.
    """
    return figures(settle(cdr, tariffs, tz))


def figures(account: Account) -> dict[str, Any]:
    """Return the figures of an account."""
    return {
        "total_cost": _written(account.total),
        **{name: _written(amount) for name, amount in account.parts.items()},
        **account.volumes,
        "warnings": account.warnings,
    }


def _written(amount: Amount | None) -> dict[str, Decimal | None] | None:
    return None if amount is None else {"excl_vat": amount.excl, "incl_vat": amount.incl}
