"""Generated messages to a whole hub, for tests and for `tests/official.py`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.running import RunningHub

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
OWN = {"country_code": "NL", "party_id": "FUZ"}
few = settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@contextmanager
def registered(hub: RunningHub) -> Iterator[requests.Session]:
    """Register a platform with all roles that may call; it never answers."""
    url = f"{hub.url}/ocpi/2.2/credentials"
    invited = hub.manage("add_party", "NL", "FUZ", "CPO,EMSP", "Fuzz", "--dialect", "quickstart")
    role = {"business_details": {"name": "Fuzz"}, **OWN}
    body = {
        "token": "fuzz",
        "url": "http://127.0.0.1:1/ocpi/versions",
        "roles": [{"role": name, **role} for name in ("CPO", "EMSP")],
    }
    headers = {"Authorization": f"Token {invited['token']}"}
    token = requests.post(url, json=body, headers=headers, timeout=30).json()["data"]["token"]
    with requests.Session() as session:
        session.headers["Authorization"] = f"Token {token}"
        yield session


def as_own(case):
    """Make a message one of the caller's own: owner, id and times are right, it is for the hub."""
    case.headers = {}
    given = {"version": "2.2.1", **OWN, "command": (case.path_parameters or {}).get("command")}
    case.path_parameters = {name: given.get(name, "1001") for name in case.path_parameters or {}}
    if isinstance(case.body, dict):
        ids = {"id": "1001", "uid": "1001", **OWN}
        own = {name: ids[name] for name in ids if name in case.body}
        case.body = tame(case.body) | own
    return case


def tame(value):
    """Take the wild values out of a body: numbers of many digits, days that do not exist."""
    if isinstance(value, dict):
        return {name: tame(item) for name, item in value.items()}
    if isinstance(value, list):
        return [tame(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value) % 1000
    is_date = isinstance(value, str) and re.match(r"\d{4}-\d\d?-\d\d?T", value)
    return "2026-01-15T09:30:00Z" if is_date else value


def messages(operation):
    """Yield the strategies of messages for an operation."""
    yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    yield operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    yield operation.as_strategy(generation_mode=GenerationMode.POSITIVE).map(as_own)
