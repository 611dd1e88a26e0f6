"""The guarded door for an event loop: many calls at once, over connections that are kept open.

The rules are those of `hub.egress`. The connector does not ask a resolver about an address that a
URL names literally; so what is about to be dialled is checked once more, whoever has named it.
"""

import asyncio
import socket
import ssl
import time
from functools import cache

import aiohttp
from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from yarl import URL

from hub import egress
from hub.egress import EgressDeniedError, EgressFailedError, Reply, Request
from hub.resolving import look_up

MOST = 512  # connections in use at once
IDLE = 15.0  # seconds for which a connection is kept
_FAULTS = (aiohttp.ClientError, OSError, ValueError)


class Door:
    """The door of one event loop; use it as an asynchronous context."""

    async def __aenter__(self) -> "Door":
        """Open it."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=MOST,
                socket_factory=_socket,
                keepalive_timeout=IDLE,
                resolver=_Resolver(),
                use_dns_cache=False,
                ssl=_tls(),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
            trust_env=False,
            max_headers=egress.MOST_HEADERS,
        )
        self._session._retry_connection = False  # what was sent once is sent once
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it with all connections."""
        await self._session.close()

    async def call(self, request: Request) -> Reply:
        """Make one HTTP call and return the reply, whatever its status.

        Raises EgressDeniedError (nothing was sent) or EgressFailedError.
        """
        host, port = request.checked()
        url = URL(request.url, encoded=True)
        if (url.host, url.port) != (host, port):
            raise EgressDeniedError(f"{url.host}:{url.port} is not what the URL was read as")
        try:
            async with asyncio.timeout(request.seconds):
                return await self._exchange(request, url)
        except aiohttp.InvalidURL as error:
            raise EgressDeniedError("not a URL that can be called") from error
        except TimeoutError as error:
            raise EgressFailedError("time ran out", timeout=True) from error
        except _FAULTS as error:
            raise EgressFailedError(type(error).__name__) from error

    async def _exchange(self, request: Request, url: URL) -> Reply:
        started = time.monotonic()
        async with self._session.request(
            request.method,
            url,
            headers=request.all_headers,
            data=request.body,
            allow_redirects=False,
        ) as response:
            egress.check_head(response.headers.items())
            content = await _read(response, request.limit)
        return Reply(response.status, response.headers, content, time.monotonic() - started)


@cache
def _tls() -> ssl.SSLContext:
    """Return whom the hub trusts: the same authorities in both forms of the door."""
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)


class _Resolver(AbstractResolver):
    """Looks a name up once for each connection, and refuses it unless every answer will do."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        answers = await asyncio.shield(asyncio.wrap_future(look_up(host, port)))
        egress.check_addresses(host, (str(item[4][0]) for item in answers))
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in answers
        ]

    async def close(self) -> None:
        """Have nothing to close."""


def _socket(target: AddrInfoType) -> socket.socket:
    """Return the socket for an address that is about to be dialled. Raises EgressDeniedError."""
    family, kind, protocol, _, address = target
    egress.check_addresses(str(address[0]), [str(address[0])])
    return socket.socket(family, kind, protocol)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    content = b""
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > limit:
            raise EgressFailedError(f"the answer is longer than {limit} bytes")
    return content
