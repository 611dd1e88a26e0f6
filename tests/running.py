"""The whole product as processes of its own, for tests that need a real worker and beat."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from hub import embedded, services
from hub.ocpi import json
from hub.processes import mortal
from tests.services import run_folder, throwaway_data_dir

ROOT = Path(__file__).resolve().parent.parent
STOP_LIMIT = 20.0
KEEP_SERVERS = """
import sys
from hub import services
with services.running(services.data_dir()):
    print("running", flush=True)
    sys.stdin.read()
"""
NURSERY = "multiprocessing.forkserver"
SERVERS = tuple(server.name for server in embedded.SERVERS)


@dataclass(frozen=True)
class RunningHub:
    """A hub under its supervisor; `lines` are those that it printed when it was ready."""

    url: str
    environment: dict[str, str]
    supervisor: int
    lines: list[str]

    @property
    def data_dir(self) -> Path:
        """Return its data folder."""
        return Path(self.environment["DATA_DIR"])

    @property
    def redis_url(self) -> str:
        """Return where its Redis is."""
        return services.redis_url(self.data_dir)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a management command to its end."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def manage(self, *arguments: str) -> Any:
        """Run a management command and return what it says in JSON."""
        result = self.run(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout.encode())

    def pids(self, name: str) -> list[int]:
        """Return the processes of a part: web, deliveries, documents, beat or sandbox.

        Those of an embedded server, postgres or redis, come without its keeper.
        """
        parts = psutil.Process(self.supervisor).children()
        parts += [
            born for part in parts if NURSERY in command_line(part) for born in part.children()
        ]
        leaders = [part for part in parts if _mark(name) in command_line(part)]
        if name in SERVERS:
            leaders = [server for keeper in leaders for server in keeper.children()]
        family = [item for part in leaders for item in (part, *part.children(recursive=True))]
        return [item.pid for item in family if command_line(item)]

    def kill(self, name: str) -> None:
        """Kill a part with all its processes, as a crash would."""
        pids = self.pids(name)
        assert pids, f"no {name} is running"
        kill_all(pids)


def command_line(process: psutil.Process) -> str:
    """Return the command line of a process, nothing when it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill_all(pids: Iterable[int]) -> None:
    """Kill processes, some of which may have ended meanwhile."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _mark(name: str) -> str:
    """Return what stands in the command line of a part."""
    marks = {"web": "granian", "beat": "beat", "sandbox": "hub.sandbox"}
    marks |= {server: f"hub.services {server}" for server in SERVERS}
    return marks.get(name, f"{name}@")


@contextmanager
def running_hub(data_dir: Path, **settings: str) -> Iterator[RunningHub]:
    """Start a hub on a data folder, wait until it is ready, and stop it in the end."""
    port = settings.get("PORT") or str(free_port())
    environment = _without_ours() | {
        "DATA_DIR": str(data_dir),
        "PORT": port,
        "DEMO": "0",
        **settings,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "hub.supervisor"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=mortal(),
    )
    with ExitStack() as stack:
        stack.callback(_stop, process)
        lines = _until_ready(process)
        yield RunningHub(f"http://127.0.0.1:{port}", environment, process.pid, lines)


@contextmanager
def running_servers(data_dir: Path) -> Iterator[None]:
    """Have the embedded servers of a data folder kept by a process that is no hub."""
    environment = _without_ours() | {"DATA_DIR": str(data_dir)}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    pipes["preexec_fn"] = mortal()
    command = [sys.executable, "-c", KEEP_SERVERS]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
    with process:
        assert process.stdout
        assert process.stdout.readline() == "running\n"
        yield


@contextmanager
def running_part(name: str, data_dir: Path, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """Run one part alone, as a host of its own does; it leads a process group."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hub.supervisor", name],
        cwd=ROOT,
        env=_without_ours() | {"DATA_DIR": str(data_dir), **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=mortal(),
    )
    try:
        yield process
    finally:
        _stop(process)


@contextmanager
def fresh_hub(**settings: str) -> Iterator[RunningHub]:
    """Start a hub that has no partners yet on a folder of its own, which is deleted in the end."""
    with fresh_data_dir() as data_dir, running_hub(data_dir, **settings) as hub:
        yield hub


@contextmanager
def fresh_data_dir() -> Iterator[Path]:
    """Make a data folder as the first start of a hub leaves it, and delete it in the end.

    That start is done once for all processes of a test run; what it has made is copied.
    """
    with throwaway_data_dir() as folder:
        if begun := run_folder():
            subprocess.run(["cp", "-a", f"{first_start(begun)}/.", folder], check=True)
        yield folder


def first_start(begun: Path) -> Path:
    """Return the data folder of a hub that was started and stopped; whoever comes first does so."""
    data_dir, done = begun / "first-start", begun / "first-start.done"
    with (begun / "first-start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            data_dir.mkdir(mode=0o711)
            with running_hub(data_dir):
                pass
            done.touch()
    return data_dir


def _without_ours() -> dict[str, str]:
    """Return the environment without what is ours alone."""
    names = {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}
    return {name: value for name, value in os.environ.items() if name not in names}


def _until_ready(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout
    for line in process.stdout:
        if line.startswith("ready "):
            return [line.rstrip()]
    raise AssertionError(f"the hub ended with status {process.wait()}")


def _stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT)
    finally:
        process.kill()
