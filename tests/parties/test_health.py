"""The circuit breaker, the slow start and the pace of one platform, without a partner."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.utils import timezone

from parties.delivery import health
from parties.delivery.health import Health
from parties.delivery.outcomes import Outcome, Verdict
from parties.models import Platform

OK = Verdict(Outcome.ACKNOWLEDGED, "HTTP 200, OCPI 1000: ", 200)
BAD = Verdict(Outcome.TRANSIENT, "HTTP 500, OCPI None: ", 500)
LONG_AGO = timezone.now() - timedelta(days=1)


def healthy(**columns):
    found = Health(1)
    found.take(Platform(pk=1, state="connected", state_since=LONG_AGO, rate=0, **columns))
    return found


def note(found, verdict, times=1, module="locations"):
    for _ in range(times):
        found.note(module, verdict)


def rested(found):
    """Let the pause pass."""
    found.kept["paused_until"] = timezone.now() - timedelta(seconds=1)
    return found


def pause(found):
    return (found.kept["paused_until"] - timezone.now()).total_seconds()


@pytest.mark.ocpi("B-08")
def test_five_failures_in_a_row_open_the_breaker_and_four_do_not():
    found = healthy()
    note(found, BAD, 4)
    assert not found.resting
    note(found, BAD)
    assert found.resting
    assert found.room(0, 0) == (0, 0, 0)
    assert 2 < pause(found) <= 5
    assert found.news()["pause_reason"] == "failing"


def test_half_of_the_last_twenty_open_it_too():
    found = healthy()
    for _ in range(9):
        note(found, OK)
        note(found, BAD)
    assert not found.resting
    note(found, OK)
    note(found, BAD)
    assert found.resting


def test_refusals_of_objects_say_nothing_against_a_receiver():
    found = healthy()
    note(found, Verdict(Outcome.REFUSED, "HTTP 200, OCPI 2001: ", 200), 50)
    assert not found.resting
    assert found.room(0, 0) == (1000, 8, 2)


def test_the_pauses_double_up_to_five_minutes_and_late_failures_do_not_add_to_them():
    found, pauses = healthy(), []
    note(found, BAD, 8)  # eight were under way
    assert found.kept["openings"] == 1
    for _ in range(12):
        note(rested(found), BAD)
        pauses.append(pause(found))
    assert all(later <= 300 for later in pauses)
    assert 5 < pauses[0] <= 10
    assert pauses[-1] > 140


def test_one_probe_then_three_successes_close_it_and_the_start_is_slow():
    found = healthy()
    note(found, BAD, 5)
    assert rested(found).room(0, 0)[0] == 1
    assert found.room(1, 0)[0] == 0
    totals = []
    for _ in range(16):
        note(found, OK)
        totals.append(found.room(0, 0)[0])
    assert totals[:7] == [2, 2, 5, 5, 5, 5, 1000]
    assert (found.kept["openings"], found.kept["failures"]) == (0, 0)
    assert found.kept["paused_until"] is None


def test_it_stays_half_open_until_then():
    found = healthy()
    note(found, BAD, 5)
    note(rested(found), OK, 2)
    assert found.kept["openings"] == 1
    note(found, BAD)
    assert found.resting
    assert found.kept["openings"] == 2


def test_another_drain_goes_on_where_this_one_was():
    found = healthy()
    note(found, BAD, 5)
    columns = rested(found).news()
    found.booked()
    assert not found.news()
    other = healthy(**columns)
    assert other.room(0, 0)[0] == 1
    note(other, BAD)
    assert other.kept["openings"] == 2


def test_who_does_not_know_us_is_asked_every_quarter_of_an_hour_and_told_about_once():
    found = healthy()
    refused = Verdict(Outcome.AUTH, "HTTP 401, OCPI 2000: ", 401)
    note(found, refused, 3)
    assert 890 < pause(found) <= 900
    assert found.kept["pause_reason"] == "auth"
    assert len(found.alerts) == 1
    assert rested(found).room(0, 0)[0] == 1
    note(found, refused)
    assert len(found.alerts) == 1
    assert found.resting
    note(rested(found), OK)
    assert (found.kept["pause_reason"], found.kept["paused_until"]) == ("", None)


def test_a_403_amid_successes_is_about_the_object():
    found = healthy()
    note(found, OK)
    note(found, Verdict(Outcome.AUTH, "HTTP 403, OCPI 2000: ", 403))
    assert not found.resting
    assert found.kept["failures"] == 1
    other = healthy()
    note(other, Verdict(Outcome.AUTH, "HTTP 403, OCPI 2000: ", 403))
    assert other.kept["pause_reason"] == "auth"


def test_what_is_gone_is_looked_for_in_the_versions_once_an_hour():
    found = healthy()
    note(found, Verdict(Outcome.GONE, "HTTP 410", 410), 3)
    assert found.moved
    assert found.kept["pause_reason"] == "gone"
    assert found.news()["reread_at"] <= timezone.now()
    found.booked()
    note(rested(found), Verdict(Outcome.GONE, "HTTP 410", 410))
    assert not found.moved


def test_a_module_whose_every_object_is_unknown_has_moved():
    missing = Verdict(Outcome.REFUSED, "HTTP 404", 404)
    found = healthy()
    note(found, missing, 2)
    note(found, OK)
    note(found, missing, 2)
    note(found, missing, 2, module="tariffs")
    assert not found.moved
    note(found, missing)
    assert found.moved


def test_who_asks_for_less_is_left_alone_for_as_long_and_sent_half_from_then_on():
    found = healthy()
    found.limits = (40, 8, 2)
    throttled = Verdict(Outcome.THROTTLED, "HTTP 429", 429, 120.0)
    note(found, throttled, 8)  # all that were under way
    assert 110 < pause(found) <= 120
    assert found.kept["pause_reason"] == "throttled"
    assert found.kept["pace"] == 50
    assert found.kept["failures"] == 0
    found.kept["paced_at"] = timezone.now()
    assert rested(found).room(0, 0)[0] == 5  # a quarter of a second's worth
    found.kept["paced_at"] = timezone.now() - timedelta(minutes=3)
    assert found._pace() == 80
    found.kept["paced_at"] = timezone.now() - timedelta(minutes=30)
    assert found._pace() == 100


def test_a_success_does_not_end_the_pause_that_was_asked_for():
    found = healthy()
    note(found, Verdict(Outcome.THROTTLED, "HTTP 503", 503, 60.0))
    note(found, OK)
    assert found.resting


def test_no_more_are_sent_in_a_second_than_is_agreed(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(health.time, "monotonic", lambda: next(clock) / 100)
    found, sent = Health(1, tokens=0.0), []
    found.take(Platform(pk=1, state="connected", state_since=LONG_AGO, rate=20))
    found.filled_at = 0.0
    for _ in range(1000):  # ten seconds
        total = min(8, found.room(0, 0)[0])
        found.spend(total)
        sent.append(total)
    assert 190 <= sum(sent) <= 205
    assert max(sum(sent[start : start + 100]) for start in range(900)) <= 26


def test_cdrs_have_places_of_their_own():
    found = healthy()
    assert found.room(8, 0) == (992, 0, 2)
    assert found.room(0, 2) == (998, 8, 0)


def test_ten_answers_in_a_row_that_are_no_ocpi_are_told():
    found = healthy()
    garbage = Verdict(Outcome.UNREADABLE, "HTTP 200, OCPI None", 200)
    for _ in range(9):
        note(rested(found), garbage)
    assert found.alerts == []
    note(rested(found), garbage, 5)
    assert len(found.alerts) == 1


def test_the_pause_is_not_the_same_for_all():
    pauses = []
    for _ in range(10):
        found = healthy()
        note(found, BAD, 5)
        pauses.append(pause(found))
    assert any(abs(one - other) > 0.01 for one, other in pairwise(pauses))


def test_a_token_refused_before_a_handshake_pauses_nobody_after_it():
    refused = Verdict(Outcome.AUTH, "HTTP 401, OCPI None: ", 401)
    found = healthy()
    note(found, refused)
    assert found.news()["pause_reason"] == "auth"
    now = timezone.now()
    found.take(Platform(pk=1, state="connected", state_since=LONG_AGO, rate=0, registered_at=now))
    assert not found.resting
    assert found.news() == {}
    note(found, refused)  # that call was on its way
    assert not found.resting
    found.renewed -= health.LATE_ANSWERS
    note(found, refused)
    assert found.resting
