"""What is owed goes its way by classes: money apart from state, and each answer has its effect."""

import threading
from datetime import timedelta
from io import StringIO
from time import monotonic, sleep
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.utils import timezone

from cdrs.models import Cdr
from hub.ocpi import json
from locations.models import Location
from parties import delivery, journal
from parties.delivery import process
from parties.models import Delivery, Endpoint, Exchange, Platform, Tally
from tests import objects
from tests.parties.test_delivery import make_due, put
from tests.speaking import joined
from tests.wires import Said, envelope, receiving, wire

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def far():
    """Have a receiver whose answers the test decides, of locations and CDRs."""
    with wire(lambda seen: envelope()) as found:
        speaker = receiving(found, "locations")
        url = f"{found.url}/cdrs"
        Endpoint.objects.create(
            platform=speaker.platform, module="cdrs", interface="RECEIVER", url=url
        )
        found.speaker = speaker
        yield found


def send(far):
    return delivery.drain(far.speaker.platform.pk)


def charge(cpo, payer, uid="CDR1", **members):
    payer.put(f"2.2.1/receiver/tokens/{payer.path}/CARD1", objects.token(payer.address))
    body = objects.cdr(cpo.address, payer.address, id=uid, session_id=uid, **members)
    body["cdr_location"]["evse_uid"] = f"E-{uid}"
    assert cpo.post("2.2.1/receiver/cdrs", body).code == 1000
    return body


def said(status, code, message):
    return Said(status, json.dumps({"status_code": code, "status_message": message}))


def paths(far):
    return [seen.path.rpartition("/")[2] for seen in far.seen]


@pytest.mark.ocpi("B-08")
def test_who_does_not_know_us_is_left_alone_and_then_asked_with_one(cpo, far, caplog):
    far.answer = lambda seen: envelope(code=2000, status=401)
    for number in range(4):
        put(cpo, id=f"L{number}")
    send(far)
    platform = far.speaker.platform
    assert platform.pause_reason == "auth"
    assert timedelta(minutes=14) < platform.paused_until - timezone.now() < timedelta(minutes=16)
    assert "does not accept the hub's token" in caplog.text
    asked = len(far.seen)
    assert send(far) == 0
    make_due()
    far.answer = lambda seen: envelope()
    assert send(far) == 4
    assert len(far.seen) - asked == 4
    assert (far.speaker.platform.pause_reason, far.speaker.platform.paused_until) == ("", None)


def test_who_asks_for_less_is_sent_nothing_for_as_long(cpo, far):
    far.answer = lambda seen: Said(429, b"", {"Retry-After": "600"})
    put(cpo)
    send(far)
    platform = far.speaker.platform
    assert timedelta(minutes=9) < platform.paused_until - timezone.now() < timedelta(minutes=11)
    assert (platform.pace, platform.failures, platform.openings) == (50, 0, 0)
    assert delivery.platforms_due() == []
    assert send(far) == 0


@pytest.mark.ocpi("D-09")
def test_a_cdr_that_arrived_without_an_answer_is_not_parked_as_a_duplicate(cpo, far):
    charge(cpo, far.speaker)

    def hang_up(seen):
        raise ConnectionAbortedError

    far.answer = hang_up
    send(far)
    row = Delivery.objects.get(module="cdrs")
    assert (row.acknowledged, row.doubtful, row.attempts) == (0, True, 1)
    far.answer = lambda seen: said(200, 2001, "this CDR exists already")
    make_due()
    send(far)
    row.refresh_from_db()
    assert (row.acknowledged, row.doubtful, row.state) == (1, False, "live")
    assert row.last_answer.startswith("AMBIGUOUS-CONFIRMED")


def test_a_cdr_that_is_refused_three_times_waits_for_a_person(cpo, far, caplog):
    charge(cpo, far.speaker)
    far.answer = lambda seen: said(200, 2001, "this CDR exists already")
    for _ in range(3):
        send(far)
        make_due()
    row = Delivery.objects.get(module="cdrs")
    assert (row.state, row.refusals) == ("parked", 3)
    assert far.speaker.platform.failures == 0
    [line] = [line for line in caplog.records if "given up" in line.message]
    assert line.levelname == "ERROR"
    [told] = delivery.given_up_of(cpo.party)
    assert (told.uid, told.receiver, told.state) == ("CDR1", "DE*EMP", "parked")
    assert delivery.figures().given_up == {"parked": 1}


def test_failures_before_a_refusal_do_not_count_as_refusals(cpo, far):
    far.answer = lambda seen: Said(500)
    put(cpo)
    for _ in range(4):
        send(far)
        make_due()
    far.answer = lambda seen: envelope(code=2001)
    send(far)
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.refusals) == ("live", 5, 1)


