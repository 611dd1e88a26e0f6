"""Credentials that change at the same time: one change wins, the others get a defined answer."""

import threading
from functools import partial

import pytest
from django.db import connections

from hub.ocpi.messages import Address
from hub.sandbox.partner import Partner
from parties import delivery, keys, leaving, registration
from parties.models import Key, Platform
from tests import objects
from tests.ocpi.test_credentials import MODULE, PATH, credentials, registered
from tests.speaking import Speaker, invited, joined

pytestmark = pytest.mark.django_db(transaction=True)
BUSY = "another handshake of this platform is under way"


@pytest.fixture
def guest():
    return invited("DE", "EMP", "EMSP")


class Gate:
    """Lets a test do something while the partner is being called back."""

    def __init__(self):
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self):
        self.entered.set()
        assert self.open.wait(10)


@pytest.fixture
def desk():
    with Waiting(Address("DE", "EMP"), ["EMSP"], "An eMSP").served() as partner:
        yield partner


class Waiting(Partner):
    """Waits at `gate`, if there is one, before it answers."""

    gate = None

    def _handle(self, received):
        if self.gate:
            self.gate()
        return super()._handle(received)


class Racer(threading.Thread):
    """A call in a thread and on a database connection of its own; `result` is what came of it."""

    def __init__(self, job):
        super().__init__()
        self.job, self.result = job, None
        self.start()

    def run(self):
        try:
            self.result = self.job()
        finally:
            connections.close_all()

    def finish(self):
        self.join(20)
        assert not self.is_alive()
        return self.result


def race(count, job):
    return [racer.finish() for racer in [Racer(job) for _ in range(count)]]


def one_key_of_each_kind():
    found = list(Key.objects.filter(used_at=None).values_list("purpose", flat=True))
    return len(found) == len(set(found))


@pytest.mark.ocpi("C-22", "C-06", "A-09")
def test_of_many_posts_one_wins(desk, guest):
    body = credentials(desk)
    replies = race(6, lambda: Speaker(guest.address, guest.token).post(PATH, body))
    won = [reply for reply in replies if reply.code == 1000]
    lost = {(reply.http, reply.code) for reply in replies if reply.code != 1000}
    assert len(won) == 1
    assert lost <= {(200, 3001), (401, 2000)}
    assert Speaker(guest.address, won[0].data["token"]).get(MODULE).http == 200
    assert one_key_of_each_kind()


@pytest.mark.ocpi("C-22", "C-07", "C-15")
def test_of_many_puts_one_wins_at_a_time_and_the_last_token_works(desk, guest):
    member = registered(desk, guest)
    body = credentials(desk)
    replies = race(6, lambda: Speaker(guest.address, member.token).put(PATH, body))
    won = [reply for reply in replies if reply.code == 1000]
    assert won
    assert {(r.http, r.code) for r in replies} <= {(200, 1000), (200, 3001), (401, 2000)}
    assert {r.message for r in replies if r.code == 3001} <= {BUSY}
    assert one_key_of_each_kind()
    good = [r for r in won if Speaker(guest.address, r.data["token"]).get(MODULE).http == 200]
    assert len(good) == 1  # those before it were replaced in turn


@pytest.mark.ocpi("C-22")
def test_a_second_change_meanwhile_is_refused_in_words(desk, guest):
    member = registered(desk, guest)
    desk.gate = Gate()
    first = Racer(partial(member.put, PATH, credentials(desk)))
    assert desk.gate.entered.wait(10)
    second = Speaker(guest.address, member.token).put(PATH, credentials(desk))
    assert (second.http, second.code, second.message) == (200, 3001, BUSY)
    desk.gate.open.set()
    assert first.finish().code == 1000


