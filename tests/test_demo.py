"""The demo network: built by its partners over HTTP, once, and right to the cent."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from hub.sandbox.catalogue import CPOS, EMSPS
from parties.models import Party, Platform
from settlement import demo
from tests.running import RunningHub, free_port, fresh_hub

COMPANIES = CPOS + EMSPS


@pytest.fixture(scope="module")
def shown() -> Iterator[RunningHub]:
    with fresh_hub(DEMO="1", SANDBOX_PORT=str(free_port())) as running:
        yield running


@pytest.mark.network
def test_the_hub_starts_with_a_network_that_trades(shown: RunningHub) -> None:
    there = shown.manage("seed_demo")
    assert not there["built"]
    assert (there["parties"], there["locations"], there["documents"]) == (4, 40, 12)
    assert there["cdrs"] > 260
    this_month = dt.datetime.now(dt.UTC).date().replace(day=1)
    last_month = f"{this_month - dt.timedelta(days=1):%Y-%m}"
    closed = shown.manage("close_period", last_month)
    assert closed["status"] == "closed"
    assert closed["held"] == 11  # of two CPOs seven mistakes, two slow meters, and their credits
    shown.manage("verify_period", last_month)
    shown.manage("check_invariants")


@pytest.mark.network
def test_what_is_announced_works(shown: RunningHub) -> None:
    lines = json.loads((shown.data_dir / "demo.json").read_text())["lines"]
    text = "\n".join(lines)
    _, login = next(line for line in lines if "@" in line).split("/admin/")
    email, password = login.split(" / ")
    site = requests.Session()
    site.get(f"{shown.url}/admin/login/", timeout=10)
    form = {"username": email.strip(), "password": password, "next": "/admin/"}
    form["csrfmiddlewaretoken"] = site.cookies["csrftoken"]
    site.post(f"{shown.url}/admin/login/", form, timeout=10)
    pdf = next(word for word in text.split() if word.endswith("/files/pdf"))
    assert site.get(pdf, timeout=10).content.startswith(b"%PDF-")
    case, seen = next(word for word in text.split() if "/disputes/D-" in word), []
    for line in (line for line in lines if line.startswith("  portal")):
        url, email, _, password = line.split()[2:]
        person = requests.Session()
        form = {"login": email, "password": password, "next": url.removeprefix(shown.url)}
        person.get(f"{shown.url}/app/account/login/", timeout=10)
        form["csrfmiddlewaretoken"] = person.cookies["csrftoken"]
        answer = person.post(f"{shown.url}/app/account/login/", form, timeout=10)
        assert (answer.status_code, answer.url) == (200, url)
        assert "Needs you" in answer.text
        assert person.get(f"{url}cdrs/", timeout=10).text.count("/cdrs/") > 50
        assert "/disputes/D-" in person.get(f"{url}disputes/", timeout=10).text
        if case.startswith(url):
            assert "It is your turn" in person.get(case, timeout=10).text
            seen.append(url)
    assert len(seen) == 1
    token, url = text.split("Authorization: Token ")[1].replace('"', "").split()
    answer = requests.get(url, headers={"Authorization": f"Token {token}"}, timeout=10).json()
    assert len(answer["data"]) == 1


def test_without_a_running_hub_it_says_how_to_start_one(db: None, monkeypatch) -> None:
    monkeypatch.setattr("django.conf.settings.HUB_BASE_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(demo.CannotBuild, match=r"\./ocn run"):
        demo.build()


class Control:
    """Takes the place of the partners' process."""

    def __init__(self, *, registered: bool) -> None:
        self.registered, self.asked = registered, list[str]()

    def __call__(self, method: str, path: str, body: object = None) -> object:
        self.asked.append(path)
        return [
            {
                "name": f"{company.address}",
                "country_code": company.address.country_code,
                "party_id": company.address.party_id,
                "role": company.role,
                "company": company.name,
                "registered": self.registered,
            }
            for company in COMPANIES
        ]


@pytest.fixture
def control(db: None, monkeypatch, settings, tmp_path: Path) -> Control:
    settings.DATA_DIR = tmp_path
    found = Control(registered=False)
    monkeypatch.setattr(demo, "_call", found)
    monkeypatch.setattr(demo, "_require_answer", lambda url, who: None)
    return found


def test_a_hub_that_others_use_already_is_left_alone(control: Control) -> None:
    Party.objects.create(country_code="FR", party_id="ABC", name="Somebody")
    assert demo.build()["built"] is False
    assert control.asked == ["/partners"]
    assert not demo.demo_file().exists()


def test_what_was_interrupted_is_finished(control: Control, monkeypatch) -> None:
    monkeypatch.setattr(demo, "_trade", lambda month: None)
    monkeypatch.setattr(demo, "_announce", lambda partners, logins: None)
    demo.build()
    demo.build()
    assert Party.objects.count() == Platform.objects.count() == 4
    assert len([path for path in control.asked if path.endswith("/register")]) == 8


def test_partners_without_memory_cannot_go_on(control: Control, monkeypatch) -> None:
    monkeypatch.setattr(demo, "_trade", lambda month: None)
    monkeypatch.setattr(demo, "_announce", lambda partners, logins: None)
    demo.build()
    Platform.objects.update(state="connected")
    with pytest.raises(demo.CannotBuild, match=r"NL\*SWT has lost its tokens"):
        demo.build()


def test_a_live_hub_has_no_demo(settings) -> None:
    settings.SANDBOX = False
    with pytest.raises(demo.CannotBuild, match="ENVIRONMENT is live"):
        demo.build()
