"""The guarded door, in both its forms, against real misbehaving servers on loopback."""

import asyncio
import gzip
import socket
import threading
import time
from contextlib import suppress

import pytest
from django.test import override_settings

from hub import egress, resolving
from hub.egress_loop import Door

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


async def through_the_loop(request):
    async with Door() as door:
        return await door.call(request)


@pytest.fixture(params=["blocking", "loop"])
def call(request):
    """Call a URL through one of the doors."""

    def make(url, **options):
        message = egress.Request(
            "GET", url, **{"hosts": None, "headers": {}, "seconds": 2, **options}
        )
        if request.param == "blocking":
            return egress.call(message)
        return asyncio.run(through_the_loop(message))

    return make


def test_it_brings_an_answer(call, server):
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
def test_the_deadline_is_total(call, server, behave):
    url, started = server(behave), time.monotonic()
    with pytest.raises(egress.EgressFailedError) as caught:
        call(url, seconds=0.7)
    assert caught.value.timeout
    assert time.monotonic() - started < 1.5


@pytest.mark.ocpi("C-21")
def test_a_redirect_is_an_answer_and_not_followed(call, server):
    target = server(lambda peer: peer.sendall(OK))
    head = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    assert call(server(lambda peer: peer.sendall(head))).status == 302


def test_the_body_of_a_redirect_is_cut_off_like_any_other(call, server):
    size = 2 * egress.BODY_LIMIT
    head = f"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: {size}\r\n\r\n".encode()
    url = server(lambda peer: peer.sendall(head + b"x" * size))
    with pytest.raises(egress.EgressFailedError, match=f"longer than {egress.BODY_LIMIT} bytes"):
        call(url)


@pytest.mark.ocpi("C-21")
def test_a_long_answer_is_cut_off(call, server):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n"
    url = server(lambda peer: peer.sendall(head + b"x" * 5_000_000))
    with pytest.raises(egress.EgressFailedError, match="longer than 1000 bytes"):
        call(url, limit=1000)


def test_a_compressed_answer_is_refused(call, server):
    body = gzip.compress(b"0" * 10_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    with pytest.raises(egress.EgressFailedError, match="compressed"):
        call(server(lambda peer: peer.sendall(head.encode() + body)))


CUT_SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi"


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", CUT_SHORT])
def test_garbage_is_a_failure(call, server, answer):
    with pytest.raises(egress.EgressFailedError) as caught:
        call(server(lambda peer: peer.sendall(answer)))
    assert not caught.value.timeout


def test_nobody_listening_is_a_failure(call):
    with pytest.raises(egress.EgressFailedError):
        call("http://127.0.0.1:1/")


@pytest.mark.ocpi("C-21")
def test_a_host_that_is_not_approved_is_never_called(call):
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
def test_private_addresses_are_refused_where_they_are_not_allowed(call, url):
    with pytest.raises(egress.EgressDeniedError, match=r"public addresses|not a URL"):
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


def test_one_private_answer_among_public_ones_is_enough_to_refuse(call, monkeypatch):
    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("8.8.8.8", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answers)
    with override_settings(ALLOW_PRIVATE_NETWORKS=False), pytest.raises(egress.EgressDeniedError):
        call("https://two-faced.example/")


def test_a_slow_name_server_holds_up_nobody_else(call, server, monkeypatch):
    """It counts within the deadline, is asked once, and other names are looked up meanwhile."""
    real, asked, ended, answer = socket.getaddrinfo, [], [], threading.Event()

    def slow(host, *args, **kwargs):
        if host == "slow.example":
            asked.append(host)
            assert answer.wait(30)
            raise socket.gaierror
        return real(host, *args, **kwargs)

    def fail():
        with pytest.raises(egress.EgressFailedError) as caught:
            call("http://slow.example/", seconds=0.5)
        ended.append(caught.value.timeout)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    callers = [threading.Thread(target=fail) for _ in range(2 * resolving.MOST)]
    started = time.monotonic()
    for caller in callers:
        caller.start()
    url = server(lambda peer: peer.sendall(OK)).replace("127.0.0.1", "localhost")
    assert call(url).body == b"hi"
    for caller in callers:
        caller.join()
    assert time.monotonic() - started < 15
    answer.set()
    assert (asked, ended) == (["slow.example"], [True] * len(callers))


def long_head(count, size):
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * size) for number in range(count))
    return b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\nhi"


@pytest.mark.parametrize("head", [long_head(150, 1), long_head(90, 1000)])
@pytest.mark.ocpi("C-21")
def test_a_head_without_measure_is_a_failure(call, server, head):
    with pytest.raises(egress.EgressFailedError):
        call(server(lambda peer: peer.sendall(head)))
    assert call(server(lambda peer: peer.sendall(long_head(90, 100)))).body == b"hi"


@pytest.mark.ocpi("C-21")
def test_an_address_that_turns_private_after_the_check_is_not_spoken_to(call, monkeypatch):
    """What is dialled in the end, by whatever trick, is checked before a byte is sent."""
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        [answer] = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [answer])
        public, once = egress.is_public, iter([True])
        monkeypatch.setattr(egress, "is_public", lambda ip: next(once, None) or public(ip))
        with (
            override_settings(ALLOW_PRIVATE_NETWORKS=False),
            pytest.raises(egress.EgressDeniedError, match="public addresses"),
        ):
            call(f"https://two-faced.example:{port}/")
        listener.settimeout(0.2)
        with suppress(TimeoutError):
            heard.append(listener.accept()[0].recv(100))
    assert heard in ([], [b""])


@pytest.mark.ocpi("C-21")
def test_proxies_of_the_environment_count_for_nothing(call, server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert call(server(lambda peer: peer.sendall(OK))).body == b"hi"


@pytest.mark.ocpi("C-21")
def test_connections_are_kept_between_calls_of_a_loop(server):
    peers = []

    def behave(peer):
        peers.append(peer.getpeername())
        peer.sendall(OK)
        while peer.recv(65536):
            peer.sendall(OK)

    async def twice(request):
        async with Door() as door:
            return [(await door.call(request)).body for _ in range(3)]

    message = egress.Request("GET", server(behave), None, {}, 2)
    assert asyncio.run(twice(message)) == [b"hi"] * 3
    assert len(peers) == 1


@pytest.mark.parametrize("url", ["https://partner.example:22/", "https://partner.example:80/"])
@override_settings(ALLOW_PRIVATE_NETWORKS=False)
@pytest.mark.ocpi("C-21")
def test_ports_of_other_services_are_not_called(url):
    with pytest.raises(egress.EgressDeniedError, match="port"):
        egress.check_url(url, None)
    assert egress.check_url("https://partner.example:8443/", None) == "partner.example:8443"


@pytest.mark.ocpi("C-21")
def test_a_request_is_made_once_whatever_comes_of_it(call, server):
    heard = []

    def hang_up(peer):
        heard.append(peer)

    with pytest.raises(egress.EgressFailedError):
        call(server(hang_up))
    assert len(heard) == 1


def test_the_body_of_a_request_does_not_wait_for_its_head_to_be_acknowledged(server):
    target = "127.0.0.1", int(server(lambda connection: None).rstrip("/").rpartition(":")[2])
    with egress._watched(2, target), egress._connect(*target) as dialled:
        assert dialled.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
