"""No token and nothing of a driver gets into a log of the running product, whatever is sent."""

from collections.abc import Iterator

import pytest
import requests

from hub.ocpi import json
from hub.ocpi.messages import Address
from tests import objects, raw
from tests.running import RunningHub
from tests.test_story import trading

pytestmark = pytest.mark.network
UID, CONTRACT, VISUAL, SECRET = "CANARYUID7", "DE8CANARYC7", "CANARY-VISUAL-7", "canary-token-7"
OURS = Address("DE", "CAN")


@pytest.fixture(scope="module")
def emsp(hub: RunningHub) -> str:
    return raw.registered(hub, "DE", "CAN", "EMSP")


@pytest.fixture(scope="module")
def cpo(hub: RunningHub) -> str:
    return raw.registered(hub, "NL", "CNY", "CPO")


@pytest.fixture
def receiver(hub: RunningHub) -> Iterator[object]:
    """Have a CPO that is told of tokens, by its server."""
    with trading(hub, "NL*CAN", "CPO", "Canary Charging") as partner:
        yield partner


def card() -> dict[str, object]:
    return objects.token(OURS, uid=UID, contract_id=CONTRACT, visual_number=VISUAL)


def everything(hub: RunningHub, emsp: str, cpo: str) -> Iterator[requests.Response]:
    """Send a driver's data in every kind of request, good and bad."""
    base, owner = f"{hub.url}/ocpi/2.2.1", f"receiver/tokens/DE/CAN/{UID}"

    def call(method: str, path: str, body: object = None, token: str = emsp) -> requests.Response:
        content = body if isinstance(body, bytes | None) else json.dumps(body)
        headers = {"Authorization": token, "Content-Type": "application/json"}
        url = f"{base}/{path}"
        return requests.request(method, url, data=content, headers=headers, timeout=30)

    yield call("PUT", owner, card())
    yield call("PUT", f"{owner}?type=RFID&who={CONTRACT}", card() | {"valid": "perhaps"})
    yield call("PUT", owner, b'{"uid": "' + UID.encode())
    yield call("PUT", owner, card() | {"uid": f"{UID}\r\nforged"})
    yield call("PATCH", owner, {"visual_number": VISUAL})
    yield call("GET", owner)
    yield call("DELETE", owner)
    yield call("GET", f"{owner}-unknown")
    yield call("GET", f"receiver/tokens/DE/CAN/{UID}/%00")
    yield call("PUT", f"receiver/tokens/FR/XXX/{UID}", card())
    yield call("GET", owner, token=f"Token {SECRET}")
    yield call("GET", owner, token=f"Basic {SECRET}")
    for body in (
        objects.cdr(Address("NL", "CNY"), OURS),
        objects.session(Address("NL", "CNY"), OURS),
    ):
        token = body["cdr_token"] | {"uid": UID, "contract_id": CONTRACT}
        path = (
            "cdrs" if "charging_periods" in body and "total_cost" in body else "sessions/NL/CNY/S1"
        )
        method = "POST" if path == "cdrs" else "PUT"
        yield call(method, f"receiver/{path}", body | {"cdr_token": token}, cpo)
        yield call(method, f"receiver/{path}", {"cdr_token": token}, cpo)
    start = {"response_url": f"http://127.0.0.1:1/{SECRET}", "token": card(), "location_id": "L1"}
    yield call("POST", "receiver/commands/START_SESSION", start)
    yield call("POST", f"receiver/tokens/DE/CAN/{UID}/authorize", {"location_id": "L1"}, cpo)
    yield call("POST", f"callback/{SECRET}", {"result": "ACCEPTED", "message": UID}, cpo)


def test_nothing_of_a_driver_and_no_token_is_in_a_log(
    hub: RunningHub, emsp: str, cpo: str, receiver: object
) -> None:
    answers = list(everything(hub, emsp, cpo))
    assert {answer.status_code // 100 for answer in answers} == {2, 4}
    unread = raw.head(hub.url, "PUT", f"/ocpi/2.2.1/receiver/tokens/DE/CAN/{UID}", "X-A: \xe9")
    assert raw.say(hub.url, unread).status == 400
    logs = {path: path.read_text(errors="replace") for path in hub.data_dir.glob("logs/*")}
    assert "routed" in logs[hub.data_dir / "logs" / "web.log"]  # it is these that are written to
    secrets = [UID, CONTRACT, VISUAL, SECRET, emsp.split()[1], cpo.split()[1]]
    for path, text in logs.items():
        assert [secret for secret in secrets if secret in text] == [], path
