"""A TCP proxy that can swallow what passes through it, as a broken network does.

With several targets it is a load balancer: connections go to them in turn, past those that are
down.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

Target = tuple[str, int] | str  # a TCP address, or the path of a unix socket
CHUNK = 65536


class Proxy:
    """Listens on loopback and passes bytes on to its target, until it is told to swallow them."""

    def __init__(self) -> None:
        self.targets: list[Target] = []
        self.port = 0
        self._open = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()

    @property
    def url(self) -> str:
        """Return where HTTP clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def blackhole(self) -> None:
        """Swallow everything: connections stay, new ones are taken, no byte arrives."""
        self._call(self._open.clear)

    def heal(self) -> None:
        """Pass bytes on again; what was open meanwhile is cut, as its ends gave it up."""
        self._call(self._cut)

    def listen(self) -> None:
        """Start to listen on a free port."""
        self._open.set()
        start = asyncio.start_server(self._connected, "127.0.0.1", 0)
        server = self._loop.run_until_complete(start)
        self.port = server.sockets[0].getsockname()[1]
        Thread(target=self._loop.run_forever, daemon=True).start()

    def stop(self) -> None:
        """Cut everything and stop listening."""
        self._call(self._cut)
        self._call(self._loop.stop)

    def _call(self, function: object) -> None:
        self._loop.call_soon_threadsafe(function)  # type: ignore[arg-type]

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._open.set()

    async def _connected(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._writers.add(back)
        try:
            await self._open.wait()
            far, forth = await self._reach()
        except OSError:
            back.transport.abort()
            self._writers.discard(back)
            return
        self._writers.add(forth)
        await asyncio.gather(self._pump(near, forth), self._pump(far, back))
        self._writers -= {back, forth}

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in self.targets[1:]:
            with suppress(OSError):
                return await self._reach_next()
        return await self._reach_next()

    async def _reach_next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = self.targets.pop(0)
        self.targets.append(target)
        if isinstance(target, str):
            return await asyncio.open_unix_connection(target)
        return await asyncio.open_connection(*target)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while content := await source.read(CHUNK):
                await self._open.wait()
                sink.write(content)
                await sink.drain()
        sink.close()


@contextmanager
def proxy(*targets: Target) -> Iterator[Proxy]:
    """Have a proxy; its targets may be told later, before anybody connects."""
    ours = Proxy()
    ours.targets += targets
    ours.listen()
    try:
        yield ours
    finally:
        ours.stop()
