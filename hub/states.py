"""State machines: a table of moves, and one door that is also the lock."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from django.db import models


class WrongState(Exception):
    """The row was not in a state from which this move is allowed (or somebody else moved it)."""


class Stateful(models.Model):
    """A model with a `state` that changes only along TRANSITIONS."""

    TRANSITIONS: ClassVar[Mapping[str, frozenset[str]]] = {}
    state: Any

    class Meta:
        abstract = True

    def move_to(self, state: str, **changes: Any) -> Self:
        """Move the row and set other fields with it; the conditional UPDATE is the lock.

        Raises WrongState when no move leads from the row's present state to the new one.
        """
        before = [old for old, moves in self.TRANSITIONS.items() if state in moves]
        rows = type(self)._default_manager.filter(pk=self.pk, state__in=before)
        if not rows.update(state=state, **changes):
            raise WrongState(f"{self} cannot move from {self.state} to {state}")
        for name, value in {"state": state, **changes}.items():
            setattr(self, name, value)
        return self
