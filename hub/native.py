"""The native libraries that WeasyPrint opens by name, where the system may not have them.

An ordinary user cannot install them: `./ocn` unpacks them to `.local/native` then. No path needs to
be set, since a library that is loaded already is found by its name.
"""

import ctypes
import sys
from pathlib import Path

UNPACKED = Path(__file__).resolve().parent.parent / ".local" / "native"
NEEDED = (
    "libgobject-2.0.so.0",
    "libharfbuzz.so.0",
    "libharfbuzz-subset.so.0",
    "libfontconfig.so.1",
    "libpango-1.0.so.0",
    "libpangoft2-1.0.so.0",
)


def ensure() -> list[str]:
    """Make the libraries available to this process; return the names of those that are not."""
    missing = [name for name in NEEDED if not loads(name)]
    if missing:
        load_unpacked()
    return [name for name in missing if not loads(name)]


def loads(name: str) -> bool:
    """Load a library for all that follow, and tell whether that worked."""
    try:
        ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def load_unpacked() -> None:
    """Load all unpacked libraries, those that others depend on first, whatever the order is."""
    waiting = [str(path) for path in sorted(UNPACKED.rglob("*.so.*"))]
    while waiting:
        left = [path for path in waiting if not loads(path)]
        if left == waiting:
            return
        waiting = left


if __name__ == "__main__":
    sys.exit(bool(ensure()))
