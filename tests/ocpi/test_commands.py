"""Commands: from an eMSP through the hub to the CPO that can carry them out, and results back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from cdrs.commands import CommandReceiver
from hub.ocpi import client, json
from hub.ocpi.messages import Address, Ids, Route
from hub.ocpi.versions import RECEIVER
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from parties import forwarding, relay
from parties.forwarding import Relayed
from parties.models import Errand, Platform
from tests import objects
from tests.commanding import FAILED, callback_of, copied, heard, post, results, start, starting
from tests.partners import InProcess, member
from tests.racing import at_once
from tests.speaking import Speaker, joined

pytestmark = pytest.mark.django_db
REJECTED = {"result": "REJECTED", "timeout": 0}


@pytest.fixture
def cpo(cpo: Partner) -> Partner:
    """Have a charger that the hub knows."""
    cpo.publish_location(objects.location(cpo.address))
    return cpo


@pytest.fixture
def second(db: None) -> Iterator[Partner]:
    """Run the same charger under the same id."""
    with member("NL*TWO", ["CPO"], "Second Charging") as partner:
        evses = [objects.evse(), objects.evse(uid="E2")]
        partner.publish_location(objects.location(partner.address, evses=evses))
        yield partner


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a CPO no longer than a second."""
    monkeypatch.setattr(CommandReceiver, "seconds", 1.0)


