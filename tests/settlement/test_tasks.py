"""The background tasks: on the calendar, one failure at a time, harmless twice."""

import datetime as dt

import pytest
from django.utils import timezone

from cdrs.models import Period
from hub.celery import app
from settlement import billing, clearing, tasks
from settlement.models import Document, DocumentFile
from settlement.models.documents import Kind
from tests.settlement import factory
from tests.settlement.conftest import tampering
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.django_db
LONG_AGO = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what is sent to the workers here and now."""
    monkeypatch.setattr(tasks.render, "delay", tasks.render)


def open_long_ago() -> None:
    with tampering():
        Period.objects.update(opened_at=LONG_AGO)


def test_beat_names_tasks_that_exist() -> None:
    app.loader.import_default_modules()
    ours = {
        entry["task"]
        for entry in app.conf.beat_schedule.values()
        if entry["task"].startswith("settlement.")
    }
    names = {"close_due_periods", "render_missing", "inspect", "look_after_money"}
    names |= {"look_after_disputes", "watch_disputed"}
    assert ours == {f"settlement.{name}" for name in names}
    assert ours <= set(app.tasks)


def test_the_calendar_closes_what_is_due_and_nothing_else() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    this_month = timezone.localdate().replace(day=1)
    factory.cdr(seller, payer)
    factory.cdr(seller, payer, month=this_month)
    open_long_ago()
    tasks.close_due_periods()
    assert Period.objects.get(month=MONTH).state == "settling"
    assert Period.objects.get(month=this_month).state == "open"
    tasks.close_due_periods()
    assert Document.objects.count() == 2


def test_a_month_that_cannot_be_closed_does_not_stop_the_next() -> None:
    factory.cdr(factory.cpo("ES-BAD"), factory.emsp("ES-EMP"), "-1.0000")
    factory.cdr(factory.cpo(), factory.emsp(), month=dt.date(2024, 4, 1))
    open_long_ago()
    tasks.close_due_periods()
    assert Period.objects.get(month=MONTH).state == "statement"
    assert Period.objects.get(month=dt.date(2024, 4, 1)).state == "settling"


def test_what_a_killed_close_left_without_a_pdf_is_rendered_and_the_month_closed() -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    period = Period.objects.get()
    clearing.settle(period, now=CLOSING)
    clearing.finish(period, now=CLOSING)
    period.refresh_from_db()
    assert period.state == "issued"
    tasks.render_missing()
    tasks.render_missing()
    period.refresh_from_db()
    assert period.state == "settling"
    assert DocumentFile.objects.filter(kind="pdf").count() == 2


def test_a_month_is_not_closed_while_documents_are_still_to_be_issued(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    period = Period.objects.get()
    with monkeypatch.context() as killed:
        killed.setitem(billing.ROLES, Kind.INVOICE, None)
        with pytest.raises(TypeError):
            clearing.settle(period, now=CLOSING)
    tasks.render_missing()
    period.refresh_from_db()
    assert (period.state, Document.objects.count()) == ("issuing", 1)
    tasks.close_due_periods()
    period.refresh_from_db()
    assert (period.state, Document.objects.count()) == ("settling", 2)


def test_one_document_that_cannot_be_rendered_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    period = Period.objects.get()
    clearing.settle(period, now=CLOSING)
    monkeypatch.setattr("settlement.rendering.render_pdf", _only_invoices)
    tasks.render_missing()
    assert DocumentFile.objects.get(kind="pdf").document.kind == "emsp_invoice"
    period.refresh_from_db()
    assert period.state == "issued"


def _only_invoices(snapshot: dict[str, str], xml: bytes) -> bytes:
    if snapshot["kind"] != "emsp_invoice":
        raise RuntimeError("no ink")
    return b"%PDF-"


def test_staff_close_a_month_before_its_day() -> None:
    this_month = timezone.localdate().replace(day=1)
    factory.cdr(factory.cpo(), factory.emsp(), month=this_month)
    period = Period.objects.get()
    tasks.close_period(period.pk)
    tasks.close_period(period.pk)
    period.refresh_from_db()
    assert period.state == "settling"
    assert Document.objects.count() == 2
