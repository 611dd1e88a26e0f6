"""All rooms, one tale: from an invitation to the amounts on paper, with real worker and beat."""

import io
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pypdf
import pytest
import redis
import requests

from hub.ocpi import json, times
from hub.ocpi.messages import Address
from hub.sandbox.partner import Partner
from tests import objects
from tests.running import RunningHub, fresh_hub

pytestmark = pytest.mark.network
SOON = 30.0  # seconds, for what has no promise of its own


@contextmanager
def trading(hub: RunningHub, code: str, role: str, name: str) -> Iterator[Partner]:
    """Have a partner that was invited by command and has registered by itself."""
    country_code, party_id = code.split("*")
    invitation = hub.manage("add_party", country_code, party_id, role, name)
    with Partner(Address(country_code, party_id), [role], name).served() as partner:
        partner.register(f"{hub.url}/ocpi/versions", invitation["token"])
        yield partner


@pytest.fixture(scope="module")
def hub() -> Iterator[RunningHub]:
    """Have a hub of its own: the month that is closed is only the story's."""
    with fresh_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def cpo(hub: RunningHub) -> Iterator[Partner]:
    with trading(hub, "NL*CPO", "CPO", "Story Charging") as partner:
        yield partner


@pytest.fixture(scope="module")
def emsp(hub: RunningHub) -> Iterator[Partner]:
    with trading(hub, "DE*MSP", "EMSP", "Story Mobility") as partner:
        yield partner


def test_from_an_invitation_to_the_amounts_on_paper(
    hub: RunningHub, cpo: Partner, emsp: Partner
) -> None:
    beginner = quick_start(hub, "FR", "BEG")
    ended_at = times.now() - timedelta(minutes=1)
    month = f"{ended_at:%Y-%m}"

    put_up_chargers(cpo, emsp)
    charge(cpo, emsp, ended_at)
    curl(hub, "POST", "cdrs", beginner, simple_cdr(ended_at), status=201)
    assert emsp.inbox.wait_for(lambda: len(emsp.holds("cdrs")) == 3, SOON)

    report = hub.manage("close_period", month, "--force")
    assert (report["status"], report["cdrs"]) == ("closed", 3)
    assert report["held"] >= 1
    assert hub.manage("close_period", month)["documents"] == report["documents"]
    papers = {(paper["party"], paper["kind"]): paper for paper in report["documents"]}
    assert papers.keys() == {
        ("NL-CPO", "self_billing_invoice"),
        ("FR-BEG", "self_billing_invoice"),
        ("DE-MSP", "emsp_invoice"),
    }

    files = downloads(hub)
    invoice = files[papers["NL-CPO", "self_billing_invoice"]["number"]]
    assert {"EUR", "22.35", "4.69", "27.04", "S 21 %"} <= words(invoice)
    assert "Self-billing" in invoice
    assert {"15.00"} <= words(files[papers["FR-BEG", "self_billing_invoice"]["number"]])
    statement = files[papers["DE-MSP", "emsp_invoice"]["number"]]
    assert {"22.35", "15.00", "37.35", "AE 0 %"} <= words(statement)

    hub.manage("verify_period", month)
    hub.manage("check_invariants")


def put_up_chargers(cpo: Partner, emsp: Partner) -> None:
    """Publish tariff, location and token, and see them broadcast within a second."""
    assert cpo.publish_tariff(objects.tariff(cpo.address)).http == 201
    evses = [objects.evse(uid=f"E{number}", evse_id=f"NL*CPO*E{number}") for number in (1, 2, 3)]
    assert cpo.publish_location(objects.location(cpo.address, evses=evses)).http == 201
    assert emsp.inbox.wait_for(lambda: "L1" in emsp.holds("locations"), 1.0)
    token = objects.token(emsp.address)
    assert emsp.push_token(token).http == 201
    assert cpo.inbox.wait_for(lambda: cpo.holds("tokens").get("CARD1") == token, 1.0)
    assert emsp.holds("tariffs")["T1"] == objects.tariff(cpo.address)


def charge(cpo: Partner, emsp: Partner, ended_at: datetime) -> None:
    """Let two charges happen; the CDR of a third one is for a card that nobody knows."""
    for number, excl_vat in (("1", "10.0049"), ("2", "12.3456")):
        running = objects.session(cpo.address, emsp.address, id=f"S{number}")
        assert cpo.send_session(running | lasting(ended_at)).http == 201
        cdr = story_cdr(cpo, emsp, number, ended_at + timedelta(seconds=int(number)))
        assert cpo.send_cdr(cdr | {"total_cost": {"excl_vat": D(excl_vat)}}).http == 201
    unknown = objects.cdr_token(emsp.address, uid="NOBODY")
    held = story_cdr(cpo, emsp, "3", ended_at) | {"cdr_token": unknown}
    assert cpo.send_cdr(held).http == 201
    assert emsp.inbox.wait_for(lambda: len(emsp.holds("sessions")) == 2, SOON)


def story_cdr(cpo: Partner, emsp: Partner, number: str, ended_at: datetime) -> dict[str, Any]:
    period = {"dimensions": [{"type": "ENERGY", "volume": D(20)}]}
    times_of_it = lasting(ended_at)
    period["start_date_time"] = times_of_it["start_date_time"]
    members = {"id": f"C{number}", "session_id": f"S{number}", "charging_periods": [period]}
    body = objects.cdr(cpo.address, emsp.address, **members, **times_of_it)
    place = body["cdr_location"] | {"evse_uid": f"E{number}", "evse_id": f"NL*CPO*E{number}"}
    return body | {"total_time": D(1), "cdr_location": place}


