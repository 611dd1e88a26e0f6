"""Waking the workers: one message for however many pushes, and none is forgotten."""

import json
import os
import time

import pytest
import redis

from parties.waking import Bell


@pytest.fixture
def queue(settings):
    """Return what reads, and takes away, the messages that workers are sent."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete("deliveries")

    def messages():
        found = []
        while raw := client.lpop("deliveries"):
            message = json.loads(raw)
            headers = message["headers"]
            found.append((headers["task"], headers["argsrepr"]))
        return found

    yield messages
    client.delete("deliveries")


@pytest.fixture
def still():
    """Return a bell whose thread does nothing yet."""
    bell = Bell()
    bell._ringer._owner = os.getpid()
    return bell


def test_many_rings_are_one_message(queue, still):
    for platform in (3, 1, 2, 1, 3):
        still.ring([platform])
    still.ring([])
    still._tell()
    still._tell()
    assert queue() == [("parties.wake", "(1, 2, 3)")]


def test_one_platform_is_drained_at_once(queue, still):
    still.ring([7])
    still.ring([7])
    still._tell()
    assert queue() == [("parties.drain", "(7,)")]


def test_the_thread_of_the_process_tells_everything(queue):
    bell, told = Bell(), set()
    bell.ring([])
    for platform in range(30):
        bell.ring([platform])
    deadline = time.monotonic() + 30
    while len(told) < 30:
        assert time.monotonic() < deadline, "not everybody was woken"
        for _, arguments in queue():
            told.update(int(number) for number in arguments.strip("(),").split(", "))
        time.sleep(0.02)
    assert told == set(range(30))
