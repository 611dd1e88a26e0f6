"""Commands: from an eMSP through the hub to the CPO that can carry them out, and results back."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from hub.ocpi import client
from hub.ocpi.messages import Route
from hub.sandbox.partner import Partner
from parties.models import Errand
from tests import objects
from tests.partners import member

pytestmark = pytest.mark.django_db
REJECTED = {"result": "REJECTED", "timeout": 0}


@pytest.fixture
def cpo(cpo: Partner) -> Partner:
    """Have a charger that the hub knows."""
    cpo.publish_location(objects.location(cpo.address))
    return cpo


@pytest.fixture
def second() -> Any:
    """Run the same charger under the same ids."""
    with member("NL*TWO", ["CPO"], "Second Charging") as partner:
        partner.publish_location(objects.location(partner.address))
        yield partner


def start(emsp: Partner, **members: Any) -> client.Answer:
    body = {"token": objects.token(emsp.address), "location_id": "L1", "evse_uid": "E1"}
    to = members.pop("to", None)
    return emsp.command("START_SESSION", {**body, **members}, to=to)


def heard(partner: Partner, module: str = "commands") -> list[Any]:
    """Return the requests of a module that reached a partner, but not the results."""
    return [item for item in partner.received if item.module == module]


def results(partner: Partner) -> dict[str, Any]:
    return partner.inbox.all("results")


@pytest.mark.ocpi("M-01", "M-02", "M-03", "M-05", "R-03", "R-11", "O-02", "O-03", "T-21")
def test_a_session_is_started_and_stopped_and_both_results_come_back(
    cpo: Partner, emsp: Partner
) -> None:
    answer = start(emsp)
    assert (answer.http, answer.code) == (200, 1000)
    assert answer.data == {"result": "ACCEPTED", "timeout": 30}
    assert answer.headers["X-Hub-Decision"] == "open: FR*CPO by location_id and evse_uid"
    assert Route.from_headers(answer.headers) == Route(to=emsp.address, sender=cpo.address)
    [request] = heard(cpo)
    assert request.path == ("2.2.1", "receiver", "commands", "START_SESSION")
    assert Route.from_headers(request.headers) == Route(to=cpo.address, sender=emsp.address)
    assert request.headers["X-Correlation-ID"] == answer.headers["X-Correlation-ID"]
    assert request.headers["X-Request-ID"] != answer.headers["X-Request-ID"]
    callback = request.body["response_url"]
    assert callback.startswith(f"{settings.HUB_BASE_URL}/ocpi/callback/")
    assert len(callback) <= 255
    [told] = cpo.later.work()
    assert (told.http, told.code) == (200, 1000)
    assert Route.from_headers(told.headers) == Route(to=cpo.address, sender=emsp.address)
    assert results(emsp) == {"START_SESSION": {"result": "ACCEPTED"}}
    result = heard(emsp)[-1]
    assert Route.from_headers(result.headers) == Route(to=emsp.address, sender=cpo.address)
    assert result.headers["X-Correlation-ID"] == answer.headers["X-Correlation-ID"]
    [session] = emsp.fetch("sessions")
    assert (session["status"], session["auth_method"]) == ("ACTIVE", "COMMAND")
    stopped = emsp.command("STOP_SESSION", {"session_id": session["id"]})
    assert stopped.data["result"] == "ACCEPTED"
    cpo.later.work()
    assert results(emsp)["STOP_SESSION"] == {"result": "ACCEPTED"}
    assert emsp.fetch("sessions")[0]["status"] == "COMPLETED"
    states = set(Errand.objects.values_list("state", flat=True))
    assert states == {Errand.State.DONE}
