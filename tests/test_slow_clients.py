"""Slow clients: they wait for themselves, and nobody else does."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import requests

from hub.ocpi.messages import Address
from tests import objects, raw
from tests.running import RunningHub

pytestmark = pytest.mark.network
MANY = 200  # several times as many as there are threads
AT_ONCE = 5.0  # seconds: far less than a slow client is given
PATH = "/ocpi/2.2.1/receiver/locations/NL/SLO/L1"
LOCATION = objects.location(Address("NL", "SLO"))
BODY = raw.json.dumps(LOCATION)


@pytest.fixture(scope="module")
def token(hub: RunningHub) -> str:
    return raw.registered(hub, "NL", "SLO", "CPO")


@pytest.fixture
def many(hub: RunningHub) -> Iterator[ExitStack]:
    """Close what a test has opened."""
    with ExitStack() as stack:
        yield stack


def crowd(hub: RunningHub, stack: ExitStack, content: bytes, number: int = MANY, **options: int):
    """Have many connections that have said the same."""
    found = [stack.enter_context(raw.connect(hub.url, **options)) for _ in range(number)]
    for connection in found:
        connection.sendall(content)
    return found


def put(hub: RunningHub, token: str, *lines: str) -> bytes:
    """Return the head of a request that is good as far as it goes."""
    known = (f"Authorization: {token}", "Content-Type: application/json")
    return raw.head(hub.url, "PUT", PATH, *known, *lines)


def others_are_served(hub: RunningHub, token: str) -> bool:
    """Call as somebody else does, with and without a body."""
    headers = {"Authorization": token}
    with requests.Session() as session:
        session.headers.update(headers)
        listed = session.get(f"{hub.url}/ocpi/2.2.1/sender/tokens", timeout=AT_ONCE)
        pushed = session.put(f"{hub.url}{PATH}", data=BODY, timeout=AT_ONCE)
    codes = [answer.json()["status_code"] for answer in (listed, pushed)]
    return codes == [1000, 1000]


def is_hung_up(connection: socket.socket) -> bool:
    return not raw.is_open(connection)


def drop(connection: socket.socket, content: bytes) -> None:
    """Say a little more, if anybody still listens."""
    with suppress(OSError):
        if raw.is_open(connection):
            connection.sendall(content)


def test_slow_clients_of_every_kind_wait_for_themselves(
    hub: RunningHub, token: str, many: ExitStack
) -> None:
    """All at once, so that the test takes no longer than what a slow client is given."""
    length, chunked = f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked"
    halves = crowd(hub, many, put(hub, token, length) + BODY[: len(BODY) // 2])
    chunks = crowd(hub, many, put(hub, token, chunked) + b"10\r\n{", 30)
    drips = crowd(hub, many, put(hub, token, length), 30)
    chunk_drips = crowd(hub, many, put(hub, token, chunked), 30)
    headers, silent = crowd(hub, many, put(hub, token)[:-2]), crowd(hub, many, b"")
    file = raw.head(hub.url, "GET", "/static/admin/js/vendor/jquery/jquery.js")  # 280 kB
    deaf = crowd(hub, many, file * 60, 30, buffer=4096)  # more than a kernel holds for us
    ports = {connection.getsockname()[1] for connection in deaf}

    def all_are_hung_up_on() -> bool:
        for connection in headers + drips:
            drop(connection, b" ")
        for connection in chunk_drips:
            drop(connection, b"1\r\n \r\n")
        slow = halves + chunks + drips + chunk_drips + headers + silent
        return all(map(is_hung_up, slow)) and not raw.held(hub) & ports

    assert raw.until(lambda: raw.held(hub) >= ports, AT_ONCE)
    assert others_are_served(hub, token)
    assert raw.until(all_are_hung_up_on, 30)
    for answer in map(raw.heard, halves + chunks):
        assert answer.status == 408
        assert answer.envelope["status_code"] == 2000
        assert answer.headers["connection"] == "close"
        assert answer.headers["x-request-id"]


def test_large_bodies_do_not_take_all_memory(hub: RunningHub, token: str, many: ExitStack) -> None:
    large = put(hub, token, "Content-Length: 5000000") + b" " * 100_000
    slow = crowd(hub, many, large, 60)
    assert others_are_served(hub, token)
    answers = list(map(raw.heard, slow))
    assert {answer.status for answer in answers} == {408, 503}
    assert {answer.headers.get("retry-after") for answer in answers} == {None, "5"}


@pytest.mark.parametrize("path", ["/ocpi/versions", "/admin/login/"])
def test_a_request_keeps_the_ids_and_form_it_has_elsewhere(hub: RunningHub, path: str) -> None:
    lines = ("Content-Length: 99999999", "X-Request-ID: r-1", "X-Correlation-ID: c-1")
    with raw.connect(hub.url) as connection:
        connection.sendall(raw.head(hub.url, "POST", path, *lines))
        answer = raw.heard(connection)
    assert answer.status == 413
    if path.startswith("/ocpi"):
        ids = [answer.headers[f"x-{name}-id"] for name in ("request", "correlation")]
        assert ids == ["r-1", "c-1"]
        assert "at most" in answer.envelope["status_message"]
    else:
        assert answer.headers["content-type"] == "text/plain"
