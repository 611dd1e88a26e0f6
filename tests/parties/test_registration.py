"""The credentials handshake, with real partners on loopback that the hub calls back."""

import threading
import time
from contextlib import contextmanager

import pytest
from django.db import connections, transaction

from hub.ocpi.messages import Address
from hub.rsgi import THREADS
from hub.sandbox.desk import Desk
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from parties import handshake, invitations, keys, registration, tasks
from parties.models import Delivery, Endpoint, Key, Platform, Role
from tests import objects
from tests.speaking import Speaker, invited, joined

pytestmark = pytest.mark.django_db
POST = "2.2.1/credentials"
UNREACHABLE = "http://127.0.0.1:1/versions"


@pytest.fixture
def desk():
    with Partner(Address("DE", "EMP"), ["EMSP"], "An eMSP").served() as partner:
        yield partner


@pytest.fixture
def guest():
    return invited("DE", "EMP", "EMSP")


def credentials(desk, **members):
    role = {
        "role": "EMSP",
        "country_code": "DE",
        "party_id": "EMP",
        "business_details": {"name": "An eMSP"},
    }
    return {"token": desk.token, "url": desk.versions_url, "roles": [role], **members}


def nothing_happened(guest):
    platform = guest.platform
    assert platform.state == "invited"
    assert not platform.endpoints.exists()
    assert guest.get("versions").http == 200


@pytest.mark.ocpi("C-03", "C-05", "C-10", "C-19", "A-06", "A-10")
def test_the_handshake_exchanges_tokens_and_reads_the_partners_endpoints(desk, guest):
    reply = guest.post(POST, credentials(desk))
    assert (reply.http, reply.code) == (200, 1000)
    assert reply.data["url"].endswith("/ocpi/versions")
    assert [role["role"] for role in reply.data["roles"]] == ["HUB"]
    platform = guest.platform
    assert (platform.state, platform.version, platform.token_form) == (
        "connected",
        "2.2.1",
        "base64",
    )
    assert platform.hosts == [desk.url.split("/")[2]]
    assert keys.unseal(platform.sealed_token) == desk.token
    assert desk.token not in platform.sealed_token
    assert Endpoint.objects.get(module="locations").url.startswith(desk.url)
    assert guest.party.name == "An eMSP"
    member = Speaker(guest.address, reply.data["token"])
    assert member.get("2.2.1/sender/locations").http == 200
    assert member.get("2.2.1/credentials").data == reply.data


@pytest.mark.ocpi("A-09", "C-06")
def test_the_registration_token_is_dead_afterwards_and_a_second_post_is_405(desk, guest):
    reply = guest.post(POST, credentials(desk))
    assert guest.get("versions").http == 401
    again = Speaker(guest.address, reply.data["token"]).post(POST, credentials(desk))
    assert again.http == 405


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.ERROR500, 3001),
        (Fault.GARBAGE, 3001),
        (Fault.CLOSE, 3001),
        (Fault.UNAUTHORIZED, 3001),
    ],
)
@pytest.mark.ocpi("A-09", "C-11")
def test_a_partner_that_fails_when_called_back_leaves_the_invitation_good(desk, guest, fault, code):
    desk.misbehave(fault)
    reply = guest.post(POST, credentials(desk))
    assert (reply.http, reply.code) == (200, code)
    nothing_happened(guest)
    desk.misbehave(Fault.OK)
    assert guest.post(POST, credentials(desk)).code == 1000


@pytest.mark.ocpi("A-09", "C-11")
def test_nobody_listening_is_3001(desk, guest):
    reply = guest.post(POST, credentials(desk, url=UNREACHABLE))
    assert (reply.http, reply.code) == (200, 3001)
    nothing_happened(guest)


@pytest.mark.ocpi("C-12")
def test_a_partner_without_our_version_is_3002(desk, guest, monkeypatch):
    offer = 200, [{"version": "2.1.1", "url": f"{desk.url}/2.1.1"}], {}
    monkeypatch.setattr(Desk, "_handle", lambda self, received: offer)
    assert guest.post(POST, credentials(desk)).code == 3002
    nothing_happened(guest)


@pytest.mark.parametrize("offered", [["x"], [{"version": []}], [{"version": "2.2.1", "url": 5}]])
@pytest.mark.ocpi("C-11")
def test_a_junk_list_of_versions_is_3001(desk, guest, monkeypatch, offered):
    monkeypatch.setattr(Desk, "_handle", lambda self, received: (200, offered, {}))
    assert guest.post(POST, credentials(desk)).code == 3001
    nothing_happened(guest)


@pytest.mark.ocpi("A-06")
def test_a_partner_that_wants_its_token_plain_gets_it_plain(desk, guest):
    desk.token_form = "plain"
    assert guest.post(POST, credentials(desk)).code == 1000
    assert guest.platform.token_form == "plain"


def role(**members):
    return {**credentials(Desk(Address("DE", "EMP"), [], ""))["roles"][0], **members}


