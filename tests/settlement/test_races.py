"""Closes against closes, and closes against the writers of CDRs."""

import datetime as dt
import threading
from decimal import Decimal

from django.db import transaction
from django.db.models import Count, Sum

from cdrs.models import Cdr, Period
from cdrs.periods import period_for
from parties.models import Party
from settlement import clearing, rendering
from settlement.invariants import breaches
from settlement.models import Cell, CloseRun, Document
from settlement.verify import differences
from tests.racing import at_once
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH


def _close() -> dict[str, object]:
    return clearing.report(clearing.close(MONTH, now=CLOSING))


def test_eight_closes_at_once_make_one_set_of_documents(transactional_db: None) -> None:
    payers = [factory.emsp("DE-EMP"), factory.emsp("NL-EMP")]
    for number in range(4):
        seller = factory.cpo(f"FR-A{number:02}")
        for payer in payers:
            factory.cdrs(10, seller, payer, "0.3350")
    reports = at_once(*[_close] * 8)
    assert all(report == reports[0] for report in reports)
    assert Document.objects.count() == 6
    assert CloseRun.objects.count() == 1
    assert differences(Period.objects.get()) == []


def test_the_same_document_is_rendered_once_by_many(transactional_db: None) -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    clearing.settle(Period.objects.get(), now=CLOSING)
    document = Document.objects.first()
    done = at_once(*[lambda: rendering.render(document.pk)] * 4)
    assert sorted(done) == [False, False, False, True]


def test_every_cdr_lands_in_exactly_one_month_while_months_freeze(transactional_db: None) -> None:
    seller, payers = factory.cpo(), [factory.emsp("DE-EMP"), factory.emsp("NL-EMP")]
    factory.cdrs(50, seller, payers[0], "0.3350")
    enough = threading.Event()
    written: list[int] = []

    def write() -> None:
        while len(written) < 60 or not enough.is_set():
            written.append(_accept(seller, payers[len(written) % 2]))

    def close() -> None:
        while len(written) < 30:
            threading.Event().wait(0.002)
        _close()
        enough.set()

    at_once(write, write, write, close)
    now = CLOSING + dt.timedelta(days=40)
    late = clearing.close(dt.date(2024, 4, 1), now=now)
    march = Period.objects.get(month=MONTH)
    assert Cdr.objects.count() == len(written) + 50
    assert Cdr.objects.billable(march).count() >= 80
    assert Cdr.objects.billable(late).count() > 0
    assert _settled(Cell.objects.aggregate(n=Sum("cdr_count"), sum=Sum("total"))) == _settled(
        Cdr.objects.aggregate(n=Count("pk"), sum=Sum("total_excl_vat"))
    )
    assert differences(march) == differences(late) == []
    assert breaches() == []


def _settled(sums: dict[str, object]) -> tuple[object, object]:
    return sums["n"], sums["sum"]


@transaction.atomic
def _accept(seller: Party, payer: Party) -> int:
    """Take a CDR of the month in, as intake does."""
    period = period_for(MONTH, now=CLOSING)
    (cdr,) = factory.cdrs(1, seller, payer, "0.3350", settled_in=period.month)
    return cdr.pk


def test_the_freeze_waits_for_a_cdr_that_is_being_written_and_judges_it_too(
    transactional_db: None,
) -> None:
    seller, unready, payer = factory.cpo(), factory.cpo("ES-CAR", equipped=False), factory.emsp()
    factory.cdr(seller, payer, "1.0000")
    inside, done = threading.Event(), []

    def write_slowly() -> None:
        with transaction.atomic():
            period_for(MONTH, now=CLOSING)
            inside.set()
            threading.Event().wait(0.3)
            assert done == []
            factory.cdr(seller, payer, "2.0000")
            factory.cdr(unready, payer, "4.0000")

    def close() -> None:
        inside.wait(10)
        done.append(_close())

    at_once(write_slowly, close)
    assert Document.objects.get(party=seller).net == Decimal("3.00")
    assert Cdr.objects.get(owner=unready).state == "held"
