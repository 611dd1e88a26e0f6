"""Partners that misbehave, with real web processes: a caller has its answer in time, and once."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from hub import egress
from hub.ocpi import client
from hub.ocpi.messages import Address
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from parties.forwarding import lanes
from tests import objects
from tests.running import RunningHub

pytestmark = pytest.mark.network
WEB_PROCESSES = 2
CONTRACT = 11.0  # seconds: 10 and what a loaded machine adds


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def emsp(join: Callable[[str, str], Partner]) -> Partner:
    return join("DE*WAI", "EMSP")


@pytest.fixture(scope="module")
def cpo(join: Callable[[str, str], Partner]) -> Partner:
    return join("NL*BAD", "CPO")


def start(emsp: Partner, cpo: Partner) -> tuple[int | None, float]:
    """Give a command; return the OCPI status of the answer, and how long it took."""
    began = time.monotonic()
    answer = command(emsp, cpo)
    return answer.code, time.monotonic() - began


def command(emsp: Partner, cpo: Partner) -> client.Answer:
    body = {"token": objects.token(emsp.address), "location_id": "L1", "evse_uid": "E1"}
    return emsp.command("START_SESSION", body, to=cpo.address)


def heard(partner: Partner) -> int:
    """Return how many commands or results have reached a partner."""
    return sum(item.module == "commands" for item in partner.received)


@pytest.mark.ocpi("M-08", "M-09", "T-19", "R-06", "X-06")
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.HANG, 4002),
        (Fault.DRIP, 4002),
        (Fault.DRIP_HEAD, 4002),
        (Fault.REDIRECT, 4000),
        (Fault.GARBAGE, 4000),
        (Fault.ERROR500, 4000),
        (Fault.NOISE, 4003),
        (Fault.HUGE, 4003),
        (Fault.CLOSE, 4003),
    ],
)
def test_a_caller_has_its_answer_in_time_whatever_the_cpo_does(
    emsp: Partner, cpo: Partner, fault: Fault, code: int
) -> None:
    cpo.misbehave(fault, module="commands")
    before, began = heard(cpo), time.monotonic()
    answer = command(emsp, cpo)
    seconds = time.monotonic() - began
    assert (answer.http, answer.code) == (200, code)
    assert answer.data == {"result": "REJECTED", "timeout": 0}
    assert seconds < CONTRACT
    assert heard(cpo) == before + 1


@pytest.mark.ocpi("M-05", "T-19")
def test_who_calls_back_is_answered_whatever_the_emsp_does(emsp: Partner, cpo: Partner) -> None:
    cpo.misbehave(Fault.OK)
    emsp.misbehave(Fault.HANG, module="commands", times=1)
    before = heard(emsp)
    assert command(emsp, cpo).data["result"] == "ACCEPTED"
    assert emsp.inbox.wait_for(lambda: heard(emsp) == before + 2, 60)
    assert emsp.inbox.all("results")["START_SESSION"]["result"] != "TIMEOUT"


@pytest.mark.ocpi("X-06", "X-07", "R-06", "M-08")
def test_a_hanging_cpo_delays_nobody_but_those_who_call_it(
    hub: RunningHub, emsp: Partner, join: Callable[[str, str], Partner]
) -> None:
    other, hanging, quick = join("DE*OTH", "EMSP"), join("NL*HAN", "CPO"), join("NL*QUI", "CPO")
    hanging.misbehave(Fault.HANG, module="commands")
    with ThreadPoolExecutor(40) as pool:
        stuck = [pool.submit(start, emsp, hanging) for _ in range(40)]
        time.sleep(2)
        others = [start(other, quick) for _ in range(5)]
        began = time.monotonic()
        assert emsp.request("GET", f"{hub.url}/ocpi/versions").code == 1000
        assert time.monotonic() - began < 5
        answers = [future.result() for future in stuck]
    assert [code for code, _ in others] == [1000] * 5
    assert max(seconds for _, seconds in others) < 5
    codes = Counter(code for code, _ in answers)
    assert set(codes) == {4002, 4003}
    assert codes[4002] <= lanes.share * WEB_PROCESSES
    waited = sorted(seconds for code, seconds in answers if code == 4002)
    assert 9 < waited[0] < waited[-1] < CONTRACT
    assert max(seconds for code, seconds in answers if code == 4003) < 5
    hanging.misbehave(Fault.OK)
    assert start(emsp, hanging)[0] == 1000


@pytest.mark.ocpi("M-16", "M-08")
def test_a_web_server_that_is_killed_in_the_middle_leaves_no_command_open(
    hub: RunningHub, emsp: Partner, cpo: Partner
) -> None:
    cpo.misbehave(Fault.HANG, module="commands", times=1)
    before = heard(cpo)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(command, emsp, cpo)
        assert cpo.inbox.wait_for(lambda: heard(cpo) == before + 1, 10)
        hub.kill("web")
        with pytest.raises(egress.EgressFailedError):
            asked.result()

    def is_told() -> bool:
        return bool(emsp.inbox.all("results").get("START_SESSION", {}).get("result") == "TIMEOUT")

    assert emsp.inbox.wait_for(is_told, 60)
    assert heard(cpo) == before + 1
    assert command(emsp, cpo).data["result"] == "ACCEPTED"
