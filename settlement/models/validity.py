"""From when to when a row holds, and how the database keeps two of them from overlapping."""

import datetime as dt

from django.contrib.postgres.fields import (
    DateRangeField,
    RangeBoundary,
)
from django.db import models
from django.db.models import F, Q


class DateRange(models.Func):
    """PostgreSQL's daterange(from, to, bounds)."""

    function = "daterange"
    output_field = DateRangeField()


def validity() -> DateRange:
    """Return the days from valid_from up to, not including, valid_to."""
    return DateRange("valid_from", "valid_to", RangeBoundary())


def in_force(day: dt.date) -> Q:
    """Return the condition that a row holds on a day."""
    return Q(Q(valid_to=None) | Q(valid_to__gt=day), valid_from__lte=day)


def ends_after_it_starts(name: str) -> models.CheckConstraint:
    """Return the constraint that a validity is not empty."""
    return models.CheckConstraint(
        condition=Q(valid_to=None) | Q(valid_to__gt=F("valid_from")), name=name
    )
