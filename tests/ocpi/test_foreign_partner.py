"""py-ocpi as a partner: software that nobody here wrote, over HTTP, against the whole hub.

It adds a slash to its paths by redirects, wraps single objects in lists, writes dates with a space
and ids in small letters, sends no routing headers and no message ids, and calls back bare. None of
that is coped with here: the hub must.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from hub.ocpi import json
from hub.ocpi.messages import Address
from hub.sandbox.partner import Partner
from tests import objects
from tests.foreign.running import running, until
from tests.running import RunningHub

pytestmark = [pytest.mark.network, pytest.mark.ocpi("X-04")]
OWN, PEER = Address("AT", "PYO"), Address("NL", "SIM")
TOKEN = "shown-to-the-hub-by-py-ocpi"  # in Base64 it needs no padding


@dataclass
class Foreign:
    """The operator of py-ocpi: looks into its store and lets it speak, as its code would."""

    hub: RunningHub
    url: str
    token: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def held(self, module: str) -> dict[str, Any]:
        """Return what it has of a module, by ids in small letters."""
        return self.session.get(f"{self.url}/test/held", timeout=10).json()[module]

    def own(self, module: str, item: dict[str, Any]) -> None:
        """Let it have an object of its own, to be pulled and asked for."""
        answer = self.session.post(
            f"{self.url}/test/held/{module}", data=json.dumps(item), timeout=10
        )
        answer.raise_for_status()

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Call the hub with nothing but the token and the body; return what it answers."""
        shown = base64.b64encode(self.token.encode()).decode()
        answer = self.session.request(
            method,
            f"{self.hub.url}/ocpi/2.2.1/{path}",
            data=None if body is None else json.dumps(body),
            headers={"authorization": f"Token {shown}", "content-type": "application/json"},
            timeout=30,
        )
        assert answer.ok, answer.text
        envelope: dict[str, Any] = answer.json()
        return envelope

    def knows(self, ours: str, theirs: str = "") -> None:
        """Let it accept a token, and answer with another."""
        pair = {"ours": ours, "theirs": theirs}
        self.session.post(f"{self.url}/test/tokens", json=pair, timeout=10).raise_for_status()

    def register(self, invitation: str) -> dict[str, Any]:
        """Do the handshake: one POST; the hub calls back and reads what py-ocpi offers."""
        self.token = invitation
        self.knows(TOKEN)
        answer = self.call("POST", "credentials", credentials(self.url))
        self.token = answer["data"]["token"]
        self.knows(TOKEN, self.token)
        return answer


def credentials(url: str) -> dict[str, Any]:
    named = {"country_code": OWN.country_code, "party_id": OWN.party_id}
    roles = [
        {"role": role, "business_details": {"name": "py-ocpi"}, **named} for role in ("CPO", "EMSP")
    ]
    return {"token": TOKEN, "url": f"{url}/ocpi/versions", "roles": roles}


@pytest.fixture(scope="module")
def foreign(hub: RunningHub) -> Iterator[Foreign]:
    """Have py-ocpi registered as a CPO and an eMSP of its own."""
    invited = hub.manage("add_party", OWN.country_code, OWN.party_id, "CPO,EMSP", "py-ocpi")
    with running(OWN.party_id) as (url, _):
        partner = Foreign(hub, url)
        partner.own("locations", objects.location(OWN, id="L7", city="Vienna"))
        partner.own("tariffs", objects.tariff(OWN, id="T7"))
        partner.register(invited["token"])
        yield partner


@pytest.fixture(scope="module")
def peer(hub: RunningHub) -> Iterator[Partner]:
    """Have one of ours beside it, in both roles."""
    invited = hub.manage("add_party", PEER.country_code, PEER.party_id, "CPO,EMSP", "Ours")
    with Partner(PEER, ["CPO", "EMSP"], "Ours").served() as partner:
        partner.register(f"{hub.url}/ocpi/versions", invited["token"])
        yield partner


@pytest.mark.ocpi("C-05", "V-04", "A-01", "T-23")
def test_the_handshake_with_both_its_sides(foreign: Foreign):
    answer = foreign.call("GET", "credentials")
    assert answer["data"]["token"] == foreign.token
    assert [role["role"] for role in answer["data"]["roles"]] == ["HUB"]


@pytest.mark.ocpi("C-13", "C-15")
def test_the_hub_registers_itself_with_another_of_its_kind(hub: RunningHub):
    """Its PUT of credentials has a fault of its own: what was before goes on."""
    with running("PYH") as (url, _):
        partner = Foreign(hub, url)
        partner.knows("invitation-to-the-hub")
        where = ["--url", f"{url}/ocpi/versions", "--token", "invitation-to-the-hub"]
        found = hub.manage("connect_party", "AT", "PYH", "CPO,EMSP", "Another", *where)
        assert (found["state"], found["version"]) == ("connected", "2.2.1")
        partner.token = partner.held("credentials")["hub"]["credentials"]["token"]
        assert partner.call("GET", "sender/locations")["status_code"] == 1000
        refused = hub.run("rotate_token", "AT-PYH")
        assert (refused.returncode, "500" in refused.stderr) == (1, True), refused.stderr
        assert partner.call("GET", "sender/locations")["status_code"] == 1000


