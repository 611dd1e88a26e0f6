"""A crew of child processes: started together, watched, started again, and stopped together."""

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import TimeoutExpired

from hub import nursery
from hub.processes import complain, kill_group, mortal, spawn, tail

STOP_LIMIT = 4.0  # seconds to finish what is in hand; the embedded servers need the next few
LONGEST_PAUSE = 15.0  # seconds between the death of a part and its next life


class Failure(Exception):
    """We cannot go on; the message says why."""


@dataclass(frozen=True)
class Part:
    """One process of the crew."""

    name: str
    command: Sequence[str]
    ends: bool = False  # a job, which is to end with status 0


@dataclass(eq=False)
class Child:
    """A part that is running, or waits to be started again."""

    part: Part
    process: nursery.Born
    deaths: list[float] = field(default_factory=list)
    restart_at: float | None = None

    @property
    def died(self) -> bool:
        """Tell whether it ended although it should not have."""
        status = self.process.poll()
        return status is not None and (status != 0 or not self.part.ends)


@dataclass
class Crew:
    """The children of this process; without a folder for logs they write where we write.

    With `loaded` code those that run a Python module are born in the nursery.
    """

    environment: Mapping[str, str]
    folder: Path
    logs: Path | None
    loaded: bool = False
    children: list[Child] = field(default_factory=list)

    def log_of(self, part: Part) -> Path | None:
        """Return the log of a part."""
        return self.logs / f"{part.name}.log" if self.logs else None

    def launch(self, part: Part) -> nursery.Born:
        """Start the process of a part."""
        log = self.log_of(part)
        if self.loaded and nursery.can_bear(part.command):
            return nursery.bear(part.command, log=log, env=self.environment, cwd=self.folder)
        options = {"cwd": self.folder, "env": self.environment, "preexec_fn": mortal()}
        return spawn(part.command, log=log, **options)

    def start(self, parts: Iterable[Part]) -> None:
        """Start parts."""
        for part in parts:
            self.children.append(Child(part, self.launch(part)))

    def complete(self, jobs: Sequence[Part], limit: float) -> None:
        """Run jobs side by side to their ends, while the other parts keep running."""
        self.start(jobs)
        started = [child for child in self.children if child.part in jobs]
        names = " and ".join(job.name for job in jobs)
        self.wait_for(
            f"end of {names}",
            lambda: all(child.process.poll() == 0 for child in started),
            limit,
        )
        self.children = [child for child in self.children if child not in started]

    def wait_for(
        self, what: str, condition: Callable[[], bool], limit: float, pause: float = 0.05
    ) -> None:
        """Wait until something is so, unless a part dies or time runs out."""
        deadline = time.monotonic() + limit
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise Failure(f"no {what} within {limit:.0f} s; the logs are in {self.logs}")
            time.sleep(pause)

    def check(self) -> None:
        """Insist that no part died."""
        for child in self.children:
            if child.died:
                raise Failure(self.obituary(child))

    def obituary(self, child: Child) -> str:
        """Tell how a part died."""
        log = self.log_of(child.part)
        last_words = f"; the end of {log}:\n{tail(log)}" if log else ""
        return f"{child.part.name} ended with status {child.process.returncode}{last_words}"

    def revive(self) -> None:
        """Start again what died, after a pause that doubles with every death in a minute.

        Never given up: what kills a part may be a full disk, and the others go on without it.
        """
        now = time.monotonic()
        for child in self.children:
            if child.restart_at is None and child.died:
                self.bury(child, now)
            elif child.restart_at is not None and now >= child.restart_at:
                child.process, child.restart_at = self.launch(child.part), None

    def bury(self, child: Child, now: float) -> None:
        """Report the death of a part and plan its restart."""
        kill_group(child.process.pid)
        child.deaths = [death for death in child.deaths if death > now - 60] + [now]
        pause = min(2.0 ** (len(child.deaths) - 2), LONGEST_PAUSE)
        child.restart_at = now + pause
        complain(f"{self.obituary(child)}\nstarting {child.part.name} again in {pause:.1f} s")

    def stop(self) -> None:
        """Stop all parts: each may finish what it has in hand, then its whole group is killed."""
        for child in self.children:
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_LIMIT
        for child in self.children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except TimeoutExpired:
                complain(f"{child.part.name} does not stop: killed")
            kill_group(child.process.pid)


@contextmanager
def crew(
    environment: Mapping[str, str], folder: Path, logs: Path | None, *, loaded: bool = False
) -> Iterator[Crew]:
    """Have a crew, and stop it in the end."""
    if loaded:
        nursery.open_nursery(environment)
    ours = Crew(environment, folder, logs, loaded)
    try:
        yield ours
    finally:
        ours.stop()
