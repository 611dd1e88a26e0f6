"""Charging profiles: set, cleared and asked for by who may; what became of them comes back."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.test import Client

from cdrs.charging_profiles import ProfileReceiver, ProfileSender, parameters
from hub.ocpi import client, json
from hub.ocpi.messages import Address, Route
from hub.ocpi.versions import RECEIVER, SENDER
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from parties.models import Errand
from tests import objects
from tests.partners import member
from tests.speaking import joined

pytestmark = pytest.mark.django_db
PROFILE = {
    "charging_rate_unit": "W",
    "min_charging_rate": Decimal("1380.0"),
    "charging_profile_period": [{"start_period": 0, "limit": Decimal("11000.5")}],
    "x_reason": "grid",
}
ACTIVE = {"start_date_time": "2026-11-25T12:00:00Z", "charging_profile": PROFILE}
ODD_DATE = "2026-11-25 13:00:00+01:00"
UNKNOWN_SESSION = {"result": "UNKNOWN_SESSION", "timeout": 0}
REJECTED = {"result": "REJECTED", "timeout": 0}


@pytest.fixture
def session(cpo: Partner, emsp: Partner, bring: Callable[[], int]) -> str:
    """Have a session of the eMSP that runs at the CPO."""
    cpo.publish_location(objects.location(cpo.address))
    body = {"token": objects.token(emsp.address), "location_id": "L1", "evse_uid": "E1"}
    emsp.command("START_SESSION", body)
    cpo.later.work()
    bring()
    emsp.inbox.received.clear()
    cpo.inbox.received.clear()
    uid: str = emsp.fetch("sessions")[0]["id"]
    return uid


def heard(partner: Partner, module: str = "chargingprofiles") -> list[Any]:
    return [item for item in partner.received if item.module == module]


def results(partner: Partner) -> dict[str, Any]:
    return partner.inbox.all("results")


@pytest.mark.ocpi("Q-01", "Q-02", "Q-03", "Q-05", "R-03", "T-21", "O-03")
def test_a_profile_is_set_shown_and_cleared(
    cpo: Partner, emsp: Partner, session: str, bring: Callable[[], int]
) -> None:
    answer = emsp.profile("PUT", session, PROFILE)
    assert (answer.http, answer.code) == (200, 1000)
    assert answer.data == {"result": "ACCEPTED", "timeout": 30}
    assert answer.headers["X-Hub-Decision"] == "open: FR*CPO by session_id"
    assert Route.from_headers(answer.headers) == Route(to=emsp.address, sender=cpo.address)
    [request] = heard(cpo)
    assert request.path == ("2.2.1", "receiver", "chargingprofiles", session)
    assert Route.from_headers(request.headers) == Route(to=cpo.address, sender=emsp.address)
    assert request.headers["X-Correlation-ID"] == answer.headers["X-Correlation-ID"]
    callback = request.body["response_url"]
    assert callback.startswith(f"{settings.HUB_BASE_URL}/ocpi/callback/")
    assert request.content == json.dumps({"charging_profile": PROFILE, "response_url": callback})
    [told] = cpo.later.work()
    assert (told.http, told.code, told.data) == (200, 1000, None)
    bring()
    assert results(emsp)["PUT"] == {"result": "ACCEPTED"}
    assert emsp.profile("GET", session).data["result"] == "ACCEPTED"
    [told] = cpo.later.work()
    assert (told.code, told.data) == (1000, None)
    bring()
    assert results(emsp)["GET"]["profile"]["charging_profile"] == PROFILE
    for expected in ("ACCEPTED", "UNKNOWN"):
        assert emsp.profile("DELETE", session).data["result"] == "ACCEPTED"
        cpo.later.work()
        bring()
        assert results(emsp)["DELETE"] == {"result": expected}
    assert [item.method for item in heard(cpo)] == ["PUT", "GET", "DELETE", "DELETE"]


@pytest.mark.ocpi("Q-02")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("duration=900&response_url=https%3A%2F%2Fx%2Fr%3Fa%3D1%26b%3D2", "https://x/r?a=1&b=2"),
        ("response_url=https%3A%2F%2Fx%2Fr&duration=900", "https://x/r"),
        ("duration=900&response_url=https://x/r?a=1&b=2", "https://x/r?a=1&b=2"),
        ("response_url=https://x/r?a=1&b=2&duration=900", "https://x/r?a=1&b=2"),
        ("response_url=https://x/r?a=1&duration=900&b=2", "https://x/r?a=1&b=2"),
        ("duration=900&response_url=https://x/r?a=1&duration=5", "https://x/r?a=1&duration=5"),
        ("duration=900", None),
        ("duration=900&response_url=", ""),
    ],
)
def test_a_response_url_is_read_encoded_or_not(query: str, expected: str | None) -> None:
    found = parameters(query)
    assert found.get("response_url") == expected
    assert found["duration"] == "900"


@pytest.mark.ocpi("Q-02")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_the_url_of_the_result_goes_on_encoded(
    cpo: Partner, emsp: Partner, session: str, bring: Callable[[], int], method: str
) -> None:
    url = f"{emsp.results('X')}?request=1&more=2"
    query = f"?duration=900&x_hint=a%26b&response_url={url}"
    path = ("chargingprofiles", RECEIVER, session)
    assert emsp.call(method, *path, query=query).data["result"] == "ACCEPTED"
    [request] = heard(cpo)
    assert request.query["x_hint"] == "a&b"
    assert request.query["duration"] == "900"
    assert request.query["response_url"].startswith(f"{settings.HUB_BASE_URL}/ocpi/callback/")
    assert request.content == b""
    assert Errand.objects.filter(module="chargingprofiles").get().response_url == url
    cpo.later.work()
    bring()
    assert heard(emsp, "commands")[-1].query == {"request": "1", "more": "2"}


@pytest.mark.ocpi("Q-01")
@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", "?response_url={url}"),
        ("GET", "?duration=soon&response_url={url}"),
        ("GET", "?duration=-1&response_url={url}"),
        ("GET", "?duration=900"),
        ("GET", "?duration=900&response_url="),
        ("DELETE", ""),
    ],
)
def test_what_is_missing_in_the_query_is_told(
    cpo: Partner, emsp: Partner, session: str, method: str, query: str
) -> None:
    query = query.format(url=quote(emsp.results("X"), safe=""))
    answer = emsp.call(method, "chargingprofiles", RECEIVER, session, query=query)
    assert (answer.http, answer.code) == (200, 2001)
    assert heard(cpo) == []


@pytest.mark.ocpi("M-15", "Q-03")
def test_results_go_to_approved_hosts_only(cpo: Partner, emsp: Partner, session: str) -> None:
    body = {"charging_profile": PROFILE, "response_url": "https://attacker.example/"}
    answer = emsp.call("PUT", "chargingprofiles", RECEIVER, session, body=body)
    assert (answer.http, answer.code) == (200, 2001)
    query = "?response_url=http://127.0.0.1:5432/"
    assert emsp.call("DELETE", "chargingprofiles", RECEIVER, session, query=query).code == 2001
    assert heard(cpo) == []


@pytest.mark.ocpi("Q-04", "Q-07")
def test_only_the_owner_of_the_token_controls_a_session(
    cpo: Partner, emsp: Partner, stranger: Partner, session: str
) -> None:
    for to in (None, cpo.address):
        answer = stranger.profile("PUT", session, PROFILE, to=to)
        assert (answer.http, answer.code, answer.data) == (200, 1000, UNKNOWN_SESSION)
    assert emsp.profile("PUT", "S-OTHER", PROFILE).data == UNKNOWN_SESSION
    assert cpo.profile("PUT", session, PROFILE).http == 403
    assert heard(cpo) == []
    named = emsp.profile("PUT", session, PROFILE, to=cpo.address)
    assert named.headers["X-Hub-Decision"] == "direct: FR*CPO"


@pytest.mark.ocpi("Q-04", "O-04")
def test_a_session_id_of_two_cpos_needs_a_name(cpo: Partner, emsp: Partner, session: str) -> None:
    with member("NL*TWO", ["CPO"], "Second") as second:
        second.send_session(objects.session(second.address, emsp.address, id=session))
        answer = emsp.profile("PUT", session, PROFILE)
        assert (answer.http, answer.code, answer.data) == (200, 2002, REJECTED)
        assert emsp.profile("PUT", session, PROFILE, to=cpo.address).code == 1000
    assert len(heard(cpo)) == 1


@pytest.fixture
def scsp(emsp: Partner) -> Any:
    """Speak as a smart charging service provider, whose results go to the eMSP's server."""
    speaker = joined("NL", "SCS", "SCSP")
    host = emsp.url.removeprefix("http://").partition("/")[0]
    type(speaker.platform).objects.filter(pk=speaker.platform.pk).update(hosts=[host])
    return speaker