@pytest.mark.ocpi("M-01", "M-02", "M-03", "M-05", "R-03", "R-11", "O-02", "O-03", "T-21")
def test_a_session_is_started_and_stopped_and_both_results_come_back(
    cpo: Partner, emsp: Partner, bring: Callable[[], int]
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
    assert told.headers["X-Hub-Decision"] == "direct: DE*MSP by response_url"
    assert bring() == 1
    assert results(emsp) == {"START_SESSION": {"result": "ACCEPTED"}}
    result = heard(emsp)[-1]
    assert Route.from_headers(result.headers) == Route(to=emsp.address, sender=cpo.address)
    assert result.headers["X-Correlation-ID"] == answer.headers["X-Correlation-ID"]
    [session] = emsp.fetch("sessions")
    assert (session["status"], session["auth_method"]) == ("ACTIVE", "COMMAND")
    stopped = emsp.command("STOP_SESSION", {"session_id": session["id"]})
    assert stopped.data["result"] == "ACCEPTED"
    assert stopped.headers["X-Hub-Decision"] == "open: FR*CPO by session_id"
    cpo.later.work()
    bring()
    assert results(emsp)["STOP_SESSION"] == {"result": "ACCEPTED"}
    assert emsp.fetch("sessions")[0]["status"] == "COMPLETED"
    assert set(Errand.objects.values_list("state", flat=True)) == {Errand.State.DONE}
    assert not Errand.objects.filter(delivered_at=None).exists()


@pytest.mark.ocpi("M-01", "M-12", "O-03")
def test_a_reservation_is_made_and_cancelled_at_the_cpo_that_holds_it(
    cpo: Partner, second: Partner, emsp: Partner, stranger: Partner, bring: Callable[[], int]
) -> None:
    made = emsp.command("RESERVE_NOW", reserving(emsp), to=second.address)
    assert made.data["result"] == "ACCEPTED"
    second.later.work()
    bring()
    assert results(emsp)["RESERVE_NOW"] == {"result": "ACCEPTED"}
    cancelled = emsp.command("CANCEL_RESERVATION", {"reservation_id": "r1"})
    assert cancelled.headers["X-Hub-Decision"] == "open: NL*TWO by reservation_id"
    other = stranger.command("CANCEL_RESERVATION", {"reservation_id": "R1"})
    assert (other.http, other.code, other.data) == (200, 4001, REJECTED)
    emsp.command("RESERVE_NOW", reserving(emsp), to=cpo.address)
    unclear = emsp.command("CANCEL_RESERVATION", {"reservation_id": "R1"})
    assert (unclear.http, unclear.code, unclear.data) == (200, 2002, REJECTED)
    assert "OCPI-to" in unclear.message
    assert [item.path[-1] for item in heard(cpo)] == ["RESERVE_NOW"]


@pytest.mark.ocpi("M-12")
def test_nobody_cancels_anothers_reservation_by_naming_the_cpo(
    cpo: Partner, emsp: Partner, stranger: Partner
) -> None:
    emsp.command("RESERVE_NOW", reserving(emsp), to=cpo.address)
    stolen = stranger.command("CANCEL_RESERVATION", {"reservation_id": "r1"}, to=cpo.address)
    assert (stolen.http, stolen.code, stolen.data) == (200, 4001, REJECTED)
    assert [item.path[-1] for item in heard(cpo)] == ["RESERVE_NOW"]
    unknown = stranger.command("CANCEL_RESERVATION", {"reservation_id": "R2"}, to=cpo.address)
    assert unknown.code == 1000


def reserving(emsp: Partner, **members: Any) -> dict[str, Any]:
    expiry = {"expiry_date": "2099-01-01T00:00:00Z"}
    return starting(emsp, reservation_id="R1", **expiry, **members)


@pytest.mark.ocpi("M-01")
def test_a_connector_is_unlocked(cpo: Partner, emsp: Partner) -> None:
    body = {"location_id": "l1", "evse_uid": "E1", "connector_id": "1"}
    assert emsp.command("UNLOCK_CONNECTOR", body).headers["X-Hub-Decision"].startswith("open: FR")
    assert heard(cpo)[0].body["location_id"] == "l1"


@pytest.mark.ocpi("M-01", "M-14", "V-05", "V-06")
def test_there_are_five_commands_and_one_method(cpo: Partner, emsp: Partner) -> None:
    assert emsp.command("START", {}).http == 404
    assert emsp.call("GET", "commands", RECEIVER, "START_SESSION").http == 405
    assert emsp.hub_endpoints["commands SENDER"] != emsp.hub_endpoints["commands RECEIVER"]
    refused = cpo.command("START_SESSION", starting(emsp))
    assert (refused.http, refused.code) == (403, 2000)
    missing = emsp.command("START_SESSION", {"location_id": "L1", "evse_uid": 7})
    assert (missing.http, missing.code) == (200, 2001)
    assert {item["path"] for item in missing.data} == {"$", "$.evse_uid"}


@pytest.mark.ocpi("R-03", "R-07", "R-12", "O-01")
@pytest.mark.parametrize(
    ("to", "decision"),
    [
        (Address("FR", "CPO"), "direct: FR*CPO"),
        (Address("DE", "MSP"), "open: FR*CPO by location_id and evse_uid"),
        (Address("XX", "OCN"), "open: FR*CPO by location_id and evse_uid"),
    ],
)
def test_whom_a_command_names_is_who_gets_it(
    cpo: Partner, emsp: Partner, to: Address, decision: str
) -> None:
    answer = start(emsp, to=to)
    assert answer.headers["X-Hub-Decision"] == decision
    answered_by = cpo.address if decision.startswith("direct") else Address("XX", "OCN")
    assert Route.from_headers(answer.headers) == Route(to=emsp.address, sender=answered_by)
    assert Route.from_headers(heard(cpo)[0].headers) == Route(to=cpo.address, sender=emsp.address)


@pytest.mark.ocpi("R-09", "R-10", "R-14", "T-31", "M-09")
def test_what_goes_on_is_what_came_but_for_the_url_of_the_result(
    cpo: Partner, emsp: Partner
) -> None:
    token = objects.token(emsp.address, x_limit=Decimal("0.10"), issuer="Müller")
    body = starting(emsp, token=token, x_extra={"deep": [1, None]}, connector_id=None)
    answer = emsp.command("START_SESSION", body)
    [request] = heard(cpo)
    sent = {"response_url": request.body["response_url"], **body}
    assert request.content == json.dumps(sent)
    shown = {name for name in request.headers if name not in {"Host", "User-Agent", "Accept"}}
    assert shown == {
        *("Accept-Encoding", "Authorization", "Connection", "Content-Length", "Content-Type"),
        *("X-Request-ID", "X-Correlation-ID", "OCPI-to-country-code", "OCPI-to-party-id"),
        *("OCPI-from-country-code", "OCPI-from-party-id"),
    }
    assert emsp.hub_token not in request.headers["Authorization"]
    assert answer.data["timeout"] == 30


@pytest.mark.ocpi("O-04", "O-06", "M-07")
def test_an_id_that_leads_to_nobody_or_to_two_is_not_guessed_at(
    cpo: Partner, second: Partner, emsp: Partner
) -> None:
    unclear = start(emsp)
    assert (unclear.http, unclear.code, unclear.data) == (200, 2002, REJECTED)
    assert unclear.headers["X-Hub-Decision"] == "refused: several receivers"
    assert start(emsp, evse_uid="e2").headers["X-Hub-Decision"].startswith("open: NL*TWO")
    assert start(emsp, to=cpo.address).data["result"] == "ACCEPTED"
    unknown = start(emsp, location_id="L9")
    assert (unknown.http, unknown.code, unknown.data) == (200, 2003, REJECTED)
    nobody = start(emsp, to=Address("NL", "NIX"))
    assert (nobody.http, nobody.code, nobody.data) == (200, 4001, REJECTED)
    assert len(heard(cpo)) == 1


@pytest.mark.ocpi("M-07", "M-13")
def test_only_the_owner_of_the_token_stops_a_session(
    cpo: Partner, emsp: Partner, stranger: Partner
) -> None:
    unknown = emsp.command("STOP_SESSION", {"session_id": "S1"})
    assert (unknown.code, unknown.data) == (1000, {"result": "UNKNOWN_SESSION", "timeout": 0})
    cpo.send_session(objects.session(cpo.address, emsp.address))
    for to in (None, cpo.address):
        answer = stranger.command("STOP_SESSION", {"session_id": "s1"}, to=to)
        assert (answer.code, answer.data) == (1000, {"result": "UNKNOWN_SESSION", "timeout": 0})
    assert heard(cpo) == []
    assert emsp.command("STOP_SESSION", {"session_id": "S1"}).code == 1000
    assert emsp.command("STOP_SESSION", {"session_id": "S1"}, to=cpo.address).code == 1000
    assert len(heard(cpo)) == 2


@pytest.mark.ocpi("M-10")
def test_a_command_is_given_with_a_token_of_ones_own(cpo: Partner, emsp: Partner) -> None:
    foreign = start(emsp, token=objects.token(Address("SE", "STR")))
    assert (foreign.http, foreign.code, foreign.data) == (200, 2001, REJECTED)
    assert heard(cpo) == []
    unheard_of = objects.token(emsp.address, uid="NEVER-TOLD")
    assert start(emsp, token=unheard_of).data["result"] == "ACCEPTED"
    cpo.later.work()
    assert emsp.fetch("sessions")[0]["cdr_token"]["uid"] == "NEVER-TOLD"
    assert cpo.call("GET", "tokens", "SENDER").data == []


@pytest.mark.ocpi("M-11")
def test_a_connector_is_named_where_it_must_be_and_with_its_evse(
    cpo: Partner, emsp: Partner
) -> None:
    needed = objects.evse(capabilities=["START_SESSION_CONNECTOR_REQUIRED"])
    cpo.publish_location(objects.location(cpo.address, evses=[needed]))
    for to in (None, cpo.address):
        assert start(emsp, to=to).code == 2001
    assert start(emsp, evse_uid=None, connector_id="1").code == 2001
    assert heard(cpo) == []
    assert start(emsp, connector_id="1").code == 1000


# When the CPO does not answer, or not well


@pytest.mark.ocpi("M-08", "T-18", "T-19", "R-06", "X-06")
@pytest.mark.parametrize(
    ("fault", "code", "state"),
    [
        (Fault.HANG, 4002, Errand.State.TIMEOUT),
        (Fault.DRIP, 4002, Errand.State.TIMEOUT),
        (Fault.CLOSE, 4003, Errand.State.TIMEOUT),
        (Fault.UNAUTHORIZED, 4003, Errand.State.TIMEOUT),
        (Fault.ERROR500, 4000, Errand.State.TIMEOUT),
        (Fault.GARBAGE, 4000, Errand.State.TIMEOUT),
        (Fault.DRIP_HEAD, 4002, Errand.State.TIMEOUT),
        (Fault.NOISE, 4003, Errand.State.TIMEOUT),
        (Fault.HUGE, 4003, Errand.State.TIMEOUT),
        (Fault.REDIRECT, 4000, Errand.State.TIMEOUT),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_whatever_the_cpo_does_the_emsp_gets_an_answer_that_it_can_read(
    cpo: Partner, emsp: Partner, bring: Callable[[], int], fault: Fault, code: int, state: str
) -> None:
    cpo.misbehave(fault, module="commands")
    answer = start(emsp)
    assert (answer.http, answer.code, answer.data) == (200, code, REJECTED)
    assert Route.from_headers(answer.headers) == Route(to=emsp.address, sender=cpo.address)
    assert Errand.objects.get().state == state
    # Who refuses the token has not read the command: it is shown once more, in the other form.
    assert len(heard(cpo)) == (2 if fault is Fault.UNAUTHORIZED else 1)
    late = post(callback_of(cpo), {"result": "ACCEPTED"})
    assert (late.http, late.code) == (200, 1000)
    bring()
    assert results(emsp) == {"START_SESSION": {"result": "ACCEPTED"}}


@pytest.mark.ocpi("T-18")
def test_what_the_cpo_refuses_is_refused_in_its_own_words(cpo: Partner, emsp: Partner) -> None:
    cpo.misbehave(Fault.REFUSE, module="commands")
    answer = start(emsp)
    assert (answer.http, answer.code) == (200, 2001)
    assert answer.message == "we do not like this object"
    assert Errand.objects.get().state == Errand.State.REFUSED
    assert post(callback_of(cpo), {"result": "ACCEPTED"}).http == 404


@pytest.mark.ocpi("M-08", "R-06", "R-08")
def test_who_cannot_be_called_is_not_called(cpo: Partner, emsp: Partner) -> None:
    [platform] = Platform.objects.filter(roles__party__country_code="FR")
    platform.endpoints.filter(module="commands").delete()
    answer = start(emsp)
    assert (answer.http, answer.code, answer.data) == (200, 4000, REJECTED)
    assert "commands as RECEIVER" in answer.message
    platform.move_to(Platform.State.OFFLINE)
    answer = start(emsp)
    assert (answer.http, answer.code, answer.data) == (200, 4003, REJECTED)
    assert not Errand.objects.exists()


@pytest.mark.ocpi("M-06")
@pytest.mark.parametrize(
    ("data", "code", "shown"),
    [
        ([{"result": "REJECTED", "timeout": 0}], 1000, {"result": "REJECTED", "timeout": 0}),
        (
            {"result": "REJECTED", "timeout": 5, "message": {"language": "en", "text": "no"}},
            1000,
            {"result": "REJECTED", "timeout": 5, "message": [{"language": "en", "text": "no"}]},
        ),
        (None, 4000, REJECTED),
        ("ACCEPTED", 4000, REJECTED),
    ],
)
def test_an_answer_is_made_readable(
    cpo: Partner, emsp: Partner, monkeypatch: pytest.MonkeyPatch, data: Any, code: int, shown: Any
) -> None:
    monkeypatch.setattr(cpo, "act", lambda *args: data)
    answer = start(emsp)
    assert (answer.http, answer.code, answer.data) == (200, code, shown)


def platforms(number: int) -> list[Platform]:
    return [Platform(pk=pk, name=f"Platform {pk}") for pk in range(1, number + 1)]


def taken(
    stack: ExitStack, lanes: forwarding.Lanes, caller: Platform, receiver: Platform
) -> tuple[int, str]:
    """Take as many lanes as there are; return how many that were, and why no more."""
    for count in range(100):
        try:
            stack.enter_context(lanes.lane(caller, receiver))
        except forwarding.NotConnected as refusal:
            return count, str(refusal)
    raise AssertionError("there is no end to it")


@pytest.mark.ocpi("X-07")
def test_a_cpo_that_hangs_does_not_keep_more_than_its_share_waiting() -> None:
    hanging, other, *callers = platforms(9)
    lanes = forwarding.Lanes(10)
    with ExitStack() as stack:
        found = [taken(stack, lanes, caller, hanging) for caller in callers]
        assert sum(count for count, _ in found) == lanes.share == 5
        assert "Platform 1 leaves 5 requests waiting" in found[-1][1]
        with lanes.lane(callers[-1], other):
            pass


@pytest.mark.ocpi("X-07")
def test_one_caller_does_not_take_more_than_its_share_either() -> None:
    greedy, other, *receivers = platforms(9)
    lanes = forwarding.Lanes(10)
    with ExitStack() as stack:
        found = [taken(stack, lanes, greedy, receiver) for receiver in receivers]
        assert sum(count for count, _ in found) == 5
        assert "Platform 1 has 5 requests waiting" in found[-1][1]
        with lanes.lane(other, receivers[-1]):
            pass


@pytest.mark.ocpi("X-07")
def test_two_that_work_together_leave_lanes_for_others() -> None:
    one, two, three, four = platforms(4)
    lanes = forwarding.Lanes(10)
    with ExitStack() as stack:
        counts = [taken(stack, lanes, *pair)[0] for pair in ((one, two), (two, one), (one, two))]
        assert counts == [5, 3, 0]
        for _ in range(100):  # a queue of honest callers
            with lanes.lane(three, four):
                pass
        assert taken(stack, lanes, three, four)[0] == 1
        assert taken(stack, lanes, four, three)[0] == 1
        assert "too many" in taken(stack, lanes, *platforms(6)[4:])[1]
    assert not lanes._callers.total()
    assert not lanes._receivers.total()


@pytest.mark.ocpi("X-07")
def test_who_has_hung_for_a_while_has_one_lane_until_it_answers() -> None:
    caller, hanging = platforms(2)
    lanes = forwarding.Lanes(10)
    for _ in range(forwarding.PATIENCE):
        with pytest.raises(forwarding.TimedOut), lanes.timed(hanging):
            raise forwarding.TimedOut("it hangs")
    with ExitStack() as stack:
        assert taken(stack, lanes, caller, hanging)[0] == 1
        with lanes.timed(hanging):
            pass
        assert taken(stack, lanes, caller, hanging)[0] == 4


@pytest.mark.ocpi("X-07")
def test_what_waits_leaves_threads_of_a_web_process_for_all_else() -> None:
    from hub.rsgi import THREADS
    from parties.handshake import SEATS

    assert forwarding.TOGETHER + forwarding.URGENT + SEATS <= THREADS - 6


@pytest.mark.ocpi("X-07", "M-08")
def test_a_command_without_a_lane_is_refused_and_may_be_given_again(
    cpo: Partner, emsp: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crowded:
        crowded.setattr(forwarding, "lanes", forwarding.Lanes(0))
        answer = start(emsp)
    assert (answer.http, answer.code, answer.data) == (200, 4003, REJECTED)
    assert "try again in a moment" in answer.message
    assert heard(cpo) == []
    assert not Errand.objects.exists()
    assert start(emsp).data["result"] == "ACCEPTED"


# Where the result goes


@pytest.mark.ocpi("M-15", "C-21")
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:5432/",
        "http://attacker.example/result",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "http://user:secret@{host}/result",
        "http://{host}@attacker.example/",
        "http://{host}.attacker.example/",
        "//{host}/result",
        "result",
        "{hub}/ocpi/callback/guess",
    ],
)
def test_results_go_to_approved_hosts_of_the_emsp_only(
    cpo: Partner, emsp: Partner, url: str
) -> None:
    host = emsp.url.removeprefix("http://").partition("/")[0]
    url = url.format(host=host, hub=settings.HUB_BASE_URL)
    Platform.objects.filter(roles__party__party_id="MSP").update(
        hosts=[host, settings.HUB_BASE_URL.removeprefix("http://")]
    )
    answer = start(emsp, response_url=url)
    assert (answer.http, answer.code) == (200, 2001)
    assert heard(cpo) == []
    assert not Errand.objects.exists()


@pytest.mark.ocpi("M-06", "M-03")
@pytest.mark.parametrize(
    "body",
    [
        FAILED,
        {"data": FAILED, "status_code": 1000, "timestamp": "2026-11-25T12:00:00Z"},
        {"result": "FAILED", "message": {"language": "en", "text": "no car"}},
        [FAILED],
    ],
)
def test_a_result_is_taken_bare_and_passed_on_as_written(
    cpo: Partner, emsp: Partner, bring: Callable[[], int], body: Any
) -> None:
    start(emsp)
    answer = post(callback_of(cpo), body)
    assert (answer.http, answer.code) == (200, 1000)
    bring()
    assert results(emsp) == {"START_SESSION": FAILED}
    assert Errand.objects.get().result == FAILED


@pytest.mark.ocpi("M-06", "R-09")
def test_a_result_goes_on_to_the_byte(
    cpo: Partner, emsp: Partner, bring: Callable[[], int]
) -> None:
    start(emsp)
    content = b'{ "result":"ACCEPTED" , "x_amps": 16.10 }'
    answer = Client().post(callback_of(cpo), content, "application/json")
    assert answer.status_code == 200
    bring()
    assert heard(emsp)[-1].content == content


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "ACCEPTED",
        {"result": "MAYBE"},
        {"data": None},
        {"result": "FAILED"} | {"message": 1},
    ],
)
def test_what_is_no_result_is_not_passed_on(
    cpo: Partner, emsp: Partner, bring: Callable[[], int], body: Any
) -> None:
    start(emsp)
    answer = post(callback_of(cpo), body)
    assert (answer.http, answer.code) == (200, 2001)
    assert bring() == 0
    assert heard(emsp) == []
    assert Errand.objects.get().state == Errand.State.ACCEPTED


