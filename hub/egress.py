"""The one guarded door for outgoing HTTP: nothing else in the project calls a partner.

A host is allowed by name first, resolved once, every address checked, and the checked address
dialled. The deadline is total: a watchdog closes the socket, because a library's timeout only
bounds one read. No redirects, no proxies or credentials from the environment, no cookies, no
compressed answers, caps on the head and the body. `hub.egress_loop` is the same door for an event
loop; the rules are all here.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from hub import metrics
from hub.resolving import look_up

BODY_LIMIT = 1024 * 1024
URL_LIMIT = 255  # of a URL that a partner names (OCPI 2.2.1, types, URL)
CALL_LIMIT = 2000  # of what is made from one: path, parameters, the cursor of a next page
CHUNK = 65536
MOST_HEADERS, HEAD_LIMIT = 100, 65536  # of an answer: how many, how many bytes
SYSTEM_PORTS = 1024  # below it only 443 is a partner's, where a network is not private
_NETS_BUT_NOT_PUBLIC = [
    ipaddress.ip_network(net)
    for net in (
        "192.88.99.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.175.48.0/24",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "2620:4f:8000::/48",
    )
]
_FAULTS = (requests.RequestException, HTTPError, OSError, ValueError)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class EgressDeniedError(Exception):
    """The hub refuses to call this URL; the message says why, `reason` in one word."""

    def __init__(self, message: str, reason: str = "url") -> None:
        super().__init__(message)
        metrics.EGRESS_DENIED.labels(reason).inc()


class EgressFailedError(Exception):
    """The call did not bring an answer. `timeout` tells whether time ran out."""

    def __init__(self, message: str, *, timeout: bool = False) -> None:
        super().__init__(message)
        self.timeout = timeout


@dataclass(frozen=True)
class Reply:
    """What came back: HTTP status, headers (case-insensitive), the whole body, seconds taken."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True)
class Request:
    """One call to be made.

    `hosts` is what is approved for the platform, None for any; `seconds` bounds the whole exchange,
    `limit` the bytes of the body that comes back.
    """

    method: str
    url: str
    hosts: Collection[str] | None
    headers: Mapping[str, str]
    seconds: float
    body: bytes | None = None
    limit: int = BODY_LIMIT

    def checked(self) -> tuple[str, int]:
        """Return host and port to be dialled. Raises EgressDeniedError."""
        return _checked(self.url, self.hosts, CALL_LIMIT)[1:]

    @property
    def all_headers(self) -> dict[str, str]:
        """Return the headers to be sent: compressed answers are not wanted."""
        return {"Accept-Encoding": "identity", **self.headers}


