"""The calls of the developer hub's guide, taken from the page and run by real curl."""

import html
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests

from hub.ocpi import json
from hub.sandbox.catalogue import CPOS, locations_of
from hub.sandbox.partner import Partner
from tests.running import RunningHub

pytestmark = pytest.mark.network
CALL = re.compile(r'<pre [^>]*data-call="([a-z]+)"[^>]*><code>(.*?)</code>', re.DOTALL)


class Answer(NamedTuple):
    """What curl printed: the HTTP status, the headers in lower case, the envelope."""

    status: int
    headers: dict[str, str]
    envelope: Any


class Visitor:
    """Somebody who follows the guide: copies each call, and puts in the tokens."""

    def __init__(self, hub: RunningHub, role: str, token: str, home: Path) -> None:
        self.home, self.token, self.credentials = home, token, ""
        (home / ".curlrc").write_text("silent\nshow-error\ninclude\n")
        page = requests.get(f"{hub.url}/?role={role}", timeout=10)
        self.calls = {name: html.unescape(text) for name, text in CALL.findall(page.text)}

    def run(self, name: str) -> Answer:
        """Run a call as it stands on the page."""
        command = self.calls[name].replace("YOUR_INITIAL_TOKEN", self.token)
        command = command.replace("YOUR_CRED_TOKEN", self.credentials)
        environment = {"CURL_HOME": str(self.home), "PATH": "/usr/local/bin:/usr/bin:/bin"}
        result = subprocess.run(
            ["sh", "-c", command], env=environment, capture_output=True, check=True
        )
        return read(result.stdout)


def read(output: bytes) -> Answer:
    """Read what curl printed with --include."""
    head, _, body = output.partition(b"\r\n\r\n")
    first, *lines = head.decode().splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    named = {name.lower(): value for name, value in headers.items()}
    return Answer(int(first.split()[1]), named, json.loads(body))


@pytest.fixture
def visitor(hub: RunningHub, tmp_path: Path) -> Callable[[str, str, str], Visitor]:
    """Invite somebody and let them open the guide."""

    def invite(country_code: str, party_id: str, role: str) -> Visitor:
        name = f"My {role}"
        options = ("--dialect", "quickstart")
        invitation = hub.manage("add_party", country_code, party_id, role, name, *options)
        return Visitor(hub, role.lower(), invitation["token"], tmp_path)

    return invite


def register(guest: Visitor) -> None:
    answer = guest.run("credentials")
    assert (answer.status, answer.envelope["status_code"]) == (200, 1000)
    assert [role["role"] for role in answer.envelope["data"]["roles"]] == ["HUB"]
    guest.credentials = answer.envelope["data"]["token"]
    assert guest.run("versions").envelope["data"][0]["version"] == "2.2.1"
    assert guest.run("credentials").status == 401


def test_a_cpo_follows_the_guide(hub: RunningHub, visitor) -> None:
    guest = visitor("FR", "ABC", "CPO")
    register(guest)
    for name in ("location", "tariff"):
        answer = guest.run(name)
        assert (answer.status, answer.envelope["status_code"]) == (201, 1000), answer
        assert guest.run(name).status == 200
    answer = guest.run("cdr")
    assert (answer.status, answer.envelope["status_code"]) == (201, 1000)
    place = answer.headers["location"]
    assert urlsplit(place).netloc == urlsplit(hub.url).netloc
    headers = {"Authorization": f"Token {guest.credentials}"}
    kept = json.loads(requests.get(place, headers=headers, timeout=10).content)
    assert kept["data"]["id"] == "CDR_98765"
    assert (kept["data"]["country_code"], kept["data"]["party_id"]) == ("FR", "ABC")
    assert guest.run("cdr").status == 200


@pytest.fixture
def demo_cpo(hub: RunningHub) -> Iterator[Partner]:
    """Run the CPO of the demo network with its first site."""
    [company, _] = CPOS
    invitation = hub.manage("add_party", "NL", "SWT", "CPO", company.name)
    with Partner(company.address, ["CPO"], company.name).served() as partner:
        partner.register(f"{hub.url}/ocpi/versions", invitation["token"])
        partner.publish_location(locations_of(company, "2026-01-01T00:00:00Z")[0])
        yield partner


def test_an_emsp_follows_the_guide(hub: RunningHub, visitor, demo_cpo: Partner) -> None:
    guest = visitor("DE", "EMP", "EMSP")
    register(guest)
    answer = guest.run("token")
    assert (answer.status, answer.envelope["status_code"]) == (201, 1000)
    answer = guest.run("locations")
    assert (answer.status, answer.envelope["status_code"]) == (200, 1000)
    assert 0 < len(answer.envelope["data"]) <= int(answer.headers["x-total-count"])
    answer = guest.run("start")
    assert (answer.status, answer.envelope["status_code"]) == (200, 1000)
    assert answer.envelope["data"] == {"result": "ACCEPTED", "timeout": 30}
    sessions = eventually(lambda: guest.run("sessions").envelope["data"])
    assert sessions[0]["status"] == "ACTIVE"
    assert sessions[0]["location_id"] == "SWT-001"


def eventually(look: Callable[[], Any]) -> Any:
    """Return what is there after a moment."""
    for _ in range(50):
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing came")


def test_an_ellipsis_is_not_json(visitor) -> None:
    guest = visitor("FR", "ELL", "CPO")
    register(guest)
    guest.calls["location"] = re.sub(
        r'"evses": .*\]', '"evses": [...]', guest.calls["location"], flags=re.DOTALL
    )
    answer = guest.run("location")
    assert (answer.status, answer.envelope["status_code"]) == (400, 2001)


def test_a_chunked_body_is_read(visitor) -> None:
    guest = visitor("FR", "CHU", "CPO")
    register(guest)
    call = guest.calls["location"].rstrip()
    guest.calls["location"] = call + ' -H "Transfer-Encoding: chunked"'
    answer = guest.run("location")
    assert (answer.status, answer.envelope["status_code"]) == (201, 1000)
