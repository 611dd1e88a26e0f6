"""The life of a connection between processes: the whole hub, and partners over HTTP."""

import threading
import time
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from hub.ocpi import client
from hub.ocpi.messages import Address
from hub.sandbox.inbox import Received
from hub.sandbox.member import HandshakeError
from hub.sandbox.partner import Partner
from parties.handshake import SEATS
from tests.running import RunningHub

pytestmark = pytest.mark.network


def versions(hub: RunningHub) -> str:
    return f"{hub.url}/ocpi/versions"


def invited(hub: RunningHub, party_id: str) -> str:
    return str(hub.manage("add_party", "BE", party_id, "CPO", f"Party {party_id}")["token"])


def works(partner: Partner) -> bool:
    """Tell whether the hub takes the partner's token."""
    answer = partner.request("GET", partner.hub_endpoints["tokens SENDER"])
    assert answer.http in {200, 401}
    return answer.succeeded


def partner_of(party_id: str) -> Partner:
    return Partner(Address("BE", party_id), ["CPO"], f"Party {party_id}")


@pytest.mark.ocpi("C-05", "C-07", "C-08", "C-09", "C-16", "A-11", "X-07")
def test_a_partner_joins_renews_is_renewed_leaves_and_comes_back(hub: RunningHub) -> None:
    with partner_of("ONE").served() as partner:
        partner.register(versions(hub), invited(hub, "ONE"))
        assert works(partner)
        tokens = {partner.hub_token}
        partner.renew()
        assert works(partner)
        tokens.add(partner.hub_token)
        assert hub.manage("rotate_token", "BE-ONE")["remark"] == ""
        assert works(partner)
        tokens.add(partner.hub_token)
        assert len(tokens) == 3
        endpoints, token = partner.hub_endpoints, partner.hub_token
        partner.leave()
        partner.hub_endpoints, partner.hub_token = endpoints, token
        assert not works(partner)
        partner.hub_token = ""
        partner.register(versions(hub), hub.manage("reinvite", "BE-ONE")["token"])
        assert works(partner)


@pytest.mark.ocpi("C-13", "C-08", "X-07")
def test_the_hub_registers_with_a_partner_and_suspends_it(hub: RunningHub) -> None:
    with partner_of("TWO").served() as partner:
        who = ("connect_party", "BE", "TWO", "CPO", "Party TWO")
        shown = hub.manage(*who, "--url", partner.versions_url, "--token", partner.token)
        assert shown["state"] == "connected"
        assert works(partner)
        again = hub.run(*who, "--url", partner.versions_url, "--token", partner.token)
        assert again.returncode == 1
        assert "already" in again.stderr
        assert "told: HTTP 200" in hub.manage("suspend", "BE-TWO")["outcome"]
        assert not partner.registered


@pytest.mark.ocpi("X-07", "C-22")
def test_partners_that_call_back_into_the_hub_meanwhile_are_answered(hub: RunningHub) -> None:
    """Each asks for the hub's versions before it answers; more of them than there are seats."""
    with ExitStack() as stack:
        partners = [Curious(Address("BE", f"X0{number}"), hub) for number in range(2 * SEATS)]
        for partner in partners:
            stack.enter_context(partner.served())
        threads = [threading.Thread(target=partner.insist) for partner in partners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
    assert all(partner.registered for partner in partners)
    assert all(partner.asked == {200} for partner in partners)


class Curious(Partner):
    """Looks at the hub while the hub looks at it."""

    def __init__(self, address: Address, hub: RunningHub) -> None:
        super().__init__(address, ["CPO"], "Curious")
        self.look_at, self.asked = versions(hub), set[int]()
        self.invitation = invited(hub, address.party_id)

    def _handle(self, received: Received) -> tuple[int, Any, dict[str, str]]:
        peer = client.Peer(self.invitation, client.BASE64, None)
        self.asked.add(client.send("GET", self.look_at, peer=peer, seconds=5).http)
        return super()._handle(received)

    def insist(self) -> None:
        """Register, again and again while the hub has no seat free."""
        deadline = time.monotonic() + 60
        while not self.registered and time.monotonic() < deadline:
            with suppress(HandshakeError):
                self.register(self.look_at, self.invitation)
            time.sleep(0.1)
