"""Charging preferences: from the owner of the token to the CPO of the session."""

from decimal import Decimal
from typing import Any

import pytest

from cdrs.preferences import PreferencesViewSet
from hub.ocpi import json
from hub.ocpi.messages import Route
from hub.ocpi.versions import SENDER
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from tests import objects
from tests.partners import member
from tests.speaking import joined

pytestmark = pytest.mark.django_db
GREEN = {"profile_type": "GREEN", "energy_need": Decimal("12.50"), "x_app": "v2"}
CAPABLE = ["CHARGING_PREFERENCES_CAPABLE"]


@pytest.fixture
def session(cpo: Partner, emsp: Partner) -> str:
    """Have a session of the eMSP that runs at a capable EVSE of the CPO."""
    publish(cpo, CAPABLE)
    body = {"token": objects.token(emsp.address), "location_id": "L1", "evse_uid": "E1"}
    emsp.command("START_SESSION", body)
    cpo.later.work()
    uid: str = emsp.fetch("sessions")[0]["id"]
    return uid


def publish(cpo: Partner, capabilities: list[str]) -> None:
    evses = [objects.evse(capabilities=capabilities)]
    cpo.publish_location(objects.location(cpo.address, evses=evses))


def heard(partner: Partner) -> list[Any]:
    return [item for item in partner.received if item.path[-1] == "charging_preferences"]


@pytest.mark.ocpi("S-13", "R-03", "R-07", "R-09", "O-03", "T-06")
def test_the_cpo_says_what_it_makes_of_them(cpo: Partner, emsp: Partner, session: str) -> None:
    answer = emsp.prefer(session, GREEN)
    assert (answer.http, answer.code, answer.data) == (200, 1000, "DEPARTURE_REQUIRED")
    assert answer.headers["X-Hub-Decision"] == "open: FR*CPO by session_id"
    assert Route.from_headers(answer.headers) == Route(to=emsp.address, sender=cpo.address)
    [request] = heard(cpo)
    assert request.path == ("2.2.1", "sender", "sessions", session, "charging_preferences")
    assert request.content == json.dumps(GREEN)
    assert Route.from_headers(request.headers) == Route(to=cpo.address, sender=emsp.address)
    full = GREEN | {"departure_time": "2026-11-25T18:00:00Z"}
    assert emsp.prefer(session, full).data == "ACCEPTED"


@pytest.mark.ocpi("S-13")
def test_an_evse_without_the_capability_is_404_and_2001(
    cpo: Partner, emsp: Partner, session: str
) -> None:
    publish(cpo, ["RFID_READER"])
    answer = emsp.prefer(session, GREEN)
    assert (answer.http, answer.code, answer.data) == (404, 2001, None)
    assert heard(cpo) == []


@pytest.mark.ocpi("S-13", "T-18")
def test_a_cpo_that_knows_better_is_relayed_with_its_status(
    cpo: Partner, emsp: Partner, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cpo.station.running[session].outlet.evse, "capabilities", [])
    answer = emsp.prefer(session, GREEN)
    assert (answer.http, answer.code) == (404, 2001)
    assert len(heard(cpo)) == 1


@pytest.mark.ocpi("S-14")
def test_only_the_owner_of_the_token_may(
    cpo: Partner, emsp: Partner, stranger: Partner, session: str
) -> None:
    assert (stranger.prefer(session, GREEN).http, cpo.prefer(session, GREEN).http) == (404, 403)
    path = ("sessions", SENDER, session, "charging_preferences")
    assert stranger.call("PUT", *path, body=GREEN, to=cpo.address).http == 404
    scsp = joined("NL", "SCS", "SCSP")
    assert scsp.put(f"2.2.1/sender/sessions/{session}/charging_preferences", GREEN).http == 403
    assert emsp.prefer("S-NONE", GREEN).http == 404
    assert emsp.prefer(session, {"profile_type": "SLOW"}).code == 2001
    assert emsp.call("POST", *path, body=GREEN).http == 405
    assert heard(cpo) == []
    assert emsp.call("PUT", *path, body=GREEN, to=cpo.address).code == 1000


@pytest.mark.ocpi("O-04")
def test_a_session_id_of_two_cpos_needs_a_name(cpo: Partner, emsp: Partner, session: str) -> None:
    with member("NL*TWO", ["CPO"], "Second") as second:
        second.send_session(objects.session(second.address, emsp.address, id=session))
        assert emsp.prefer(session, GREEN).code == 2002
        path = ("sessions", SENDER, session, "charging_preferences")
        assert emsp.call("PUT", *path, body=GREEN, to=cpo.address).code == 1000


@pytest.mark.ocpi("R-06", "T-19", "X-06")
@pytest.mark.parametrize(
    ("fault", "code"), [(Fault.HANG, 4002), (Fault.CLOSE, 4003), (Fault.GARBAGE, 4000)]
)
def test_a_cpo_that_fails_is_a_code_of_the_hub(
    cpo: Partner,
    emsp: Partner,
    session: str,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    code: int,
) -> None:
    monkeypatch.setattr(PreferencesViewSet, "seconds", 1.0)
    cpo.misbehave(fault, module="sessions")
    answer = emsp.prefer(session, GREEN)
    assert (answer.http, answer.code, answer.data) == (200, code, None)
