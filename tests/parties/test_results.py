"""Results of commands: in custody at once, brought at least once, until they expire."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from hub import locks
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from parties import results, tasks
from parties.delivery import tallies
from parties.models import Errand, Platform
from tests import objects
from tests.commanding import FAILED, another, callback_of, copied, heard, post, start
from tests.racing import at_once

pytestmark = pytest.mark.django_db
State, ResultState = Errand.State, Errand.ResultState
ACCEPTED = {"result": "ACCEPTED"}
Bring = Callable[[], int]


@pytest.fixture
def cpo(cpo: Partner) -> Partner:
    """Have a charger that the hub knows."""
    cpo.publish_location(objects.location(cpo.address))
    return cpo


@pytest.fixture
def errand(cpo: Partner, emsp: Partner) -> Errand:
    """Have a command that the CPO has accepted."""
    assert start(emsp).data == {"result": "ACCEPTED", "timeout": 30}
    emsp.inbox.received.clear()
    return Errand.objects.get()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for who asked no longer than a second, and try again at once."""
    monkeypatch.setattr(results, "SECONDS", 1.0)
    monkeypatch.setattr(results, "delay", lambda attempts: timedelta(0))


def told(emsp: Partner) -> list[str]:
    """Return the results that an eMSP was told, in order."""
    return [item.body["result"] for item in heard(emsp)]


# Custody


