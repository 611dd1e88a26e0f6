"""Two simulated partners and the whole hub: every module, in both directions, over HTTP.

The one is a CPO, the other an eMSP. Each test is a module; the last ones look at what all messages
have in common.
"""

import base64
import http.client
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from hub.ocpi import client, json
from hub.ocpi.messages import Address, Route
from hub.ocpi.versions import RECEIVER, SENDER
from hub.sandbox.inbox import Received
from hub.sandbox.partner import Partner
from tests import objects
from tests.objects import D
from tests.running import RunningHub

pytestmark = pytest.mark.network
CPO, OTHER, EMSP = Address("NL", "EVC"), Address("NL", "EVO"), Address("DE", "EVM")
HUB = Address("XX", "OCN")
CARD = objects.token(EMSP, uid="EV-CARD")
SECONDS = 30.0
LATER, LATEST = "2026-11-10T11:00:00Z", "2026-11-10T12:00:00Z"
PROFILE = {
    "charging_rate_unit": "A",
    "charging_profile_period": [{"start_period": 0, "limit": D("16.0")}],
}


@pytest.fixture(scope="module")
def cpo(hub: RunningHub) -> Iterator[Partner]:
    yield from joined(hub, CPO, "CPO")


@pytest.fixture(scope="module")
def other(hub: RunningHub) -> Iterator[Partner]:
    yield from joined(hub, OTHER, "CPO")


@pytest.fixture(scope="module")
def emsp(hub: RunningHub, cpo: Partner) -> Iterator[Partner]:
    for partner in joined(hub, EMSP, "EMSP"):
        done(partner.push_token(CARD))
        yield partner


def joined(hub: RunningHub, address: Address, role: str) -> Iterator[Partner]:
    """Have a partner that is served, invited and registered."""
    named = (address.country_code, address.party_id)
    invited = hub.manage("add_party", *named, role, f"Everything {address}")
    with Partner(address, [role], f"Everything {address}").served() as partner:
        partner.register(f"{hub.url}/ocpi/versions", invited["token"])
        yield partner


def done(answer: client.Answer) -> client.Answer:
    assert (answer.http, answer.code) in {(200, 1000), (201, 1000)}, answer
    return answer


def until(partner: Partner, condition: Callable[[], Any]) -> None:
    """Wait until something is so at a partner, looking at whatever arrives."""
    assert partner.inbox.wait_for(lambda: bool(condition()), SECONDS), "it did not come to be"


def until_holds(partner: Partner, module: str, key: str, **members: Any) -> dict[str, Any]:
    """Wait until a partner holds an object with these members, and return it."""

    def held() -> bool:
        item = partner.holds(module).get(key)
        return item is not None and members.items() <= item.items()

    until(partner, held)
    found: dict[str, Any] = partner.holds(module)[key]
    return found


def result(partner: Partner, name: str) -> dict[str, Any]:
    """Wait for the result of a command or profile request and return it."""
    until(partner, lambda: partner.inbox.get("results", name))
    found: dict[str, Any] = partner.inbox.drop("results", name)
    return found


def receiver(partner: Partner, method: str, module: str, *path: str, **more: Any) -> client.Answer:
    """Have the owner call the hub about an object of its own."""
    owner = (partner.address.country_code, partner.address.party_id)
    return done(partner.call(method, module, RECEIVER, *owner, *path, **more))


def methods(partner: Partner, module: str) -> list[str]:
    """Return the methods with which a partner was called, as GET receiver.

    The hub's own readings of its lists, which may come at any time, are left out.
    """
    return [
        f"{item.method} {item.path[1]}"
        for item in partner.received
        if item.module == module and not is_reading(item)
    ]


def is_reading(received: Received) -> bool:
    route = Route.from_headers(received.headers)
    return (received.method, received.path[1], route.sender) == ("GET", "sender", HUB)


