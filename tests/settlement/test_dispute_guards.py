"""What plain SQL in the name of the hub's own role cannot do to disputes, and what we would see."""

import datetime as dt
from decimal import Decimal as D

import pytest
from django.db import IntegrityError, connection, transaction

from cdrs import judging
from cdrs.models import Cdr
from settlement import clearing
from settlement.dispute_invariants import CHECKS
from settlement.disputes import answering, evidence, ruling
from settlement.disputes.evidence import Upload
from settlement.models import Dispute
from tests.settlement import factory
from tests.settlement.claims import NOW, claim, sent, staff, traded
from tests.settlement.conftest import tampering
from tests.settlement.factory import CLOSING

pytestmark = pytest.mark.django_db
LATER = NOW + dt.timedelta(hours=1)


def refused(statement: str) -> str:
    connection.check_constraints()
    with pytest.raises(IntegrityError) as caught:
        _execute(statement)
    return str(caught.value)


@transaction.atomic
def _execute(statement: str) -> None:
    """Execute a statement, and what is checked when its transaction ends."""
    connection.cursor().execute(statement)
    connection.check_constraints()


@pytest.fixture
def dispute() -> Dispute:
    """An open dispute with a file, beside a CDR that nobody disputes."""
    cdr = traded()
    factory.cdr(cdr.owner, cdr.emsp, "7.0000", uid="CALM")
    made = claim(cdr)
    evidence.add(made, made.claimant, None, [Upload("a.txt", b"a")], NOW)
    ruling.jot(made, staff("clerk"), "Call them.", NOW)
    return made


MOVE = "UPDATE settlement_dispute SET state = '{}'"
COPY = """
INSERT INTO settlement_disputecdr (dispute_id, cdr_id, claimant_id, total, open, by_hub)
SELECT dispute_id, {cdr}, {claimant}, {total}, true, false FROM settlement_disputecdr
"""
CALM = "(SELECT id FROM cdrs_cdr WHERE uid = 'CALM')"
OPEN = [
    (MOVE.format("escalated"), "does not move"),
    (MOVE.format("settled") + ", granted = 0, due_at = NULL, ended_at = now()", "does not move"),
    (MOVE.format("accepted"), "dispute_grants_what_is_decided"),
    (MOVE.format("accepted") + ", granted = 10", "grants something else"),
    (MOVE.format("withdrawn") + ", due_at = NULL, ended_at = now()", "over and holds"),
    (MOVE.format("withdrawn"), "deadline_until_it_ends"),
    ("UPDATE settlement_dispute SET due_at = due_at + interval '1 day'", "when a dispute moves"),
    ("UPDATE settlement_dispute SET offered = 1", "when a dispute moves"),
    ("UPDATE settlement_dispute SET asked = 9", "stays as it is"),
    ("UPDATE settlement_dispute SET message = 'x'", "stays as it is"),
    ("DELETE FROM settlement_dispute", "stays as it is"),
    ("TRUNCATE settlement_dispute CASCADE", "stays|append-only|never"),
    (
        "INSERT INTO settlement_dispute SELECT (jsonb_populate_record(d, jsonb_build_object("
        "'id', 999, 'no', 3, 'reference', 'D-2024-000003'))).* FROM settlement_dispute d",
        "next number",
    ),
    ("UPDATE settlement_disputecdr SET open = false", "until the dispute is decided"),
    ("UPDATE settlement_disputecdr SET total = 1", "stays as it is"),
    (COPY.format(cdr=CALM, claimant="claimant_id", total="7"), "held first"),
    (COPY.format(cdr="cdr_id", claimant="claimant_id", total="10"), "one dispute at a time"),
    (COPY.format(cdr=CALM, claimant="claimant_id + 1", total="7"), "two parties"),
    (COPY.format(cdr=CALM, claimant="claimant_id", total="6"), "as they are billed"),
    ("UPDATE cdrs_finding SET cleared_at = now()", "that decides about it"),
    (
        "INSERT INTO cdrs_decision (cdr_id, action, reason, at)"
        " SELECT cdr_id, 'discard', 'x', now() FROM settlement_disputecdr",
        "that decides about it",
    ),
    (
        "UPDATE cdrs_cdr SET state = 'accepted', period_id = (SELECT max(id) FROM cdrs_period)"
        " WHERE state = 'held'",
        "open finding",
    ),
    ("UPDATE settlement_disputeevent SET text = 'x'", "append-only"),
    ("DELETE FROM settlement_disputeevent", "append-only"),
    ("DELETE FROM settlement_internalnote", "append-only"),
    ("UPDATE settlement_evidence SET content = 'x'", "stays as it is|digest"),
    ("UPDATE settlement_evidence SET state = 'refused'", "scanned once"),
    ("DELETE FROM settlement_evidence", "stays as it is"),
    (
        "INSERT INTO settlement_ruling (dispute_id, outcome, amount, reasons, needs_second, state,"
        " proposed_by_id, proposed_at)"
        " SELECT d.id, 'full', 10, 'x', false, 'effective', u.id, now()"
        " FROM settlement_dispute d, parties_user u",
        "what is escalated",
    ),
]


