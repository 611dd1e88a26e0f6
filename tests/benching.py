"""What the benchmarks share: figures and their table, the load generator, and CPU time by part.

The generator has one thread and prepared bytes, so that it costs little of the two cores that the
server has too, and it is the same for the hub and for whoever is measured beside it.
"""

import re
import selectors
import socket
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.running import RunningHub

SUCCESS = re.compile(rb'"status_code": ?1000')
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
Cpu = Mapping[str, float]  # seconds by part


@dataclass
class Figure:
    """One line of the table; `floor` and `peer` are the figures of the same run to compare with."""

    name: str
    value: float
    unit: str = "/s"
    detail: str = ""
    floor: float | None = None
    peer: float | None = None

    def record(self) -> dict[str, Any]:
        """Return it for bench.json, with its ratios."""
        ratios = {"of_floor": self.of(self.floor), "of_peer": self.of(self.peer)}
        return {**vars(self), **ratios}

    def of(self, other: float | None) -> float | None:
        """Return the ratio to another figure, if there is one."""
        return self.value / other if other else None


@dataclass
class Load:
    """What a time of calling has given: how long it took, each latency, and who used what CPU."""

    seconds: float
    latencies: list[float]
    cpu: Cpu = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Return the calls per second."""
        return len(self.latencies) / self.seconds

    def figure(self, name: str, **compared: float | None) -> Figure:
        """Return it as a line of the table."""
        cuts = statistics.quantiles(self.latencies, n=100)
        parts = [f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms"]
        calls = len(self.latencies)
        cpu = [f"{part} {spent / calls * 1000:.2f}" for part, spent in self.cpu.items()]
        parts += [f"CPU ms per call: {', '.join(cpu)}"] if cpu else []
        return Figure(name, self.rate, detail="; ".join(parts), **compared)


def table(figures: Iterable[Figure]) -> Iterator[str]:
    """Return the lines of the table."""
    yield f"{'what':46} {'figure':>10}      {'of floor':>8} {'of peer':>8}  detail"
    for item in figures:
        floor, peer = item.of(item.floor), item.of(item.peer)
        ratios = f"{'' if floor is None else f'{floor:.1%}':>8}"
        ratios += f" {'' if peer is None else f'{peer:.2f}x':>8}"
        yield f"{item.name:46} {item.value:10.1f} {item.unit:4} {ratios}  {item.detail}"


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """Return the bytes of a call; `token` is the value of the Authorization header."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


class Connection:
    """A keep-alive connection with one call under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.started = 0.0
        self._received = b""
        self._end = 0

    def send(self, content: bytes) -> None:
        """Begin a call."""
        self.started, self._received, self._end = time.perf_counter(), b"", 0
        self.socket.sendall(content)

    def answered(self) -> bool:
        """Read what is there; tell whether the answer is whole, which must be a success."""
        piece = self.socket.recv(1 << 18)
        self._received += piece
        if not self._end:
            head = self._received.find(b"\r\n\r\n")
            if head >= 0 and (length := LENGTH.search(self._received, 0, head + 2)):
                self._end = head + 4 + int(length[1])
        if piece and (not self._end or len(self._received) < self._end):
            return False
        if not SUCCESS.search(self._received):
            raise SystemExit(f"not a success: {self._received[:2000]!r}")
        return True


def called(port: int, content: bytes) -> bytes:
    """Make one call and return the whole answer."""
    connection = Connection(port)
    connection.send(content)
    while not connection.answered():
        pass
    connection.socket.close()
    return connection._received


def load(
    port: int,
    connections: int,
    requests: Iterator[bytes],
    seconds: float,
    cpu: Callable[[], Cpu] = dict,
) -> Load:
    """Call for some seconds over several connections; `cpu` tells the CPU time of parts so far."""
    ready = selectors.DefaultSelector()
    latencies: list[float] = []
    before, begun = cpu(), time.perf_counter()
    until, under_way = begun + seconds, connections
    for _ in range(connections):
        connection = Connection(port)
        ready.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(next(requests))
    while under_way:
        for key, _ in ready.select():
            connection = key.data
            if not connection.answered():
                continue
            now = time.perf_counter()
            latencies.append(now - connection.started)
            if now < until:
                connection.send(next(requests))
            else:
                ready.unregister(connection.socket)
                connection.socket.close()
                under_way -= 1
    took, after = time.perf_counter() - begun, cpu()
    return Load(took, latencies, {part: after[part] - before[part] for part in after})


def hub_cpu(hub: RunningHub) -> Cpu:
    """Return the CPU time of the hub's parts so far, in seconds."""
    pids = {"web": hub.pids("web"), "worker": hub.pids("deliveries")}
    pids["postgres"] = [item.pid for item in psutil.process_iter() if _belongs(item, hub)]
    return {part: sum(map(spent, found)) for part, found in pids.items()}


def spent(pid: int) -> float:
    """Return the CPU time of a process so far, in seconds; of one that has gone, none."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _belongs(process: psutil.Process, hub: RunningHub) -> bool:
    """Tell whether a process is one of the hub's PostgreSQL, which work in its data folder."""
    try:
        return process.name() == "postgres" and process.cwd().startswith(str(hub.data_dir))
    except psutil.Error:
        return False