@pytest.mark.ocpi("V-01", "V-03", "V-04", "V-05", "V-06", "C-05")
def test_versions_and_credentials(hub: RunningHub, cpo: Partner, emsp: Partner):
    assert len(cpo.hub_endpoints) == 16
    assert len(set(cpo.hub_endpoints.values())) == 16
    for partner in (cpo, emsp):
        url = partner.hub_endpoints[f"credentials {SENDER}"]
        assert partner.request("GET", url).data["token"] == partner.hub_token


@pytest.mark.ocpi("L-01", "B-01", "B-03", "G-01", "G-02", "P-09")
def test_locations(cpo: Partner, other: Partner, emsp: Partner):
    capable = ["CHARGING_PREFERENCES_CAPABLE", "CHARGING_PROFILE_CAPABLE"]
    done(cpo.publish_location(objects.location(CPO, evses=[objects.evse(capabilities=capable)])))
    done(other.publish_location(objects.location(OTHER, id="L2")))
    until_holds(emsp, "locations", "L1", city="Amsterdam")
    until_holds(emsp, "locations", "L2")
    change = {"status": "CHARGING", "last_updated": LATER}
    receiver(cpo, "PATCH", "locations", "L1", "E1", body=change)
    found = until_holds(emsp, "locations", "L1", last_updated=LATER)
    assert found["evses"][0]["status"] == "CHARGING"
    assert receiver(cpo, "GET", "locations", "L1").data == found
    pushed = len(methods(emsp, "locations"))
    for to in (None, HUB):
        answer = done(emsp.call("GET", "locations", SENDER, to=to))
        assert {"EVC", "EVO"} <= {item["party_id"] for item in answer.data}
    [direct] = done(emsp.call("GET", "locations", SENDER, to=OTHER)).data
    assert direct == other.own.get("locations", "L2")
    assert methods(other, "locations") == ["GET sender"]
    assert len(methods(emsp, "locations")) == pushed


@pytest.mark.ocpi("F-01", "F-02", "F-04")
def test_tariffs(cpo: Partner, emsp: Partner):
    done(cpo.publish_tariff(objects.tariff(CPO)))
    done(cpo.publish_tariff(objects.tariff(CPO, id="T2")))
    until_holds(emsp, "tariffs", "T2")
    assert ids_of(emsp, "tariffs") == {"T1", "T2"}
    receiver(cpo, "DELETE", "tariffs", "T2")
    until(emsp, lambda: "T2" not in emsp.holds("tariffs"))
    assert "DELETE receiver" in methods(emsp, "tariffs")
    assert ids_of(emsp, "tariffs") == {"T1"}


def ids_of(partner: Partner, module: str) -> set[str]:
    """Return the ids of the CPO's objects that a partner finds in the hub's list."""
    return {item["id"] for item in partner.fetch(module) if item["party_id"] == CPO.party_id}


@pytest.mark.ocpi("K-01", "K-05", "K-06", "K-07")
def test_tokens(cpo: Partner, emsp: Partner):
    until_holds(cpo, "tokens", "EV-CARD", valid=True)
    answer = done(cpo.authorize("EV-CARD", to=EMSP))
    assert (answer.data["allowed"], answer.data["token"]) == ("ALLOWED", CARD)
    done(cpo.authorize("EV-CARD"))
    assert methods(emsp, "tokens") == ["POST sender", "POST sender"]
    change = {"visual_number": "EV 1", "last_updated": LATER}
    receiver(emsp, "PATCH", "tokens", "EV-CARD", body=change)
    found = until_holds(cpo, "tokens", "EV-CARD", visual_number="EV 1")
    assert found in done(cpo.call("GET", "tokens", SENDER)).data


