"""A month on paper, exact to the cent."""

import csv
import datetime as dt
import hashlib
import io
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from cdrs.models import Cdr, Period
from cdrs.periods import period_for
from hub.spreadsheets import safe
from settlement import aggregating, clearing, freezing, rendering
from settlement.models import Cell, CloseRun, Document, LegalEntity, Series
from settlement.verify import differences
from tests.settlement import factory
from tests.settlement.conftest import tampering
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.django_db


def close(month: dt.date = MONTH, now: dt.datetime = CLOSING) -> Period:
    return clearing.close(month, now=now)


def document(code: str, currency: str = "EUR") -> Document:
    country_code, party_id = code.split("-")
    return Document.objects.get(
        party__country_code=country_code, party__party_id=party_id, currency=currency
    )


def amounts(code: str, currency: str = "EUR") -> tuple[str, str, str]:
    found = document(code, currency).snapshot
    return found["net"], found["tax"], found["gross"]


def test_a_thousand_small_sessions_are_rounded_once() -> None:
    factory.cdrs(1000, factory.cpo("NL-AAA"), factory.emsp("NL-EMP"), "0.3350")
    close()
    assert amounts("NL-AAA") == ("335.00", "70.35", "405.35")  # 0.34 each would be 340.00
    assert amounts("NL-EMP") == ("335.00", "70.35", "405.35")


def test_half_a_cent_is_rounded_up_per_line_and_currency() -> None:
    seller, payer = factory.cpo("US-AAA"), factory.emsp()
    for currency, total in (("EUR", "0.0050"), ("USD", "1.0049"), ("JPY", "100.5000")):
        factory.cdr(seller, payer, total, currency=currency)
    close()
    nets = {d.currency: d.snapshot["net"] for d in Document.objects.filter(party=seller)}
    assert nets == {"EUR": "0.01", "USD": "1.00", "JPY": "101"}
    assert document("DE-EMP", "JPY").snapshot["exact_net"] == "100.5000"


def test_one_document_per_cpo_and_currency_has_a_line_per_emsp() -> None:
    seller = factory.cpo()
    for code, count in (("DE-EMP", 3), ("NL-EMP", 2), ("US-EMP", 1)):
        factory.cdrs(count, seller, factory.emsp(code), "1.2345", energy="2.0000")
    close()
    lines = document("FR-ABC").snapshot["lines"]
    assert [(line["counterparty"], line["cdrs"], line["net"]) for line in lines] == [
        ("DE-EMP", 3, "3.70"),
        ("NL-EMP", 2, "2.47"),
        ("US-EMP", 1, "1.23"),
    ]
    assert lines[0]["energy_kwh"] == "6.0000"
    assert document("FR-ABC").net == Decimal("7.40")
    assert Document.objects.count() == 4


def test_each_side_is_taxed_by_its_own_rule() -> None:
    factory.cdr(factory.cpo("NL-AAA"), factory.emsp("US-EMP"), "100.0000")
    factory.cdr(factory.cpo("FR-ABC"), factory.emsp("NL-EMP"), "100.0000")
    close()
    assert amounts("NL-AAA") == ("100.00", "21.00", "121.00")
    assert amounts("US-EMP") == ("100.00", "0.00", "100.00")
    assert amounts("FR-ABC") == ("100.00", "0.00", "100.00")
    assert amounts("NL-EMP") == ("100.00", "21.00", "121.00")
    assert document("FR-ABC").snapshot["taxes"][0]["category"] == "AE"
    assert document("US-EMP").snapshot["taxes"][0]["category"] == "O"


def test_vat_is_taken_from_the_sum_of_the_lines_not_line_by_line() -> None:
    seller = factory.cpo("NL-AAA")
    for code in ("DE-EMP", "NL-EMP", "BE-EMP"):
        factory.cdr(seller, factory.emsp(code), "0.0700")
    close()
    assert amounts("NL-AAA") == ("0.21", "0.04", "0.25")  # line by line it would be 0.03


def test_a_self_billing_invoice_says_what_the_law_asks() -> None:
    factory.cdr(factory.cpo("DE-ABC"), factory.emsp("FR-EMP"))
    close()
    said = document("DE-ABC").snapshot
    assert said["mentions"] == ["Self-billing", "Gutschrift", "Reverse charge"]
    assert (said["issuer"], said["supplier"]["party"], said["customer"]["party"]) == (
        "customer",
        "DE-ABC",
        "XX-OCN",
    )
    assert (said["period_start"], said["period_end"]) == ("2024-03-01", "2024-03-31")
    assert (said["issued_on"], said["due_on"]) == ("2024-04-06", "2024-04-24")
    assert said["payment"]["direction"] == "payable_to_supplier"
    assert said["payment"]["iban"] == LegalEntity.objects.get(party__party_id="ABC").iban
    statement = document("FR-EMP").snapshot
    assert statement["mentions"] == ["Reverse charge"]
    assert statement["payment"]["direction"] == "payable_to_hub"


