"""What the simulated partners must not forget, in one small file of their own."""

import json
import os
from pathlib import Path
from threading import Lock
from typing import Any


class Notes:
    """A JSON object that is written to its file at every change."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def read(self, name: str) -> Any:
        """Return what was noted under a name, or nothing."""
        with self._lock:
            return self._content.get(name)

    def write(self, **changes: Any) -> None:
        """Note things; whoever reads the file sees all of the change or nothing of it."""
        with self._lock:
            self._content |= changes
            draft = self._path.with_suffix(".draft")
            draft.touch(mode=0o600)
            draft.write_text(json.dumps(self._content, indent=1))
            os.replace(draft, self._path)
