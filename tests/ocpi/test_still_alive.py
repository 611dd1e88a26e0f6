"""Who is silent is asked whether it is there; who is gone is announced, and so is who is back."""

import threading
from datetime import timedelta
from itertools import count, pairwise

import pytest
from django.db import connections
from django.utils import timezone

from hub.sandbox.faults import Fault
from parties import alive, clientinfo, delivery
from parties.delivery import claiming
from parties.invariants import roles_are_told_as_they_are
from parties.models import ClientInfo, Delivery, Platform
from tests import objects
from tests.partners import member
from tests.speaking import invited, joined

pytestmark = pytest.mark.django_db(transaction=True)
CPO, EMSP = "Cast Charging", "Cast Mobility"


@pytest.fixture
def cpo():
    with member("FR*CPO", ["CPO"], CPO) as partner:
        yield partner


@pytest.fixture
def emsp():
    with member("DE*MSP", ["EMSP"], EMSP) as partner:
        yield partner


def row(name=EMSP):
    return Platform.objects.get(name=name)


def pass_time(name=EMSP, **span):
    """Let time pass for one platform: everything that was noted is so much older."""
    fields = ("heard_at", "state_since", "probe_at", "failing_since", "paused_until")
    platform = row(name)
    moved = {field: getattr(platform, field) for field in fields}
    older = {field: value - timedelta(**span) for field, value in moved.items() if value}
    Platform.objects.filter(pk=platform.pk).update(**older)


def probes(partner):
    return [item for item in partner.inbox.received if item.path == ("versions",)]


def silence(partner):
    """Let a platform be silent for long enough, and forget what it was asked before."""
    pass_time(minutes=6)
    partner.inbox.received.clear()


def kill(partner):
    """Have a partner fail until it is announced as gone."""
    partner.misbehave(Fault.CLOSE)
    pass_time(minutes=6)
    for _ in range(3):
        alive.probe_due()
        pass_time(minutes=1)
    assert row().state == "offline"


def statuses():
    return dict(ClientInfo.objects.values_list("owner__party_id", "status"))


@pytest.mark.ocpi("H-06", "V-11")
def test_a_silent_platform_is_asked_for_its_versions_with_its_token(emsp):
    assert alive.probe_due() == 0
    silence(emsp)
    assert alive.probe_due() == 1
    [probe] = probes(emsp)
    assert probe.method == "GET"
    assert not [name for name in probe.headers if name.lower().startswith("ocpi-")]
    assert row().state == "connected"
    assert timezone.now() - row().heard_at < timedelta(seconds=10)
    assert alive.probe_due() == 0


@pytest.mark.ocpi("V-11")
def test_to_be_asked_for_the_versions_changes_nothing_but_who_was_heard(emsp):
    before = Platform.objects.values().get(name=EMSP)
    pass_time(minutes=6)
    emsp.request("GET", "http://127.0.0.1:8000/ocpi/versions")
    after = Platform.objects.values().get(name=EMSP)
    assert {key for key in after if after[key] != before[key]} <= {"heard_at", "state_since"}


@pytest.mark.ocpi("H-06")
def test_every_request_counts_as_heard_and_writes_once_a_minute(emsp):
    pass_time(minutes=6)
    emsp.locations()
    heard_at = row().heard_at
    assert timezone.now() - heard_at < timedelta(seconds=10)
    assert alive.probe_due() == 0
    emsp.locations()
    assert row().heard_at == heard_at
    pass_time(seconds=61)
    emsp.locations()
    assert row().heard_at > heard_at


@pytest.mark.ocpi("H-06")
def test_a_wrong_token_is_not_heard(emsp):
    pass_time(minutes=6)
    before = row().heard_at
    emsp.hub_token = "wrong"
    emsp.request("GET", emsp.hub_endpoints["locations SENDER"])
    assert row().heard_at == before


@pytest.mark.ocpi("H-06", "H-07")
@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.ERROR500, Fault.GARBAGE, Fault.UNAUTHORIZED])
def test_three_failures_in_a_row_make_it_offline_and_that_is_announced(cpo, emsp, deliver, fault):
    deliver()
    cpo.inbox.received.clear()
    emsp.misbehave(fault)
    silence(emsp)
    for expected in ("connected", "connected", "offline"):
        assert alive.probe_due() == 1
        assert alive.probe_due() == 0
        assert row().state == expected
        pass_time(minutes=1)
    assert statuses() == {"CPO": "CONNECTED", "MSP": "OFFLINE"}
    deliver()
    [news] = cpo.received
    assert (news.module, news.body["status"]) == ("hubclientinfo", "OFFLINE")