def test_a_snapshot_outlives_what_it_was_taken_from() -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    close()
    LegalEntity.objects.update(name="Renamed")
    assert document("FR-ABC").snapshot["supplier"]["name"] == "FR-ABC Power SAS"


def test_numbers_run_without_a_gap_through_months_and_begin_anew_each_year() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    for month in (10, 11, 12):
        factory.cdr(seller, payer, month=dt.date(2023, month, 1))
    for month, now in ((10, (2023, 11, 6)), (11, (2023, 12, 6)), (12, (2024, 1, 6))):
        close(dt.date(2023, month, 1), dt.datetime(*now, tzinfo=dt.UTC))
    numbers = Document.objects.order_by("pk").values_list("number", flat=True)
    assert list(numbers) == [
        "OCN-FRABC-2023-000001",
        "OCN-S-DEEMP-2023-000001",
        "OCN-FRABC-2023-000002",
        "OCN-S-DEEMP-2023-000002",
        "OCN-FRABC-2024-000001",
        "OCN-S-DEEMP-2024-000001",
    ]


def test_a_late_cdr_is_a_line_of_its_own_month() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    factory.cdr(seller, payer, "1.0000")
    factory.cdr(seller, payer, "2.0000", month=dt.date(2024, 2, 1), settled_in=MONTH)
    close()
    lines = document("FR-ABC").snapshot["lines"]
    assert [(line["supply_month"], line["net"]) for line in lines] == [
        ("2024-02", "2.00"),
        ("2024-03", "1.00"),
    ]


def test_a_credit_is_a_negative_line_beside_its_original() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    factory.credit(factory.cdrs(2, seller, payer, "10.0000", energy="5.0000")[0])
    close()
    lines = document("FR-ABC").snapshot["lines"]
    assert [(x["credit"], x["cdrs"], x["energy_kwh"], x["net"]) for x in lines] == [
        (False, 2, "10.0000", "20.00"),
        (True, 1, "-5.0000", "-10.00"),
    ]
    assert amounts("FR-ABC")[0] == "10.00"


def test_a_month_without_cdrs_closes_without_documents() -> None:
    assert close().state == Period.State.CLOSED
    assert Document.objects.count() == 0


def test_a_close_ends_with_everything_filed_and_every_cdr_on_both_sides() -> None:
    factory.cdrs(5, factory.cpo(), factory.emsp())
    period = close()
    assert (period.state, period.close_run.step) == ("settling", CloseRun.Step.DONE)
    assert {d.files.count() for d in period.documents.all()} == {5}
    assert sorted(Cell.objects.get().lines.values_list("side", flat=True)) == ["AP", "AR"]
    assert differences(period) == []


def test_a_second_close_changes_nothing() -> None:
    factory.cdrs(5, factory.cpo(), factory.emsp())
    first = clearing.report(close())
    files = list(Document.objects.values_list("files__sha256", flat=True))
    assert clearing.report(close(now=CLOSING + dt.timedelta(days=40))) == first
    assert list(Document.objects.values_list("files__sha256", flat=True)) == files


def test_a_second_rendering_is_a_no_op() -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    close()
    assert rendering.render(document("FR-ABC").pk) is False
    assert document("FR-ABC").files.count() == 5


def test_a_resumed_close_keeps_the_day_of_issue(monkeypatch: pytest.MonkeyPatch) -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    with monkeypatch.context() as broken:
        broken.setattr("settlement.issuing.issue", _fail)
        with pytest.raises(RuntimeError):
            close()
    close(now=CLOSING + dt.timedelta(days=3))
    assert set(Document.objects.values_list("issued_on", flat=True)) == {CLOSING.date()}


def _fail(*args: object) -> None:
    raise RuntimeError("killed")


def test_a_document_that_would_be_negative_is_refused_by_name_and_no_number_is_spent() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    factory.cdr(seller, payer, "-3.0000")
    with pytest.raises(clearing.CannotClose, match=r"FR-ABC exceed its supplies by 3\.0000 EUR"):
        close()
    assert Period.objects.get().state == Period.State.STATEMENT
    assert "exceed its supplies" in clearing.blockers(Period.objects.get(), CLOSING)[0]
    assert Series.objects.count() == 0