@pytest.mark.parametrize(
    "roles",
    [
        [],
        [role(party_id="XYZ")],
        [role(role="CPO")],
        [role(role="HUB")],
        [role(), role()],
        [role(country_code=None)],
        [role(business_details=None)],
    ],
)
@pytest.mark.ocpi("C-17")
def test_roles_are_only_those_assigned(desk, guest, roles):
    reply = guest.post(POST, credentials(desk, roles=roles))
    assert (reply.http, reply.code) == (200, 2001)
    nothing_happened(guest)
    assert not desk.inbox.received


@pytest.mark.parametrize(
    "members", [{"token": ""}, {"token": "a b"}, {"url": None}, {"token": "x" * 65}]
)
@pytest.mark.ocpi("A-02", "C-02")
def test_bad_credentials_are_refused_before_anybody_is_called(desk, guest, members):
    assert guest.post(POST, credentials(desk, **members)).code == 2001
    assert not desk.inbox.received


@pytest.mark.ocpi("C-21")
def test_an_invitation_may_fix_the_host(desk):
    guest = invited("DE", "EMP", "EMSP", host="partner.example")
    assert guest.post(POST, credentials(desk)).code == 3001
    assert not desk.inbox.received
    nothing_happened(guest)


def test_two_parties_share_a_platform_by_invitation(desk):
    first = invited("DE", "EMP", "EMSP")
    invitations.invite(Address("DE", "TWO"), ["CPO"], "Second", join=first.token)
    two = role(party_id="TWO", role="CPO", business_details={"name": "Second"})
    assert first.post(POST, credentials(desk, roles=[role(), two])).code == 1000
    assert Role.objects.filter(platform=first.platform).count() == 2


def test_an_expired_invitation_cannot_be_shared(guest):
    Key.objects.update(expires_at="2020-01-01T00:00Z")
    with pytest.raises(invitations.InvitationError):
        invitations.invite(Address("DE", "TWO"), ["CPO"], "Late", join=guest.token)


@pytest.mark.parametrize(
    "invite",
    [
        lambda: invitations.invite(Address("DE", "EMP"), ["EMSP"], "Twice"),
        lambda: invitations.invite(Address("DE", "NEW"), ["HUB"], "Role"),
        lambda: invitations.invite(Address("DE", "NEW"), ["CPO"], "Join", join="wrong"),
    ],
)
def test_an_impossible_invitation_is_refused_and_leaves_nothing(guest, invite):
    with pytest.raises(invitations.InvitationError):
        invite()
    assert (Platform.objects.count(), Role.objects.count(), Key.objects.count()) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.ocpi("C-22")
