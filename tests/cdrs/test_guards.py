"""What plain SQL in the name of the hub's own role cannot do to CDRs, findings and months."""

import datetime as dt
import re
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from cdrs.models import Cdr, Decision, Finding, Period, Verdict
from parties.models import User
from tests.settlement import factory
from tests.settlement.conftest import tampering
from tests.settlement.factory import MONTH

pytestmark = pytest.mark.django_db

UPDATE_CDR = "UPDATE cdrs_cdr SET {} WHERE id = {}"
UPDATE_FINDING = "UPDATE cdrs_finding SET {}"
UPDATE_PERIOD = "UPDATE cdrs_period SET {}"
RELEASED = "state = 'accepted', period_id = {}"
OTHER_VALUES = {
    "id": "id + 1000",
    "owner_id": "(SELECT max(id) FROM parties_party)",
    "uid": "'X'",
    "body": """'{"total": 1.0}'""",
    "raw": "'{}'",
    "complete": "false",
    "last_updated": "now()",
    "version": "2",
    "received_at": "now() - interval '1 day'",
    "emsp_id": "owner_id",
    "month": "'2020-01-01'",
    "started_at": "now()",
    "ended_at": "now()",
    "session_uid": "'X'",
    "token_uid": "'X'",
    "evse_uid": "'X'",
    "country": "'XX'",
    "currency": "'XXX'",
    "energy_kwh": "1",
    "total_excl_vat": "1",
    "total_incl_vat": "1",
    "credit_of_id": "(SELECT id FROM cdrs_cdr WHERE uid = 'ORIGINAL')",
    "digest": "'X'",
    "rules": "'X'",
}


def refused(statement: str) -> str:
    connection.check_constraints()
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        connection.cursor().execute(statement)
    return str(caught.value)