@pytest.mark.ocpi("H-07")
def test_a_good_probe_in_between_begins_the_count_anew(emsp):
    pass_time(minutes=6)
    emsp.misbehave(Fault.CLOSE, times=2)
    for _ in range(3):
        alive.probe_due()
        pass_time(minutes=1)
    assert (row().state, row().probes_failed) == ("connected", 0)
    emsp.misbehave(Fault.CLOSE)
    pass_time(minutes=6)
    alive.probe_due()
    assert (row().state, row().probes_failed) == ("connected", 1)


@pytest.mark.ocpi("H-07")
def test_a_request_in_between_begins_the_count_anew(emsp):
    pass_time(minutes=6)
    emsp.misbehave(Fault.CLOSE)
    for _ in range(2):
        alive.probe_due()
        pass_time(minutes=1)
    emsp.locations()
    pass_time(minutes=1)
    assert alive.probe_due() == 0
    assert (row().state, row().probes_failed) == ("connected", 0)


@pytest.mark.ocpi("H-08")
def test_who_is_offline_gets_probes_and_nothing_else(cpo, emsp, deliver):
    deliver()
    kill(emsp)
    emsp.inbox.received.clear()
    cpo.publish_location(objects.location(cpo.address))
    assert deliver() == 1  # the CPO hears that the eMSP is gone
    pass_time(minutes=1)
    alive.probe_due()
    assert [item.path for item in emsp.inbox.received] == [("versions",)]
    assert cpo.received[-1].body["status"] == "OFFLINE"


@pytest.mark.ocpi("H-06", "H-08", "B-10")
def test_two_good_probes_bring_it_back_and_it_gets_what_it_is_owed(cpo, emsp, deliver):
    deliver()
    kill(emsp)
    cpo.publish_location(objects.location(cpo.address, name="before"))
    cpo.publish_location(
        objects.location(cpo.address, name="now", last_updated="2026-11-11T00:00:00Z")
    )
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(hours=5))
    emsp.misbehave(Fault.OK)
    emsp.inbox.received.clear()
    pass_time(minutes=2)
    alive.probe_due()
    assert (row().state, row().probes_passed) == ("offline", 1)
    pass_time(minutes=1)
    alive.probe_due()
    assert (row().state, row().failures, row().paused_until) == ("connected", 0, None)
    assert statuses()["MSP"] == "CONNECTED"
    assert row().pull_at - timezone.now() < timedelta(seconds=11)
    deliver()
    assert [item.body["name"] for item in emsp.received if item.module == "locations"] == ["now"]
    assert [emsp.locations()[0]["name"]] == ["now"]


@pytest.mark.ocpi("H-06")
def test_a_request_brings_it_back_but_not_within_a_minute_of_the_last_change(emsp):
    kill(emsp)
    Platform.objects.update(state_since=timezone.now() - timedelta(seconds=50))
    emsp.locations()
    assert row().state == "offline"
    assert row().probe_at <= timezone.now()  # it is probed at once instead
    pass_time(seconds=15)
    emsp.locations()
    assert row().state == "connected"
    assert statuses()["MSP"] == "CONNECTED"


@pytest.mark.ocpi("H-07")
def test_good_probes_do_not_bring_it_back_within_a_minute_of_the_last_change(emsp):
    kill(emsp)
    emsp.misbehave(Fault.OK)
    for _ in range(4):
        Platform.objects.update(state_since=timezone.now(), probe_at=timezone.now())
        alive.probe_due()
    assert (row().state, row().probes_passed) == ("offline", 4)
    Platform.objects.update(
        state_since=timezone.now() - timedelta(seconds=61), probe_at=timezone.now()
    )
    alive.probe_due()
    assert row().state == "connected"


@pytest.mark.ocpi("H-07")
def test_one_that_comes_and_goes_all_the_time_is_announced_once_a_minute_at_most(emsp):
    """It fails for 90 seconds of every 120, and calls in between: the worst that can be."""
    changes, seconds = [], 0
    pass_time(minutes=6)
    for number in range(120):
        emsp.misbehave(Fault.OK if number % 12 < 3 else Fault.CLOSE)
        state = row().state
        alive.probe_due()
        if number % 12 < 3 and state == "offline":
            emsp.locations()
        if row().state != state:
            changes.append(seconds)
        Platform.objects.filter(state="connected").update(heard_at="2026-01-01T00:00:00Z")
        pass_time(seconds=10)
        seconds += 10
    assert len(changes) > 4
    assert all(later - earlier >= 60 for earlier, later in pairwise(changes))