def test_of_two_handshakes_at_once_one_wins(desk, guest):
    answers = []

    def post():
        try:
            answers.append(Speaker(guest.address, guest.token).post(POST, credentials(desk)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.code for reply in answers].count(1000) == 1
    assert Key.objects.filter(purpose="access").count() == 1


def test_a_newcomer_is_owed_what_was_published_before(desk, guest):
    cpo = joined("NL", "CPO", "CPO")
    cpo.put(f"2.2.1/receiver/locations/{cpo.path}/L1", objects.location(cpo.address))
    cpo.put(f"2.2.1/receiver/tariffs/{cpo.path}/T1", objects.tariff(cpo.address))
    guest.post(POST, credentials(desk))
    owed = sorted(Delivery.objects.values_list("module", flat=True))
    assert owed == ["hubclientinfo", "locations", "tariffs"]


@pytest.mark.django_db(transaction=True)
def test_who_joins_while_a_broadcast_is_under_way_misses_nothing(desk, guest):
    cpo, stored, go_on = joined("NL", "CPO", "CPO"), threading.Event(), threading.Event()

    def publish():
        try:
            with transaction.atomic():
                body = objects.location(cpo.address)
                cpo.put(f"2.2.1/receiver/locations/{cpo.path}/L1", body)
                stored.set()
                go_on.wait(0.5)
        finally:
            connections.close_all()

    thread = threading.Thread(target=publish)
    thread.start()
    stored.wait(10)
    guest.post(POST, credentials(desk))
    go_on.set()
    thread.join()
    assert Delivery.objects.get(module="locations").receiver.party == guest.party


GUIDE = {
    "token": "YOUR_SERVER_TOKEN",
    "url": UNREACHABLE,
    "roles": [{"role": "CPO", "business_details": {"name": "My CPO"}}],
}


def test_the_guides_credentials_work_on_a_quickstart_invitation():
    guest = invited("FR", "ABC", "CPO", dialect="quickstart")
    reply = guest.post("2.2/credentials", GUIDE, Authorization=f"Token {guest.token}")
    assert (reply.http, reply.code) == (200, 1000)
    assert "FR*ABC" in reply.message
    platform = guest.platform
    assert (platform.state, platform.version, guest.party.name) == ("push_only", "2.2", "My CPO")
    member = Speaker(guest.address, reply.data["token"])
    assert member.get("2.2.1/sender/tokens").http == 200


@pytest.mark.ocpi("X-04")
def test_the_guides_credentials_are_refused_on_a_strict_invitation():
    guest = invited("FR", "ABC", "CPO")
    assert guest.post("2.2/credentials", GUIDE).code == 2001
    nothing_happened(guest)


def test_a_push_only_platform_is_connected_when_its_url_answers(desk):
    guest = invited("DE", "EMP", "EMSP", dialect="quickstart")
    guest.post("2.2/credentials", credentials(desk, url=UNREACHABLE))
    [platform] = registration.push_only()
    assert not registration.try_again(platform)
    Platform.objects.update(versions_url=desk.versions_url)
    assert registration.try_again(registration.push_only()[0])
    assert guest.platform.state == "connected"
    assert Endpoint.objects.filter(module="cdrs").exists()


def test_one_platform_that_cannot_be_tried_again_does_not_stop_the_others(desk, caplog):
    speakers = [invited("DE", code, "EMSP", dialect="quickstart") for code in ("ONE", "TWO")]
    for speaker in speakers:
        named = role(party_id=speaker.address.party_id)
        body = credentials(desk, url=UNREACHABLE, roles=[named])
        assert speaker.post("2.2/credentials", body).code == 1000
    broken = speakers[0].platform
    Platform.objects.update(versions_url=desk.versions_url)
    Platform.objects.filter(pk=broken.pk).update(sealed_token="not sealed by us")
    tasks.reconnect()
    assert [speaker.platform.state for speaker in speakers] == ["push_only", "connected"]
    [line] = [line for line in caplog.records if line.levelname == "ERROR"]
    assert line.platform == broken.pk


def at_once(count, post):
    """Start posts, each in a thread and on a connection of its own; return threads and answers."""
    answers = []

    def run():
        try:
            answers.append(post())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, answers


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
@pytest.mark.ocpi("C-22", "X-07")
def test_many_handshakes_of_one_invitation_take_one_seat(desk, guest, monkeypatch):
    monkeypatch.setattr(handshake, "CALL_SECONDS", 3.0)
    desk.misbehave(Fault.HANG)
    body = credentials(desk)
    threads, answers = at_once(12, lambda: Speaker(guest.address, guest.token).post(POST, body))
    wait_until(lambda: len(answers) == 11)
    assert {(reply.http, reply.code) for reply in answers} == {(200, 3001)}
    assert {reply.message for reply in answers} == {
        "another handshake of this platform is under way"
    }
    with Partner(Address("DE", "TWO"), ["EMSP"], "Another").served() as another:
        two = invited("DE", "TWO", "EMSP")
        roles = [role(party_id="TWO")]
        assert two.post(POST, credentials(another, roles=roles)).code == 1000
    assert len(answers) == 11
    for thread in threads:
        thread.join()
    nothing_happened(guest)
    desk.misbehave(Fault.OK)
    assert guest.post(POST, body).code == 1000


@contextmanager
def no_seat_free(monkeypatch):
    monkeypatch.setattr(handshake, "_seats", threading.BoundedSemaphore(1))
    with handshake.seat():
        yield


@pytest.mark.ocpi("X-07")
def test_without_a_free_seat_the_handshake_is_refused_at_once(desk, guest, monkeypatch):
    with no_seat_free(monkeypatch):
        reply = guest.post(POST, credentials(desk))
    assert (reply.http, reply.code) == (200, 3001)
    assert "too many handshakes" in reply.message
    assert not desk.inbox.received
    nothing_happened(guest)


def test_without_a_free_seat_a_quickstart_platform_is_push_only_for_now(desk, monkeypatch):
    guest = invited("DE", "EMP", "EMSP", dialect="quickstart")
    with no_seat_free(monkeypatch):
        assert guest.post("2.2/credentials", credentials(desk)).code == 1000
    assert guest.platform.state == "push_only"
    tasks.reconnect()
    assert guest.platform.state == "connected"


@pytest.mark.ocpi("X-07")
def test_handshakes_leave_half_of_the_threads_to_everybody_else():
    assert THREADS >= 2 * handshake.SEATS


@pytest.mark.ocpi("C-22", "X-06")
def test_all_calls_of_a_handshake_share_one_deadline(desk, guest, monkeypatch):
    monkeypatch.setattr(handshake, "CALL_SECONDS", 0.8)
    monkeypatch.setattr(handshake, "HANDSHAKE_SECONDS", 1.0)
    handle = Desk._handle

    def handle_slowly(desk, received):
        time.sleep(0.6)
        return handle(desk, received)

    monkeypatch.setattr(Desk, "_handle", handle_slowly)
    started = time.monotonic()
    reply = guest.post(POST, credentials(desk))
    assert (reply.http, reply.code) == (200, 3001)
    assert time.monotonic() - started < 1.8
    nothing_happened(guest)


@pytest.mark.ocpi("X-06")
def test_nobody_is_called_when_the_time_of_a_handshake_is_over(desk, guest, monkeypatch):
    monkeypatch.setattr(handshake, "HANDSHAKE_SECONDS", 0.0)
    reply = guest.post(POST, credentials(desk))
    assert (reply.code, "time of this handshake is over" in reply.message) == (3001, True)
    assert not desk.inbox.received
