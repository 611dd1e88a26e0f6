"""What is owed reaches the receiver, in order, whatever goes wrong on the way."""

import re
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from cdrs.models import Cdr, Session
from hub.ocpi import client, json
from hub.ocpi.messages import Address
from hub.sandbox.desk import Desk
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from locations.models import Location
from parties import delivery, keys, registration
from parties.delivery import Outcome, engine
from parties.delivery.health import Health
from parties.delivery.outcomes import Verdict
from parties.models import Delivery, Endpoint, Platform
from tests import objects
from tests.speaking import joined

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def partner():
    with Partner(Address("DE", "EMP"), ["EMSP"], "An eMSP").served() as partner:
        yield partner


@pytest.fixture
def emsp(partner):
    """The eMSP as the hub knows it after a handshake with the partner."""
    speaker = joined("DE", "EMP", "EMSP")
    platform = speaker.platform
    Platform.objects.filter(pk=platform.pk).update(
        sealed_token=keys.seal(partner.token), hosts=[partner.url.split("/")[2]]
    )
    for item in partner.endpoints():
        Endpoint.objects.update_or_create(
            platform=platform,
            module=item["identifier"],
            interface=item["role"],
            defaults={"url": item["url"]},
        )
    return speaker


def put(cpo, **members):
    body = objects.location(cpo.address, **members)
    reply = cpo.put(f"2.2.1/receiver/locations/{cpo.path}/{body['id']}", body)
    assert reply.code == 1000
    return body


def drain(emsp):
    return delivery.drain(emsp.platform.pk)


def make_due():
    now = timezone.now()
    Delivery.objects.update(next_attempt_at=now, leased_until=None)
    Platform.objects.update(paused_until=None)


@pytest.mark.ocpi("B-04", "R-10", "T-31", "P-12")
def test_a_location_arrives_as_it_is_with_the_headers_of_a_broadcast(cpo, emsp, partner):
    body = put(cpo, unknown={"kept": objects.D("1.10")})
    assert drain(emsp) == 1
    [received] = partner.received
    assert (received.method, received.path[3:]) == ("PUT", ("NL", "CPO", "L1"))
    assert received.body == body
    assert received.headers["OCPI-from-party-id"] == "OCN"
    assert received.headers["OCPI-to-party-id"] == "EMP"
    assert received.headers["X-Request-ID"]
    row = Delivery.objects.get()
    assert (row.acknowledged, row.wanted, row.state) == (1, 1, "live")
    assert drain(emsp) == 0


@pytest.mark.ocpi("O-02", "D-09")
def test_a_cdr_is_posted_from_its_cpo(cpo, emsp, partner):
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD1", objects.token(emsp.address))
    body = objects.cdr(cpo.address, emsp.address)
    cpo.post("2.2.1/receiver/cdrs", body)
    drain(emsp)
    [received] = [item for item in partner.received if item.module == "cdrs"]
    assert (received.method, received.path[3:]) == ("POST", ())
    assert received.headers["OCPI-from-party-id"] == "CPO"
    assert received.headers["OCPI-to-party-id"] == "EMP"
    assert received.body == body


@pytest.mark.ocpi("B-08")
def test_what_changed_while_the_receiver_was_away_is_sent_once_as_it_is_now(cpo, emsp, partner):
    partner.misbehave(Fault.ERROR500)
    for name in ("one", "two", "three"):
        put(cpo, name=name)
    drain(emsp)
    partner.misbehave(Fault.OK)
    partner.inbox.received.clear()
    make_due()
    assert drain(emsp) == 1
    assert [item.body["name"] for item in partner.received] == ["three"]
    row = Delivery.objects.get()
    assert (row.acknowledged, row.wanted) == (3, 3)


@pytest.mark.parametrize("fault", [Fault.ERROR500, Fault.GARBAGE, Fault.CLOSE])
def test_a_fault_of_the_receiver_is_tried_again_later(cpo, emsp, partner, fault):
    partner.misbehave(fault)
    put(cpo)
    drain(emsp)
    row = Delivery.objects.get()
    assert (row.acknowledged, row.state, row.attempts) == (0, "live", 1)
    assert row.next_attempt_at > timezone.now()
    assert row.last_answer
    assert emsp.platform.failures == 1


def test_five_failures_in_a_row_give_the_receiver_a_rest(cpo, emsp, partner):
    partner.misbehave(Fault.ERROR500)
    for number in range(6):
        put(cpo, id=f"L{number}")
    drain(emsp)
    assert emsp.platform.paused_until > timezone.now()
    Delivery.objects.update(next_attempt_at=timezone.now())
    assert drain(emsp) == 0
    assert delivery.platforms_due() == []
    partner.misbehave(Fault.OK)
    make_due()
    assert drain(emsp) == 6
    assert (emsp.platform.failures, emsp.platform.paused_until) == (0, None)