def execute(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def hold(cdr: Cdr, **facts: object) -> Finding:
    values = {"code": "energy_high", "severity": "hold", "text": "too much"}
    return Finding.objects.create(cdr=cdr, **values | facts)


def decide(cdr: Cdr, action: str) -> Decision:
    person, _ = User.objects.get_or_create(email="operations@hub.example")
    return Decision.objects.create(cdr=cdr, action=action, reason="because", person=person)


@pytest.fixture
def accepted() -> Cdr:
    seller, payer = factory.cpo(equipped=False), factory.emsp(equipped=False)
    return factory.cdr(seller, payer, body={"total": Decimal("1.00")})


@pytest.fixture
def held(accepted: Cdr) -> Cdr:
    return factory.cdr(accepted.owner, accepted.emsp, state="held", uid="HELD")


def test_every_column_is_guarded_but_those_of_the_verdict() -> None:
    columns = {field.column for field in Cdr._meta.concrete_fields}
    assert columns - OTHER_VALUES.keys() == {"state", "period_id"}


@pytest.mark.parametrize("column", OTHER_VALUES)
@pytest.mark.parametrize("state", ["accepted", "held", "discarded"])
def test_a_cdr_stays_as_it_was_sent(accepted: Cdr, state: str, column: str) -> None:
    original = factory.cdr(accepted.owner, accepted.emsp, uid="ORIGINAL")
    if state != "accepted":
        facts = {"body": accepted.body, "state": state}
        facts |= {"credit_of": factory.cdr(accepted.owner, accepted.emsp)}
        accepted = factory.cdr(original.owner, original.emsp, **facts)
    change = f"{column} = {OTHER_VALUES[column]}"
    assert "immutable" in refused(UPDATE_CDR.format(change, accepted.pk))


def test_a_released_cdr_may_have_found_its_payer_and_what_it_credits(held: Cdr) -> None:
    original, payer = Cdr.objects.exclude(pk=held.pk).get(), held.emsp_id
    unknown = factory.cdr(held.owner, held.emsp, state="held", emsp=None)
    found = f", emsp_id = {payer}, credit_of_id = {original.pk}"
    execute(UPDATE_CDR.format(RELEASED.format(original.period_id) + found, unknown.pk))
    for forgotten in ("emsp_id = NULL", "credit_of_id = NULL"):
        assert "immutable" in refused(UPDATE_CDR.format(forgotten, unknown.pk))


def test_a_cdr_is_never_its_own_credit(held: Cdr) -> None:
    assert "cdr_credits_another" in refused(UPDATE_CDR.format("credit_of_id = id", held.pk))


def test_the_month_changes_with_the_state_only(accepted: Cdr) -> None:
    other = Period.objects.create(month="2024-04-01")
    assert "immutable" in refused(UPDATE_CDR.format(f"period_id = {other.pk}", accepted.pk))


def test_a_cdr_moves_as_the_table_says(accepted: Cdr) -> None:
    period = accepted.period_id
    for old in Cdr.State:
        for new in set(Cdr.State) - {old}:
            cdr = factory.cdr(accepted.owner, accepted.emsp, state=old, uid=f"{old}-{new}")
            month = period if new == Cdr.State.ACCEPTED else "NULL"
            move = UPDATE_CDR.format(f"state = '{new}', period_id = {month}", cdr.pk)
            decide(cdr, "discard")
            if new in Cdr.TRANSITIONS[old]:
                execute(move)
            else:
                assert "until it is discarded" in refused(move)


def test_nothing_is_released_while_a_finding_holds_it(held: Cdr) -> None:
    period = Period.objects.get().pk
    finding = hold(held)
    hold(held, severity="flag", code="location_unknown")
    release = UPDATE_CDR.format(RELEASED.format(period), held.pk)
    assert "held by an open finding" in refused(release)
    finding.cleared_at = timezone.now()
    finding.save(update_fields=["cleared_at"])
    execute(release)


@pytest.mark.parametrize(
    "change",
    [
        "id = id + 1000",
        "code = 'x'",
        "severity = 'flag'",
        "text = 'x'",
        "cdr_id = (SELECT min(id) FROM cdrs_cdr)",
        "found_at = now() - interval '1 day'",
        "code = 'x', cleared_at = now()",
    ],
)
def test_a_finding_is_not_rewritten(held: Cdr, change: str) -> None:
    hold(held)
    assert "only cleared" in refused(UPDATE_FINDING.format(change))


@pytest.mark.parametrize("value", ["NULL", "now() + interval '1 day'"])
def test_a_finding_is_cleared_once(held: Cdr, value: str) -> None:
    hold(held)
    execute(UPDATE_FINDING.format("cleared_at = now()"))
    assert "only cleared" in refused(UPDATE_FINDING.format(f"cleared_at = {value}"))


@pytest.mark.parametrize("state", ["grace", "frozen", "closed"])
def test_a_month_begins_open(state: str) -> None:
    insert = "INSERT INTO cdrs_period (month, state, opened_at) VALUES ('{}', '{}', now())"
    assert "begins open" in refused(insert.format(MONTH, state))


@pytest.mark.parametrize(
    "change",
    [
        "month = '2020-01-01'",
        "opened_at = '2020-01-01'",
        "state = 'closed'",
        "state = 'statement'",
        "frozen_at = now()",
        "state = 'frozen', month = '2020-01-01'",
    ],
)
def test_a_month_only_moves(accepted: Cdr, change: str) -> None:
    assert "only moves" in refused(UPDATE_PERIOD.format(change))


def test_a_frozen_month_does_not_thaw(accepted: Cdr) -> None:
    Period.objects.get().move_to("frozen")
    for state in ("open", "grace", "frozen", "issuing"):
        assert "only moves" in refused(UPDATE_PERIOD.format(f"state = '{state}'"))


MOVES = [
    (before, after)
    for before in Period.State.values
    for after in Period.State.values
    if after not in Period.TRANSITIONS[before]
]


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_a_month_makes_no_other_move_than_those_it_may(before: str, after: str) -> None:
    with tampering():
        Period.objects.create(month=MONTH, state=before, grace_until=dt.datetime.now(dt.UTC))
    assert "only moves" in refused(UPDATE_PERIOD.format(f"state = '{after}'"))


def test_grace_has_an_end_that_stays(accepted: Cdr) -> None:
    assert "period_grace_ends" in refused(UPDATE_PERIOD.format("state = 'grace'"))
    execute(UPDATE_PERIOD.format("state = 'grace', grace_until = now()"))
    change = "state = 'frozen', grace_until = '2030-01-01'"
    assert "only moves" in refused(UPDATE_PERIOD.format(change))


@pytest.mark.parametrize("state", Period.State.values)
def test_what_is_frozen_can_only_be_held_and_that_while_statements_are_out(
    accepted: Cdr, state: str
) -> None:
    with tampering():
        Period.objects.update(state=state, grace_until=dt.datetime.now(dt.UTC))
    other = Period.objects.create(month=dt.date(2031, 1, 1))
    hold = UPDATE_CDR.format("state = 'held', period_id = NULL", accepted.pk)
    if state in ("open", "grace", "statement"):
        execute(hold)
        execute(UPDATE_CDR.format(f"state = 'accepted', period_id = {other.pk}", accepted.pk))
    else:
        assert "frozen" in refused(hold)
        return
    execute(hold)
    first = Period.objects.exclude(pk=other.pk).get()
    back = UPDATE_CDR.format(f"state = 'accepted', period_id = {first.pk}", accepted.pk)
    if state == "statement":
        assert "frozen" in refused(back)
    else:
        execute(back)


@pytest.mark.parametrize(
    ("table", "what"),
    [("cdrs_cdr", "a CDR"), ("cdrs_finding", "a finding"), ("cdrs_period", "a period")],
)
def test_nothing_is_ever_deleted(held: Cdr, table: str, what: str) -> None:
    hold(held)
    for statement in ("DELETE FROM {}", "TRUNCATE {} CASCADE"):
        assert f"{what} is never deleted" in refused(statement.format(table))
    # Which guard of what hangs on a party is asked first is PostgreSQL's affair.
    assert re.search("never deleted|only goes on", refused("TRUNCATE parties_party CASCADE"))


def test_the_role_of_the_hub_is_not_above_all_this() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False,)


def test_nothing_is_discarded_that_nobody_decided_to_discard(held: Cdr) -> None:
    discard = UPDATE_CDR.format("state = 'discarded'", held.pk)
    decide(held, "release")
    assert "nobody has decided" in refused(discard)
    decide(held, "discard")
    execute(discard)


@pytest.mark.parametrize("statement", ["UPDATE {} SET cdr_id = cdr_id", "DELETE FROM {}"])
def test_verdicts_and_decisions_stay(held: Cdr, statement: str) -> None:
    decide(held, "release")
    Verdict.objects.create(cdr=held, cause="intake", rules="x", held=True, context={})
    assert "a decision is never changed" in refused(statement.format("cdrs_decision"))
    assert "a verdict is never changed" in refused(statement.format("cdrs_verdict"))


def test_a_finding_is_set_aside_when_it_is_cleared_and_not_otherwise(held: Cdr) -> None:
    hold(held)
    decision = decide(held, "release")
    aside = f"decision_id = {decision.pk}"
    assert "set aside when" in refused(UPDATE_FINDING.format(aside))
    execute(UPDATE_FINDING.format(f"{aside}, cleared_at = now()"))
    assert "set aside when" in refused(UPDATE_FINDING.format("decision_id = NULL"))