@pytest.mark.ocpi("Q-07")
def test_a_smart_charging_provider_may_control_any_session(
    cpo: Partner, emsp: Partner, session: str, scsp: Any
) -> None:
    body = {"charging_profile": PROFILE, "response_url": emsp.results("S")}
    path = f"2.2.1/receiver/chargingprofiles/{session}"
    reply = scsp.put(path, body)
    assert (reply.code, reply.data["result"]) == (1000, "ACCEPTED")
    assert heard(cpo)[0].headers["OCPI-from-party-id"] == "SCS"
    assert scsp.put("2.2.1/receiver/chargingprofiles/S-NONE", body).data == UNKNOWN_SESSION


@pytest.mark.ocpi("Q-06", "T-18", "T-19")
@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault.HANG, 4002), (Fault.CLOSE, 4003), (Fault.UNAUTHORIZED, 4003), (Fault.GARBAGE, 4000)],
)
def test_a_cpo_that_fails_is_told_in_a_readable_way(
    cpo: Partner,
    emsp: Partner,
    session: str,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    code: int,
) -> None:
    monkeypatch.setattr(ProfileReceiver, "seconds", 1.0)
    cpo.misbehave(fault, module="chargingprofiles")
    answer = emsp.profile("PUT", session, PROFILE)
    assert (answer.http, answer.code, answer.data) == (200, code, REJECTED)


