"""Runs py-ocpi, which is not ours, in the environment of its own."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from tests.running import ROOT, free_port

PYTHON = ROOT / ".local/foreign/bin/python"


@contextmanager
def running(party: str) -> Iterator[tuple[str, int]]:
    """Run py-ocpi as a party; yield its URL and its process."""
    assert PYTHON.exists(), "the foreign partner is not installed: run ./ocn test once"
    port = free_port()
    script = ROOT / "tests/foreign/py_ocpi_partner.py"
    process = subprocess.Popen([PYTHON, script, str(port), party], stdout=sys.stderr)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{url}/ocpi/versions"))
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    """Tell whether somebody answers there."""
    try:
        return requests.get(url, timeout=1).ok
    except requests.ConnectionError:
        return False


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.1)
    return found
