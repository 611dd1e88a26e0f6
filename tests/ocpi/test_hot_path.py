"""The status of an EVSE, from the CPO through the whole hub to the eMSP."""

from collections.abc import Iterator

import pytest

from hub.ocpi.messages import Address
from hub.sandbox.partner import Partner
from tests import objects
from tests.pushing import Pushing
from tests.running import RunningHub

pytestmark = pytest.mark.network
CPO, EMSP = Address("NL", "HOT"), Address("DE", "HOT")
EVSES = 60


def joined(hub: RunningHub, address: Address, role: str) -> Iterator[Partner]:
    named = (address.country_code, address.party_id)
    invited = hub.manage("add_party", *named, role, f"Hot {address}")
    with Partner(address, [role], f"Hot {address}").served() as partner:
        partner.register(f"{hub.url}/ocpi/versions", invited["token"])
        yield partner


@pytest.fixture(scope="module")
def cpo(hub: RunningHub) -> Iterator[Partner]:
    yield from joined(hub, CPO, "CPO")


@pytest.fixture(scope="module")
def emsp(hub: RunningHub) -> Iterator[Partner]:
    yield from joined(hub, EMSP, "EMSP")


@pytest.mark.ocpi("L-14", "B-07")
def test_a_status_reaches_the_emsp_as_it_was_told(cpo: Partner, emsp: Partner) -> None:
    evses = [objects.evse(uid=f"E{number}") for number in range(EVSES)]
    own = Pushing(cpo, "locations")
    assert own.put("HOT", body=objects.location(CPO, id="HOT", evses=evses)).code == 1000
    assert emsp.inbox.wait_for(lambda: "HOT" in emsp.holds("locations"), 30)
    for number in range(15):
        tell(own, emsp, number)
    changes = {item.method for item in emsp.received if item.path[-3:-1] == ("HOT", "HOT")}
    assert changes == {"PATCH"}


def tell(own: Pushing, emsp: Partner, number: int) -> None:
    """Send a status and wait for its arrival."""
    body = {"status": "CHARGING", "last_updated": f"2026-11-10T11:00:{number:02}Z"}
    assert own.patch("HOT", f"E{number}", body=body).code == 1000

    def there() -> bool:
        evse = emsp.holds("locations")["HOT"]["evses"][number]
        return bool(evse["status"] == "CHARGING")

    assert emsp.inbox.wait_for(there, 30)
