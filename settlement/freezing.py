"""Freeze a month: what is in it then is what is billed, and nothing comes after."""

import datetime as dt
import logging

from django.db import transaction

from cdrs.models import Period
from settlement import aggregating, holding
from settlement.models import CloseRun

logger = logging.getLogger(__name__)


class CannotFreeze(Exception):
    """The cells are not what the CDRs add up to; nothing was changed."""


@transaction.atomic
def freeze(period: Period, now: dt.datetime, *, issue_on: dt.date) -> None:
    """Fix what is billed: hold, flip the state, make cells and fees; all of it or nothing.

    Holds the period's row FOR UPDATE for two passes over its CDRs (about 2 s per million), so
    writers of this month's CDRs wait and then find it frozen. Raises CannotFreeze when the cells
    are not what the CDRs add up to.
    """
    locked = Period.objects.select_for_update().get(pk=period.pk)
    if not locked.thawed:
        return
    released = holding.release(locked, issued_on=issue_on)
    aggregating.add_up(locked)
    rolled = holding.hold(locked, issued_on=issue_on)
    if rolled:
        aggregating.add_up(locked)
    locked.move_to(Period.State.FROZEN, frozen_at=now)
    aggregating.make_cells(locked)
    if text := aggregating.difference(locked):
        raise CannotFreeze(text)
    run = CloseRun.objects.create(
        period=locked,
        issued_on=issue_on,
        rolled=rolled,
        released=released,
        sums=aggregating.sums(),
    )
    run.reached(CloseRun.Step.FROZEN)
    run.reached(CloseRun.Step.CELLS)
    logger.info("%s frozen, %s CDRs moved out, %s in", locked, run.rolled, run.released)