@pytest.mark.ocpi("M-05")
def test_a_result_is_taken_at_once_and_brought_a_moment_later(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    emsp.misbehave(Fault.HANG, module="commands")
    answer = post(callback_of(cpo), FAILED)
    assert (answer.http, answer.code, answer.data) == (200, 1000, None)
    errand.refresh_from_db()
    assert (errand.state, errand.result_state) == (State.DONE, ResultState.OWED)
    assert (errand.result, errand.delivered_at) == (FAILED, None)
    assert heard(emsp) == []
    emsp.misbehave(Fault.OK)
    assert bring() == 1
    assert told(emsp) == ["FAILED"]
    errand.refresh_from_db()
    assert errand.result_state == ResultState.BROUGHT
    assert errand.delivered_at
    assert errand.content is None
    assert bring() == 0


@pytest.mark.ocpi("M-04")
def test_a_flood_of_results_ends(
    cpo: Partner, errand: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", 3)
    assert [post(callback_of(cpo), FAILED).code for _ in range(5)] == [1000, 1000, 1000, 2001, 2001]


def test_a_result_after_a_refusal_changes_nothing(cpo: Partner, errand: Errand) -> None:
    refused = copied(errand, state=State.REFUSED)
    with pytest.raises(results.Invalid):
        results.take(refused, b"{}", ACCEPTED)
    refused.refresh_from_db()
    assert (refused.state, refused.result) == (State.REFUSED, None)


# At least once, until it expires


@pytest.mark.ocpi("M-05", "T-19")
@pytest.mark.parametrize("fault", [Fault.HANG, Fault.DRIP, Fault.CLOSE, Fault.ERROR500])
@pytest.mark.usefixtures("hasty")
def test_a_result_that_cannot_be_brought_is_brought_later(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring, fault: Fault
) -> None:
    post(callback_of(cpo), FAILED)
    emsp.misbehave(fault, module="commands")
    assert bring() == 1
    errand.refresh_from_db()
    assert (errand.result_state, errand.attempts) == (ResultState.OWED, 1)
    assert errand.last_answer
    emsp.misbehave(Fault.OK)
    assert bring() == 1
    errand.refresh_from_db()
    assert (errand.result_state, errand.attempts) == (ResultState.BROUGHT, 2)
    assert told(emsp)[-1] == "FAILED"


@pytest.mark.ocpi("M-05", "T-18")
@pytest.mark.usefixtures("hasty")
def test_a_result_that_is_refused_is_shown_a_few_times(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    post(callback_of(cpo), FAILED)
    emsp.misbehave(Fault.REFUSE, module="commands")
    assert bring() == results.REFUSALS
    errand.refresh_from_db()
    assert errand.result_state == ResultState.REFUSED
    assert errand.last_answer == "HTTP 200, OCPI 2001: we do not like this object"


@pytest.mark.usefixtures("hasty")
def test_who_asked_may_not_know_its_own_request_yet(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    post(callback_of(cpo), FAILED)
    emsp.misbehave(Fault.NOT_FOUND, module="commands", times=1)
    assert bring() == 2
    errand.refresh_from_db()
    assert errand.result_state == ResultState.BROUGHT


@pytest.mark.ocpi("M-05")
def test_an_emsp_that_is_away_gets_its_result_when_it_is_back(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    platform = Platform.objects.get(roles__party__party_id="MSP")
    platform.move_to(Platform.State.OFFLINE)
    assert post(callback_of(cpo), FAILED).code == 1000
    assert bring() == 0
    platform.move_to(Platform.State.CONNECTED)
    assert bring() == 1
    assert told(emsp) == ["FAILED"]


def test_a_result_that_nobody_waits_for_any_more_expires(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring, caplog: pytest.LogCaptureFixture
) -> None:
    post(callback_of(cpo), FAILED)
    tasks.sweep_results()
    errand.refresh_from_db()
    assert errand.result_state == ResultState.OWED
    expected = errand.result_at + timedelta(seconds=30) + results.GRACE
    assert errand.result_until == expected
    Errand.objects.update(result_until=timezone.now())
    assert bring() == 0
    tasks.sweep_results()
    errand.refresh_from_db()
    assert (errand.result_state, errand.content) == (ResultState.EXPIRED, None)
    assert errand.result == FAILED
    assert tallies.total()["results:expired"] == 1
    assert [item.levelname for item in caplog.records if "brought in time" in item.message] == [
        "WARNING"
    ]
    assert heard(emsp) == []


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        ({"result": "ACCEPTED", "timeout": 30}, 90),
        ({"result": "ACCEPTED", "timeout": 0}, 60),
        ({"result": "ACCEPTED", "timeout": -5}, 60),
        ({"result": "ACCEPTED", "timeout": 10**12}, 600),
        ({"result": "ACCEPTED", "timeout": "soon"}, 600),
        ({"result": "ACCEPTED"}, 600),
        (None, 600),
    ],
)
def test_a_result_lives_as_long_as_it_was_promised_and_a_minute(data: Any, seconds: int) -> None:
    assert results.patience({"data": data}) == timedelta(seconds=seconds)
    assert results.patience(None) == results.LONGEST


def test_the_pauses_grow_to_half_a_minute_and_are_not_all_alike() -> None:
    assert timedelta(seconds=1) <= results.delay(1) <= timedelta(seconds=2)
    assert timedelta(seconds=15) <= results.delay(9) <= timedelta(seconds=30)
    assert len({results.delay(9) for _ in range(10)}) > 1


# The last one wins, in order


@pytest.mark.ocpi("M-04")
@pytest.mark.usefixtures("hasty")
def test_of_several_results_the_last_is_brought(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    emsp.misbehave(Fault.ERROR500, module="commands", times=1)
    post(callback_of(cpo), ACCEPTED)
    bring()
    post(callback_of(cpo), {"result": "CANCELED_RESERVATION"})
    bring()
    assert told(emsp) == ["ACCEPTED", "CANCELED_RESERVATION"]
    post(callback_of(cpo), FAILED)
    post(callback_of(cpo), {"result": "EVSE_OCCUPIED"})
    bring()
    assert told(emsp) == ["ACCEPTED", "CANCELED_RESERVATION", "EVSE_OCCUPIED"]
    errand.refresh_from_db()
    assert (errand.results, errand.result_state) == (4, ResultState.BROUGHT)


def test_a_result_that_comes_while_another_is_on_its_way_stays_owed(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    post(callback_of(cpo), ACCEPTED)
    platform = errand.sender.platform_id
    [before] = results._claim(platform)
    post(callback_of(cpo), FAILED)
    assert bring() == 0
    results._book([results.Carried(before, results.Outcome.ACKNOWLEDGED, "HTTP 200")])
    errand.refresh_from_db()
    assert (errand.result_state, errand.result) == (ResultState.OWED, FAILED)
    assert bring() == 1
    assert told(emsp) == ["FAILED"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.ocpi("M-04")
def test_two_results_at_once_are_both_taken_and_one_of_them_is_the_last(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    bodies = [ACCEPTED, FAILED] * 3
    answers = at_once(*[partial(post, callback_of(cpo), body) for body in bodies])
    assert [answer.code for answer in answers] == [1000] * 6
    bring()
    errand.refresh_from_db()
    assert (errand.results, errand.result_state) == (6, ResultState.BROUGHT)
    assert told(emsp)[-1] == errand.result["result"]


# Twice, and in the middle


@pytest.mark.django_db(transaction=True)
def test_a_platform_is_brought_its_results_by_one_at_a_time(
    cpo: Partner, emsp: Partner, errand: Errand
) -> None:
    post(callback_of(cpo), FAILED)
    platform = errand.sender.platform_id
    with locks.alone(results.LOCK, platform):
        assert at_once(partial(results.bring, platform)) == [0]
    assert sorted(at_once(*[partial(results.bring, platform)] * 4)) == [0, 0, 0, 1]
    assert told(emsp) == ["FAILED"]


def test_a_result_that_was_on_its_way_in_a_killed_worker_is_brought_again(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    post(callback_of(cpo), FAILED)
    assert len(results._claim(errand.sender.platform_id)) == 1
    assert bring() == 0
    Errand.objects.update(leased_until=timezone.now())
    assert bring() == 1
    assert told(emsp) == ["FAILED"]


@pytest.mark.usefixtures("hasty")
def test_a_platform_that_answers_nothing_does_not_keep_a_thread(
    cpo: Partner, emsp: Partner, errand: Errand
) -> None:
    post(callback_of(cpo), FAILED)
    owed = Errand.objects.get()
    for number in range(results.IN_FLIGHT + 1):
        another(owed, digest=bytes([number]), fingerprint=None)
    emsp.misbehave(Fault.CLOSE, module="commands")
    assert results.bring(errand.sender.platform_id) == results.IN_FLIGHT


@pytest.mark.ocpi("M-09", "M-16")
def test_what_was_lost_with_a_process_is_ended_and_the_caller_is_told(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    lost = copied(errand, state=State.RECEIVED, answer=None)
    tasks.sweep_results()
    lost.refresh_from_db()
    assert lost.state == State.RECEIVED
    lost = copied(lost, created_at=timezone.now() - results.LOST)
    tasks.sweep_results()
    lost.refresh_from_db()
    assert (lost.state, lost.result_state) == (State.TIMEOUT, ResultState.OWED)
    tasks.sweep_results()
    assert bring() == 1
    assert told(emsp) == ["TIMEOUT"]
    assert len(heard(cpo)) == 1
    post(callback_of(cpo), ACCEPTED)  # it went well after all
    bring()
    assert told(emsp) == ["TIMEOUT", "ACCEPTED"]
    lost.refresh_from_db()
    assert (lost.state, lost.results) == (State.DONE, 2)


def test_of_a_lost_charging_profile_nothing_is_made_up(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    old = timezone.now() - results.LOST
    changes = {"module": "chargingprofiles", "action": "PUT", "answer": None, "created_at": old}
    lost = copied(errand, state=State.RECEIVED, **changes)
    assert results.give_up() == 1
    lost.refresh_from_db()
    assert (lost.state, lost.result_state) == (State.TIMEOUT, ResultState.NONE)
    assert bring() == 0


@pytest.mark.ocpi("M-09")
def test_a_result_that_does_not_come_is_overdue_and_still_taken(
    cpo: Partner, emsp: Partner, errand: Errand, bring: Bring
) -> None:
    assert errand.result_until == errand.answered_at + timedelta(seconds=30) + results.GRACE
    tasks.sweep_results()
    Errand.objects.update(result_until=timezone.now())
    tasks.sweep_results()
    errand.refresh_from_db()
    assert (errand.state, errand.result_state) == (State.OVERDUE, ResultState.NONE)
    assert bring() == 0
    post(callback_of(cpo), ACCEPTED)
    bring()
    errand.refresh_from_db()
    assert (errand.state, told(emsp)) == (State.DONE, ["ACCEPTED"])


# Guards


@pytest.mark.parametrize(
    "change",
    [
        {"response_url": "https://attacker.example/"},
        {"digest": b"x"},
        {"state": State.RECEIVED},
        {"state": State.REFUSED},
        {"state": "unknown"},
        {"state": State.DONE},
        {"result_state": "unknown"},
        {"result_state": ResultState.OWED},
        {"result_state": ResultState.BROUGHT},
        {"result": ACCEPTED},
        {"results": 1},
        {"delivered_at": timezone.now()},
    ],
)
def test_an_errand_stays_what_it_was_and_moves_forward_only(
    errand: Errand, change: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Errand.objects.update(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"state": State.ACCEPTED},
        {"state": State.OVERDUE},
        {"result_state": ResultState.OWED, "delivered_at": None, "content": b"{}"},
        {"result_state": ResultState.EXPIRED, "delivered_at": None},
        {"result_state": ResultState.NONE, "delivered_at": None, "result": None, "results": 0},
        {"results": 2},
        {"delivered_at": None},
    ],
)
def test_a_result_that_was_brought_stays_brought(
    cpo: Partner, errand: Errand, bring: Bring, change: dict[str, Any]
) -> None:
    post(callback_of(cpo), ACCEPTED)
    bring()
    with pytest.raises(IntegrityError), transaction.atomic():
        Errand.objects.update(**change)