def test_cells_that_do_not_add_up_stop_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    factory.cdrs(2, factory.cpo(), factory.emsp(), "1.0000")
    short = aggregating.CELLS.replace("sum(total)", "sum(total) / 2")
    monkeypatch.setattr(aggregating, "CELLS", short)
    with pytest.raises(clearing.CannotClose, match="the cells of 2024-03 hold"):
        close()
    assert Period.objects.get().state == Period.State.OPEN
    assert Cell.objects.count() == 0


def test_cells_of_something_else_than_what_was_frozen_stop_the_close() -> None:
    factory.cdrs(2, factory.cpo(), factory.emsp(), "1.0000")
    freezing.freeze(Period.objects.get(), CLOSING, issue_on=CLOSING.date())
    with tampering():
        Cdr.objects.filter(pk=Cdr.objects.first().pk).update(total_excl_vat="1.0001")
    with pytest.raises(clearing.CannotClose, match="not what the CDRs add up to"):
        close()
    assert Series.objects.count() == 0


def test_a_preview_shows_the_same_figures_and_leaves_no_trace() -> None:
    factory.cdrs(5, factory.cpo(), factory.emsp(), "0.3350")
    shown = clearing.preview(MONTH, now=CLOSING)
    assert Document.objects.count() == Cell.objects.count() == CloseRun.objects.count() == 0
    assert Period.objects.get().state == Period.State.OPEN
    assert {paper["number"] for paper in shown["documents"]} == {None}
    done = clearing.report(close())
    numberless = [paper | {"number": None} for paper in done["documents"]]
    assert shown == done | {"documents": numberless, "status": "issued", "state": "issued"}


# The calendar


@pytest.mark.parametrize("zone", ["UTC", "Europe/Amsterdam"])
def test_a_month_may_be_closed_from_day_six_of_the_next(zone: str, settings: object) -> None:
    settings.TIME_ZONE = zone
    factory.cdr(factory.cpo(), factory.emsp())
    first = dt.datetime(2024, 4, 6, tzinfo=dt.UTC)
    first -= dt.timedelta(hours=2 if zone != "UTC" else 0)
    with pytest.raises(clearing.CannotClose, match="may be closed from 2024-04-06 00:00"):
        close(now=first - dt.timedelta(seconds=1))
    assert close(now=first).state == Period.State.SETTLING


def test_the_running_month_is_closed_by_force_only_and_a_future_one_never() -> None:
    now = dt.datetime(2024, 3, 20, tzinfo=dt.UTC)
    factory.cdr(factory.cpo(), factory.emsp())
    with pytest.raises(clearing.CannotClose):
        close(now=now)
    assert clearing.close(MONTH, now=now, force=True).state == Period.State.SETTLING
    assert close(now=now).state == Period.State.SETTLING  # what has begun may be repeated
    with pytest.raises(clearing.CannotClose, match="2024-04 has not begun"):
        clearing.close(dt.date(2024, 4, 1), now=now, force=True)


def test_a_month_opened_late_is_due_on_the_next_day_six() -> None:
    period = Period.objects.create(month=MONTH, opened_at=dt.datetime(2024, 11, 25, tzinfo=dt.UTC))
    assert clearing.due(dt.datetime(2024, 11, 30, 23, 59, tzinfo=dt.UTC)) == []
    begin_grace(period, dt.datetime(2024, 12, 1, tzinfo=dt.UTC))
    assert clearing.due(dt.datetime(2024, 12, 5, 23, 59, tzinfo=dt.UTC)) == []
    assert clearing.due(dt.datetime(2024, 12, 6, tzinfo=dt.UTC)) == [period]


def test_a_month_opened_in_time_is_due_on_its_own_day_six() -> None:
    period = Period.objects.create(month=MONTH, opened_at=dt.datetime(2024, 3, 2, tzinfo=dt.UTC))
    assert clearing.due(dt.datetime(2024, 3, 31, 23, 59, tzinfo=dt.UTC)) == []
    begin_grace(period, dt.datetime(2024, 4, 1, tzinfo=dt.UTC))
    assert clearing.due(dt.datetime(2024, 4, 5, 23, 59, tzinfo=dt.UTC)) == []
    assert clearing.due(dt.datetime(2024, 4, 6, tzinfo=dt.UTC)) == [period]


def begin_grace(period: Period, first: dt.datetime) -> None:
    """Let beat see a month that is over: three days of grace, and it waits for its day 6."""
    assert clearing.due(first) == [period]
    clearing.go_on(period, now=first)
    period.refresh_from_db()
    assert (period.state, period.grace_until) == ("grace", first + dt.timedelta(days=3))


