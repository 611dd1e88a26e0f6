"""How a receiver can misbehave: thirteen ways, as raw bytes on its connection."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Final

from hub.ocpi import json, times

HEAD = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
DRIP_SECONDS = 0.5
SLOW_SECONDS = 9.0
HANG_SECONDS = 60.0
HUGE = 64 * 1024 * 1024
RETRY_AFTER = 2

OK: Final = "ok"
Writer = asyncio.StreamWriter
Mood = Callable[[Writer], Awaitable[None]]


def written(status: str, content: bytes, kind: str = "application/json") -> bytes:
    """Return an answer as it goes over the wire."""
    return HEAD % (status.encode(), kind.encode(), len(content)) + content


def enveloped(data: object = None, code: int = 1000, status: str = "200 OK") -> bytes:
    """Return an answer in OCPI's envelope."""
    body = {"status_code": code, "timestamp": times.render(times.now())}
    return written(status, json.dumps(body if data is None else body | {"data": data}))


class HungUp(Exception):
    """The mood ends the connection."""


async def error500(writer: Writer) -> None:
    """Answer HTTP 500 with plain text."""
    writer.write(written("500 Oops", b"oops", "text/plain"))


async def hang(writer: Writer) -> None:
    """Take the request and never answer."""
    await asyncio.sleep(HANG_SECONDS)
    raise HungUp


async def drip_header(writer: Writer) -> None:
    """Send the head of the answer a byte at a time."""
    await _drip(writer, enveloped())


async def drip_body(writer: Writer) -> None:
    """Send the head at once and the body a byte at a time."""
    answer = enveloped()
    head = answer.index(b"\r\n\r\n") + 4
    writer.write(answer[:head])
    await _drip(writer, answer[head:])


async def huge(writer: Writer) -> None:
    """Answer with more than anybody should read."""
    writer.write(HEAD % (b"200 OK", b"application/json", HUGE))
    for _ in range(HUGE // 65536):
        writer.write(b" " * 65536)
        await writer.drain()


async def garbage(writer: Writer) -> None:
    """Answer with what is no HTTP."""
    writer.write(os.urandom(512))
    raise HungUp


async def html200(writer: Writer) -> None:
    """Answer with a page, as a portal does that wants a login."""
    writer.write(written("200 OK", b"<!doctype html><title>Welcome!</title>", "text/html"))


async def close(writer: Writer) -> None:
    """Hang up without an answer."""
    raise HungUp


async def redirect_loop(writer: Writer) -> None:
    """Send the caller somewhere else, which does the same."""
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")


async def throttle(writer: Writer) -> None:
    """Say that it is too much, and when to come again."""
    head = b"HTTP/1.1 429 Slow Down\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n"
    writer.write(head % RETRY_AFTER)


async def slow(writer: Writer) -> None:
    """Answer well, just before the hub loses patience."""
    await asyncio.sleep(SLOW_SECONDS)
    writer.write(enveloped())


async def wrong_envelope(writer: Writer) -> None:
    """Answer in JSON that is not OCPI's envelope."""
    writer.write(written("200 OK", b'{"result": "fine, thank you"}'))


async def wrong_token(writer: Writer) -> None:
    """Refuse the hub's token."""
    writer.write(enveloped(code=2001, status="401 Unauthorized"))


async def _drip(writer: Writer, content: bytes) -> None:
    for place in range(len(content)):
        writer.write(content[place : place + 1])
        await writer.drain()
        await asyncio.sleep(DRIP_SECONDS)


MOODS: dict[str, Mood] = {
    mood.__name__: mood
    for mood in (
        error500,
        hang,
        drip_header,
        drip_body,
        huge,
        garbage,
        html200,
        close,
        redirect_loop,
        throttle,
        slow,
        wrong_envelope,
        wrong_token,
    )
}
APPLIES = frozenset({OK, "slow"})  # where the receiver keeps what it was sent
