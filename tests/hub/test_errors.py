"""The codes that the hub answers with: those of the standard, each in its range."""

import ast
from collections.abc import Iterator

import pytest
from django.conf import settings

from hub.ocpi import errors

STANDARD = {
    *(1000, 2000, 2001, 2002, 2003, 2004),
    *(3000, 3001, 3002, 3003, 4000, 4001, 4002, 4003),
}
OWN_RANGES = (range(1900, 2000), range(2900, 3000), range(3900, 4000), range(4900, 5000))


def codes() -> Iterator[tuple[str, int]]:
    """Yield every number in the code of OCPI that could be a status code, with its file."""
    for app in ("hub/ocpi", "parties", "locations", "cdrs"):
        for file in sorted((settings.BASE_DIR / app).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Assign | ast.AnnAssign | ast.keyword):
                    yield from ((str(file), value) for value in named(node))


def named(node: ast.Assign | ast.AnnAssign | ast.keyword) -> Iterator[int]:
    """Yield the numbers that are given to something called status_code or code."""
    target = node.arg if isinstance(node, ast.keyword) else ast.unparse(node).split("=")[0]
    if node.value is None or "code" not in str(target):
        return
    for inner in ast.walk(node.value):
        is_number = isinstance(inner, ast.Constant) and type(inner.value) is int
        if is_number and 1000 <= inner.value < 5000:
            yield inner.value


@pytest.mark.ocpi("T-16", "T-17")
def test_no_code_is_invented_in_the_standard_ranges():
    found = list(codes())
    assert {2001, 2003, 2004, 3001, 3002, 4001, 4002, 4003} <= {code for _, code in found}
    invented = [
        (file, code)
        for file, code in found
        if code not in STANDARD and not any(code in own for own in OWN_RANGES)
    ]
    assert invented == []


@pytest.mark.ocpi("T-10", "T-19")
def test_what_a_hub_cannot_route_is_told_on_http_200():
    for kind in (errors.HubError, errors.UnknownReceiver, errors.TimedOut, errors.NotConnected):
        assert (kind.http_status, kind.status_code // 1000) == (200, 4)
