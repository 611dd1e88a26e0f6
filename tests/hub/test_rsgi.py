"""Room for requests: who finds none is told so, and what was taken is given back."""

import pytest

from hub import rsgi
from hub.ocpi.errors import Busy


@pytest.fixture
def room():
    found = rsgi.Room()
    found.places, found.memory = 2, 3 * rsgi.SMALL
    return found


def test_only_so_many_requests_wait_for_a_thread(room):
    first, second, third = (rsgi.Share(room) for _ in range(3))
    first.wait()
    second.wait()
    with pytest.raises(Busy, match="too many requests"):
        third.wait()
    first.give_back()
    first.give_back()  # once more gives nothing
    third.wait()
    assert room.places == 0


def test_large_bodies_share_the_memory_and_small_ones_need_none(room):
    first, second = rsgi.Share(room), rsgi.Share(room)
    first.take(2 * rsgi.SMALL)
    first.take(2 * rsgi.SMALL)  # the same body, read on
    with pytest.raises(Busy, match="large"):
        second.take(2 * rsgi.SMALL)
    second.take(rsgi.SMALL)
    assert room.memory == rsgi.SMALL
    first.give_back()
    second.give_back()
    assert room.memory == 3 * rsgi.SMALL


def test_an_application_is_called_and_closed():
    closed = []

    class Parts(list):
        def close(self):
            closed.append(True)

    def application(environ, start):
        start("201 Created", [("X-A", environ["PATH_INFO"])])
        return Parts([b"one", b"two"])

    assert rsgi.called(application, {"PATH_INFO": "/x"}) == (201, [("X-A", "/x")], b"onetwo")
    assert closed
