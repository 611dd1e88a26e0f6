"""Partners that hang, with real web processes: they cost their callers time and nobody else."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from hub.ocpi import client
from hub.ocpi.messages import Address
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from parties.forwarding import EACH
from tests import objects
from tests.running import RunningHub

pytestmark = [pytest.mark.network, pytest.mark.timeout(120)]
WEB_PROCESSES = 2


@pytest.fixture
def join(hub: RunningHub) -> Iterator[Callable[[str, str], Partner]]:
    """Return how to have a partner that is served and registered with the running hub."""
    with ExitStack() as stack:

        def joined(code: str, role: str) -> Partner:
            country_code, party_id = code.split("*")
            invitation = hub.manage("add_party", country_code, party_id, role, f"Party {code}")
            address = Address(country_code, party_id)
            partner = stack.enter_context(Partner(address, [role], f"Party {code}").served())
            partner.register(f"{hub.url}/ocpi/versions", invitation["token"])
            if role == "CPO":
                partner.publish_location(objects.location(address))
            return partner

        yield joined


def start(emsp: Partner, cpo: Partner) -> tuple[int | None, float]:
    """Give a command; return the OCPI status of the answer, and how long it took."""
    began = time.monotonic()
    body = {"token": objects.token(emsp.address), "location_id": "L1", "evse_uid": "E1"}
    answer: client.Answer = emsp.command("START_SESSION", body, to=cpo.address)
    return answer.code, time.monotonic() - began


@pytest.mark.ocpi("X-06", "X-07", "R-06", "M-08")
def test_a_hanging_cpo_delays_nobody_but_those_who_call_it(
    hub: RunningHub, join: Callable[[str, str], Partner]
) -> None:
    emsp, hanging, quick = join("DE*WAI", "EMSP"), join("NL*HAN", "CPO"), join("NL*QUI", "CPO")
    hanging.misbehave(Fault.HANG, module="commands")
    with ThreadPoolExecutor(40) as pool:
        stuck = [pool.submit(start, emsp, hanging) for _ in range(40)]
        time.sleep(2)
        others = [start(emsp, quick) for _ in range(5)]
        began = time.monotonic()
        assert emsp.request("GET", f"{hub.url}/ocpi/versions").code == 1000
        assert time.monotonic() - began < 5
        answers = [future.result() for future in stuck]
    assert [code for code, _ in others] == [1000] * 5
    assert max(seconds for _, seconds in others) < 5
    codes = Counter(code for code, _ in answers)
    assert set(codes) == {4002, 4003}
    assert codes[4002] <= EACH * WEB_PROCESSES
    assert all(9 < seconds < 12 for code, seconds in answers if code == 4002)
    assert all(seconds < 5 for code, seconds in answers if code == 4003)
    hanging.misbehave(Fault.OK)
    assert start(emsp, hanging)[0] == 1000