@pytest.mark.ocpi("B-03", "T-07", "T-32")
def test_what_a_cpo_tells_reaches_it(foreign: Foreign, peer: Partner):
    foreign.call("PUT", "receiver/tokens/AT/PYO/CARD9", objects.token(OWN, uid="CARD9"))
    peer.publish_location(objects.location(PEER, id="SIM-L1"))
    peer.publish_tariff(objects.tariff(PEER, id="SIM-T1"))
    token = objects.cdr_token(OWN, uid="CARD9")
    peer.send_session(objects.session(PEER, OWN, id="SIM-S1", cdr_token=token))
    peer.send_cdr(objects.cdr(PEER, OWN, id="SIM-C1", session_id="SIM-S1", cdr_token=token))
    found = {
        module: until(lambda module=module, key=key: foreign.held(module).get(key))
        for module, key in {
            "locations": "sim-l1",
            "tariffs": "sim-t1",
            "sessions": "sim-s1",
            "cdrs": "sim-c1",
        }.items()
    }
    assert found["locations"]["city"] == "Amsterdam"
    assert found["tariffs"]["currency"] == "EUR"
    assert found["sessions"]["status"] == "ACTIVE"
    assert found["cdrs"]["total_cost"]["excl_vat"] == 10


@pytest.mark.ocpi("T-23", "T-25", "P-13")
def test_what_it_tells_as_an_emsp_reaches_the_cpo(foreign: Foreign, peer: Partner):
    """It writes ids in small letters, as py-ocpi does everywhere."""
    card = objects.token(OWN, uid="card1", country_code="at", party_id="pyo")
    answer = foreign.call("PUT", "receiver/tokens/at/pyo/card1", card)
    assert answer["status_code"] == 1000
    until(lambda: any(key.lower() == "card1" for key in peer.holds("tokens")))


@pytest.mark.ocpi("G-04", "G-10", "X-05")
def test_what_it_only_shows_in_its_lists_is_read(foreign: Foreign, peer: Partner):
    """Its dates have a space and an offset, its ids are in small letters, its Link is empty."""
    for module, key in {"locations": "L7", "tariffs": "T7"}.items():
        until(lambda module=module, key=key: key in peer.holds(module), 60)
    assert peer.holds("locations")["L7"]["city"] == "Vienna"


@pytest.mark.ocpi("P-01", "T-23")
def test_what_it_tells_as_a_cpo_reaches_the_emsp(foreign: Foreign, peer: Partner):
    card = objects.token(PEER, uid="SIM-CARD")
    peer.push_token(card)
    foreign.call("PUT", "receiver/locations/AT/PYO/L9", objects.location(OWN, id="L9"))
    foreign.call("PUT", "receiver/tariffs/AT/PYO/T9", objects.tariff(OWN, id="T9"))
    token = objects.cdr_token(PEER, uid="SIM-CARD")
    session = objects.session(OWN, PEER, id="S9", location_id="L9", cdr_token=token)
    foreign.call("PUT", "receiver/sessions/AT/PYO/S9", session)
    cdr = objects.cdr(OWN, PEER, id="C9", session_id="S9", cdr_token=token)
    foreign.call("POST", "receiver/cdrs", cdr)
    for module, key in {"locations": "L9", "tariffs": "T9", "sessions": "S9", "cdrs": "C9"}.items():
        until(lambda module=module, key=key: key in peer.holds(module))
    assert until(lambda: foreign.held("tokens").get("sim-card"))["issuer"] == card["issuer"]


@pytest.mark.ocpi("K-05", "K-06", "K-07")
def test_it_authorises_a_token(foreign: Foreign, peer: Partner):
    """It answers with its object in a list."""
    card = objects.token(OWN, uid="CARD2")
    foreign.own("tokens", card)
    foreign.call("PUT", "receiver/tokens/AT/PYO/CARD2", card)
    answer = peer.authorize("CARD2", to=OWN)
    assert (answer.http, answer.code) == (200, 1000), answer.message
    assert answer.data["allowed"] == "ALLOWED"
    assert answer.data["token"]["uid"].upper() == "CARD2"


@pytest.mark.ocpi("M-02", "M-03", "M-06")
def test_a_command_from_it_and_the_result_back(foreign: Foreign, peer: Partner):
    peer.publish_location(objects.location(PEER, id="SIM-L2"))
    body = {
        "response_url": f"{foreign.url}/ocpi/emsp/2.2.1/commands/42",
        "token": objects.token(OWN),
        "location_id": "SIM-L2",
        "evse_uid": "E1",
    }
    answer = foreign.call("POST", "receiver/commands/START_SESSION", body)
    assert answer["data"]["result"] == "ACCEPTED", answer
    assert until(lambda: foreign.held("commands").get("42"))["result"] == "ACCEPTED"


@pytest.mark.ocpi("M-02", "M-03", "M-05")
def test_a_command_to_it_and_the_result_back(foreign: Foreign, peer: Partner):
    """It answers with its object in a list, and calls back with its token and nothing else."""
    location = objects.location(OWN, id="L8")
    foreign.own("locations", location)
    foreign.call("PUT", "receiver/locations/AT/PYO/L8", location)
    body = {"token": objects.token(PEER), "location_id": "L8", "evse_uid": "E1"}
    answer = peer.command("START_SESSION", body, to=OWN)
    assert (answer.http, answer.code) == (200, 1000), answer.message
    assert answer.data["result"] == "ACCEPTED"
    assert foreign.held("commands")["START_SESSION"]["location_id"] == "l8"
    place = ("2.2.1", "sender", "commands", "START_SESSION")
    [result] = until(lambda: [item for item in peer.received if item.path == place])
    assert result.body["result"] == "ACCEPTED"
    assert result.headers["OCPI-from-party-id"] == OWN.party_id
