"""The cast of all tests, and the whole hub for those that need it."""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from hub.sandbox.partner import Partner
from parties import delivery, journal, quirks, results
from tests.partners import member
from tests.running import RunningHub, fresh_hub

# How fast examples are made says something about the machine, and nothing about the hub.
hypothesis.settings.register_profile(
    "any machine", suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None
)
hypothesis.settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Alternate files that start whole hubs and others: the former mostly wait."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    whole, others = [], []
    for file in files.values():
        starts_hubs = any(item.get_closest_marker("network") for item in file)
        (whole if starts_hubs else others).append(file)
    pairs = zip_longest(whole, others, fillvalue=[])
    items[:] = [item for pair in pairs for file in pair for item in file]


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Hash passwords in no time; how they are kept is Django's."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def quiet_journal(settings: Any) -> None:
    """Have no thread write the message journal; `journal.flush()` does, in the test's database."""
    settings.JOURNAL_SECONDS = 0
    journal.forget()
    quirks.forget()


@pytest.fixture
def cpo(db: None) -> Iterator[Partner]:
    """Runs charge points."""
    with member("FR*CPO", ["CPO"], "Cast Charging") as partner:
        yield partner


@pytest.fixture
def emsp(db: None) -> Iterator[Partner]:
    """Serves drivers."""
    with member("DE*MSP", ["EMSP"], "Cast Mobility") as partner:
        yield partner


@pytest.fixture
def stranger(db: None) -> Iterator[Partner]:
    """Is registered in both roles, and has no business with the other two."""
    with member("SE*STR", ["CPO", "EMSP"], "Cast Stranger") as partner:
        yield partner


@pytest.fixture
def deliver() -> Callable[[], int]:
    """Send everything that is due, as the workers do; return how much was sent."""

    def send_all() -> int:
        return sum(delivery.drain(platform) for platform in delivery.platforms_due())

    return send_all


@pytest.fixture
def bring() -> Callable[[], int]:
    """Bring all results that are due, as the workers do; return how many were tried."""

    def bring_all() -> int:
        return sum(results.bring(platform) for platform in results.platforms_due())

    return bring_all


@pytest.fixture
def plain_static(settings: Any) -> None:
    """Name static files without their hash, so that nothing has to be collected first."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}


@pytest.fixture(scope="session")
def hub() -> Iterator[RunningHub]:
    """Run the whole product, without the demo network."""
    with fresh_hub() as running:
        yield running
