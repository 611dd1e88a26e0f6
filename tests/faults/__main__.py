"""All faults: `./ocn faults [NAME ...]` prints a table and writes faults.json; status 1 on a loss.

The environment: FAULT_SECONDS is how long a fault lasts that lasts (12), FAULT_RATE how many writes
come in a second (20), FAULT_ROUNDS how often everything is repeated (1).
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from hub.ocpi import json
from tests.faults.faults import FAULTS
from tests.faults.moods import MOODS
from tests.faults.running import Run, run
from tests.faults.scene import PAYERS, scene
from tests.faults.stages import STAGES
from tests.running import fresh_hub

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
RESULT = Path("faults.json")
LINE = "{:18} {:4} {:6} {:>6} {:>7} {:>8} {:>9} {:>8} {:>8}  {}"
HEAD = (
    "fault",
    "plan",
    "result",
    "s",
    "writes",
    "accepted",
    "delivered",
    "repeated",
    "settled",
    "",
)


def main(names: Sequence[str]) -> int:
    """Run the faults that are named, or all."""
    known = [*FAULTS, *STAGES]
    if unknown := set(names) - set(known):
        print(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(known)}")  # noqa: T201
        return 64
    started = time.monotonic()
    print(LINE.format(*HEAD))  # noqa: T201
    runs = [shown(item) for _ in range(ROUNDS) for item in done(names or known)]
    RESULT.write_bytes(json.dumps([item.row() for item in runs]) + b"\n")
    lost = sum(not item.passed for item in runs)
    seconds = time.monotonic() - started
    print(f"{len(runs)} runs in {seconds:.0f} s, {lost} with findings; see {RESULT}")  # noqa: T201
    return 1 if lost else 0


def done(names: Sequence[str]) -> Iterator[Run]:
    """Do the faults: those that need no hub of their own share one."""
    shared = [FAULTS[name] for name in names if name in FAULTS]
    if shared:
        with ExitStack() as stack:
            hub = stack.enter_context(fresh_hub())
            folder = Path(stack.enter_context(TemporaryDirectory()))
            ours = stack.enter_context(scene(hub, folder, emsps=PAYERS + len(MOODS)))
            for fault in shared:
                yield run(ours, fault)
    for name in names:
        if name in STAGES:
            yield STAGES[name]()


def shown(item: Run) -> Run:
    """Print a run as a line of the table, and what was found below it."""
    result = "ok" if item.passed else "FAILED"
    figures = (item.writes, item.accepted, item.delivered, item.repeated)
    settled = f"{item.settled_after:.1f}"
    if item.skipped:
        result = "skip"
    row = (item.fault, item.number, result, f"{item.seconds:.0f}", *figures, settled)
    refused = ", ".join(f"{count} x {why}" for why, count in item.refused.items())
    words = "; ".join(filter(None, [item.told, item.skipped, refused]))
    print(LINE.format(*row, words))  # noqa: T201
    for finding in item.findings[:10]:
        print(f"    {finding}")  # noqa: T201
    if len(item.findings) > 10:
        print(f"    and {len(item.findings) - 10} more")  # noqa: T201
    sys.stdout.flush()
    return item


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
