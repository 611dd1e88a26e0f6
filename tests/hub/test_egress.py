"""The guarded door, against real misbehaving servers on loopback."""

import gzip
import socket
import threading
import time

import pytest
from django.test import override_settings

from hub import egress

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
def server():
    """Start a raw server whose behaviour is a function of the connection; return its URL."""
    sockets = []

    def start(behave):
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)
        threading.Thread(target=serve, args=(listener, behave), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for item in sockets:
        item.close()


def serve(listener, behave):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            try:
                behave(connection)
            except OSError:
                continue


def call(url, **options):
    return egress.call("GET", url, **{"hosts": None, "headers": {}, "seconds": 2, **options})


def test_it_brings_an_answer(server):
    reply = call(server(lambda peer: peer.sendall(OK)))
    assert (reply.status, reply.body) == (200, b"hi")


def drip_body(peer):
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(100):
        peer.sendall(b"x")
        time.sleep(0.1)


def drip_header(peer):
    peer.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(100):
        peer.sendall(b"x")
        time.sleep(0.1)


def drip_and_close(peer):
    peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _ in range(100):
        peer.sendall(b"x")
        time.sleep(0.1)


@pytest.mark.parametrize(
    "behave", [drip_body, drip_header, drip_and_close, lambda peer: time.sleep(5)]
)
@pytest.mark.ocpi("C-21", "X-06")
def test_the_deadline_is_total(server, behave):
    url, started = server(behave), time.monotonic()
    with pytest.raises(egress.EgressFailedError) as caught:
        call(url, seconds=0.7)
    assert caught.value.timeout
    assert time.monotonic() - started < 1.5


@pytest.mark.ocpi("C-21")
def test_a_redirect_is_an_answer_and_not_followed(server):
    target = server(lambda peer: peer.sendall(OK))
    head = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    assert call(server(lambda peer: peer.sendall(head))).status == 302


def test_the_body_of_a_redirect_is_cut_off_like_any_other(server):
    size = 2 * egress.BODY_LIMIT
    head = f"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: {size}\r\n\r\n".encode()
    url = server(lambda peer: peer.sendall(head + b"x" * size))
    with pytest.raises(egress.EgressFailedError, match=f"longer than {egress.BODY_LIMIT} bytes"):
        call(url)


@pytest.mark.ocpi("C-21")
def test_a_long_answer_is_cut_off(server):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n"
    url = server(lambda peer: peer.sendall(head + b"x" * 5_000_000))
    with pytest.raises(egress.EgressFailedError, match="longer than 1000 bytes"):
        call(url, limit=1000)


def test_a_compressed_answer_is_refused(server):
    body = gzip.compress(b"0" * 10_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    with pytest.raises(egress.EgressFailedError, match="compressed"):
        call(server(lambda peer: peer.sendall(head.encode() + body)))


CUT_SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi"


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", CUT_SHORT])
def test_garbage_is_a_failure(server, answer):
    with pytest.raises(egress.EgressFailedError) as caught:
        call(server(lambda peer: peer.sendall(answer)))
    assert not caught.value.timeout


def test_nobody_listening_is_a_failure():
    with pytest.raises(egress.EgressFailedError):
        call("http://127.0.0.1:1/")


@pytest.mark.ocpi("C-21")
def test_a_host_that_is_not_approved_is_never_called():
    with pytest.raises(egress.EgressDeniedError, match="not approved"):
        call("http://127.0.0.1:1/", hosts=["partner.example"])
    assert egress.check_url("https://partner.example/x", ["partner.example"])


LOOPBACK = [
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://localhost/",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/",
    "https://[fec0::1]/",
    "https://[::127.0.0.1]/",
]


@pytest.mark.parametrize("url", LOOPBACK)
@override_settings(ALLOW_PRIVATE_NETWORKS=False)
@pytest.mark.ocpi("C-21")
def test_private_addresses_are_refused_where_they_are_not_allowed(url):
    with pytest.raises(egress.EgressDeniedError, match="public addresses"):
        call(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://partner.example/",
        "ftp://partner.example/",
        "file:///etc/passwd",
        "https://user:secret@partner.example/",
        "https://",
        "https://partner.example:port/",
        "https://пример.example/",
        "https://partner.example/" + "x" * 255,
        "//partner.example/",
    ],
)
@override_settings(ALLOW_PRIVATE_NETWORKS=False)
@pytest.mark.ocpi("C-21", "T-01")
def test_a_url_must_be_plain_https(url):
    with pytest.raises(egress.EgressDeniedError):
        egress.check_url(url, None)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("224.0.0.1", False),
        ("100.64.0.1", False),
        ("192.88.99.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("::ffff:8.8.8.8", True),
        ("fe80::1%eth0", False),
    ],
)
@pytest.mark.ocpi("C-21")
def test_public_means_public(address, public):
    assert egress.is_public(address) is public


def test_one_private_answer_among_public_ones_is_enough_to_refuse(monkeypatch):
    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("8.8.8.8", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answers)
    with override_settings(ALLOW_PRIVATE_NETWORKS=False), pytest.raises(egress.EgressDeniedError):
        call("https://two-faced.example/")