def test_a_refused_object_does_not_hold_up_the_others_and_is_given_up(cpo, emsp, partner):
    partner.misbehave(Fault.REFUSE, times=1)
    put(cpo, id="BAD")
    drain(emsp)
    put(cpo, id="GOOD")
    drain(emsp)
    assert set(partner.holds("locations")) == {"GOOD"}
    for _ in range(2):
        partner.misbehave(Fault.REFUSE, times=1)
        make_due()
        drain(emsp)
    refused = Delivery.objects.get(attempts=3)
    assert refused.state == "rejected"
    put(cpo, id="BAD", name="Better")
    drain(emsp)
    assert partner.holds("locations")["BAD"]["name"] == "Better"


def test_a_refused_cdr_waits_for_a_person_and_an_old_one_too(cpo, emsp, partner):
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD1", objects.token(emsp.address))
    cpo.post("2.2.1/receiver/cdrs", objects.cdr(cpo.address, emsp.address))
    partner.misbehave(Fault.ERROR500)
    Delivery.objects.update(owed_since=timezone.now() - timedelta(hours=73))
    drain(emsp)
    assert Delivery.objects.get(module="cdrs").state == "parked"


def test_a_dead_lease_is_taken_over(cpo, emsp, partner):
    put(cpo)
    Delivery.objects.update(leased_until=timezone.now() + timedelta(seconds=60))
    assert drain(emsp) == 0
    Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert delivery.platforms_due() == [emsp.platform.pk]
    assert drain(emsp) == 1


def test_only_one_drain_of_a_platform_acts(cpo, emsp, partner):
    put(cpo)
    held, done = threading.Event(), threading.Event()

    def hold():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s, %s)", [delivery.LOCK, emsp.platform.pk])
                held.set()
                done.wait(10)
                cursor.execute("SELECT pg_advisory_unlock_all()")  # closing takes a moment
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    assert drain(emsp) == 0
    done.set()
    thread.join()
    assert drain(emsp) == 1


@pytest.mark.ocpi("H-08")
def test_nothing_is_sent_to_a_platform_that_is_not_connected(cpo, emsp, partner):
    put(cpo)
    Platform.objects.filter(pk=emsp.platform.pk).update(state="suspended")
    assert delivery.drain(Platform.objects.get(state="suspended").pk) == 0
    assert not partner.received


def test_many_arrive_and_each_once(cpo, emsp, partner):
    for number in range(120):
        put(cpo, id=f"L{number}")
    assert drain(emsp) == 120
    assert len(partner.holds("locations")) == 120
    assert len(partner.received) == 120


@pytest.mark.parametrize(
    ("http", "code", "outcome"),
    [
        (200, 1000, Outcome.ACKNOWLEDGED),
        (201, 1000, Outcome.ACKNOWLEDGED),
        (200, 2001, Outcome.REFUSED),
        (404, 2003, Outcome.REFUSED),
        (409, 2000, Outcome.REFUSED),
        (403, 2000, Outcome.AUTH),
        (400, None, Outcome.REFUSED),
        (200, 3000, Outcome.TRANSIENT),
        (200, None, Outcome.UNREADABLE),
        (302, None, Outcome.TRANSIENT),
        (401, 2000, Outcome.AUTH),
        (408, None, Outcome.TRANSIENT),
        (410, None, Outcome.GONE),
        (429, None, Outcome.THROTTLED),
        (500, 2001, Outcome.TRANSIENT),
        (503, None, Outcome.TRANSIENT),
    ],
)
def test_every_answer_has_a_meaning(http, code, outcome):
    content = b"" if code else b"<html>"
    assert delivery.judge(client.Answer(http, code, "", None, {}, content)) is outcome


@pytest.mark.ocpi("T-07")
def test_an_empty_success_acknowledges_a_push():
    for http in (200, 201, 202, 204):
        assert delivery.judge(client.Answer(http, None, "", None, {}, b"")) is Outcome.ACKNOWLEDGED
    assert delivery.judge(client.Answer(500, None, "", None, {}, b"")) is Outcome.TRANSIENT


def test_the_waits_grow_and_never_exceed_their_limit():
    states = [
        delivery.delay("locations", n, Outcome.TRANSIENT).total_seconds() for n in range(1, 40)
    ]
    money = [delivery.delay("cdrs", n, Outcome.TRANSIENT).total_seconds() for n in range(1, 40)]
    assert max(states) <= 900
    assert max(money) <= 21600
    assert states[0] <= 2
    assert money[0] <= 5


def test_the_database_never_takes_more_acknowledged_than_wanted(cpo, emsp):
    put(cpo)
    with pytest.raises(Exception, match="acknowledged_at_most_wanted"):
        Delivery.objects.update(acknowledged=2)


@pytest.mark.ocpi("T-27", "R-09")
def test_bodies_keep_their_digits(cpo, emsp, partner):
    put(cpo, amount=objects.D("15.00"))
    drain(emsp)
    assert re.search(rb'"amount": ?15\.00\b', partner.received[0].content)
    assert json.loads(partner.received[0].content)["amount"] == objects.D("15.00")


def test_more_than_was_wanted_is_acknowledged_as_what_was_wanted(cpo, emsp, partner):
    put(cpo)
    Location.objects.update(version=5)
    drain(emsp)
    row = Delivery.objects.get()
    assert (row.acknowledged, row.wanted) == (1, 1)


