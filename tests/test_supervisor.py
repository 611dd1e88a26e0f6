"""The command `./ocn` and what it runs: parts are watched, and none is left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from fcntl import LOCK_EX
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from hub import crew, services, supervisor
from hub.crew import Crew, Failure, Part
from tests.services import throwaway_data_dir

ROOT = Path(__file__).resolve().parent.parent
SLEEP = "import time; time.sleep(60)"


def part(code: str, *, ends: bool = False) -> Part:
    """Return a part that runs some Python."""
    return Part("part", (sys.executable, "-c", code), ends)


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Crew]:
    with crew.crew(os.environ, ROOT, tmp_path) as a_crew:
        yield a_crew


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_jobs_run_to_their_ends_and_leave_the_crew(ours: Crew) -> None:
    ours.start([part(SLEEP)])
    ours.complete([part("print('done')", ends=True)], limit=10)
    assert [child.part.ends for child in ours.children] == [False]


def test_a_failing_job_is_reported_with_its_last_words(ours: Crew) -> None:
    with pytest.raises(Failure, match=r"part ended with status 1(.|\n)*ZeroDivisionError"):
        ours.complete([part("1 / 0", ends=True)], limit=10)


def test_a_part_that_ends_well_has_died_too(ours: Crew) -> None:
    ours.start([part("")])
    with pytest.raises(Failure, match="part ended with status 0"):
        ours.wait_for("miracle", lambda: False, limit=10)


def test_waiting_has_a_limit(ours: Crew) -> None:
    with pytest.raises(Failure, match="no miracle within 0 s"):
        ours.wait_for("miracle", lambda: False, limit=0)


def test_a_dead_part_is_started_again_after_growing_pauses(
    ours: Crew, capsys: pytest.CaptureFixture[str]
) -> None:
    ours.start([part("raise SystemExit(3)")])
    for _ in range(7):
        die_and_revive(ours)
    told = [line for line in capsys.readouterr().err.splitlines() if "again" in line]
    pauses = [float(line.removeprefix("starting part again in ").split()[0]) for line in told]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


def die_and_revive(ours: Crew) -> None:
    """See the first child dead, then started again without the pause."""
    child = ours.children[0]
    dead = child.process
    dead.wait()
    ours.revive()
    child.restart_at = 0.0
    ours.revive()
    assert child.process is not dead


def test_the_stubborn_are_killed_with_their_children(
    ours: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "STOP_LIMIT", 0.5)
    deaf = "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    ours.start([part(deaf + f"subprocess.run([sys.executable, '-c', {SLEEP!r}])")])
    leader = ours.children[0].process.pid
    services.wait_until(lambda: len(group(leader)) == 2, 5)
    ours.stop()
    services.wait_until(lambda: not group(leader), 5)
    assert not group(leader)


def group(leader: int) -> list[str]:
    """Return the living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group, *_ = path.read_text().rpartition(") ")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if its_group == str(leader) and state != "Z":
            found.append(path.parent.name)
    return found


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Failure, match=f"cannot listen on 127.0.0.1:{port}, address already"):
            supervisor.check_port("127.0.0.1", port)


def test_a_second_hub_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "hub.lock").open("ab") as lock:
        assert services.try_lock(lock, LOCK_EX)
        with pytest.raises(Failure, match="running on"), supervisor.only_hub(tmp_path):
            pass


def test_static_files_are_collected_when_they_changed(tmp_path: Path, settings: Settings) -> None:
    settings.DATA_DIR = tmp_path
    assert [job.name for job in supervisor.stale_static()] == ["collectstatic"]
    supervisor.keep_static_state()
    assert supervisor.stale_static() == []


def test_an_unknown_command_is_told_the_known_ones() -> None:
    result = subprocess.run(["./ocn", "nonsense"], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (64, "")
    assert "usage: ./ocn COMMAND" in result.stderr


@pytest.mark.network
def test_the_whole_hub_starts_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    with throwaway_data_dir() as data_dir:
        hub = subprocess.Popen(
            [sys.executable, "-m", "hub.supervisor"],
            cwd=ROOT,
            env=os.environ | {"DATA_DIR": str(data_dir), "PORT": str(port), "DEMO": "0"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert hub.stdout
        assert hub.stdout.readline() == f"ready http://127.0.0.1:{port}\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready") as reply:
            assert reply.status == 200
        started = time.monotonic()
        hub.send_signal(signal.SIGINT)
        assert hub.wait(15) == 0
        assert time.monotonic() - started < 10
        assert not services.are_kept(data_dir)