@pytest.mark.ocpi("S-01", "S-03", "S-06", "D-01", "D-02", "D-09")
def test_sessions_and_cdrs(hub: RunningHub, cpo: Partner, emsp: Partner):
    token = objects.cdr_token(EMSP, uid="EV-CARD")
    done(cpo.send_session(objects.session(CPO, EMSP, cdr_token=token)))
    until_holds(emsp, "sessions", "S1", kwh=20)
    period = {
        "start_date_time": "2026-11-10T08:00:00Z",
        "dimensions": [{"type": "ENERGY", "volume": D("22.5")}],
    }
    change = {"kwh": D("22.5"), "charging_periods": [period], "last_updated": LATER}
    receiver(cpo, "PATCH", "sessions", "S1", body=change)
    found = until_holds(emsp, "sessions", "S1", kwh=D("22.5"))
    assert found["charging_periods"] == [period]
    assert emsp.fetch("sessions") == [found]
    cdr = objects.cdr(CPO, EMSP, cdr_token=token)
    place = done(cpo.send_cdr(cdr)).headers["Location"]
    assert until_holds(emsp, "cdrs", "C1") == cdr
    assert done(cpo.request("GET", place)).data == cdr
    assert emsp.fetch("cdrs") == [cdr]
    second = cdr | {"id": "C2"}
    answer = done(cpo.call("POST", "cdrs", RECEIVER, body=second, to=EMSP))
    assert answer.headers["Location"].startswith(f"{hub.url}/ocpi/2.2.1/")
    assert done(cpo.request("GET", answer.headers["Location"])).data == second
    assert until_holds(emsp, "cdrs", "C2") == second


@pytest.mark.ocpi("M-01", "M-02", "M-03", "S-13", "Q-01", "Q-02")
def test_commands_profiles_and_preferences(cpo: Partner, emsp: Partner):
    place = {"location_id": "L1", "evse_uid": "E1"}
    cpo.publish_location(cpo.own.get("locations", "L1") or objects.location(CPO))
    booked = {"token": CARD, "reservation_id": "R1", "expiry_date": "2027-01-01T00:00:00Z"}
    for name, body in {
        "RESERVE_NOW": booked | place,
        "CANCEL_RESERVATION": {"reservation_id": "R1"},
        "UNLOCK_CONNECTOR": place | {"connector_id": "1"},
        "START_SESSION": place | {"token": CARD},
    }.items():
        to = None if "location_id" in body else CPO
        assert done(emsp.command(name, body, to=to)).data["result"] == "ACCEPTED", name
        assert result(emsp, name)["result"] == "ACCEPTED", name
    until(emsp, lambda: [item for item in emsp.holds("sessions") if item.startswith("S-")])
    session = next(item for item in emsp.holds("sessions").values() if item["id"].startswith("S-"))
    assert done(emsp.profile("PUT", session["id"], PROFILE)).data["result"] == "ACCEPTED"
    assert result(emsp, "PUT") == {"result": "ACCEPTED"}
    done(emsp.profile("GET", session["id"]))
    assert result(emsp, "GET")["profile"]["charging_profile"] == PROFILE
    done(cpo.show_profile(session["id"]))
    assert emsp.inbox.get("chargingprofiles", session["id"])["charging_profile"] == PROFILE
    done(emsp.profile("DELETE", session["id"]))
    assert result(emsp, "DELETE") == {"result": "ACCEPTED"}
    assert done(emsp.prefer(session["id"], {"profile_type": "FAST"})).data == "ACCEPTED"
    done(emsp.command("STOP_SESSION", {"session_id": session["id"]}))
    assert result(emsp, "STOP_SESSION")["result"] == "ACCEPTED"
    until_holds(emsp, "sessions", session["id"].upper(), status="COMPLETED")


@pytest.mark.ocpi("H-01", "H-02", "H-05", "H-10")
def test_who_is_connected(cpo: Partner, emsp: Partner):
    told = {"country_code": "NL", "party_id": "EVC", "role": "CPO", "status": "CONNECTED"}
    [listed] = [item for item in emsp.fetch("hubclientinfo") if item["party_id"] == "EVC"]
    assert told.items() <= listed.items()
    until(cpo, lambda: any(item["party_id"] == "EVM" for item in news(cpo)))
    assert {"PUT receiver"} == set(methods(cpo, "hubclientinfo"))