@pytest.mark.ocpi("B-07")
def test_a_late_failure_does_not_postpone_what_became_wanted_meanwhile(
    cpo, emsp, partner, monkeypatch
):
    take = Desk._handle

    def fail_late(desk, received):
        if received.body["name"] != "one":
            return take(desk, received)
        try:
            put(cpo, name="two")
        finally:
            connections.close_all()
        return 503, None, {}

    monkeypatch.setattr(Desk, "_handle", fail_late)
    put(cpo, name="one")
    assert drain(emsp) == 2
    row = Delivery.objects.get()
    assert (row.acknowledged, row.wanted, row.attempts) == (2, 2, 0)
    assert partner.holds("locations")["L1"]["name"] == "two"


@pytest.mark.parametrize(("module", "state"), [("sessions", "rejected"), ("cdrs", "parked")])
@pytest.mark.ocpi("B-05", "D-09", "S-06")
def test_a_drivers_data_never_leave_for_another_party_than_the_payer(
    cpo, emsp, partner, caplog, module, state
):
    payer = joined("AT", "PAY", "EMSP")
    payer.put(f"2.2.1/receiver/tokens/{payer.path}/CARD1", objects.token(payer.address))
    session = objects.session(cpo.address, payer.address)
    cpo.put(f"2.2.1/receiver/sessions/{cpo.path}/{session['id']}", session)
    cpo.post("2.2.1/receiver/cdrs", objects.cdr(cpo.address, payer.address))
    item = {"sessions": Session, "cdrs": Cdr}[module].objects.get()
    row = Delivery.objects.create(
        receiver=emsp.party.roles.get(), module=module, object_id=item.pk, wanted=1
    )
    put(cpo)
    assert drain(emsp) == 1
    assert [received.module for received in partner.received] == ["locations"]
    row.refresh_from_db()
    assert (row.state, row.acknowledged, row.leased_until) == (state, 0, None)
    assert "another party" in row.last_answer
    [line] = [line for line in caplog.records if line.levelname == "ERROR"]
    assert (line.delivery, line.object, line.payer) == (row.pk, item.pk, payer.party.pk)


def test_a_batch_of_nothing_but_wrong_deliveries_says_nothing_about_the_receiver(
    cpo, emsp, partner
):
    session = objects.session(cpo.address, cpo.address)
    cpo.put(f"2.2.1/receiver/sessions/{cpo.path}/{session['id']}", session)
    Delivery.objects.create(
        receiver=emsp.party.roles.get(),
        module="sessions",
        object_id=Session.objects.get().pk,
        wanted=1,
    )
    Platform.objects.filter(pk=emsp.platform.pk).update(failures=7)
    assert drain(emsp) == 0
    assert (emsp.platform.failures, emsp.platform.paused_until) == (7, None)


@pytest.mark.ocpi("V-05")
def test_endpoints_that_have_moved_are_read_again(cpo, emsp, partner):
    platform = emsp.platform
    Platform.objects.filter(pk=platform.pk).update(
        versions_url=partner.versions_url,
        version="2.2.1",
        state_since=timezone.now() - timedelta(days=1),
    )
    Endpoint.objects.filter(platform=platform, module="locations").update(
        url=f"{partner.url}/2.2.1/receiver/places"
    )
    for number in range(4):
        put(cpo, id=f"L{number}")
    drain(emsp)
    assert emsp.platform.reread_at <= timezone.now()
    assert registration.read_versions(emsp.platform)
    assert emsp.platform.reread_at is None
    make_due()
    drain(emsp)
    assert len(partner.holds("locations")) == 4


def test_what_cannot_be_read_again_is_tried_later(emsp):
    Platform.objects.update(versions_url="http://127.0.0.1:1/versions", reread_at=timezone.now())
    assert not registration.read_versions(emsp.platform)
    assert emsp.platform.reread_at > timezone.now() + timedelta(minutes=4)
    assert emsp.platform.state == "connected"


def test_a_pause_from_before_a_handshake_is_not_written_after_it(emsp):
    found, rows = Health(emsp.platform.pk), Platform.objects.filter(pk=emsp.platform.pk)
    found.take(rows.get())
    found.note("locations", Verdict(Outcome.AUTH, "HTTP 401, OCPI None: ", 401))
    rows.update(registered_at=timezone.now())
    assert engine._wrote(found, found.news())
    assert rows.get().paused_until is None
    assert not found.resting


def test_a_rest_that_a_handshake_has_ended_is_over_in_a_held_lane_too(emsp):
    platform, rows = emsp.platform.pk, Platform.objects.filter(pk=emsp.platform.pk)
    held = engine.Engine(lambda *_: None)
    held._open_lanes({platform})
    health = held.lanes[platform].health
    health.note("locations", Verdict(Outcome.AUTH, "HTTP 401, OCPI None: ", 401))
    held._note_health([platform])
    assert health.resting
    assert rows.get().paused_until
    rows.update(registered_at=timezone.now(), **Platform.WELL)
    held._open_lanes({platform})
    assert not health.resting
    held._let_go()
