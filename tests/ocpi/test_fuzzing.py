"""Schemathesis against the whole hub: it answers anything as its OpenAPI document says.

Every operation is called with generated messages: broken ones, valid ones from and for anybody, and
valid ones of the caller's own. The seed is fixed: the same messages come each time.
"""

import pytest
import schemathesis
from hypothesis import given

from hub.ocpi import openapi
from tests.fuzzing import CHECKS, few, messages, registered

pytestmark = [pytest.mark.network, pytest.mark.ocpi("T-04", "T-05", "T-20")]
# They would end or change the connection that the other calls need.
LEFT_OUT = {"PUT /ocpi/{version}/credentials", "DELETE /ocpi/{version}/credentials"}
CALLS = sorted(
    {f"{call.method} /{call.path}" for call in openapi.calls()} - LEFT_OUT,
    key=lambda call: (("PUT", "POST", "PATCH", "GET", "DELETE").index(call.split()[0]), call),
)


@pytest.fixture(scope="module")
def caller(hub):
    with registered(hub) as session:
        yield session


@pytest.fixture(scope="module")
def schema(hub):
    return schemathesis.openapi.from_url(f"{hub.url}/developers/reference/openapi.json")


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