@pytest.mark.ocpi("Q-06")
@pytest.mark.parametrize("result", ["TOO_OFTEN", "NOT_SUPPORTED", "UNKNOWN_SESSION"])
def test_the_hub_only_relays_what_the_cpo_decides(
    cpo: Partner, emsp: Partner, session: str, monkeypatch: pytest.MonkeyPatch, result: str
) -> None:
    monkeypatch.setattr(cpo, "act", lambda *args: {"result": result, "timeout": 0})
    assert emsp.profile("PUT", session, PROFILE).data == {"result": result, "timeout": 0}
    path = heard(cpo)[0].body["response_url"].removeprefix(settings.HUB_BASE_URL)
    assert Client().post(path, b"{}", "application/json").status_code == 404


@pytest.mark.ocpi("Q-03", "Q-06")
@pytest.mark.parametrize(
    ("method", "body", "code"),
    [
        ("PUT", {"result": "UNKNOWN"}, 1000),
        ("PUT", {"result": "EVSE_OCCUPIED"}, 2001),
        ("GET", {"result": "REJECTED"}, 1000),
        ("GET", {"result": "ACCEPTED", "profile": {"charging_profile": PROFILE}}, 2001),
        ("DELETE", {"data": {"result": "ACCEPTED"}, "status_code": 1000}, 1000),
        ("GET", {"result": "ACCEPTED", "profile": ACTIVE | {"start_date_time": ODD_DATE}}, 1000),
    ],
)
def test_each_result_has_its_type(
    cpo: Partner,
    emsp: Partner,
    session: str,
    bring: Callable[[], int],
    method: str,
    body: Any,
    code: int,
) -> None:
    emsp.profile(method, session, PROFILE if method == "PUT" else None)
    received = heard(cpo)[0]
    url = received.query.get("response_url") or received.body["response_url"]
    path = url.removeprefix(settings.HUB_BASE_URL)
    answer = Client().post(path, json.dumps(body), "application/json")
    assert json.loads(answer.content)["status_code"] == code
    bring()
    assert (method in results(emsp)) == (code == 1000)
    if isinstance(body.get("profile"), dict) and code == 1000:
        assert results(emsp)["GET"] == {"result": "ACCEPTED", "profile": ACTIVE}


