"""What a live hub does not start with."""

import os
import subprocess
import sys

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from hub import checks


@pytest.mark.ocpi("C-21")
def test_a_live_hub_must_not_reach_private_networks():
    with override_settings(SANDBOX=False, ALLOW_PRIVATE_NETWORKS=True):
        assert "hub.E001" in {error.id for error in run_checks()}
    for sandbox, private in ((True, True), (True, False), (False, False)):
        with override_settings(SANDBOX=sandbox, ALLOW_PRIVATE_NETWORKS=private):
            assert "hub.E001" not in {error.id for error in run_checks()}


GOOD = {
    "SANDBOX": False,
    "ALLOW_PRIVATE_NETWORKS": False,
    "SECRET_KEY": "".join(map(chr, range(48, 98))),
    "HUB_BASE_URL": "https://hub.example",
    "ALLOWED_HOSTS": ["hub.example"],
}


@pytest.mark.parametrize(
    ("changed", "ids"),
    [
        ({}, set()),
        ({"SECRET_KEY": "secret"}, {"hub.E002"}),
        ({"SECRET_KEY": "x" * 60}, {"hub.E002"}),
        ({"SECRET_KEY": "django-insecure-" + GOOD["SECRET_KEY"]}, {"hub.E002"}),
        ({"HUB_BASE_URL": "http://hub.example"}, {"hub.E003"}),
        ({"ALLOWED_HOSTS": ["*"]}, {"hub.E003"}),
        ({"DEBUG": True}, {"hub.E004"}),
        ({"SECRET_KEY": "secret", "DEBUG": True, "SANDBOX": True}, set()),
    ],
)
def test_a_live_hub_must_be_set_up_as_one(changed, ids):
    with override_settings(**{**GOOD, **changed}):
        assert {error.id for error in checks.unsafe()} == ids


@pytest.mark.parametrize("part", ["", "web", "worker", "beat"])
def test_no_part_of_it_starts(part, tmp_path):
    environment = os.environ | {
        "ENVIRONMENT": "live",
        "SECRET_KEY": "x" * 50,
        "ALLOW_PRIVATE_NETWORKS": "1",
        "DATA_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "hub.supervisor", *filter(None, [part])]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "ALLOW_PRIVATE_NETWORKS" in ended.stderr