def lasting(ended_at: datetime) -> dict[str, str]:
    """Return the times of an hour that ends at an instant."""
    ends = times.render(ended_at)
    starts = times.render(ended_at - timedelta(hours=1))
    return {"start_date_time": starts, "end_date_time": ends, "last_updated": ends}


# A beginner, with curl


def quick_start(hub: RunningHub, country_code: str, party_id: str) -> str:
    """Register a CPO as the guide says and publish its charger; return its token."""
    invitation = hub.manage(
        "add_party", country_code, party_id, "CPO", "Beginner", "--dialect", "quickstart"
    )
    body = {
        "token": "YOUR_SERVER_TOKEN",
        "url": "https://your-backend.invalid/ocpi/versions",
        "roles": [{"role": "CPO", "business_details": {"name": "Beginner"}}],
    }
    data = curl(hub, "POST", "credentials", invitation["token"], body, status=200)
    assert [role["role"] for role in data["roles"]] == ["HUB"]
    token: str = data["token"]
    place = objects.location(Address(country_code, party_id), id="LOC_123")
    kept = {name: place[name] for name in ("id", "name", "address", "city", "country", "evses")}
    where = {"coordinates": {"latitude": "48.8566", "longitude": "2.3522"}}
    curl(hub, "PUT", "locations/LOC_123", token, kept | where | {"country": "FRA"}, status=201)
    return token


def simple_cdr(ended_at: datetime) -> dict[str, Any]:
    """Return a CDR in the words of the guide."""
    lasted = lasting(ended_at)
    return {
        "id": "CDR_98765",
        "start_date_time": lasted["start_date_time"],
        "stop_date_time": lasted["end_date_time"],
        "auth_id": "DE-MSP-C1",
        "auth_method": "AUTH_REQUEST",
        "total_cost": {"excl_vat": D("15.00"), "incl_vat": D("18.00")},
        "total_energy": D("45.5"),
        "currency": "EUR",
        "party_id": "FRA",
        "country_code": "FR",
    }


def curl(
    hub: RunningHub, method: str, path: str, token: str, body: dict[str, Any], *, status: int
) -> Any:
    """Make a call of the guide with real curl and return its data."""
    result = subprocess.run(
        [
            *("curl", "-sS", "-X", method, f"{hub.url}/ocpi/2.2/{path}"),
            *("-H", f"Authorization: Token {token}", "-H", "Content-Type: application/json"),
            *("-w", "\n%{http_code}", "-d", json.dumps(body).decode()),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    content, code = result.stdout.rsplit("\n", 1)
    assert int(code) == status, content
    envelope = json.loads(content.encode())
    assert envelope["status_code"] == 1000
    return envelope.get("data")


# The admin site


def downloads(hub: RunningHub) -> dict[str, str]:
    """Log in as a clerk, download every PDF, and return their texts by document number."""
    login = hub.manage("add_user", "clerk@story.example", "--staff", "clerk")
    site = requests.Session()
    site.get(f"{hub.url}/admin/login/", timeout=10)
    form = {"username": login["email"], "password": login["password"], "next": "/admin/"}
    form["csrfmiddlewaretoken"] = site.cookies["csrftoken"]
    page = site.post(f"{hub.url}/admin/login/", form, timeout=10)
    assert "logout" in page.text
    register = site.get(f"{hub.url}/admin/settlement/document/", timeout=10).text
    found = {}
    for path in re.findall(r'href="([^"]+/files/pdf)"', register):
        reply = site.get(f"{hub.url}{path}", timeout=10)
        number = re.search(r'filename="(.+)\.pdf"', reply.headers["Content-Disposition"])
        assert number
        found[number.group(1)] = text_of(reply.content)
    return found


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


def words(text: str) -> set[str]:
    """Return the amounts and words of a text, and the VAT rates as they are written."""
    flat = re.sub(r"\s+", " ", text)
    return set(flat.split(" ")) | set(re.findall(r"\b[A-Z]{1,2} \d+ %", flat))


# What may break on the way


def test_a_killed_worker_and_an_emptied_redis_lose_nothing(
    hub: RunningHub, cpo: Partner, emsp: Partner
) -> None:
    count, start = 200, times.now() - timedelta(minutes=5)
    bodies = [
        objects.location(cpo.address, id=f"B{number}", name=f"v{version}")
        | {"last_updated": times.render(start + timedelta(seconds=version))}
        for version in (1, 2)
        for number in range(count)
    ]

    def arrived() -> list[dict[str, Any]]:
        return [item for name, item in emsp.holds("locations").items() if name.startswith("B")]

    with ThreadPoolExecutor(2) as pool:
        published = pool.map(lambda body: cpo.publish_location(body).succeeded, bodies)
        assert emsp.inbox.wait_for(lambda: len(arrived()) >= count // 4, SOON)
        hub.kill("deliveries")
        redis.Redis.from_url(hub.redis_url).flushall()
        assert all(published)
    assert emsp.inbox.wait_for(
        lambda: sum(item["name"] == "v2" for item in arrived()) == count, 120
    )
    assert_nothing_went_backwards(emsp)


def assert_nothing_went_backwards(emsp: Partner) -> None:
    told = defaultdict(list)
    for received in emsp.received:
        if received.module == "locations":
            told[received.path].append(received.body["last_updated"])
    for stamps in told.values():
        assert stamps == sorted(stamps)
