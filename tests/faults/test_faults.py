"""The fast part of the faults: nearly everything killed at once, and thirteen bad receivers.

All of them: `./ocn faults`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import faults
from tests.faults.faults import FAULTS
from tests.faults.moods import MOODS
from tests.faults.running import run
from tests.faults.scene import PAYERS, Scene, scene
from tests.faults.stages import STAGES
from tests.running import fresh_hub

pytestmark = [pytest.mark.network, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Have a hub with a receiver for every way to misbehave, under little load."""
    folder: Path = tmp_path_factory.mktemp("ledgers")
    receivers = PAYERS + len(MOODS)
    with fresh_hub() as hub, scene(hub, folder, emsps=receivers, rate=6) as large:
        yield large


@pytest.mark.parametrize("name", ["everything", "receivers", "redis_flushed"])
def test_nothing_is_lost(ours: Scene, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "SECONDS", 6.0)
    result = run(ours, FAULTS[name])
    assert result.findings == []
    assert result.accepted
    assert result.delivered


def test_nothing_is_lost_with_two_of_everything() -> None:
    result = STAGES["machines"]()
    assert result.findings == []
    assert result.delivered
