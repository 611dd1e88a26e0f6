"""Parts are born of a process that has the code: quickly, and with nothing of ours but that."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hub import nursery
from tests.running import ROOT

CLEAN = """
import os, threading
import hub.loaded
from django.db import connections
assert threading.active_count() == 1, threading.enumerate()
assert all(connection.connection is None for connection in connections.all())
print("clean")
"""
PART = """
import os, signal, sys, time
print("begun", *sys.argv[1:], os.getcwd(), os.getsid(0) == os.getpid(), end=" ")
print("PATH" in os.environ, flush=True)
if sys.argv[1] == "wait":
    time.sleep(60)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def born(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Start modules of a folder in a nursery of their own."""
    (tmp_path / "a_part.py").write_text(PART)
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(nursery, "LOADED", [])
    begun = []

    def start(*arguments: str) -> nursery.Fork:
        command = (sys.executable, "-m", "a_part", *arguments)
        assert nursery.can_bear(command)
        part = nursery.bear(command, log=tmp_path / "log", env=os.environ, cwd=tmp_path)
        begun.append(part)
        return part

    yield start
    for part in begun:
        part.send_signal(signal.SIGKILL)


def words(log: Path) -> list[str]:
    """Wait for the first line of a log."""
    deadline = time.monotonic() + 30
    while not (log.exists() and log.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return log.read_text().split()


def test_a_part_has_its_arguments_folder_and_session_and_tells_how_it_ended(born, tmp_path):
    part = born("3")
    assert part.wait(30) == 3
    assert (part.poll(), part.returncode) == (3, 3)
    assert words(tmp_path / "log") == ["begun", "3", str(tmp_path), "True", "True"]
    part.send_signal(signal.SIGKILL)  # harmless: it has ended


def test_a_part_can_be_waited_for_and_killed(born, tmp_path):
    part = born("wait")
    words(tmp_path / "log")
    assert " ".join(psutil.Process(part.pid).cmdline()).split()[-3:] == ["-m", "a_part", "wait"]
    assert part.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        part.wait(0.1)
    part.send_signal(signal.SIGKILL)
    assert part.wait(30) == -signal.SIGKILL


def test_a_command_that_is_no_module_is_not_for_it():
    assert not nursery.can_bear(("sleep", "1"))
    assert not nursery.can_bear((sys.executable, "manage.py", "migrate"))


def test_loading_the_code_starts_no_thread_and_opens_no_connection():
    result = subprocess.run(
        [sys.executable, "-c", CLEAN], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.stdout == "clean\n", result.stderr