@pytest.mark.ocpi("H-06")
def test_failing_deliveries_and_one_failed_probe_are_enough(cpo, emsp, deliver):
    deliver()
    emsp.misbehave(Fault.CLOSE)
    for number in range(5):
        cpo.publish_location(objects.location(cpo.address, id=f"L{number}"))
    deliver()
    assert (row().failures, row().paused_until is None) == (5, False)
    alive.probe_due()
    assert row().probes_failed == 0  # two minutes are not over
    pass_time(minutes=3)
    emsp.locations()  # it calls; its server is dead all the same
    alive.probe_due()
    assert row().state == "offline"
    pass_time(minutes=2)
    emsp.locations()
    assert row().state == "offline"
    emsp.misbehave(Fault.OK)
    for _ in range(2):
        pass_time(minutes=1)
        alive.probe_due()
    assert row().state == "connected"


@pytest.mark.ocpi("H-06")
def test_failing_deliveries_alone_do_not_make_it_offline_while_its_versions_answer(
    cpo, emsp, deliver
):
    deliver()
    emsp.misbehave(Fault.ERROR500, module="locations")
    for number in range(5):
        cpo.publish_location(objects.location(cpo.address, id=f"L{number}"))
    deliver()
    pass_time(minutes=3)
    assert alive.probe_due() == 1
    assert alive.probe_due() == 0
    assert row().state == "connected"


@pytest.mark.ocpi("H-06")
def test_an_acknowledged_delivery_shows_that_it_is_there(cpo, emsp, deliver):
    deliver()
    pass_time(minutes=6)
    cpo.publish_location(objects.location(cpo.address))
    deliver()
    assert alive.probe_due() == 0


@pytest.mark.ocpi("H-06")
@pytest.mark.parametrize("state", ["invited", "push_only", "suspended"])
def test_who_has_no_url_or_is_not_registered_is_left_alone(state):
    guest = invited("DE", "EMP", "EMSP")
    Platform.objects.update(
        state=state,
        versions_url="http://127.0.0.1:1/versions",
        heard_at=None,
        state_since=timezone.now() - timedelta(days=1),
    )
    assert alive.probe_due() == 0
    Platform.objects.update(state="connected", versions_url="")
    assert alive.probe_due() == 0
    assert guest.platform.state == "connected"


def test_a_push_only_platform_is_heard_and_stays_what_it_is():
    speaker = joined("DE", "EMP", "EMSP", state="push_only")
    speaker.get("versions")
    assert (speaker.platform.state, speaker.platform.heard_at is None) == ("push_only", False)


def test_many_that_hang_are_asked_side_by_side_and_hold_no_transaction(monkeypatch):
    monkeypatch.setattr(alive, "SECONDS", 0.5)
    with member("DE*MSP", ["EMSP"], EMSP) as partner:
        partner.misbehave(Fault.HANG)
        for code in ("AAA", "BBB", "CCC", "DDD"):
            joined("SE", code, "EMSP")
        known = row()
        Platform.objects.update(
            heard_at=timezone.now() - timedelta(minutes=6),
            versions_url=known.versions_url,
            sealed_token=known.sealed_token,
            hosts=known.hosts,
        )
        started = timezone.now()
        assert alive.probe_due() == 5
        assert timezone.now() - started < timedelta(seconds=2)
    assert set(Platform.objects.values_list("probes_failed", flat=True)) == {1}


def test_only_one_worker_probes(emsp):
    silence(emsp)
    emsp.misbehave(Fault.HANG)
    counts = []

    def probe():
        try:
            counts.append(alive.probe_due())
        finally:
            connections.close_all()

    thread = threading.Thread(target=probe)
    thread.start()
    assert emsp.inbox.wait_for(lambda: bool(emsp.inbox.received), 5)
    Platform.objects.update(probe_at=timezone.now())
    assert alive.probe_due() == 0
    emsp.misbehave(Fault.OK)
    thread.join()
    assert counts[0] >= 1


def test_who_is_heard_while_it_is_being_given_up_stays_connected(emsp):
    pass_time(minutes=6)
    Platform.objects.update(probes_failed=3)
    emsp.locations()
    alive.go_offline(row())
    assert row().state == "connected"


