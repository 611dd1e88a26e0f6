"""The nightly look at all invariants; what it finds is kept, and told as an error."""

import logging
import time
from datetime import timedelta

from django.utils import timezone

from parties.models import Inspection
from settlement.invariants import breaches

logger = logging.getLogger(__name__)
SHOWN = 100
KEPT = timedelta(days=365)


def inspect() -> Inspection:
    """Check every invariant and keep the result; those of more than a year ago are forgotten."""
    started = time.monotonic()
    found = breaches()
    for breach in found[:SHOWN]:
        logger.error("an invariant is broken", extra={"check": breach.check})
    Inspection.objects.filter(at__lt=timezone.now() - KEPT).delete()
    return Inspection.objects.create(
        seconds=time.monotonic() - started,
        failures=len(found),
        breaches=[breach._asdict() for breach in found[:SHOWN]],
    )
