"""Schemathesis against the whole hub: it answers anything as its OpenAPI document says.

Every operation is called with generated messages: broken ones, valid ones from and for anybody, and
valid ones of the caller's own. The seed is fixed: the same messages come each time.
"""

import re

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from hub.ocpi import openapi

pytestmark = [pytest.mark.network, pytest.mark.ocpi("T-04", "T-05", "T-20")]
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# They would end or change the connection that the other calls need.
LEFT_OUT = {"PUT /ocpi/{version}/credentials", "DELETE /ocpi/{version}/credentials"}
CALLS = sorted(
    {f"{call.method} /{call.path}" for call in openapi.calls()} - LEFT_OUT,
    key=lambda call: (("PUT", "POST", "PATCH", "GET", "DELETE").index(call.split()[0]), call),
)
OWN = {"country_code": "NL", "party_id": "FUZ"}
few = settings(
    max_examples=5,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def caller(hub):
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


@pytest.fixture(scope="module")
def schema(hub):
    return schemathesis.openapi.from_url(f"{hub.url}/developers/reference/openapi.json")


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


@pytest.mark.parametrize("call", CALLS)
def test_whatever_comes_is_answered_as_documented(caller, schema, call):
    method, path = call.split(" ")
    for strategy in messages(schema[path][method]):

        @few
        @given(case=strategy)
        def answered(case):
            response = case.call(session=caller, timeout=30)
            case.validate_response(response, checks=CHECKS)

        answered()