@pytest.mark.ocpi("C-09", "H-08")
def test_who_is_suspended_is_told_nothing_and_shown_as_suspended(cpo, emsp, deliver):
    deliver()
    clientinfo.move(row(), Platform.State.SUSPENDED)
    emsp.inbox.received.clear()
    cpo.publish_location(objects.location(cpo.address))
    deliver()
    pass_time(minutes=6)
    alive.probe_due()
    assert not emsp.inbox.received
    assert statuses()["MSP"] == "SUSPENDED"
    assert delivery.platforms_due() == []


@pytest.mark.ocpi("R-06", "H-08")
def test_what_is_for_a_party_that_is_offline_is_answered_4003_at_once(cpo, emsp, deliver):
    cpo.publish_location(objects.location(cpo.address))
    emsp.push_token(objects.token(emsp.address))
    deliver()
    clientinfo.move(row(CPO), Platform.State.OFFLINE)
    cpo.inbox.received.clear()
    body = {
        "response_url": f"{emsp.url}/results/1",
        "token": objects.token(emsp.address),
        "location_id": "L1",
    }
    answer = emsp.call("POST", "commands", "RECEIVER", "START_SESSION", body=body)
    assert (answer.http, answer.code) == (200, 4003)
    assert not cpo.inbox.received


@pytest.mark.ocpi("H-06")
def test_who_has_just_come_is_sent_one_then_two_then_four_at_once(cpo, emsp, deliver, monkeypatch):
    most, claim = [], claiming.claim

    def noted(rooms):
        most.extend(room.total for room in rooms)
        return claim(rooms)

    deliver()
    monkeypatch.setattr(claiming, "claim", noted)
    for number in range(20):
        cpo.publish_location(objects.location(cpo.address, id=f"L{number}"))
    deliver()
    assert most[0] == 1
    assert next(number for number in most if number > 1) == 2
    assert max(most) > 4
    most.clear()
    pass_time(minutes=2)
    for number in range(20):
        cpo.publish_location(objects.location(cpo.address, id=f"M{number}"))
    deliver()
    assert most[0] >= delivery.IN_FLIGHT


@pytest.mark.ocpi("B-08", "H-06")
def test_after_failures_a_single_object_goes_first(cpo, emsp, deliver):
    deliver()
    emsp.misbehave(Fault.CLOSE)
    for number in range(5):
        cpo.publish_location(objects.location(cpo.address, id=f"L{number}"))
    deliver()
    emsp.inbox.received.clear()
    pass_time(minutes=2)
    Delivery.objects.update(next_attempt_at=timezone.now())
    deliver()
    assert len(emsp.received) == 1
    assert row().paused_until > timezone.now()


def all_at_once(jobs, seconds):
    """Repeat each job in a thread of its own for some seconds; return what went wrong."""
    failures, until = [], timezone.now() + timedelta(seconds=seconds)

    def repeat(job):
        try:
            while timezone.now() < until:
                job()
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=repeat, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.ocpi("H-01", "H-06", "H-07")
def test_moves_deliveries_and_requests_at_once_end_in_step(cpo, emsp):
    """Everybody moves, tells and books at the same time: nothing deadlocks, nothing is lost."""
    numbers = count()

    def flap(name):
        alive.go_offline(row(name))
        Platform.objects.filter(name=name).update(state_since=timezone.now() - alive.STEADY)
        alive.heard(row(name))

    def newcomer():
        if Platform.objects.count() < 12:
            joined("SE", f"N{next(numbers):02}", "EMSP", "CPO")

    Platform.objects.update(heard_at=None)
    jobs = [
        lambda: flap(CPO),
        lambda: flap(EMSP),
        lambda: delivery.drain(row(CPO).pk),
        lambda: delivery.drain(row(EMSP).pk),
        newcomer,
    ]
    assert all_at_once(jobs, seconds=4) == []
    assert list(roles_are_told_as_they_are()) == []
    Platform.objects.exclude(name__in=[CPO, EMSP]).update(state="push_only")
    for name in (CPO, EMSP):
        Platform.objects.filter(name=name).update(state_since=timezone.now() - alive.STEADY)
        alive.come_back(row(name))
        delivery.drain(row(name).pk)
    told = {
        key: news["status"]
        for partner in (cpo, emsp)
        for key, news in partner.inbox.all("hubclientinfo").items()
        if key in {"FR/CPO/CPO", "DE/MSP/EMSP"}
    }
    assert told == {"FR/CPO/CPO": "CONNECTED", "DE/MSP/EMSP": "CONNECTED"}
