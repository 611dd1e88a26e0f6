"""A pytest plugin: the tests have a PostgreSQL and a Redis of their own, and no other settings.

It works before pytest-django reads the settings. The servers live in a throw-away folder, so test
runs side by side are strangers to each other.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hub import services

NOT_IN_TESTS = (
    "ALLOW_PRIVATE_NETWORKS",
    "DATABASE_URL",
    "HOST",
    "HUB_BASE_URL",
    "HUB_COUNTRY_CODE",
    "HUB_PARTY_ID",
    "PORT",
    "RATE_LIMIT",
    "REDIS_URL",
    "SANDBOX_PORT",
    "TIME_ZONE",
)
_open = ExitStack()


@contextmanager
def throwaway_data_dir() -> Iterator[Path]:
    """Make a data folder that servers started by root can use too, and delete it in the end."""
    folder = Path(tempfile.mkdtemp(prefix="ocn-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        services.discard(folder)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Start the servers, and let the environment of this process name them and nothing else."""
    data_dir = _open.enter_context(throwaway_data_dir())
    for name in NOT_IN_TESTS:
        os.environ.pop(name, None)
    _open.enter_context(services.running(data_dir, durable=False))
    os.environ |= {
        "DATABASE_URL": services.database_url(data_dir),
        "REDIS_URL": services.redis_url(data_dir),
        "DATA_DIR": str(data_dir),
        "SECRET_KEY": "of the tests alone",
        "ENVIRONMENT": "sandbox",
        "DEMO": "0",
    }


def pytest_unconfigure() -> None:
    """Stop the servers and delete their folder."""
    _open.close()
