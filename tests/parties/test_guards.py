"""What plain SQL in the name of the hub's own role cannot do to debts of CDRs."""

import pytest
from django.db import IntegrityError, connection, transaction

from parties.models import Delivery
from tests.settlement import factory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def debts():
    receiver = factory.emsp(equipped=False).roles.get()
    factory.emsp("NL-EMP", equipped=False)
    for module in ("cdrs", "tokens"):
        Delivery.objects.create(receiver=receiver, module=module, object_id=1, wanted=1)


def refused(statement):
    connection.check_constraints()
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        connection.cursor().execute(statement)
    return str(caught.value)


@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {}"])
def test_the_delivery_of_a_cdr_stays_on_record(statement):
    assert "never deleted" in refused(statement.format("parties_delivery"))


def test_no_detour_leads_past_that():
    assert "never deleted" in refused("TRUNCATE parties_role CASCADE")
    update = "UPDATE parties_delivery SET {} WHERE module = 'cdrs'"
    for change in (
        "module = 'tokens', object_id = 2",
        "object_id = 2",
        "id = id + 1000",
        "receiver_id = (SELECT max(id) FROM parties_role)",
    ):
        assert "stays that of its object" in refused(update.format(change))


def test_other_deliveries_may_go():
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM parties_delivery WHERE module <> 'cdrs'")
    assert Delivery.objects.get().module == "cdrs"