def news(partner: Partner) -> list[dict[str, Any]]:
    return list(partner.inbox.all("hubclientinfo").values())


# What all messages have in common


@pytest.fixture
def sent(cpo: Partner, other: Partner, emsp: Partner) -> list[tuple[Partner, Received]]:
    """Return all that the hub has sent in the tests before."""
    found = [(item, received) for item in (cpo, other, emsp) for received in item.inbox.received]
    assert len(found) > 30, "run the whole file"
    return found


@pytest.mark.ocpi("T-02", "T-20", "T-21", "A-01")
def test_whatever_the_hub_sends_says_what_it_is_and_from_whom(
    sent: list[tuple[Partner, Received]],
):
    ids = [received.headers["X-Request-ID"] for _, received in sent]
    assert len(ids) == len(set(ids))
    for _, received in sent:
        assert received.headers["X-Correlation-ID"]
        scheme, token = received.headers["Authorization"].split(" ")
        assert (scheme, base64.b64decode(token, validate=True).isascii()) == ("Token", True)
        if received.content:
            assert received.headers["Content-Type"] == "application/json"


@pytest.mark.ocpi("R-01", "R-02", "R-03", "B-04", "O-02")
def test_whatever_the_hub_sends_is_addressed(sent: list[tuple[Partner, Received]]):
    for partner, received in sent:
        route = Route.from_headers(received.headers)
        if received.module in {"", "credentials", "hubclientinfo"}:
            assert route == Route(), received
            continue
        assert route.to == partner.address, received
        broadcast = received.module in {"locations", "tariffs", "tokens"}
        if is_reading(received) or (broadcast and received.path[1] == "receiver"):
            assert route.sender == HUB, received
        else:
            assert route.sender in {CPO, OTHER, EMSP}, received


@pytest.mark.ocpi("T-24", "R-05")
def test_header_names_are_read_in_any_case(hub: RunningHub, cpo: Partner):
    address = urlsplit(hub.url).netloc
    token = base64.b64encode(cpo.hub_token.encode()).decode()
    for change in (str.lower, str.upper):
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.putrequest("GET", "/ocpi/2.2.1/sender/tokens")
        given = {
            "Authorization": f"Token {token}",
            "X-Request-ID": "case",
            "OCPI-from-party-id": "evc",
            "OCPI-from-country-code": "nl",
        }
        for name, value in given.items():
            connection.putheader(change(name), value)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, answer.headers["X-Request-ID"]) == (200, "case")
        assert answer.headers["OCPI-to-party-id"] == "EVC"
        assert json.loads(answer.read())["status_code"] == 1000


@pytest.mark.ocpi("T-29", "T-06")
def test_what_the_hub_says_of_itself_leaves_out_what_is_empty(cpo: Partner, emsp: Partner):
    credentials = cpo.request("GET", cpo.hub_endpoints[f"credentials {SENDER}"])
    for answer in (credentials, emsp.call("GET", "hubclientinfo", SENDER)):
        assert b"null" not in answer.content
        assert b'""' not in answer.content
    assert isinstance(credentials.data, dict)
    assert emsp.call("GET", "cdrs", SENDER, query="?date_from=2040-01-01T00:00:00Z").data == []


@pytest.mark.ocpi("A-11", "C-07")
def test_tokens_are_renewed_while_all_goes_on(cpo: Partner, emsp: Partner):
    before = (cpo.token, cpo.hub_token)
    cpo.renew()
    assert not {cpo.token, cpo.hub_token} & {*before}
    done(cpo.call("GET", "tokens", SENDER))
    receiver(emsp, "PATCH", "tokens", "EV-CARD", body={"valid": False, "last_updated": LATEST})
    until_holds(cpo, "tokens", "EV-CARD", valid=False)


@pytest.mark.ocpi("C-08", "C-09")
def test_who_leaves_is_gone(hub: RunningHub, emsp: Partner, other: Partner):
    other.leave()
    until(emsp, lambda: any(item["status"] == "SUSPENDED" for item in news(emsp)))
