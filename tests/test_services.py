"""The embedded servers: they serve all their users, and outlive none of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from hub import embedded, services
from tests.services import throwaway_data_dir

ROOT = Path(__file__).resolve().parent.parent
USER = """
import sys
from pathlib import Path
from hub import services
with services.running(Path(sys.argv[1]), durable=False):
    print("running", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _embedded_servers_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """Share a folder, since it takes a second to make its database; every test finds it idle."""
    with throwaway_data_dir() as folder:
        yield folder


@pytest.fixture
def new_dir() -> Iterator[Path]:
    with throwaway_data_dir() as folder:
        yield folder


@contextmanager
def user_of(data_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    """Have another process that uses the servers until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, data_dir],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "running\n"
    with process:
        yield process


def answering(data_dir: Path) -> list[str]:
    """Return the names of the servers that answer."""
    place = embedded.place_of(data_dir)
    return [server.name for server in embedded.SERVERS if services.answers(server, place)]


def processes_of(data_dir: Path) -> dict[int, str]:
    """Return the processes, other than users, that name a data folder in their command lines."""
    folders = {str(data_dir), str(embedded.place_of(data_dir).files)}
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode().replace("\0", " ")
        except OSError:  # it ended meanwhile
            continue
        if any(folder in line for folder in folders) and USER not in line:
            found[int(path.parent.name)] = line
    return found


def soon(condition: Callable[[], bool]) -> bool:
    """Tell whether something becomes so within a few seconds."""
    services.wait_until(condition, 5)
    return condition()


def value(data_dir: Path, query: str) -> object:
    """Return the one value that a query gives."""
    with psycopg.connect(services.database_url(data_dir)) as connection:
        row = connection.execute(query).fetchone()
    return row and row[0]


def test_both_serve_while_used_and_are_gone_afterwards(data_dir: Path) -> None:
    with services.running(data_dir, durable=False):
        assert value(data_dir, "SELECT current_setting('listen_addresses')") == ""
        assert redis.Redis.from_url(services.redis_url(data_dir)).ping()
        assert services.are_kept(data_dir)
    assert not processes_of(data_dir)


def test_data_last_and_durability_is_the_default(data_dir: Path) -> None:
    with (
        services.running(data_dir, durable=False),
        psycopg.connect(services.database_url(data_dir)) as connection,
    ):
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with services.running(data_dir):
        assert value(data_dir, "SELECT answer FROM kept") == 42
        assert value(data_dir, "SELECT current_setting('fsync')") == "on"
        durability = redis.Redis.from_url(services.redis_url(data_dir)).config_get("appendonly")
        assert durability == {"appendonly": "yes"}


def test_the_hub_owns_its_database_and_is_no_superuser(data_dir: Path) -> None:
    with services.running(data_dir, durable=False):
        roles = "SELECT array_agg(rolname ORDER BY oid) FROM pg_roles WHERE {} AND rolcanlogin"
        assert value(data_dir, roles.format("rolsuper")) == [embedded.SUPERUSER]
        assert value(data_dir, roles.format("NOT rolsuper")) == ["hub"]
        owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"
        assert value(data_dir, owner) == "hub"
        for liberty in ("SET session_replication_role = replica", "CREATE ROLE other"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                value(data_dir, liberty)


def test_a_folder_from_when_the_hub_was_a_superuser_is_refused_in_words(new_dir: Path) -> None:
    with services.running(new_dir, durable=False):
        pass
    (new_dir / "embedded" / "postgres" / embedded.OWNED).unlink()
    expected = "made by an earlier version: delete it and start anew"
    with pytest.raises(embedded.ServiceError, match=expected), services.running(new_dir):
        pass


def test_a_second_user_finds_them_running_at_once(data_dir: Path) -> None:
    with services.running(data_dir, durable=False):
        started = time.monotonic()
        with services.running(data_dir):
            assert time.monotonic() - started < 0.2
        assert answering(data_dir) == ["postgres", "redis"]


def test_the_first_user_may_leave_before_the_second(data_dir: Path) -> None:
    with user_of(data_dir) as first, user_of(data_dir):
        first.communicate()
        assert answering(data_dir) == ["postgres", "redis"]
    assert not processes_of(data_dir)


def test_users_that_come_and_go_together_all_find_them(data_dir: Path) -> None:
    with user_of(data_dir) as first:
        started = [user_of(data_dir) for _ in range(3)]
        first.kill()
        for other in started:
            with other:
                assert answering(data_dir) == ["postgres", "redis"]
    assert soon(lambda: not processes_of(data_dir))


def test_killing_the_only_user_leaves_nothing(data_dir: Path) -> None:
    with user_of(data_dir) as process:
        process.kill()
    assert soon(lambda: not processes_of(data_dir))


def test_killing_a_keeper_leaves_no_server(data_dir: Path) -> None:
    with services.running(data_dir, durable=False):
        for pid, line in processes_of(data_dir).items():
            if "hub.services" in line:
                os.kill(pid, signal.SIGKILL)
        assert soon(lambda: not processes_of(data_dir))
        assert not services.are_kept(data_dir)


def test_two_data_folders_are_strangers(data_dir: Path, new_dir: Path) -> None:
    with services.running(data_dir, durable=False), services.running(new_dir, durable=False):
        redis.Redis.from_url(services.redis_url(data_dir)).set("mine", "1")
        assert redis.Redis.from_url(services.redis_url(new_dir)).get("mine") is None
    assert not processes_of(new_dir)


def test_a_deep_folder_with_a_strange_name_works(new_dir: Path) -> None:
    deep = new_dir / ("a long name, with % and spaces " * 4)
    with services.running(deep, durable=False):
        assert len(str(embedded.place_of(deep).sockets)) < 40
        assert value(deep, "SELECT 1") == 1
        assert redis.Redis.from_url(services.redis_url(deep)).ping()
    services.discard(deep)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to care whom the servers run as")
def test_root_keeps_files_elsewhere_when_nobody_cannot_reach_the_folder(new_dir: Path) -> None:
    new_dir.chmod(0o700)
    with services.running(new_dir, durable=False):
        place = embedded.place_of(new_dir)
        assert place.files.parent == embedded.SHARED
        assert value(new_dir, "SELECT 1") == 1
    assert new_dir.stat().st_mode & 0o777 == 0o700
    services.discard(new_dir)
    assert not place.files.exists()


def test_what_the_environment_names_is_not_started(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/hub")
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    with services.running(data_dir):
        assert not processes_of(data_dir)


def test_a_server_that_cannot_start_says_why(new_dir: Path) -> None:
    cluster = new_dir / "embedded" / "postgres"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    (cluster / embedded.OWNED).touch()
    expected = r"postgres did not start(.|\n)* could not access .*/postgresql\.conf"
    with pytest.raises(embedded.ServiceError, match=expected), services.running(new_dir):
        pass


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_server_that_is_killed_is_started_again(
    name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with services.running(data_dir, durable=False):
        before = pid_of(data_dir, name)
        time.sleep(services.PROVEN)  # what has hardly lived is given up
        os.kill(before, signal.SIGKILL)
        services.wait_until(lambda: name in answering(data_dir) and alive(data_dir, before), 20)
        assert answering(data_dir) == ["postgres", "redis"]
        assert pid_of(data_dir, name) != before
    assert not processes_of(data_dir)


def test_a_server_without_its_keeper_is_kept_again(data_dir: Path) -> None:
    with services.running(data_dir, durable=False):
        for pid, line in processes_of(data_dir).items():
            if "hub.services postgres" in line:
                os.kill(pid, signal.SIGKILL)
        assert soon(lambda: not services.are_kept(data_dir))
        services.revive(data_dir)
        assert services.are_kept(data_dir)
        assert answering(data_dir) == ["postgres", "redis"]
    assert not processes_of(data_dir)


def pid_of(data_dir: Path, name: str) -> int:
    """Return the main process of a server."""
    program = {"postgres": "bin/postgres -D", "redis": "valkey-server"}[name]
    return next(pid for pid, line in processes_of(data_dir).items() if program in line)


def alive(data_dir: Path, before: int) -> bool:
    """Tell whether the servers run, none of them as the process of before."""
    return before not in processes_of(data_dir)
