"""The README's tour, typed into a shell as it stands."""

import json
import re
import subprocess

import pytest
from django.conf import settings

from tests.running import fresh_hub

pytestmark = pytest.mark.network


def tour():
    text = (settings.BASE_DIR / "README.md").read_text()
    section = text.split("## A tour")[1].split("## What it does")[0]
    return re.findall(r"```bash\n(.*?)```", section, re.DOTALL)


def test_the_tour_works_line_by_line():
    with fresh_hub() as hub:
        script = "\n".join(["set -eu", *tour()]).replace("http://127.0.0.1:8000", hub.url)
        result = subprocess.run(
            ["sh", "-c", script],
            cwd=settings.BASE_DIR,
            env=hub.environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines()
        answers = [json.loads(line) for line in lines if line.startswith("{")]
        assert [answer["status_code"] for answer in answers] == [1000] * 5
        assert answers[2]["data"][0]["id"] == "LOC_123"
        assert answers[4]["data"][0]["cdr_token"]["uid"] == "CARD-1"
        documents = hub.manage("close_period", "2024-03")["documents"]
        assert {(item["kind"], item["party"], item["net"]) for item in documents} == {
            ("self_billing_invoice", "FR-ABC", "15.00"),
            ("emsp_invoice", "DE-EMP", "15.00"),
        }