@dataclass
class _Exchange:
    """One call in flight, so that the watchdog finds the socket to close."""

    deadline: float
    target: tuple[str, int]
    sock: socket.socket | None = None  # http.client forgets it when the answer says close
    expired: threading.Event = field(default_factory=threading.Event)

    def remaining(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise EgressFailedError("time ran out", timeout=True)
        return left

    def expire(self) -> None:
        self.expired.set()
        if self.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def check_url(url: str, hosts: Collection[str] | None, *, longest: int = URL_LIMIT) -> str:
    """Return the host of a URL that may be called, as `host` or `host:port`.

    `hosts` is what is approved for the platform; None admits any host (an invitation that names
    none, before its first handshake). Raises EgressDeniedError.
    """
    return _checked(url, hosts, longest)[0]


def _checked(url: str, hosts: Collection[str] | None, longest: int) -> tuple[str, str, int]:
    """Return how a host is approved, its name, and the port to be dialled."""
    parts = _split(url)
    host, port = parts.hostname, parts.port
    if len(url) > longest or not url.isascii() or not host:
        raise EgressDeniedError(f"not an absolute URL of at most {longest} ASCII characters")
    if parts.scheme not in ({"http", "https"} if settings.ALLOW_PRIVATE_NETWORKS else {"https"}):
        raise EgressDeniedError("only https URLs are called")
    if "@" in parts.netloc and (parts.username or parts.password):
        raise EgressDeniedError("a URL with credentials in it is not called")
    if {".", ".."} & set(unquote(parts.path).split("/")):
        raise EgressDeniedError("a URL with . or .. in its path is not called")
    if not settings.ALLOW_PRIVATE_NETWORKS and 443 != (port or 443) < SYSTEM_PORTS:
        raise EgressDeniedError(f"port {port} is none that partners are called at")
    name = f"{host}:{port}" if port else host
    if hosts is not None and name not in hosts:
        raise EgressDeniedError(f"{name} is not approved for this platform", "host")
    return name, host, port or (443 if parts.scheme == "https" else 80)


def is_public(address: str) -> bool:
    """Tell whether an IP address belongs to the public internet, without the gaps of is_global."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if any(ip.version == net.version and ip in net for net in _NETS_BUT_NOT_PUBLIC):
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        return ip in _GLOBAL_UNICAST
    return ip.is_global and not ip.is_multicast


def check_addresses(host: str, addresses: Iterable[str]) -> None:
    """Refuse a host unless all its addresses may be dialled. Raises EgressDeniedError."""
    if not settings.ALLOW_PRIVATE_NETWORKS and not all(map(is_public, addresses)):
        raise EgressDeniedError(f"{host} does not resolve to public addresses only", "address")


def check_head(headers: Iterable[tuple[str, str]]) -> None:
    """Refuse an answer whose head is too large, or whose body is compressed: EgressFailedError."""
    pairs = list(headers)
    if len(pairs) > MOST_HEADERS or sum(len(a) + len(b) for a, b in pairs) > HEAD_LIMIT:
        raise EgressFailedError("the head of the answer is too large")
    for name, value in pairs:
        if name.lower() == "content-encoding" and value.lower() != "identity":
            raise EgressFailedError("the answer is compressed, which the request excluded")


def call(request: Request) -> Reply:
    """Make one HTTP call and return the reply, whatever its status.

    Raises EgressDeniedError (nothing was sent) or EgressFailedError.
    """
    target, started = request.checked(), time.monotonic()
    with (
        _watched(request.seconds, target) as exchange,
        _explained(exchange),
        _sent(request) as response,
    ):
        check_head(response.raw.headers.iteritems())
        content = _read(response, request.limit, exchange)
    return Reply(response.status_code, response.headers, content, time.monotonic() - started)


def _sent(request: Request) -> requests.Response:
    """Send a request; return the answer up to its body."""
    return _SESSION.request(
        request.method,
        request.url,
        headers=request.all_headers,
        data=request.body,
        timeout=request.seconds,
        allow_redirects=False,
        stream=True,
    )


@contextmanager
def _explained(exchange: _Exchange) -> Iterator[None]:
    """Turn whatever the libraries raise into what `call` raises."""
    try:
        yield
    except _FAULTS as error:
        raise _failure(error, exchange) from error


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise EgressDeniedError(f"not a URL: {error}") from error
    return parts


@contextmanager
def _watched(seconds: float, target: tuple[str, int]) -> Iterator[_Exchange]:
    exchange = _Exchange(time.monotonic() + seconds, target)
    watchdog = threading.Timer(seconds, exchange.expire)
    watchdog.daemon = True
    watchdog.start()
    _current.exchange = exchange
    try:
        yield exchange
    finally:
        watchdog.cancel()
        del _current.exchange


def _read(response: requests.Response, limit: int, exchange: _Exchange) -> bytes:
    content = b""
    while chunk := response.raw.read1(CHUNK, decode_content=False):
        exchange.remaining()
        content += chunk
        if len(content) > limit:
            raise EgressFailedError(f"the answer is longer than {limit} bytes")
    exchange.remaining()
    return content


def _failure(error: Exception, exchange: _Exchange) -> Exception:
    if exchange.expired.is_set() or isinstance(error, requests.Timeout):
        return EgressFailedError("time ran out", timeout=True)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, EgressDeniedError | EgressFailedError):
            return cause
        cause = cause.__context__
    return EgressFailedError(type(error).__name__)


def _connect(host: str, port: int) -> socket.socket:
    """Resolve once, check every answer, dial a checked address."""
    exchange: _Exchange = _current.exchange
    if (host.strip("[]"), port) != exchange.target:
        raise EgressDeniedError(f"{host}:{port} is not what the URL was read as")
    answers = _resolve(host.strip("[]"), port, exchange.remaining())
    check_addresses(host, (item[4][0] for item in answers))
    failure: OSError | None = None
    for family, kind, protocol, _, address in answers:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(exchange.remaining())
            # Head and body leave in two pieces; without this the second waits 40 ms for an ACK.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
            check_addresses(host, [sock.getpeername()[0]])
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure or OSError("no address")


def _resolve(host: str, port: int, seconds: float) -> list[Any]:
    """Look a name up within the deadline (the system's resolver knows none)."""
    try:
        return look_up(host, port).result(timeout=seconds)
    except FutureTimeout as error:
        raise EgressFailedError("time ran out looking up the name", timeout=True) from error


class _Guarded(HTTPConnection):
    """A connection that goes where `_connect` says and is known to its exchange."""

    def _new_conn(self) -> socket.socket:
        return _connect(self.host, self.port or self.default_port)

    def connect(self) -> None:
        super().connect()
        _current.exchange.sock = self.sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        _current.exchange.sock = self.sock
        super().request(*args, **kwargs)


class _GuardedTls(_Guarded, HTTPSConnection):
    """The same under TLS: the certificate is still checked against the name."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTls


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Know no redirects: requests would read the whole body to prepare the next call."""


def _session() -> requests.Session:
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=64, pool_maxsize=16, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


_current = threading.local()
_SESSION = _session()
