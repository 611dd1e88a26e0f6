"""Too many calls: whose they are, what is said, and what is always taken."""

import pytest
import redis

from hub import limits
from parties import journal, throttling
from parties.models import Exchange
from tests import objects
from tests.speaking import Speaker, joined

pytestmark = pytest.mark.django_db
RATE = 5
BURST = limits.BURST * RATE
MANY = 3 * BURST
PATH = "2.2.1/credentials"


@pytest.fixture(autouse=True)
def limited(settings, monkeypatch):
    """Have limits that are small, and known whatever time a test takes."""
    monkeypatch.setattr(limits, "SPAN", 3600)
    monkeypatch.setattr(limits, "REFUSAL_SECONDS", 3600.0)
    client = redis.Redis.from_url(settings.REDIS_URL)
    for key in client.scan_iter("ocn:limits*"):
        client.delete(key)
    limits.forget()
    throttling.forget()
    settings.RATE_LIMIT = settings.STRANGER_LIMIT = RATE
    yield
    limits.forget()
    throttling.forget()


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP")


def flood(speaker, path=PATH, calls=MANY, **headers):
    """Call often and return the answers."""
    return [speaker.get(path, **headers) for _ in range(calls)]


def refused(replies):
    return [reply for reply in replies if reply.http == 429]


@pytest.mark.ocpi("X-03")
def test_a_platform_that_calls_too_often_is_told_when_to_come_again(cpo, emsp):
    replies = flood(cpo, X_Request_ID="r-1")
    assert [reply.http for reply in replies] == [200] * BURST + [429] * (MANY - BURST)
    reply = replies[-1]
    assert reply.code == 2900
    assert reply.headers["Retry-After"] == "1"
    assert reply.headers["X-Request-ID"] == "r-1"
    assert "this platform calls too often" in reply.message
    assert emsp.get(PATH).http == 200  # others do not suffer for it


@pytest.mark.ocpi("X-03")
def test_cdrs_are_always_taken(cpo, emsp):
    flood(cpo)
    bodies = [objects.cdr(cpo.address, emsp.address, id=f"C{n}") for n in range(MANY)]
    replies = [cpo.post("2.2.1/receiver/cdrs", body) for body in bodies]
    assert refused(replies) == []
    assert refused([cpo.get(PATH)])  # although there is no room for other calls


def test_the_first_refusal_of_a_flood_is_in_the_journal(cpo):
    assert len(refused(flood(cpo))) == MANY - BURST
    journal.flush()
    noted = Exchange.objects.get(http_status=429)
    assert noted.platform_id == cpo.platform.pk


@pytest.mark.ocpi("X-03")
def test_an_address_that_guesses_tokens_is_refused_unread(cpo, django_assert_num_queries):
    guesser = Speaker(cpo.address, "none of ours")
    replies = flood(guesser)
    assert {reply.http for reply in replies} == {401, 429}
    assert refused(replies)[0].headers["Retry-After"] == "1"
    with django_assert_num_queries(0):
        assert guesser.get(PATH).http == 429


def test_who_was_known_a_minute_ago_does_not_suffer_for_a_neighbour(cpo, emsp):
    assert cpo.get(PATH).http == 200
    flood(Speaker(cpo.address, "none of ours"))
    assert cpo.get(PATH).http == 200
    assert emsp.get(PATH).http == 429  # it may be another guess


def test_addresses_are_told_apart(cpo):
    guesser = Speaker(cpo.address, "none of ours")
    flood(guesser)
    guesser.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert guesser.get(PATH).http == 401


@pytest.mark.ocpi("X-03")
def test_no_evse_and_no_token_is_flooded_with_a_command(cpo, emsp, settings):
    settings.RATE_LIMIT = 1000
    path = "2.2.1/receiver/commands/"
    unlock = {"response_url": "http://127.0.0.1:9/r", "location_id": "L1", "connector_id": "1"}
    replies = [emsp.post(f"{path}UNLOCK_CONNECTOR", unlock | {"evse_uid": "E1"}) for _ in range(9)]
    assert [reply.http for reply in replies] == [200] * limits.BURST + [429] * (9 - limits.BURST)
    assert "UNLOCK_CONNECTOR comes too often" in replies[-1].message
    assert emsp.post(f"{path}UNLOCK_CONNECTOR", unlock | {"evse_uid": "E2"}).http == 200
    start = {"response_url": "http://127.0.0.1:9/r", "token": objects.token(emsp.address)}
    places = [start | {"location_id": f"L{number}"} for number in range(9)]
    replies = [emsp.post(f"{path}START_SESSION", place) for place in places]
    assert len(refused(replies)) == 9 - limits.BURST
    client = redis.Redis.from_url(settings.REDIS_URL)
    assert not [key for key in client.scan_iter("*") if b"CARD1" in key]


def test_by_default_a_sandbox_has_no_limit(cpo, settings):
    settings.RATE_LIMIT = settings.STRANGER_LIMIT = 0
    assert refused(flood(cpo) + flood(Speaker(cpo.address, "none of ours"))) == []