@pytest.mark.parametrize(("statement", "why"), OPEN)
def test_what_is_open_moves_only_as_it_may(dispute: Dispute, statement: str, why: str) -> None:
    assert any(part in refused(statement) for part in why.split("|"))


def test_nobody_rules_alone_above_the_limit(dispute: Dispute, settings: object) -> None:
    settings.RULING_LIMIT = D(5)
    answering.reject(dispute, dispute.respondent, "No.", None, LATER)
    answering.escalate(dispute, dispute.claimant, "Yes.", None, LATER)
    judge = staff("judge")
    ruling.rule(dispute, "full", None, "Yes.", judge, LATER)
    assert "approved" in refused("UPDATE settlement_ruling SET state = 'effective'")
    itself = "UPDATE settlement_ruling SET state = 'effective', second_at = now(), second_id = {}"
    assert "another_person" in refused(itself.format("proposed_by_id"))
    assert "stays as it is" in refused("UPDATE settlement_ruling SET needs_second = false")
    ruled = MOVE.format("ruled") + ", ruled = 10, granted = 10"
    assert "nobody has ruled" in refused(ruled)


def test_what_is_frozen_is_not_disputed_as_if_it_were_not(dispute: Dispute) -> None:
    clearing.close(factory.MONTH, now=CLOSING)
    late = claim(Cdr.objects.get(uid="CALM"), now=CLOSING)
    assert late.effect == "credit_note"
    assert refused("UPDATE settlement_dispute SET effect = 'hold' WHERE no = 2")
    copied = COPY.format(cdr=CALM, claimant="claimant_id", total="7") + " WHERE cdr_id <> " + CALM
    assert "one dispute at a time" in refused(copied)


def test_staff_cannot_decide_past_a_dispute(dispute: Dispute) -> None:
    cdr = sent(dispute.respondent, dispute.claimant)
    claim(cdr)
    for act in (judging.release, judging.discard):
        with pytest.raises(judging.CannotDecide, match="D-2024-000002: that decides"):
            act(cdr.pk, staff("judge"), "because", NOW)


# What would be seen if somebody could


TAMPERED = [
    ("UPDATE cdrs_finding SET cleared_at = now()", "disputed_cdrs_are_held"),
    (
        "UPDATE cdrs_cdr SET state = 'accepted', period_id = (SELECT max(id) FROM cdrs_period)",
        "disputed_cdrs_are_held",
    ),
    (
        "UPDATE settlement_dispute SET state = 'withdrawn', due_at = NULL,"
        " ended_at = clock_timestamp();"
        "UPDATE settlement_disputecdr SET open = false",
        "disputed_cdrs_are_held",
    ),
    (
        "UPDATE settlement_dispute SET claimant_id = respondent_id, respondent_id = claimant_id",
        "disputes_are_between_two",
    ),
    (
        "UPDATE settlement_dispute SET state = 'settled', granted = 10, ended_at = now(),"
        " due_at = NULL; UPDATE settlement_disputecdr SET open = false, agreed = 0",
        "settled_disputes_have_their_effect",
    ),
    ("UPDATE settlement_dispute SET reminded = 0", "disputes_go_on"),  # due in 2024
]


@pytest.mark.parametrize(("statement", "check"), TAMPERED)
def test_what_was_tampered_with_is_found(dispute: Dispute, statement: str, check: str) -> None:
    with tampering():
        connection.cursor().execute(statement)
    assert check in {found.__name__ for found in CHECKS if list(found())}


def test_else_nothing_is_found(dispute: Dispute) -> None:
    calm = [found for found in CHECKS if found.__name__ != "disputes_go_on"]
    assert [list(found()) for found in calm] == [[]] * 3
