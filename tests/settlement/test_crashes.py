"""Killed anywhere and repeated, a close gives what an undisturbed one would have given."""

import datetime as dt
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import OperationalError, connection
from django.db.models import Count
from django.utils import timezone
from psycopg.conninfo import make_conninfo

from cdrs.models import Cdr, Period
from cdrs.periods import next_month
from parties.models import Party
from settlement import clearing
from settlement.invariants import breaches
from settlement.models import CloseRun, Document, DocumentFile, Series
from settlement.verify import differences
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH

ROOT = Path(__file__).resolve().parents[2]


THIRD = 3


class Killed(OperationalError):
    """The connection is gone."""


@contextmanager
def killed_at_statement(number: int) -> Iterator[None]:
    """Let the SQL statement of that number fail, and lose the connection as a kill does."""
    count = itertools.count(1)

    def execute(run: Callable[..., Any], *args: Any) -> Any:
        if next(count) == number:
            raise Killed
        return run(*args)

    try:
        with connection.execute_wrapper(execute):
            yield
    finally:
        connection.close()


def test_killed_at_any_third_statement_and_repeated_it_gives_the_same(
    transactional_db: None,
) -> None:
    """Those between are left to the machine of test_machine.py, which kills where it likes."""
    seller, payer, other = factory.cpo("NL-AAA"), factory.emsp(), factory.emsp("NL-EMP")
    unready = factory.cpo("ES-CAR", equipped=False)
    month, kills = MONTH, 0
    while True:
        _trade(month, seller, payer, other, unready)
        now = clearing.closable_from(month)
        try:
            with killed_at_statement(1 + THIRD * kills):
                clearing.close(month, now=now)
        except Killed:
            kills += 1
            report = clearing.report(clearing.close(month, now=now + dt.timedelta(days=2)))
        else:
            break
        assert (report["cdrs"], report["held"], report["rolled"]) == (7, 1, 1)
        assert _figures(report) == FIGURES
        assert differences(Period.objects.get(month=month)) == []
        factory.discard(Cdr.objects.filter(owner=unready, state="held"))
        month = next_month(month)
    assert kills * THIRD > 100
    assert {series.last_no for series in Series.objects.all()} <= set(range(1, kills + 2))
    days = (
        Document.objects.order_by()
        .values("period")
        .annotate(days=Count("issued_on", distinct=True))
    )
    assert {row["days"] for row in days} == {1}
    ahead = "no_object_is_from_the_future"  # as the months of this test are
    assert [found for found in breaches() if found.check != ahead] == []


FIGURES = [
    ("self_billing_invoice", "NL-AAA", "EUR", "2.35", "0.49", "2.84"),
    ("emsp_invoice", "DE-EMP", "EUR", "1.01", "0.00", "1.01"),
    ("emsp_invoice", "NL-EMP", "EUR", "1.34", "0.28", "1.62"),
]


def _trade(month: dt.date, seller: Party, payer: Party, other: Party, unready: Party) -> None:
    factory.cdrs(3, seller, payer, "0.3350", month=month)
    factory.cdrs(4, seller, other, "0.3350", month=month)
    factory.cdr(unready, payer, month=month)


def _figures(report: dict[str, Any]) -> list[tuple[str, ...]]:
    names = ("kind", "party", "currency", "net", "tax", "gross")
    return [tuple(paper[name] for name in names) for paper in report["documents"]]


# Real processes


@contextmanager
def closing(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command as a process of its own, on the database of the tests."""
    settings = connection.settings_dict
    url = make_conninfo(
        host=settings["HOST"], dbname=settings["NAME"], user=settings["USER"] or "hub"
    )
    process = subprocess.Popen(
        [sys.executable, ROOT / "manage.py", "close_period", f"{MONTH:%Y-%m}", "--json", *options],
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _killed_when(reached: Callable[[], bool]) -> None:
    """Kill -9 a close as soon as something is reached."""
    with closing() as process:
        while not reached():
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_a_close_killed_by_signal_9_is_finished_by_two_at_once(
    transactional_db: None, real_paper: None
) -> None:
    payers = [factory.emsp(code) for code in ("DE-EMP", "NL-EMP")]
    for number, currency in itertools.product(range(2), ("EUR", "JPY")):
        seller = Party.objects.filter(party_id=f"A{number:02}").first()
        seller = seller or factory.cpo(f"FR-A{number:02}")
        for payer in payers:
            factory.cdrs(20, seller, payer, "0.3350", currency=currency)
    factory.rate("JPY", "EUR", CLOSING.date(), timezone.localdate(), value="0.0061")
    expected = clearing.preview(MONTH, now=clearing.closable_from(MONTH))
    pdfs = DocumentFile.objects.filter(kind="pdf")
    _killed_when(CloseRun.objects.exists)
    _killed_when(lambda: Document.objects.count() > 2)
    _killed_when(lambda: pdfs.count() > 1)
    assert Period.objects.get().state == "issued"

    with closing() as first, closing() as second:
        reports = [json.loads(process.communicate()[0]) for process in (first, second)]
    assert reports[0] == reports[1]
    numberless = [paper | {"number": None} for paper in reports[0]["documents"]]
    assert numberless == expected["documents"]
    assert len(numberless) == 8
    assert reports[0]["status"] == "closed"
    assert {series.last_no for series in Series.objects.all()} == {2}
    assert pdfs.count() == Document.objects.count()
    assert differences(Period.objects.get()) == []
    assert breaches() == []
    assert Cdr.objects.billable(Period.objects.get()).count() == 160
