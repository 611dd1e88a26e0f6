"""One run: the load, the fault in the middle of it, and the oracle's word."""

import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.faults import Fault
from tests.faults.oracle import repeated
from tests.faults.scene import Scene

BEFORE, AFTER = 2.0, 2.0  # seconds of load on both sides of a fault


@dataclass
class Run:
    """What came of a fault."""

    fault: str
    number: str
    title: str
    seconds: float = 0.0
    writes: int = 0
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)  # the others, by HTTP status or error
    delivered: int = 0
    repeated: int = 0
    settled_after: float = 0.0
    told: str = ""
    skipped: str = ""  # why it could not be done here
    findings: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Tell whether the hub kept its promise."""
        return not self.findings

    def row(self) -> dict[str, Any]:
        """Return the run for the report."""
        return {"passed": self.passed, **asdict(self)}


def run(scene: Scene, fault: Fault) -> Run:
    """Do a fault to a scene under load, and ask the oracle afterwards."""
    ours = Run(fault.name, fault.number, fault.title)
    started, first = time.monotonic(), len(scene.driver.writes)
    before = delivered(scene)
    with scene.driver.running(), noting(ours):
        time.sleep(BEFORE)
        ours.told = fault.act(scene)
        time.sleep(AFTER)
    with noting(ours):
        ours.settled_after = scene.settle()
    judge(scene, ours)
    writes = scene.driver.writes[first:]
    ours.writes, ours.accepted = len(writes), sum(write.accepted for write in writes)
    refused = (
        write.error.partition("(")[0] or write.status for write in writes if not write.accepted
    )
    ours.refused = dict(Counter(map(str, refused)))
    ours.delivered = delivered(scene) - before
    ours.seconds = time.monotonic() - started
    return ours


@contextmanager
def noting(ours: Run) -> Iterator[None]:
    """Make a finding of what goes wrong."""
    try:
        yield
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        ours.findings.append(f"{type(error).__name__} in {where.name}: {error}")


def judge(scene: Scene, ours: Run) -> None:
    """Add what the oracle finds."""
    evidence = scene.evidence()
    ours.findings += evidence.findings()
    ours.repeated = sum(map(repeated, evidence.ledgers.values()))


def delivered(scene: Scene) -> int:
    """Count what all receivers have taken so far."""
    ledgers = (scene.receivers_of(name).ledger(name) for name in scene.roles)
    return sum(entry["applied"] for ledger in ledgers for entry in ledger)
