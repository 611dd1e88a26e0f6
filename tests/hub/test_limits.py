"""Limits: shared by all processes through Redis, and kept by each alone while it is absent."""

import pytest
import redis

from hub import limits
from hub.limits import Limiter

RATE = 20
BURST = limits.BURST * RATE


@pytest.fixture(autouse=True)
def fresh(settings, monkeypatch):
    """Let the time that a test takes make no difference: nothing comes back within it."""
    monkeypatch.setattr(limits, "SPAN", 3600)
    client = redis.Redis.from_url(settings.REDIS_URL)
    for key in client.scan_iter("ocn:limits*"):
        client.delete(key)


def taken(limiter, key="platform:1", rate=RATE, calls=3 * BURST):
    """Return how many of many calls at once are allowed."""
    return sum(limiter.allows(key, rate) for _ in range(calls))


def test_twice_the_rate_at_once_and_no_more():
    limiter = Limiter()
    assert taken(limiter) == BURST
    assert limiter.refuses("platform:1", RATE)
    assert not limiter.refuses("platform:2", RATE)
    assert taken(limiter, "platform:2") == BURST


def test_processes_count_together():
    first, second = Limiter(), Limiter()
    assert taken(first) == BURST
    assert taken(second) == 0


def test_a_refusal_is_not_for_long(monkeypatch):
    limiter = Limiter()
    taken(limiter)
    assert limiter.refuses("platform:1", RATE)
    clock = limits.time.monotonic()
    monkeypatch.setattr(limits.time, "monotonic", lambda: clock + limits.REFUSAL_SECONDS)
    assert not limiter.refuses("platform:1", RATE)


def test_what_was_used_comes_back(monkeypatch):
    monkeypatch.setattr(limits, "SPAN", 1)
    monkeypatch.setattr(limits, "REFUSAL_SECONDS", 0.0)
    limiter = Limiter()
    assert taken(limiter) >= BURST
    until = limits.time.monotonic() + 60
    while not limiter.allows("platform:1", RATE):
        assert limits.time.monotonic() < until


def test_no_rate_is_no_limit():
    assert taken(Limiter(), rate=0, calls=1000) == 1000


def test_the_slowest_rate_is_one_a_second():
    assert taken(Limiter(), rate=1, calls=10) == 2


@pytest.fixture
def door(settings, tmp_path):
    """Name Redis by a link that leads nowhere, until it is made to lead to the real one."""
    there = settings.REDIS_URL.removeprefix("unix://")
    settings.REDIS_URL = f"unix://{tmp_path}/redis"
    return lambda: (tmp_path / "redis").symlink_to(there)


def test_without_redis_each_process_counts_alone_and_does_not_ask_each_time(door, caplog):
    limiter = Limiter()
    assert taken(limiter) == BURST
    assert taken(Limiter()) == BURST
    assert len(caplog.records) == 2  # once for each of the two


def test_redis_is_asked_again_when_it_may_be_back(door, monkeypatch):
    limiter = Limiter()
    assert limiter.allows("platform:1", RATE)
    door()
    assert taken(Limiter()) == BURST
    assert limiter.allows("platform:2", RATE)  # still alone
    clock = limits.time.monotonic()
    monkeypatch.setattr(limits.time, "monotonic", lambda: clock + limits.ALONE_SECONDS)
    assert taken(limiter) == 0
