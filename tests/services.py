"""A pytest plugin: the tests have a PostgreSQL and a Redis of their own, and no other settings.

It works before pytest-django reads the settings. The servers live in a throw-away folder, so test
runs side by side are strangers to each other. The tests work as the role of the product, which is
no superuser; here it may also make databases, and switch triggers off to clear up or to tamper.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg.conninfo import make_conninfo

from hub import embedded, services

NOT_IN_TESTS = (
    "ALLOW_PRIVATE_NETWORKS",
    "DATABASE_URL",
    "DISK_RESERVE",
    "EMAIL_FROM",
    "EMAIL_HOST",
    "EMAIL_URL",
    "EVIDENCE_SCANNER",
    "HOST",
    "HUB_BASE_URL",
    "HUB_COUNTRY_CODE",
    "HUB_PARTY_ID",
    "METRICS_TOKEN",
    "PORT",
    "RATE_LIMIT",
    "REDIS_URL",
    "RULING_LIMIT",
    "SANDBOX_PORT",
    "SILENT_SECONDS",
    "STRANGER_LIMIT",
    "TIME_ZONE",
    "TRUSTED_PROXIES",
)
LIBERTIES = (
    "ALTER ROLE hub CREATEDB",
    "GRANT SET ON PARAMETER session_replication_role TO hub",
)
TRIGGERS_OFF = "SET LOCAL session_replication_role = replica"
RUN = "OCN_TEST_RUN"  # names the folder that all processes of a test run share
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


def run_folder() -> Path | None:
    """Return the folder that the processes of this test run share, None outside of one."""
    return Path(os.environ[RUN]) if RUN in os.environ else None


def superuser_of(data_dir: Path) -> "psycopg.Connection[tuple[object, ...]]":
    """Connect as the superuser of a running embedded cluster."""
    url = make_conninfo(services.database_url(data_dir), user=embedded.SUPERUSER, dbname="postgres")
    return psycopg.connect(url, autocommit=True)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Start the servers, and let the environment of this process name them and nothing else."""
    if RUN not in os.environ:
        os.environ[RUN] = str(_open.enter_context(throwaway_data_dir()))
    data_dir = _open.enter_context(throwaway_data_dir())
    for name in NOT_IN_TESTS:
        os.environ.pop(name, None)
    _open.enter_context(services.running(data_dir, durable=False))
    with superuser_of(data_dir) as superuser:
        for liberty in LIBERTIES:
            superuser.execute(liberty)
    (data_dir / "static").mkdir()  # what serves it warns where there is none
    os.environ |= {
        "DATABASE_URL": services.database_url(data_dir),
        "REDIS_URL": services.redis_url(data_dir),
        "DATA_DIR": str(data_dir),
        "SECRET_KEY": "of the tests alone",
        "ENVIRONMENT": "sandbox",
        "DEMO": "0",
    }


@pytest.fixture(scope="session", autouse=True)
def flush_in_spite_of_guards() -> Iterator[None]:
    """Let tests that commit empty all tables in the end, those never to be emptied too."""
    operations = type(connection.ops)
    execute = operations.execute_sql_flush

    def flush(self: Any, statements: list[str]) -> None:
        execute(self, [TRIGGERS_OFF, *statements])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "execute_sql_flush", flush)
        yield


def pytest_unconfigure() -> None:
    """Stop the servers and delete their folder, and what this process has begun for others."""
    _open.close()