@pytest.mark.ocpi("D-09")
def test_a_credit_waits_for_the_cdr_that_it_takes_back(cpo, far):
    charge(cpo, far.speaker)
    charge(cpo, far.speaker, "CDR2")
    first, credit = Cdr.objects.order_by("pk")
    Delivery.objects.filter(object_id=credit.pk, module="cdrs").update(follows=first.pk)
    far.answer = lambda seen: Said(500)
    send(far)
    assert [json.loads(seen.body)["id"] for seen in far.seen] == ["CDR1"]
    make_due()
    far.answer = lambda seen: envelope()
    assert send(far) == 2
    assert [json.loads(seen.body)["id"] for seen in far.seen] == ["CDR1", "CDR1", "CDR2"]


def test_what_follows_a_parked_cdr_is_parked_with_it_and_sent_again_with_it(cpo, far):
    charge(cpo, far.speaker)
    charge(cpo, far.speaker, "CDR2")
    first, credit = Cdr.objects.order_by("pk")
    Delivery.objects.filter(object_id=credit.pk, module="cdrs").update(follows=first.pk)
    far.answer = lambda seen: envelope(code=2001)
    for _ in range(3):
        send(far)
        make_due()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"parked"}
    far.answer = lambda seen: envelope()
    assert len(delivery.send_again(Delivery.objects.all())) == 2
    assert send(far) == 2


def test_a_credit_is_owed_after_its_original(cpo, far):
    body = charge(cpo, far.speaker)
    original = Cdr.objects.get()
    credit = {**body, "id": "CR1", "credit": True, "credit_reference_id": "CDR1"}
    for name in [name for name in body if name.startswith("total_") and "cost" in name]:
        credit[name] = {key: -value for key, value in body[name].items()}
    assert cpo.post("2.2.1/receiver/cdrs", credit).code == 1000
    taken = Cdr.objects.get(uid="CR1")
    assert taken.credit_of == original
    row = Delivery.objects.get(object_id=taken.pk, module="cdrs")
    assert row.follows == original.pk


def test_what_the_hub_fails_at_is_parked_after_five_tries_and_the_rest_goes_on(
    cpo,
    far,
    caplog,
):
    put(cpo)
    receiver = far.speaker.party.roles.get()
    row = Delivery.objects.create(receiver=receiver, module="locations", object_id=10**9, wanted=1)
    for _ in range(5):
        send(far)
        make_due()
    assert paths(far) == ["L1"]
    row.refresh_from_db()
    assert (row.state, row.attempts, row.acknowledged) == ("parked", 5, 0)
    assert f"delivery {row.pk}" in row.last_answer
    assert any(line.exc_info for line in caplog.records if "rendered" in line.message)


def test_a_cdr_overtakes_states_that_the_receiver_is_slow_to_take(cpo, far):
    gate = threading.Event()
    Platform.objects.update(state_since=timezone.now() - timedelta(days=1))
    for number in range(12):
        put(cpo, id=f"L{number}")
    charge(cpo, far.speaker)

    def work():
        try:
            send(far)
        finally:
            connections.close_all()

    far.answer = _gated(gate)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        until = monotonic() + 15
        while not Delivery.objects.filter(module="cdrs", acknowledged=1).exists():
            assert monotonic() < until, "the CDR waits behind locations"
            sleep(0.02)
        assert Delivery.objects.filter(module="locations", acknowledged=1).count() == 0
        assert len([path for path in paths(far) if path != "cdrs"]) <= 8
    finally:
        gate.set()
        thread.join(20)
    assert not Delivery.objects.filter(acknowledged=0).exists()


def _gated(gate):
    def answer(seen):
        if "locations" in seen.path:
            gate.wait(20)
        return envelope()

    return answer


def test_a_batch_costs_as_many_statements_as_a_single_object(
    cpo,
    far,
    django_assert_max_num_queries: Any,
):
    Platform.objects.update(state_since=timezone.now() - timedelta(days=1))
    put(cpo)
    send(far)
    for number in range(8):
        put(cpo, id=f"L{number}", name="new")
    with django_assert_max_num_queries(60):
        assert send(far) == 8


def test_a_limit_of_a_platform_is_kept(cpo, far):
    Platform.objects.update(rate=20, state_since=timezone.now() - timedelta(days=1))
    for number in range(20):
        put(cpo, id=f"L{number}")
    begun = monotonic()
    assert send(far) == 20
    assert monotonic() - begun > 0.6  # 5 at once, then 20 a second


# The engine of a process


def test_the_engine_of_a_process_sends_what_nobody_has_woken_it_for(cpo, far):
    put(cpo, id="L0")
    running = process.Running()
    try:
        running.wake([])
        until = monotonic() + 30
        put(cpo, id="L1")
        while Delivery.objects.filter(acknowledged=0).exists():
            assert monotonic() < until, "nothing is found"
            sleep(0.05)
    finally:
        running.finish()
    assert sorted(paths(far)) == ["L0", "L1"]
    assert Tally.objects.get(name="attempts:acknowledged").total >= 2


