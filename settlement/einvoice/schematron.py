"""Ask a process of Saxon whether an e-invoice keeps the rules of EN 16931."""

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from settlement.einvoice import schemas
from settlement.einvoice.schemas import CannotValidate

PROGRAM = Path(__file__).with_name("saxon.py")
SECONDS = 60.0  # for one document; compiling the rules takes 1 s, 500 lines take another
TRIES = 2  # a process that ended of itself, idle or aborted, is replaced once


class Saxon:
    """A long-lived process that applies schematron, started when needed, replaced when it died.

    One request at a time. A copy inherited through a fork is left to its owner.
    """

    def __init__(self, command: list[str] | None = None, seconds: float = SECONDS) -> None:
        self._command = command or [sys.executable, "-I", str(PROGRAM)]
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def failed(self, xml: bytes) -> list[str]:
        """Return the rules that an e-invoice breaks, as `BR-CO-10: text`; raises CannotValidate."""
        stylesheet = schemas.path_of(schemas.rules_for(xml).stylesheet)
        answer = self._ask({"stylesheet": stylesheet, "xml": xml.decode()})
        if "error" in answer:
            raise CannotValidate(f"schematron: {answer['error']}")
        if not answer["rules"]:
            raise CannotValidate("schematron applied no rule")
        return [f"{found['id']}: {found['text']}" for found in answer["failed"] if found["fatal"]]

    def stop(self) -> None:
        """End the process, if it is ours."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.communicate()

    def _ask(self, question: dict[str, str]) -> Any:
        line = json.dumps(question).encode() + b"\n"
        with self._lock:
            for _ in range(TRIES):
                answer = self._exchange(line)
                if answer is not None:
                    return json.loads(answer)
        raise CannotValidate("the process of the schematron ended without an answer")

    def _exchange(self, line: bytes) -> bytes | None:
        """Send a line and return the one that comes back; None when the process has died."""
        process = self._running()
        with suppress(BrokenPipeError):
            _pipe(process.stdin).write(line)
            _pipe(process.stdin).flush()
            if answer := self._answered(process):
                return answer
        self.stop()
        return None

    def _answered(self, process: "subprocess.Popen[bytes]") -> bytes | None:
        """Read one line; raises CannotValidate when it takes too long."""
        until, read = time.monotonic() + self._seconds, b""
        with selectors.DefaultSelector() as selector:
            selector.register(_pipe(process.stdout), selectors.EVENT_READ)
            while not read.endswith(b"\n"):
                if not selector.select(max(0.0, until - time.monotonic())):
                    self.stop()
                    raise CannotValidate(f"schematron did not answer within {self._seconds:g} s")
                part = os.read(_pipe(process.stdout).fileno(), 1 << 16)
                if not part:
                    return None
                read += part
        return read

    def _running(self) -> "subprocess.Popen[bytes]":
        mine = self._owner == os.getpid()
        if self._process is None or not mine or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603 (our own program)
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._owner = os.getpid()
        return self._process


def _pipe(pipe: Any) -> Any:
    """Return a pipe that is there, since it was asked for."""
    return pipe


_saxon = Saxon()


def failed(xml: bytes) -> list[str]:
    """Return the rules that an e-invoice breaks; raises CannotValidate."""
    return _saxon.failed(xml)