# The profile that is active, as the CPO tells it of its own accord


@pytest.mark.ocpi("Q-01", "Q-05", "Q-06")
def test_the_active_profile_goes_to_who_has_set_one(
    cpo: Partner, emsp: Partner, session: str
) -> None:
    nobody = cpo.show_profile(session)
    assert (nobody.http, nobody.code) == (200, 4001)
    assert cpo.show_profile(session, to=emsp.address).code == 4001
    emsp.profile("PUT", session, PROFILE)
    answer = cpo.show_profile(session)
    assert (answer.http, answer.code, answer.data) == (200, 1000, None)
    assert answer.headers["X-Hub-Decision"] == "open: DE*MSP by session_id"
    assert Route.from_headers(answer.headers) == Route(to=cpo.address, sender=emsp.address)
    request = heard(emsp)[-1]
    assert request.path == ("2.2.1", "sender", "chargingprofiles", session)
    assert request.body == cpo.station.active(session)
    assert Route.from_headers(request.headers) == Route(to=emsp.address, sender=cpo.address)
    named = cpo.show_profile(session, to=emsp.address)
    assert named.headers["X-Hub-Decision"] == "direct: DE*MSP"


@pytest.mark.ocpi("Q-06", "O-04")
def test_the_active_profile_is_for_one_of_two_who_have_set_one(
    cpo: Partner, emsp: Partner, session: str, scsp: Any
) -> None:
    emsp.profile("PUT", session, PROFILE)
    body = {"charging_profile": PROFILE, "response_url": emsp.results("S")}
    scsp.put(f"2.2.1/receiver/chargingprofiles/{session}", body)
    assert cpo.show_profile(session).code == 2002
    assert cpo.show_profile(session, to=emsp.address).code == 1000
    assert cpo.show_profile(session, to=Address("NL", "SCS")).code == 4000


@pytest.mark.ocpi("Q-06")
def test_another_cpo_cannot_speak_of_the_session(
    cpo: Partner, emsp: Partner, stranger: Partner, session: str
) -> None:
    emsp.profile("PUT", session, PROFILE)
    active = cpo.station.active(session)
    for to in (None, emsp.address):
        answer = stranger.call("PUT", "chargingprofiles", SENDER, session, body=active, to=to)
        assert answer.code == 4001
    bad = cpo.call("PUT", "chargingprofiles", SENDER, session, body={"start_date_time": 1})
    assert bad.code == 2001
    assert heard(emsp) == []


@pytest.mark.ocpi("T-19")
def test_an_emsp_that_hangs_costs_the_cpo_a_limited_time(
    cpo: Partner, emsp: Partner, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    emsp.profile("PUT", session, PROFILE)
    monkeypatch.setattr(ProfileSender, "seconds", 1.0)
    emsp.misbehave(Fault.HANG, module="chargingprofiles")
    answer: client.Answer = cpo.show_profile(session)
    assert (answer.http, answer.code, answer.data) == (200, 4002, None)