def test_what_is_under_way_is_booked_before_the_end(cpo, far):
    entered = threading.Event()

    def slow(seen):
        entered.set()
        sleep(0.5)
        return envelope()

    far.answer = slow
    put(cpo)
    running = process.Running()
    running.wake([far.speaker.platform.pk])
    assert entered.wait(30)
    running.finish()
    row = Delivery.objects.get()
    assert (row.acknowledged, row.leased_until) == (1, None)


def test_what_no_drain_was_at_is_found(cpo, far):
    put(cpo)
    assert delivery.unattended() == []
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=10))
    assert delivery.unattended() == [far.speaker.platform.pk]
    Platform.objects.update(paused_until=timezone.now() + timedelta(seconds=10))
    assert delivery.unattended() == []


# Sending again


def test_everything_is_owed_again_to_one_receiver(cpo, far):
    other = joined("AT", "OTH", "EMSP")
    put(cpo)
    charge(cpo, far.speaker)
    send(far)
    Delivery.objects.create(
        receiver=other.party.roles.get(),
        module="locations",
        object_id=Location.objects.get().pk,
        wanted=1,
        acknowledged=1,
    )
    far.seen.clear()
    far.answer = lambda seen: said(200, 2001, "exists") if "cdrs" in seen.path else envelope()
    told = StringIO()
    call_command("owe_again", "DE-EMP", "--json", stdout=told)
    assert json.loads(told.getvalue().encode())["owed_again"] == 2
    assert send(far) == 2
    assert sorted(paths(far)) == ["L1", "cdrs"]
    assert not Delivery.objects.filter(acknowledged=0).exists()
    assert Delivery.objects.get(module="cdrs").last_answer.startswith("AMBIGUOUS-CONFIRMED")


def test_what_was_never_owed_is_found_when_everything_is_owed_again(cpo, far):
    put(cpo)
    Delivery.objects.all().delete()
    assert delivery.owe_again(far.speaker.platform) == 0
    assert send(far) == 1


def test_one_module_or_time_is_owed_again(cpo, far):
    put(cpo, id="OLD")
    charge(cpo, far.speaker)
    send(far)
    Delivery.objects.update(acknowledged_at=timezone.now() - timedelta(days=2))
    put(cpo, id="NEW")
    send(far)
    since = (timezone.now() - timedelta(days=1)).isoformat()
    told = StringIO()
    call_command("owe_again", "DE-EMP", "--since", since, "--module", "locations", stdout=told)
    far.seen.clear()
    assert send(far) == 1
    assert paths(far) == ["NEW"]
    with pytest.raises(CommandError, match="not a module"):
        call_command("owe_again", "DE-EMP", "--module", "commands", stdout=told)
    with pytest.raises(CommandError, match=r"not in the network|no "):
        call_command("owe_again", "DE-XXX", stdout=told)


def test_what_was_given_up_is_sent_again(cpo, far):
    far.answer = lambda seen: envelope(code=2001)
    put(cpo)
    for _ in range(3):
        send(far)
        make_due()
    assert Delivery.objects.get().state == "rejected"
    far.answer = lambda seen: envelope()
    told = StringIO()
    call_command("send_again", "DE-EMP", "--json", stdout=told)
    assert json.loads(told.getvalue().encode())["sent_again"] == 1
    assert send(far) == 1
    row = Delivery.objects.get()
    assert (row.state, row.acknowledged) == ("live", 1)


def test_figures_tell_what_is_owed_by_class_and_how_old_it_is(cpo, far):
    put(cpo)
    charge(cpo, far.speaker)
    Delivery.objects.filter(module="cdrs").update(owed_since=timezone.now() - timedelta(hours=2))
    found = {item.kind: item for item in delivery.figures().backlogs}
    assert {kind: item.rows for kind, item in found.items()} == {"money": 1, "state": 1}
    assert found["money"].oldest_age > 7000
    assert found["state"].oldest_age < 600
    far.answer = lambda seen: envelope(code=2000, status=401)
    send(far)
    assert delivery.figures().pauses == {far.speaker.platform.pk: "auth"}
    assert delivery.figures().totals["attempts:auth"] >= 1


def test_every_try_is_in_the_journal(cpo, far):
    put(cpo)
    far.answer = lambda seen: Said(500)
    send(far)
    make_due()
    far.answer = lambda seen: envelope()
    send(far)
    journal.flush()
    rows = Exchange.objects.filter(direction="out", module="locations").order_by("pk")
    assert list(rows.values_list("http_status", flat=True)) == [500, 200]