@pytest.mark.ocpi("M-03", "M-04")
def test_nobody_else_can_call_back(
    cpo: Partner, emsp: Partner, stranger: Partner, bring: Callable[[], int]
) -> None:
    start(emsp)
    path = callback_of(cpo)
    for token in (stranger.hub_token, emsp.hub_token):
        assert post(path, FAILED, Authorization=f"Token {token}").http == 404
    assert post(path, FAILED, Authorization="Token wrong").http == 401
    for guess in ("guess", path[-43:-1], "A" * 43, Errand.objects.get().digest.hex()):
        assert post(f"/ocpi/callback/{guess}", FAILED).http == 404
    assert bring() == 0
    assert heard(emsp) == []
    assert post(path, FAILED, Authorization=f"Token {cpo.hub_token}").code == 1000
    assert Client().get(path).status_code == 405
    Errand.objects.update(expires_at=timezone.now())
    assert post(path, FAILED).http == 404


@pytest.mark.ocpi("M-03")
def test_the_secret_of_a_callback_is_nowhere_in_the_database(cpo: Partner, emsp: Partner) -> None:
    start(emsp)
    secret = callback_of(cpo).rpartition("/")[2]
    errand = Errand.objects.get()
    assert secret not in str(Errand.objects.values().get())
    assert len(bytes(errand.digest)) == 32
    assert len(secret) == 43


