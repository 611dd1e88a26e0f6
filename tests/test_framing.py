"""Requests that are no requests, or two at once: refused or cut, and the next one is answered.

What is sent here goes to the web server alone, by bare sockets, and never reaches the database.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hub import rsgi, supervisor
from hub.ocpi import envelope
from tests import raw
from tests.running import ROOT, free_port

pytestmark = pytest.mark.network
PATH = "/ocpi/2.2.1/receiver/locations/NL/CPO/L1"
UNAUTHORIZED = 401  # a request that was read to its end, and is nobody's


@contextmanager
def served(**changed: str) -> Iterator[str]:
    """Run the web server alone; yield where it answers."""
    port = free_port()
    (part,) = supervisor.web()
    command = [
        str(port) if item == str(supervisor.settings.PORT) else item for item in part.command
    ]
    environment = os.environ | changed
    server = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        url = f"http://{raw.HOST}:{port}"
        assert raw.until(lambda: answers(url), 60)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def request(url: str, method: str, path: str, *lines: str) -> bytes:
    """Return a request after which the connection ends, without its body."""
    return raw.head(url, method, path, *lines, "Connection: close")


def answers(url: str) -> bool:
    """Tell whether a web server is there, and knows that we are nobody."""
    try:
        return raw.say(url, request(url, "GET", "/ocpi/versions")).status == UNAUTHORIZED
    except OSError:
        return False


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        # One length, told once
        (["Content-Length: 2"], b"{}", UNAUTHORIZED),
        (["Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n", UNAUTHORIZED),
        (["Content-Length: 2", "Content-Length: 3"], b"{}x", 400),
        (["Content-Length: 2, 3"], b"{}x", 400),
        (["Content-Length: +2"], b"{}", 400),
        (["Content-Length: -2"], b"{}", 400),
        (["Content-Length: 0x2"], b"{}", 400),
        (["Content-Length: two"], b"{}", 400),
        (["Content-Length: 99999999999999999999999"], b"{}", 400),
        # The chunks count, as RFC 9112 has it; the server forgets the length before we see it
        (["Content-Length: 9", "Transfer-Encoding: chunked"], b"0\r\n\r\n", UNAUTHORIZED),
        (["Transfer-Encoding: chunked", "Content-Length: 9"], b"0\r\n\r\n", UNAUTHORIZED),
        (["Transfer-Encoding: xchunked"], b"0\r\n\r\n", 400),
        (["Transfer-Encoding: identity"], b"{}", 400),
        (["Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n", 400),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], b"0\r\n\r\n", 400),
        (["Transfer-Encoding : chunked"], b"0\r\n\r\n", 400),
        # Chunks
        (["Transfer-Encoding: chunked"], b"x\r\n{}\r\n0\r\n\r\n", 400),
        (["Transfer-Encoding: chunked"], b"-1\r\n{}\r\n0\r\n\r\n", 400),
        (["Transfer-Encoding: chunked"], b"ffffffffffffffffff\r\n{}", 400),
        (["Transfer-Encoding: chunked"], b"2\r\n{}trailing\r\n0\r\n\r\n", 400),
        # Headers
        (["X-Request-ID : r-1"], b"", 400),
        (["X Request ID: r-1"], b"", 400),
        ([": r-1"], b"", 400),
        (["no colon"], b"", 400),
        (["X-A: 1\n X-B: 2"], b"", 400),
        (["X-A: 1\rX-B: 2"], b"", 400),
        (["X-A: \x00"], b"", 400),
        (["X-A: \xe9"], b"", 400),
        (["Authorization: Token a", "Authorization: Token b"], b"", 400),
        (["OCPI-to-party-id: AAA", "OCPI-to-party-id: BBB"], b"", 400),
        (["X-A: " + "a" * 200_000], b"", 431),
        ([f"X-{number}: 1" for number in range(200)], b"", 431),
        # A size or a form that is not read
        ([f"Content-Length: {envelope.MAX_BODY + 1}"], b"", 413),
        (["Content-Encoding: gzip", "Content-Length: 2"], b"{}", 400),
        (["Content-Type: application/json; charset=utf-16", "Content-Length: 2"], b"{}", 400),
    ],
)
def test_what_is_framed_in_a_way_of_its_own_is_refused(
    url: str, lines: list[str], body: bytes, status: int
) -> None:
    answer = raw.say(url, request(url, "PUT", PATH, *lines) + body)
    assert answer.status == status
    if answer.raw.count(b"status_code"):
        assert answer.envelope["status_code"] >= 2000
    assert answers(url)


def test_people_may_send_larger_files_than_partners_may_messages(url: str) -> None:
    body = b"x" * (envelope.MAX_BODY + 1)
    length = f"Content-Length: {len(body)}"
    assert raw.say(url, request(url, "POST", PATH, length)).status == 413
    assert raw.say(url, request(url, "GET", "/health/live", length) + body).status == 200
    beyond = f"Content-Length: {rsgi.UPLOAD + 1}"
    assert raw.say(url, request(url, "GET", "/health/live", beyond)).status == 413


@pytest.mark.parametrize(
    "first",
    [
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"\x00" * 100,
        b"\r\n" * 50_000,
    ],
)
def test_what_is_no_request_is_answered_or_cut(url: str, first: bytes) -> None:
    assert raw.say(url, first).status in {0, 400, 414, 431, 505}
    assert answers(url)


def test_a_large_body_in_chunks_is_cut(url: str) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with raw.connect(url) as connection:
        connection.sendall(raw.head(url, "PUT", PATH, "Transfer-Encoding: chunked"))
        try:
            for _ in range(envelope.MAX_BODY // 0x10000 + 1000):
                connection.sendall(chunk)
        except OSError:
            pass  # the hub has hung up
        assert raw.heard(connection).status in {0, 413}
    assert answers(url)


def test_a_request_in_the_body_of_another_stays_a_body(url: str) -> None:
    hidden = request(url, "GET", "/health/live")
    length = f"Content-Length: {len(hidden)}"
    answer = raw.say(url, request(url, "PUT", PATH, length) + hidden)
    assert answer.raw.count(b"HTTP/1.1") == 1


def test_requests_in_a_row_are_answered_in_their_order(url: str) -> None:
    ids = [f"r-{number}" for number in range(20)]
    row = [raw.head(url, "GET", "/ocpi/versions", f"X-Request-ID: {item}") for item in ids[:-1]]
    row.append(request(url, "GET", "/ocpi/versions", f"X-Request-ID: {ids[-1]}"))
    answers = raw.say(url, b"".join(row)).raw.split(b"HTTP/1.1 ")[1:]
    assert [
        item for answer, item in zip(answers, ids, strict=True) if item.encode() in answer
    ] == ids


def test_a_name_with_underscores_is_no_name_with_hyphens(url: str) -> None:
    """A proxy drops or sets the one, and would let the other pass."""
    answer = raw.say(url, request(url, "GET", "/ocpi/versions", "X_Request_ID: forged"))
    assert answer.headers["x-request-id"] != "forged"


@pytest.mark.parametrize("given", ["a b", "a" * 300, "<script>", "a,b"])
def test_an_id_that_is_not_safe_to_repeat_is_not_repeated(url: str, given: str) -> None:
    answer = raw.say(url, request(url, "GET", "/ocpi/versions", f"X-Correlation-ID: {given}"))
    assert answer.headers["x-correlation-id"] not in {"", given}


def test_a_full_disk_refuses_what_would_be_written_and_nothing_else() -> None:
    with served(DISK_RESERVE=str(10**9)) as url:
        for method in ("PUT", "POST", "PATCH", "DELETE"):
            answer = raw.say(url, request(url, method, PATH))
            assert answer.status == 503
            assert answer.headers["retry-after"] == "30"
            assert answer.envelope["status_code"] == 3000
        assert raw.say(url, request(url, "GET", PATH)).status == UNAUTHORIZED
