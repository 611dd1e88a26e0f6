"""Hand-written SQL: what it reads is what the ORM reads, and a dead connection heals."""

from decimal import Decimal as D

import pytest
from django.db import DataError, OperationalError, connection, transaction

from hub import statements
from hub.statements import Columns
from parties.models import Party, Platform, User
from tests.services import superuser_of
from tests.speaking import joined

ANSWER = "SELECT 40 + %s::int"


@pytest.fixture
def cut(settings):
    """Return what ends this thread's connection, as a restart of the database does."""

    def end():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        with superuser_of(settings.DATA_DIR) as superuser:
            superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    return end


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Party, Platform])
def test_instances_are_those_of_the_orm(model):
    joined("NL", "CPO", "CPO")
    Party.objects.update(business_details={"n": D("0.10")})
    Platform.objects.update(hosts=["x"], proposal={"n": 1})
    columns = Columns(model, "item")
    table = model._meta.db_table
    (row,) = statements.rows(f"SELECT {columns.text} FROM {table} AS item", [])  # noqa: S608
    made, usual = columns.made(row), model.objects.get()
    names = [field.attname for field in model._meta.concrete_fields]
    assert len(columns) == len(names)
    assert [getattr(made, name) for name in names] == [getattr(usual, name) for name in names]
    made.name = "Renamed"
    made.save()
    assert model.objects.get().name == "Renamed"


@pytest.mark.django_db(transaction=True)
def test_the_first_statement_of_a_request_heals_a_dead_connection(cut):
    assert statements.first_rows(ANSWER, [2]) == [(42,)]
    cut()
    assert statements.first_rows(ANSWER, [2]) == [(42,)]


@pytest.mark.django_db(transaction=True)
def test_a_request_over_a_dead_connection_is_answered(cut):
    cpo = joined("NL", "CPO", "CPO")
    cut()
    assert cpo.get("versions").http == 200


@pytest.mark.django_db(transaction=True)
def test_no_statement_is_repeated_inside_a_transaction(cut):
    @transaction.atomic
    def work():
        cut()
        statements.first_rows(ANSWER, [2])

    with pytest.raises(OperationalError):
        work()
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_what_may_have_written_is_not_repeated(cut):
    statements.rows(ANSWER, [2])
    cut()
    with pytest.raises(OperationalError):
        statements.rows(ANSWER, [2])
    connection.close()


@pytest.mark.django_db
def test_errors_are_those_of_django():
    with pytest.raises(DataError), transaction.atomic():
        statements.rows("SELECT 1 / %s::int", [0])
    assert statements.rows(ANSWER, [1]) == [(41,)]


def test_a_statement_is_prepared_once_and_what_the_orm_asks_is_not(db):
    for number in range(3):
        assert statements.rows("SELECT %s::int AS prepared_once", [number]) == [(number,)]
    for _ in range(10):
        User.objects.filter(email="nobody").exists()
    asked = "SELECT count(*), sum(generic_plans + custom_plans) FROM pg_prepared_statements"
    told = statements.rows(f"{asked} WHERE statement LIKE %s", ["SELECT $1::int AS prepared_once"])
    assert told == [(1, 3)]
    everything = statements.rows(f"{asked} WHERE statement LIKE %s", ["%parties_user%"])
    assert everything == [(0, None)]


def test_a_plan_for_an_empty_table_does_not_last(db, monkeypatch):
    """Planned for a table that then fills, it would read all of it for each row it is asked for."""
    monkeypatch.setattr(statements._Plans, "kept", 0.0)
    asked = "SELECT count(*) FROM growing WHERE id = %s"
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE growing (id int PRIMARY KEY) ON COMMIT DROP")
        cursor.execute("ANALYZE growing")
        for _ in range(10):
            statements.rows(asked, [1])
        cursor.execute("INSERT INTO growing SELECT generate_series(1, 20000)")
        monkeypatch.setattr(statements, "_plans", statements._Plans())
        read = "SELECT seq_scan, idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'growing'"
        before = statements.rows(read, [])[0]
        assert statements.rows(asked, [1]) == [(1,)]
        assert statements.rows(read, [])[0] == (before[0], before[1] + 1)
