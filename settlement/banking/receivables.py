"""What eMSPs owe, by age; and the ladder that a late one climbs, one step after the other."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from hub.money import ZERO
from hub.states import WrongState
from settlement.models import Receivable, Reminder

State = Receivable.State
BUCKETS = (
    (_("not due"), None),
    (_("1 to 7 days"), 7),
    (_("8 to 14 days"), 14),
    (_("15 to 21 days"), 21),
    (_("22 to 45 days"), 45),
    (_("over 45 days"), 10_000),
)
REMINDED = (
    State.OVERDUE_1,
    State.OVERDUE_2,
    State.OVERDUE_3,
    State.SUSPENDED,
    State.COLLECTION,
)


class Age(NamedTuple):
    """What one party owes in one currency, by how late it is (BUCKETS)."""

    party: str
    party_pk: int
    currency: str
    amounts: list[Decimal]

    @property
    def total(self) -> Decimal:
        """Return all of it."""
        return sum(self.amounts, ZERO)

    @property
    def overdue(self) -> Decimal:
        """Return what is late."""
        return sum(self.amounts[1:], ZERO)


def by_age(today: dt.date) -> list[Age]:
    """Return what is open per party and currency, by how many days it is late."""
    ages: dict[tuple[int, str], Age] = {}
    rows = Receivable.objects.filter(state__in=Receivable.UNPAID, settled__open__gt=0)
    for row in rows.select_related("party", "settled").order_by("currency", "party__party_id"):
        age = ages.setdefault(
            (row.party_id, row.currency),
            Age(str(row.party), row.party_id, row.currency, [ZERO] * len(BUCKETS)),
        )
        age.amounts[bucket_of((today - row.due_on).days)] += row.settled.open
    return sorted(ages.values(), key=lambda age: (age.currency, -age.total))


def bucket_of(days: int) -> int:
    """Return the place in BUCKETS of what is late by some days."""
    limits = [limit for _name, limit in BUCKETS[1:]]
    if days < 1:
        return 0
    return 1 + next(place for place, limit in enumerate(limits) if limit and days <= limit)


def step_at(due_on: dt.date, today: dt.date) -> str:
    """Return the step of the ladder that an unpaid receivable has come to."""
    late = (today - due_on).days
    reached = [state for days, state in Receivable.LADDER if late >= days]
    return reached[-1] if reached else State.OPEN


def advance(today: dt.date) -> int:
    """Move every unpaid receivable to its step, with a reminder where one is due; return how many.

    One transaction each, so that whoever is paid at the same moment is left alone.
    """
    unpaid = Receivable.objects.filter(state__in=Receivable.UNPAID, due_on__lte=today)
    return sum(_step(receivable, step_at(receivable.due_on, today)) for receivable in unpaid)


def _step(receivable: Receivable, step: str) -> bool:
    if receivable.state == step:
        return False
    try:
        with transaction.atomic():
            receivable.move_to(step)
            if step in REMINDED:
                Reminder.objects.create(
                    receivable=receivable, level=step, open=receivable.settled.open
                )
    except (WrongState, IntegrityError):
        return False  # paid, or moved by somebody else, in between
    return True


def suspended() -> Iterable[Receivable]:
    """Return the receivables whose eMSPs are to be suspended, oldest first."""
    rows = Receivable.objects.filter(state__in=[State.SUSPENDED, State.COLLECTION])
    return rows.select_related("party", "settled", "document").order_by("due_on")
