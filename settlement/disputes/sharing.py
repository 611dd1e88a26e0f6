"""How an amount is shared among the CDRs of a dispute: by what the hub computes, else by size."""

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal

from cdrs import explorer
from cdrs.models import Cdr, Verdict
from cdrs.pricing.verdicts import Verdict as Outcome
from hub.money import FOUR, ZERO


def shares(totals: Sequence[Decimal], amount: Decimal) -> list[Decimal]:
    """Share an amount in proportion to totals, exactly, with 4 decimals; what is left goes first.

    No share exceeds its total as long as the amount does not exceed their sum.
    """
    whole = sum(totals, ZERO)
    if not whole:
        return [amount, *[ZERO] * (len(totals) - 1)]
    parts = [(total * amount / whole).quantize(FOUR, ROUND_DOWN) for total in totals]
    left = amount - sum(parts, ZERO)
    for place, total in enumerate(totals):
        more = min(left, max(total - parts[place], ZERO)) if amount <= whole else left
        parts[place] += more
        left -= more
    return parts


def proven(cdrs: Sequence[Cdr], by_cpo: bool) -> list[Decimal] | None:
    """Return how much each CDR is off in the claimant's favour, by the hub's own price.

    None unless the hub's price proves each of them wrong.
    """
    verdicts = explorer.last_verdicts([cdr.pk for cdr in cdrs])
    found = [_off(verdicts.get(cdr.pk), by_cpo) for cdr in cdrs]
    return [off for off in found if off is not None] if None not in found else None


def agreed(cdrs: Sequence[Cdr], amount: Decimal, by_cpo: bool) -> list[Decimal]:
    """Return what each CDR is to come to if an amount is granted to the claimant."""
    totals = [cdr.total_excl_vat for cdr in cdrs]
    off = proven(cdrs, by_cpo)
    parts = off if off and sum(off, ZERO) == amount else shares(totals, amount)
    sign = 1 if by_cpo else -1
    return [total + sign * part for total, part in zip(totals, parts, strict=True)]


def _off(verdict: Verdict | None, by_cpo: bool) -> Decimal | None:
    if verdict is None or verdict.cost_verdict != Outcome.MISMATCH or verdict.difference is None:
        return None
    off = -verdict.difference if by_cpo else verdict.difference
    return off if off > 0 else None
