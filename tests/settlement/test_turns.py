"""Whoever lets money settle takes turns: what is owed is locked in many orders."""

import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection, transaction

from cdrs.models import Cdr, Period
from settlement import clearing, holding, rendering
from settlement.banking import payouts, statements
from settlement.invariants import breaches
from settlement.ledger import turns
from settlement.models import Agreement, Payout
from tests.settlement import factory, money
from tests.settlement.money import Booking

pytestmark = pytest.mark.django_db
APRIL = dt.date(2024, 4, 1)
WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"


def waiting(count: int) -> None:
    """Go on once so many connections wait for a lock."""
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone()[0] >= count:
                return
        time.sleep(0.02)
    raise AssertionError(f"fewer than {count} connections wait")


def begun(pool: ThreadPoolExecutor, job: Callable[[], Any]) -> "Future[Any]":
    """Do a job in a thread, on a connection of its own."""

    def run() -> Any:
        try:
            return job()
        finally:
            connection.close()

    return pool.submit(run)


def test_an_import_with_a_return_and_a_plan_that_sets_off_end_both(transactional_db: None) -> None:
    both, other = money.party_of("FR-ABC", "CPO", "EMSP"), money.party_of("DE-EMP", "CPO", "EMSP")
    factory.cdr(both, other, "100.0000")
    factory.cdr(other, both, "30.0000")
    money.close()
    money.pay("DE-EMP")
    money.plan()
    money.submitted()
    factory.cdr(both, other, "50.0000", month=APRIL)
    clearing.close(APRIL, now=money.NOW, force=True)
    for owed in other.receivables.exclude(state="paid"):
        money.received(Booking("50.00", owed.document.number))
    Agreement.objects.create(party=both, kind="cpo", valid_from=APRIL, set_off=True)
    payout = Payout.objects.get(state="submitted")
    paid = Booking("10.00", money.owed_by("FR-ABC").document.number)
    back = Booking("100.00", end_to_end=str(payout), reason="AC04")
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():  # the import is held between the payment and the return
            Payout.objects.select_for_update().get(pk=payout.pk)
            taken = begun(pool, lambda: statements.import_file(money.camt(paid, back, ident="S-1")))
            waiting(1)
            plan = begun(pool, lambda: payouts.plan_for(both, "EUR", money.NOW))
            waiting(2)
        assert taken.result(30)[0].matched == 2
        assert plan.result(30).amount > 0
    payout.refresh_from_db()
    assert payout.state == "returned"
    assert money.owed_by("FR-ABC").settled.open == D(0)
    assert breaches() == []


def test_a_month_that_waits_to_plan_lets_others_refer_to_it(transactional_db: None) -> None:
    money.traded()
    period = Period.objects.get()
    clearing.settle(period, now=factory.CLOSING)
    rendering.render_period(period)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [turns.LOCK])
            done = begun(pool, lambda: clearing.finish(period, now=factory.CLOSING))
            waiting(1)
            cursor.execute("SELECT FROM cdrs_period FOR KEY SHARE NOWAIT")
        done.result(30)
    period.refresh_from_db()
    assert period.state == "settling"


def test_what_is_contested_waits_for_a_freeze_before_it_locks_a_row(transactional_db: None) -> None:
    cdr = factory.cdr(factory.cpo(), factory.emsp())
    thawed = Cdr.objects.filter(period__state="open")
    contest = transaction.atomic(lambda: holding.contest(thawed, "no"))
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            period = Period.objects.select_for_update().get()
            done = begun(pool, contest)
            waiting(1)
            Cdr.objects.select_for_update(nowait=True).get(pk=cdr.pk)
            period.move_to("frozen", frozen_at=factory.CLOSING)
        assert done.result(30) == 0
    cdr.refresh_from_db()
    assert (cdr.state, cdr.period) == ("accepted", period)
