"""What a stored CDR claims, beside what it costs by the tariffs that its last verdict had."""

from cdrs import pricing
from cdrs.models import Cdr
from cdrs.pricing import Assessment
from hub.money import minor_unit


def assessed(cdr: Cdr) -> Assessment:
    """Compare a CDR with its tariffs once more; raises Refused where it has no price."""
    verdict = cdr.verdicts.order_by("-pk").first()
    place = (verdict.context.get("place") if verdict else None) or {}
    added = (verdict.tariffs if verdict else None) or []
    tariffs = [*(cdr.body.get("tariffs") or ()), *added]
    return pricing.assess(cdr.body, tariffs, place.get("time_zone"), minor_unit(cdr.currency))
