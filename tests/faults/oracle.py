"""The oracle: was anything lost, and did anything go backwards?

It knows nothing of how the hub works: it compares what was acknowledged to the writers, what the
hub has, and what the receivers' ledgers say. Versions sort as their objects changed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.driver import Write

Ledger = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Evidence:
    """What is compared: `entitled` returns the receivers of an object, by its key."""

    writes: Sequence[Write]
    hub: Mapping[str, str]
    ledgers: Mapping[str, Ledger]
    entitled: Callable[[str], frozenset[str]]
    breaches: Sequence[str] = ()

    def findings(self) -> list[str]:
        """Return everything that is wrong; nothing if the hub has kept its promise."""
        return [*self.lost(), *self.undelivered(), *self.backwards(), *self.breaches]

    def lost(self) -> Iterator[str]:
        """Tell of acknowledged writes that the hub does not have."""
        for write in self.writes:
            if write.accepted and self.hub.get(write.key, "") < write.version:
                held = self.hub.get(write.key, "nothing")
                yield f"lost: {write.key} {write.version}, the hub has {held}"

    def undelivered(self) -> Iterator[str]:
        """Tell of receivers whose last version is not the hub's, and of those not entitled."""
        for name, ledger in self.ledgers.items():
            last = latest(ledger)
            for key, version in self.hub.items():
                wanted = version if name in self.entitled(key) else None
                if last.get(key) == wanted:
                    continue
                if wanted is None:
                    yield f"not entitled: {name} was told of {key}"
                else:
                    yield f"undelivered: {name} has {last.get(key)} of {key}, not {wanted}"

    def backwards(self) -> Iterator[str]:
        """Tell of versions that a receiver got after later ones."""
        for name, ledger in self.ledgers.items():
            seen: dict[str, str] = {}
            for key, version in applied(ledger):
                if version < seen.get(key, ""):
                    yield f"backwards: {name} got {key} {version} after {seen[key]}"
                seen[key] = version


def repeated(ledger: Ledger) -> int:
    """Count what a receiver was told again as it knew it: harmless, but work done twice.

    A location is left out: its EVSEs come together, most of them as they were.
    """
    told = [pair for pair in applied(ledger) if not pair[0].startswith("evse/")]
    return len(told) - len(set(told))


def applied(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Yield the keys and versions that a receiver has made its own, in order."""
    for entry in ledger:
        if entry["applied"]:
            yield from entry["versions"].items()


def latest(ledger: Ledger) -> dict[str, str]:
    """Return the last version of each object that a receiver has made its own."""
    return dict(applied(ledger))
