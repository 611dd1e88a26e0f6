"""What must hold of delivery and of the network: it does, and every check sees what breaks it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from cdrs.models import Cdr, Session
from hub.sandbox.partner import Partner
from locations.models import Location
from parties import invariants
from parties.models import ClientInfo, Delivery, Errand, Key, Platform, Role
from settlement.invariants import breaches
from tests import objects
from tests.settlement.conftest import tampering

pytestmark = pytest.mark.django_db


@pytest.fixture
def trade(cpo: Partner, emsp: Partner, deliver: Callable[[], int]) -> None:
    """Have something of every module told and delivered."""
    assert emsp.push_token(objects.token(emsp.address)).succeeded
    assert cpo.publish_location(objects.location(cpo.address)).succeeded
    assert cpo.publish_tariff(objects.tariff(cpo.address)).succeeded
    assert cpo.send_session(objects.session(cpo.address, emsp.address)).succeeded
    assert cpo.send_cdr(objects.cdr(cpo.address, emsp.address)).succeeded
    deliver()


def found(check: invariants.Check) -> list[str]:
    """Return what a check finds, in words."""
    return [f"{subject}: {text}" for subject, text in check()]


def tamper(change: Callable[[], Any]) -> None:
    """Change what nothing in the product can change."""
    with tampering():
        change()


def drop_constraint(table: str, name: str) -> None:
    """Take away for this test what keeps the database from being wrong in the first place."""
    connection.check_constraints()  # no pending triggers, or the table could not be altered
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')


def test_all_is_well_when_everything_is_delivered(trade: None) -> None:
    assert breaches() == []


def test_all_is_well_while_everything_is_owed(cpo: Partner, emsp: Partner) -> None:
    cpo.publish_location(objects.location(cpo.address))
    cpo.send_cdr(objects.cdr(cpo.address, emsp.address))
    assert Delivery.objects.filter(wanted__gt=F("acknowledged")).count() >= 2
    assert breaches() == []


@pytest.mark.parametrize("module", ["locations", "tariffs"])
def test_a_broadcast_object_is_owed_to_everybody(trade: None, module: str) -> None:
    tamper(Delivery.objects.filter(module=module).delete)
    (breach,) = found(invariants.the_entitled_are_owed)
    assert breach.startswith(f"{module}/")
    assert breach.endswith("its present version is not owed to DE*MSP (EMSP)")


def test_a_token_is_owed_to_everybody_who_has_chargers(trade: None) -> None:
    tamper(Delivery.objects.filter(module="tokens").delete)
    (breach,) = found(invariants.the_entitled_are_owed)
    assert breach.endswith("not owed to FR*CPO (CPO)")


def test_what_is_owed_is_the_present_version(trade: None) -> None:
    tamper(lambda: Location.objects.update(version=F("version") + 1))
    assert len(found(invariants.the_entitled_are_owed)) == 1


@pytest.mark.parametrize(("module", "model"), [("cdrs", Cdr), ("sessions", Session)])
def test_what_is_to_be_paid_is_owed_to_the_payer(trade: None, module: str, model: Any) -> None:
    tamper(Delivery.objects.filter(module=module).delete)
    assert found(invariants.payers_are_owed) == [
        f"{module}/{model.objects.get()}: its present version is not owed to who pays for it"
    ]


def test_a_session_of_before_the_payer_came_is_not_owed(trade: None) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    tamper(Delivery.objects.filter(module="sessions").delete)
    tamper(lambda: Session.objects.update(received_at=long_ago))
    assert found(invariants.payers_are_owed) == []


def test_the_news_of_the_network_are_owed(trade: None) -> None:
    tamper(Delivery.objects.filter(module=ClientInfo.module, receiver__role="EMSP").delete)
    (breach,) = found(invariants.platforms_are_told_who_is_there)
    assert breach == "FR*CPO/CPO: is not told to Cast Mobility"


def test_no_more_is_acknowledged_than_wanted(trade: None) -> None:
    drop_constraint("parties_delivery", "acknowledged_at_most_wanted")
    tamper(lambda: Delivery.objects.filter(module="cdrs").update(acknowledged=7))
    (breach,) = found(invariants.debts_are_of_objects)
    assert breach.endswith("more is acknowledged than wanted")


def test_no_version_is_owed_that_there_is_not(trade: None) -> None:
    tamper(lambda: Delivery.objects.filter(module="cdrs").update(wanted=7))
    (breach,) = found(invariants.debts_are_of_objects)
    assert breach.endswith("the wanted version of the object does not exist")


def test_no_lease_is_long(trade: None) -> None:
    later = timezone.now() + timedelta(minutes=3)
    tamper(lambda: owed_again().update(leased_until=later))
    (breach,) = found(invariants.leases_are_short)
    assert "is leased until" in breach


def test_no_lease_is_left_behind(trade: None) -> None:
    before = timezone.now() - timedelta(minutes=3)
    tamper(lambda: owed_again().update(leased_until=before, next_attempt_at=before))
    (breach,) = found(invariants.leases_are_short)
    assert "nobody has taken it up again" in breach
    Platform.objects.update(paused_until=timezone.now() + timedelta(minutes=1))
    assert found(invariants.leases_are_short) == []


def owed_again() -> Any:
    """Have a CDR owed once more."""
    rows = Delivery.objects.filter(module="cdrs")
    rows.update(acknowledged=0)
    return rows


def test_no_cdr_is_left_lying(trade: None) -> None:
    tamper(lambda: owed_again().update(owed_since=timezone.now() - timedelta(hours=81)))
    (breach,) = found(invariants.money_is_not_left_lying)
    assert breach.endswith("is not parked")
    owed_again().update(state=Delivery.State.PARKED)
    assert found(invariants.money_is_not_left_lying) == []


def errand(cpo: Partner, emsp: Partner, age: timedelta, **changes: Any) -> Errand:
    """Have a command on record."""
    roles = {role.role: role for role in Role.objects.all()}
    values: dict[str, Any] = {"digest": b"one", "module": "commands", "action": "UNLOCK_CONNECTOR"}
    values |= {"sender": roles["EMSP"], "receiver": roles["CPO"], "correlation_id": "c"}
    now = timezone.now()
    values |= {"created_at": now - age, "expires_at": now + timedelta(days=1)}
    return Errand.objects.create(**values | changes)


def test_a_command_has_an_outcome_soon(cpo: Partner, emsp: Partner) -> None:
    errand(cpo, emsp, timedelta(seconds=60))
    assert found(invariants.errands_come_to_an_end) == []
    lost = errand(cpo, emsp, timedelta(seconds=80), digest=b"two")
    (breach,) = found(invariants.errands_come_to_an_end)
    assert breach.startswith(f"{lost.pk}: was passed on at")
    Errand.objects.update(state=Errand.State.TIMEOUT)
    assert found(invariants.errands_come_to_an_end) == []


def test_a_role_is_on_one_platform(cpo: Partner, emsp: Partner) -> None:
    drop_constraint("parties_role", "role_on_one_platform")
    role = Role.objects.get(role="CPO")
    other = Platform.objects.exclude(pk=role.platform_id).get()
    Role.objects.create(party=role.party, role=role.role, platform=other)
    (breach,) = found(invariants.roles_are_on_one_platform)
    assert breach == f"party {role.party_id}: is 2 times in the role CPO"


def test_no_token_is_shared(cpo: Partner, emsp: Partner) -> None:
    drop_constraint("parties_key", "parties_key_digest_key")
    tamper(lambda: Key.objects.update(digest=b"the same"))
    (breach,) = found(invariants.tokens_are_nobody_elses)
    assert breach.endswith("shares its token with another")


def test_a_used_token_opens_nothing(cpo: Partner) -> None:
    Key.objects.filter(purpose=Key.Purpose.ACCESS).update(used_at=timezone.now())
    (breach,) = found(invariants.tokens_are_nobody_elses)
    assert breach.endswith("was used up and opens more than registration")


def test_a_suspended_platform_has_no_token(cpo: Partner) -> None:
    Platform.objects.update(state=Platform.State.SUSPENDED)
    (breach,) = found(invariants.tokens_are_nobody_elses)
    assert breach.endswith("is good although the platform is suspended")


def test_nothing_is_from_the_future(trade: None) -> None:
    soon, later = (timezone.now() + timedelta(minutes=n) for n in (14, 16))
    tamper(lambda: Location.objects.update(last_updated=soon))
    assert found(invariants.no_object_is_from_the_future) == []
    tamper(lambda: Location.objects.update(last_updated=later))
    (breach,) = found(invariants.no_object_is_from_the_future)
    assert breach.startswith("locations/FR*CPO/L1: was last changed at")


def test_a_role_is_told_as_it_is(cpo: Partner, emsp: Partner) -> None:
    Platform.objects.update(state=Platform.State.OFFLINE)
    assert len(found(invariants.roles_are_told_as_they_are)) == 2