@pytest.mark.ocpi("M-04")
def test_a_reservation_may_end_twice(cpo: Partner, emsp: Partner, bring: Callable[[], int]) -> None:
    emsp.command("RESERVE_NOW", reserving(emsp, evse_uid="E1"))
    [errand] = Errand.objects.all()
    assert errand.expires_at - errand.created_at == relay.LONGEST
    for result in ("ACCEPTED", "CANCELED_RESERVATION"):
        assert post(callback_of(cpo), {"result": result}).code == 1000
        assert bring() == 1
        assert results(emsp) == {"RESERVE_NOW": {"result": result}}
    errand.refresh_from_db()
    assert errand.result == {"result": "CANCELED_RESERVATION"}


@pytest.mark.ocpi("M-04")
def test_the_callback_of_a_reservation_outlives_it_by_a_day(cpo: Partner, emsp: Partner) -> None:
    until = timezone.now().replace(microsecond=0) + timedelta(days=2)
    expiry = {"expiry_date": until.isoformat().replace("+00:00", "Z")}
    emsp.command("RESERVE_NOW", reserving(emsp) | expiry)
    assert Errand.objects.get().expires_at == until + timedelta(days=1)


def test_a_result_that_is_quicker_than_the_answer_counts(cpo: Partner, emsp: Partner) -> None:
    start(emsp)
    errand = copied(Errand.objects.get(), state=Errand.State.RECEIVED, answer=None)
    post(callback_of(cpo), FAILED)
    answer = Relayed(200, 1000, "Success", {"result": "ACCEPTED", "timeout": 9})
    relay.note_answer(errand, answer, timezone.now())
    errand.refresh_from_db()
    assert (errand.state, errand.result) == (Errand.State.DONE, FAILED)
    assert errand.answer["data"]["timeout"] == 9


