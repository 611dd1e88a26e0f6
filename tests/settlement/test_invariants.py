"""The invariants of money, each broken in plain SQL, in the name of the hub's own role: refused."""

import datetime as dt

import pytest
from django.db import Error, connection, transaction

from cdrs.models import Cdr, Period
from settlement import clearing
from settlement.invariants import breaches
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH

pytestmark = pytest.mark.django_db
COPY_CELL = """
INSERT INTO settlement_cell (period_id, supply_month, cpo_id, emsp_id, country, currency, credit,
    cdr_count, energy_kwh, total, decimals, net)
SELECT period_id, supply_month, cpo_id, emsp_id, '{country}', currency, credit,
    cdr_count, energy_kwh, {total}, decimals, {net} FROM settlement_cell LIMIT 1
"""
COPY_LINE = """
INSERT INTO settlement_documentline (document_id, no, cell_id, side, vat_category, vat_rate, net)
SELECT document_id, {no}, cell_id, side, vat_category, vat_rate, {net}
FROM settlement_documentline LIMIT 1
"""
COPY_CDR = """
INSERT INTO cdrs_cdr SELECT (jsonb_populate_record(c, '{change}')).* FROM cdrs_cdr c LIMIT 1
"""


@pytest.fixture
def closed() -> Period:
    """A month that is closed, with a credit in it, and a CDR of the next month."""
    seller, payer = factory.cpo(), factory.emsp()
    factory.credit(factory.cdrs(3, seller, payer, "10.0000")[0])
    period = clearing.close(MONTH, now=CLOSING)
    factory.cdr(seller, payer, month=dt.date(2024, 4, 1), uid="APRIL")
    return period


@pytest.fixture
def out() -> Period:
    """A month whose statements are out."""
    factory.cdrs(3, factory.cpo(), factory.emsp(), "0.3350")
    period = Period.objects.get()
    clearing.step(period, now=CLOSING)
    clearing.step(period, now=CLOSING)
    return period


def refused(statement: str) -> str:
    connection.check_constraints()
    with pytest.raises(Error) as caught, transaction.atomic():
        connection.cursor().execute(f"{statement}; SET CONSTRAINTS ALL IMMEDIATE")
    assert breaches() == []
    return str(caught.value)


CLOSED = [
    # I1: a CDR is in one month once it is accepted, in none before
    ("UPDATE cdrs_cdr SET period_id = NULL WHERE uid = 'APRIL'", "immutable"),
    (
        "UPDATE cdrs_cdr SET state = 'held' WHERE uid = 'APRIL'",
        "cdr_has_a_period_once_accepted",
    ),
    # I2: nothing changes in a frozen month
    ("UPDATE cdrs_cdr SET state = 'held', period_id = NULL WHERE uid <> 'APRIL'", "frozen"),
    (COPY_CDR.format(change='{"id": 999999, "uid": "NEW", "credit_of_id": null}'), "frozen"),
    # I3: a cell stands on one document for each side
    (COPY_LINE.format(no=1, net="net"), "line_number_used_once|cell_billed_once|does not belong"),
    # I6: both sides have the amount of the same cell
    (COPY_LINE.format(no=2, net="net + 1"), "does not belong"),
    # I8: numbers are gapless and are not given back
    ("UPDATE settlement_series SET last_no = last_no + 2", "next number"),
    ("UPDATE settlement_series SET last_no = 0", "next number"),
    # I9, and the day: a close only goes on
    ("UPDATE settlement_closerun SET step = 'frozen'", "only goes on"),
    ("UPDATE settlement_closerun SET issued_on = '2030-01-01'", "only goes on"),
    ("UPDATE settlement_closerun SET sums = '{}'", "only goes on"),
    (
        "INSERT INTO settlement_closerun (period_id, step, issued_on, rolled, released, sums,"
        " times, started_at, heartbeat_at) SELECT period_id, 'frozen', issued_on, 0, 0, '{}', '{}',"
        " now(), now() FROM settlement_closerun",
        "unique|duplicate",
    ),
    # I13: there is one month, and one agreement, at a time
    (
        "INSERT INTO cdrs_period (month, state, opened_at) VALUES ('2024-03-01', 'open', now())",
        "dup",
    ),
    (
        "INSERT INTO cdrs_period (month, state, opened_at) VALUES ('2024-03-02', 'open', now())",
        "named_by_its_first_day",
    ),
    ("UPDATE settlement_agreement SET valid_from = '2030-01-01'", "only ends"),
    # I14: what is frozen is not held any more
    (
        "INSERT INTO cdrs_finding (cdr_id, code, severity, text, found_at)"
        " SELECT id, 'contested', 'hold', 'late', now() FROM cdrs_cdr WHERE uid <> 'APRIL' LIMIT 1",
        "can only be credited",
    ),
    # I16: a CDR is credited once
    (
        "UPDATE cdrs_cdr SET credit_of_id = (SELECT credit_of_id FROM cdrs_cdr"
        " WHERE credit_of_id IS NOT NULL) WHERE uid = 'APRIL'",
        "immutable|unique",
    ),
]


@pytest.mark.parametrize(("statement", "why"), CLOSED)
def test_what_is_closed_stays(closed: Period, statement: str, why: str) -> None:
    assert any(part in refused(statement) for part in why.split("|"))


OUT = [
    # I4: cells are what the CDRs add up to, rounded once, before a number is spent
    (COPY_CELL.format(country="XX", total="0.3350", net="0.33"), "cell_net_is_its_total_rounded"),
    ("UPDATE settlement_cell SET total = total + 1, net = net + 1", "append-only"),
    ("UPDATE cdrs_period SET state = 'issuing'", "not answered"),
    # I3 and I7: one cell for each key
    (COPY_CELL.format(country="FR", total="total", net="net"), "one_cell_per_key"),
    # I2
    ("UPDATE cdrs_period SET state = 'open'", "only moves"),
    (COPY_CDR.format(change='{"id": 999999, "uid": "NEW"}'), "frozen"),
]


@pytest.mark.parametrize(("statement", "why"), OUT)
def test_what_is_frozen_is_only_revised_by_taking_out(
    out: Period, statement: str, why: str
) -> None:
    assert why in refused(statement)


def test_a_cell_too_many_or_a_cdr_that_left_behind_its_back_stops_the_issue(out: Period) -> None:
    out.statements.update(state="silent")
    issue = "UPDATE cdrs_period SET state = 'issuing'"
    with transaction.atomic():
        connection.cursor().execute(COPY_CELL.format(country="XX", total="1", net="1"))
        connection.check_constraints()
        with pytest.raises(Error, match="not what the CDRs add up to"), transaction.atomic():
            connection.cursor().execute(issue)
        transaction.set_rollback(True)
    Cdr.objects.filter(pk=out.cdrs.first().pk).update(state="held", period=None)
    with pytest.raises(Error, match="not what the CDRs add up to"), transaction.atomic():
        connection.cursor().execute(issue)


def test_a_credit_takes_back_one_cdr_only(closed: Period) -> None:
    original = Cdr.objects.filter(credited_by__isnull=False).get()
    with pytest.raises(Error, match="credit_of_id"), transaction.atomic():
        factory.credit(original, settled_in=dt.date(2024, 4, 1))
