"""What a partner has received: every request in order, and the latest state of every object."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Condition
from typing import Any

from hub.ocpi import json

LIMIT = 10_000  # requests, and objects per module; older ones are forgotten


@dataclass(frozen=True)
class Received:
    """One request: the path below the partner's prefix, headers that know no case, the body."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """Return the body as strict JSON; raises `json.JsonError`."""
        return json.loads(self.content)

    @property
    def module(self) -> str:
        """Return the module that it is about, empty for versions and the like."""
        return self.path[2] if len(self.path) > 2 else ""


class Memory:
    """Objects by module and key, each as it is now; threads may wait for a change."""

    def __init__(self) -> None:
        self._shelves: dict[str, dict[str, Any]] = {}
        self._changed = Condition()

    def keep(self, module: str, key: str, item: Any) -> bool:
        """Remember an object, and tell whether it is new."""
        with self._changed:
            shelf = self._shelves.setdefault(module, {})
            new = shelf.pop(key, None) is None
            shelf[key] = item
            if len(shelf) > LIMIT:
                del shelf[next(iter(shelf))]
            self._changed.notify_all()
        return new

    def get(self, module: str, key: str) -> Any:
        """Return an object, or nothing."""
        with self._changed:
            return self._shelves.get(module, {}).get(key)

    def drop(self, module: str, key: str) -> Any:
        """Forget an object and return it, or nothing."""
        with self._changed:
            item = self._shelves.get(module, {}).pop(key, None)
            self._changed.notify_all()
        return item

    def all(self, module: str) -> dict[str, Any]:
        """Return the objects of a module, the longest unchanged first."""
        with self._changed:
            return dict(self._shelves.get(module, {}))

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, looking at every change; tell whether it is."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)


class Inbox(Memory):
    """What came from outside: the objects, and every single request."""

    def __init__(self) -> None:
        super().__init__()
        self.received: deque[Received] = deque(maxlen=LIMIT)

    def note(self, received: Received) -> None:
        """Remember a request."""
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
