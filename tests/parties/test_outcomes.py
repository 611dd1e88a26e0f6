"""Every answer has a meaning; and what is asked for in Retry-After is read in both its forms."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.http import http_date

from hub import egress
from hub.ocpi.client import Answer
from parties.delivery import outcomes
from parties.delivery.outcomes import Outcome


def answer(http, code=None, message="", **headers):
    return Answer(http, code, message, None, {k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize("words", ["CDR already exists", "Duplicate id", "exists"])
def test_a_cdr_that_exists_already_has_arrived_if_a_try_may_have(words):
    refusal = answer(200, 2001, words)
    found = outcomes.of_answer(refusal, "POST", doubtful=True)
    assert found.outcome is Outcome.ACKNOWLEDGED
    assert found.words.startswith("AMBIGUOUS-CONFIRMED")
    assert outcomes.judge(refusal, "POST") is Outcome.REFUSED
    assert outcomes.judge(refusal, "PUT", doubtful=True) is Outcome.REFUSED
    assert outcomes.judge(answer(500, 2001, words), "POST", doubtful=True) is Outcome.TRANSIENT


def test_other_refusals_are_no_confirmation():
    assert outcomes.judge(answer(200, 2001, "bad"), "POST", doubtful=True) is Outcome.REFUSED
    assert outcomes.judge(answer(409), "POST", doubtful=True) is Outcome.ACKNOWLEDGED


def test_what_is_asked_for_is_granted_up_to_an_hour():
    def told(text):
        return outcomes.retry_after(answer(429, Retry_After=text))

    assert told("120") == 120
    assert told("86400") == 3600
    assert 50 < told(http_date((timezone.now() + timedelta(seconds=60)).timestamp())) <= 60
    assert told("0") == told("Mon, 02 Nov 2026 10:00:00 GMT") == 1
    assert told("soon") == told("") == outcomes.THROTTLE


def test_a_503_is_a_wish_only_with_words_to_it():
    assert outcomes.judge(answer(503)) is Outcome.TRANSIENT
    assert outcomes.judge(answer(503, Retry_After="5")) is Outcome.THROTTLED
    assert outcomes.of_answer(answer(503, Retry_After="5"), "PUT", doubtful=False).pause == 5


def test_only_what_was_sent_may_have_arrived():
    assert outcomes.of_failure(egress.EgressDeniedError("no")).outcome is Outcome.TRANSIENT
    assert outcomes.of_failure(egress.EgressFailedError("late")).outcome is Outcome.UNKNOWN