# The same request again


@pytest.fixture
def speaker(emsp: Partner) -> Callable[..., client.Answer]:
    """Return how to start a session under a message id of one's own."""

    def say(name: str, body: dict[str, Any], by: Partner = emsp) -> client.Answer:
        url = f"{by.hub_endpoints['commands RECEIVER']}/START_SESSION"
        peer = client.Peer(by.hub_token, client.BASE64, None)
        return by.send("POST", url, peer=peer, body=body, ids=Ids(name, name), seconds=5)

    return say


@pytest.mark.ocpi("M-16")
def test_the_same_request_is_passed_on_once_and_answered_alike(
    cpo: Partner,
    emsp: Partner,
    stranger: Partner,
    speaker: Callable[..., client.Answer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"response_url": emsp.results("X"), **starting(emsp)}
    first, again = speaker("one", body), speaker("one", body)
    assert (first.http, first.code, first.data) == (again.http, again.code, again.data)
    assert again.headers["X-Hub-Decision"] == "repeated: FR*CPO"
    assert again.headers["X-Request-ID"] == "one"
    assert len(heard(cpo)) == 1
    speaker("two", body)
    speaker("one", body | {"response_url": emsp.results("Y")})
    assert len(heard(cpo)) == 3
    theirs = {"response_url": stranger.results("X"), **starting(stranger)}
    speaker("one", theirs, stranger)
    assert len(heard(cpo)) == 4
    monkeypatch.setattr(relay, "REPLAY", timedelta(0))  # a day later
    speaker("one", body)
    assert len(heard(cpo)) == 5


@pytest.mark.ocpi("M-16", "M-08")
@pytest.mark.usefixtures("impatient")
def test_a_failure_is_not_tried_again_either(
    cpo: Partner, emsp: Partner, speaker: Callable[..., client.Answer]
) -> None:
    cpo.misbehave(Fault.HANG, module="commands", times=1)
    body = {"response_url": emsp.results("X"), **starting(emsp)}
    assert speaker("one", body).code == 4002
    assert speaker("one", body).code == 4002
    assert len(heard(cpo)) == 1


@pytest.mark.usefixtures("impatient")
def test_a_request_whose_answer_was_lost_with_a_process_is_not_made_again(
    cpo: Partner, emsp: Partner, speaker: Callable[..., client.Answer]
) -> None:
    body = {"response_url": emsp.results("X"), **starting(emsp)}
    speaker("one", body)
    Errand.objects.update(answer=None)
    answer = speaker("one", body)
    assert (answer.code, answer.data) == (4002, REJECTED)
    assert len(heard(cpo)) == 1


# Races


@pytest.mark.django_db(transaction=True)
@pytest.mark.ocpi("M-16")
def test_of_many_same_requests_at_once_one_is_passed_on(cpo: Partner, emsp: Partner) -> None:
    body = {"response_url": emsp.results("X"), **starting(emsp)}
    url = f"{emsp.hub_endpoints['commands RECEIVER']}/START_SESSION"
    peer = client.Peer(emsp.hub_token, client.BASE64, None)

    def say() -> client.Answer:
        return InProcess()("POST", url, peer=peer, body=body, ids=Ids("one"), seconds=5)

    number = forwarding.lanes.share
    answers = at_once(*[say] * number)
    assert [(answer.code, answer.data) for answer in answers] == [
        (1000, {"result": "ACCEPTED", "timeout": 30})
    ] * number
    assert len(heard(cpo)) == 1


@pytest.mark.ocpi("M-15")
def test_a_push_only_emsp_may_name_the_host_of_its_credentials(cpo: Partner) -> None:
    speaker: Speaker = joined("DE", "PUS", "EMSP", state="push_only")
    body = {
        "response_url": "https://backend.example/1",
        "token": objects.token(speaker.address),
        "location_id": "L1",
    }
    path = "2.2.1/receiver/commands/START_SESSION"
    assert speaker.post(path, body).code == 2001
    Platform.objects.filter(pk=speaker.platform.pk).update(
        versions_url="https://backend.example/ocpi/versions"
    )
    assert speaker.post(path, body).data["result"] == "ACCEPTED"
    assert speaker.post(path, body | {"response_url": "https://other.example/1"}).code == 2001
    assert cpo.later.work()[0].code == 1000
    assert Errand.objects.get().result == {"result": "ACCEPTED"}