def test_in_its_grace_a_month_takes_late_cdrs_and_afterwards_what_is_released() -> None:
    period = Period.objects.create(month=MONTH, opened_at=dt.datetime(2024, 3, 2, tzinfo=dt.UTC))
    begin_grace(period, dt.datetime(2024, 4, 1, tzinfo=dt.UTC))
    late, too_late = (dt.datetime(2024, 4, day, 12, tzinfo=dt.UTC) for day in (3, 4))
    with transaction.atomic():
        assert period_for(MONTH, now=late, arriving=True) == period
        assert period_for(MONTH, now=too_late, arriving=True).month == dt.date(2024, 4, 1)
        assert period_for(MONTH, now=too_late) == period


def test_a_month_left_unfinished_is_due_at_once() -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    period = Period.objects.get()
    clearing.settle(period, now=CLOSING)
    assert clearing.due(CLOSING) == [period]
    rendering.render_period(period)
    clearing.finish(period, now=CLOSING)
    assert clearing.due(CLOSING) == []


# The annex


def test_the_annex_lists_every_cdr_and_its_digest_is_on_the_document() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    factory.cdr(seller, payer, "1.5000", uid="C")
    factory.cdr(seller, payer, "0.3350", uid="b")
    original = factory.cdr(seller, payer, "2.0000", uid="A", energy="7.0000")
    factory.credit(original, uid="A-credit")
    close()
    file = document("FR-ABC").files.get(kind="csv")
    content = bytes(file.content)
    annex = document("FR-ABC").snapshot["annex"]
    assert annex["name"] == file.name == "OCN-FRABC-2024-000001.csv"
    assert annex["sha256"] == file.sha256 == hashlib.sha256(content).hexdigest()
    assert annex["rows"] == 4
    lines = content.decode().split("\r\n")
    assert lines[0] == (
        "cdr_id,session_id,counterparty,supply_month,start,end,energy_kwh,total_excl_vat,"
        "currency,country,credit"
    )
    assert lines[1:] == [
        "A,S-1,DE-EMP,2024-03,2024-03-10T11:00:00Z,2024-03-10T12:00:00Z,7.0000,2.0000,EUR,FR,no",
        "A-credit,S-1,DE-EMP,2024-03,2024-03-10T11:00:00Z,2024-03-10T12:00:00Z,"
        "-7.0000,-2.0000,EUR,FR,yes",
        "C,S-1,DE-EMP,2024-03,2024-03-10T11:00:00Z,2024-03-10T12:00:00Z,20.5000,1.5000,EUR,FR,no",
        "b,S-1,DE-EMP,2024-03,2024-03-10T11:00:00Z,2024-03-10T12:00:00Z,20.5000,0.3350,EUR,FR,no",
        "",
    ]


HOSTILE = ["=1+1", "+1", "-1", "@A1", "\t=1", " =1", "'=1", '"=1', "\uff1d1", "\r=1"]


def test_no_cell_of_the_annex_is_a_formula() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    for uid in HOSTILE:
        factory.cdr(seller, payer, uid=uid)
    period = close()
    file = document("DE-EMP").files.get(kind="csv")
    rows = list(csv.DictReader(io.StringIO(bytes(file.content).decode(), newline="")))
    assert sorted(row["cdr_id"] for row in rows) == sorted(f"'{uid}" for uid in HOSTILE)
    assert differences(period) == []


@pytest.mark.parametrize("text", ["CDR-1", "", "a=b", "7", "'quoted'"])
def test_harmless_texts_stay_as_they_are(text: str) -> None:
    assert safe(text) == text


# What the database refuses, whoever asks


def test_a_cell_cannot_be_billed_twice_on_one_side() -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    close()
    line = document("FR-ABC").lines.get()
    line.pk, line.no = None, 1
    with pytest.raises(IntegrityError), transaction.atomic():
        line.save(force_insert=True)


def test_a_cell_is_never_rounded_otherwise() -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    clearing.step(Period.objects.get(), now=CLOSING)
    cell = Cell.objects.get()
    cell.pk, cell.country, cell.total = None, "XX", Decimal("0.3350")
    for net in ("0.33", "0.3350"):
        cell.net = Decimal(net)
        with pytest.raises(IntegrityError, match="cell_net"), transaction.atomic():
            cell.save(force_insert=True)
    cell.net = Decimal("0.34")
    cell.save(force_insert=True)


def test_the_cdrs_of_a_frozen_month_cannot_leave_it() -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    close()
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        Cdr.objects.update(state="held", period=None)
