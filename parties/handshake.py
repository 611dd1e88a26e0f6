"""The calls of a credentials handshake, whichever side began it.

They are made outside any transaction, for one handshake of a platform at a time, for few at once,
and all of them within HANDSHAKE_SECONDS. Source: OCPI 2.2.1, credentials and versions.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import BoundedSemaphore
from typing import Any

from hub import egress, locks
from hub.ocpi import client, validation
from hub.ocpi.errors import CannotUseApi, MissingEndpoints, UnsupportedVersion
from hub.ocpi.types import Endpoint, Version
from hub.ocpi.versions import SENDER, is_own
from parties import calling
from parties.authentication import HANDSHAKE
from parties.models import Platform

CALL_SECONDS = 6.0
HANDSHAKE_SECONDS = 20.0  # for all calls of one handshake together
SEATS = 2  # of the 24 threads of a web process (hub/supervisor.py): the others stay free
_seats = BoundedSemaphore(SEATS)
CREDENTIALS = "credentials"
ACCEPTED = {"2.2.1": ("2.2.1",), "2.2": ("2.2.1", "2.2")}  # where the partner chose the version
BEST_FIRST = ("2.2.1", "2.2")  # where the hub chooses


class UnknownHost(CannotUseApi):
    """A URL of the partner names a host that nobody has approved for its platform."""

    def __init__(self, hosts: Sequence[str]) -> None:
        super().__init__(f"{', '.join(hosts)}: not a host approved for this platform")
        self.hosts = list(hosts)


@dataclass(frozen=True)
class Found:
    """What the partner's versions and details said, and the form its token worked in."""

    version: str
    token_form: str
    endpoints: list[dict[str, Any]]
    hosts: list[str]

    @property
    def credentials_url(self) -> str:
        """Return where it takes credentials; raises MissingEndpoints."""
        for item in self.endpoints:
            if item["identifier"] == CREDENTIALS:
                return str(item["url"])
        raise MissingEndpoints("the partner lists no endpoint for credentials")


@dataclass(frozen=True)
class Calls:
    """The calls of one handshake: to one partner and by one deadline (of the monotonic clock)."""

    platform: Platform
    peer: client.Peer
    until: float = field(default_factory=lambda: time.monotonic() + HANDSHAKE_SECONDS)

    def make(
        self, method: str, url: str, body: Any = None, seconds: float | None = None
    ) -> client.Answer:
        """Make one call in what is left of the time; raises CannotUseApi when none came through."""
        left = min(seconds or CALL_SECONDS, self.until - time.monotonic())
        if left <= 0:
            raise CannotUseApi(f"{url}: not called, the time of this handshake is over")
        call = calling.Call(
            method, url, module=CREDENTIALS if body else "versions", body=body, seconds=left
        )
        try:
            return calling.make(self.platform, call, self.peer)
        except (egress.EgressDeniedError, egress.EgressFailedError) as error:
            raise CannotUseApi(f"{url}: {error}") from error


@contextmanager
def turn(platform: Platform) -> Iterator[None]:
    """Let one handshake of a platform run at a time, so that each takes one seat at most."""
    with locks.alone(HANDSHAKE, platform.pk) as alone:
        if not alone:
            raise CannotUseApi("another handshake of this platform is under way")
        yield


@contextmanager
def seat() -> Iterator[None]:
    """Take one of the few seats for handshakes, so that partners who hang stop nobody else."""
    if not _seats.acquire(blocking=False):
        raise CannotUseApi("too many handshakes at once, try again in a minute")
    try:
        yield
    finally:
        _seats.release()


def discover(calls: Calls, url: str, versions: Sequence[str]) -> tuple[Calls, Found]:
    """Read the partner's versions and the details of the first of `versions` that it offers.

    The token is shown in Base64, then plain; the calls come back with the form that worked.
    Raises CannotUseApi, UnknownHost, UnsupportedVersion or MissingEndpoints.
    """
    approved = calls.platform.hosts
    require_approved([url], approved)
    calls, answer = _versions(calls, url)
    entry = _mutual(data_of(answer, list, url), versions)
    require_approved([entry["url"]], approved)
    details = data_of(calls.make("GET", entry["url"]), dict, "version details")
    endpoints = _endpoints(details)
    urls = [url, entry["url"], *(item["url"] for item in endpoints)]
    hosts = require_approved(urls, approved)
    return calls, Found(entry["version"], calls.peer.token_form, endpoints, hosts)


def require_approved(urls: Iterable[str], approved: Collection[str] | None) -> list[str]:
    """Return the hosts of URLs that may all be called; without approved ones any host will do.

    Raises CannotUseApi for a URL that is never called, UnknownHost for a host not approved.
    """
    hosts = sorted({_host(url) for url in urls})
    if approved and (unknown := [host for host in hosts if host not in approved]):
        raise UnknownHost(unknown)
    return hosts


def data_of(answer: client.Answer, kind: type, what: str) -> Any:
    """Return the data of a successful answer; one object may come as a list of one."""
    data = answer.item if kind is dict else answer.data
    if not answer.succeeded or not isinstance(data, kind):
        raise CannotUseApi(f"{what}: HTTP {answer.http}, {answer.message or 'no data'}")
    return data


def _host(url: str) -> str:
    if is_own(url):
        raise CannotUseApi(f"{url}: this is the hub itself")
    try:
        return egress.check_url(url, None)
    except egress.EgressDeniedError as error:
        raise CannotUseApi(f"{url}: {error}") from error


def _versions(calls: Calls, url: str) -> tuple[Calls, client.Answer]:
    answer = calls.make("GET", url)
    if answer.http == 401:
        form = client.PLAIN if calls.peer.token_form == client.BASE64 else client.BASE64
        calls = replace(calls, peer=replace(calls.peer, token_form=form))
        answer = calls.make("GET", url)
    return calls, answer


def _mutual(offered: list[Any], wanted: Sequence[str]) -> dict[str, str]:
    """Return the entry of the first wanted version; junk in the list does no harm."""
    valid = [item for item in offered if not validation.problems(Version, item)]
    if not valid:
        raise CannotUseApi("the versions list holds no version with its URL")
    entries = {item["version"]: item for item in reversed(valid)}
    for version in wanted:
        if version in entries:
            return dict(entries[version])
    raise UnsupportedVersion(f"the partner offers none of {', '.join(wanted)}")


def _endpoints(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the well-formed endpoints of OCPI's modules, each interface once.

    The minimum is one: whoever only pushes needs no more than `credentials`.
    """
    listed = details.get("endpoints")
    entries = listed if isinstance(listed, list) else []
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for item in map(_tidied, entries):
        if not validation.problems(Endpoint, item):
            found.setdefault((item["identifier"], item["role"]), item)
    if not found:
        raise MissingEndpoints("the version details list no endpoint of a module of OCPI")
    return list(found.values())


def _tidied(item: Any) -> Any:
    """Return an endpoint as listed; that of credentials has no meaningful role, so it gets one."""
    if isinstance(item, dict) and item.get("identifier") == CREDENTIALS:
        return {**item, "role": SENDER}
    return item