@pytest.mark.ocpi("C-08", "C-15", "C-22")
def test_who_leaves_while_its_put_is_under_way_has_left(desk, guest):
    member = registered(desk, guest)
    desk.gate = Gate()
    put = Racer(partial(member.put, PATH, credentials(desk)))
    assert desk.gate.entered.wait(10)
    assert Speaker(guest.address, member.token).call("DELETE", PATH).code == 1000
    desk.gate.open.set()
    assert put.finish().http == 401
    platform = Platform.objects.get()
    assert (platform.state, platform.sealed_token) == ("suspended", "")
    assert not platform.endpoints.exists()
    assert not platform.keys.filter(used_at=None).exists()


@pytest.mark.ocpi("C-08", "C-15")
def test_staff_who_suspend_do_not_wait_for_a_handshake(desk, guest):
    desk.gate = Gate()
    post = Racer(partial(guest.post, PATH, credentials(desk)))
    assert desk.gate.entered.wait(10)
    leaving.suspend(guest.platform)
    desk.gate.open.set()
    assert post.finish().http == 401
    assert Platform.objects.get().state == "suspended"
    assert not Key.objects.exists()


@pytest.mark.ocpi("C-08", "C-22")
def test_of_many_deletes_one_wins(desk, guest):
    member = registered(desk, guest)
    replies = race(6, lambda: Speaker(guest.address, member.token).call("DELETE", PATH))
    codes = sorted((reply.http, reply.code) for reply in replies)
    assert codes == [(200, 1000)] + [(401, 2000)] * 5


@pytest.mark.ocpi("C-16", "C-22")
def test_no_call_fails_while_the_tokens_change(desk, guest):
    """With either token, as long as the new one has not been used."""
    member = registered(desk, guest)
    stop, statuses = threading.Event(), []

    def call():
        speaker = Speaker(guest.address, member.token)
        while not stop.is_set():
            statuses.append(speaker.get(MODULE).http)

    callers = [Racer(call) for _ in range(3)]
    for _ in range(5):
        assert member.put(PATH, credentials(desk)).code == 1000
    stop.set()
    for caller in callers:
        caller.finish()
    assert len(statuses) > 10
    assert set(statuses) == {200}


@pytest.mark.ocpi("C-22", "X-06")
def test_nobody_waits_for_a_row_while_a_partner_is_called_back(desk, guest):
    member = registered(desk, guest)
    desk.gate = Gate()
    put = Racer(partial(member.put, PATH, credentials(desk)))
    assert desk.gate.entered.wait(10)
    Platform.objects.filter(pk=member.platform.pk).update(failures=3)  # would wait for a lock
    assert Speaker(guest.address, member.token).get(MODULE).http == 200
    desk.gate.open.set()
    assert put.finish().code == 1000


def test_a_retry_of_push_only_does_not_undo_what_happened_meanwhile(desk):
    guest = invited("DE", "EMP", "EMSP", dialect="quickstart")
    body = credentials(desk, url="http://127.0.0.1:1/versions")
    member = Speaker(guest.address, guest.post("2.2/credentials", body).data["token"])
    Platform.objects.update(versions_url=desk.versions_url)
    desk.gate = Gate()
    retry = Racer(lambda: registration.try_again(Platform.objects.get()))
    assert desk.gate.entered.wait(10)
    member.call("DELETE", PATH)
    desk.gate.open.set()
    assert retry.finish() is False
    assert Platform.objects.get().state == "suspended"
    assert keys.unseal(Platform.objects.get().sealed_token) == ""


@pytest.mark.ocpi("C-09")
def test_who_leaves_while_a_drain_is_at_work_is_sent_nothing_more(desk, guest):
    member = registered(desk, guest)
    cpo = joined("NL", "CPO", "CPO")
    for number in range(3):
        body = objects.location(cpo.address, id=f"L{number}")
        assert cpo.put(f"2.2.1/receiver/locations/{cpo.path}/L{number}", body).http == 201
    desk.gate = Gate()
    drain = Racer(partial(delivery.drain, member.platform.pk))
    assert desk.gate.entered.wait(10)
    member.call("DELETE", PATH)
    desk.gate.open.set()
    assert drain.finish() == len(desk.received) == 1
