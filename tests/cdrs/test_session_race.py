"""Two requests race for one session: it stays with the eMSP that it was first told to be for."""

import threading

import pytest
from django.db import connections

from cdrs.models import Session
from parties import delivery
from parties.models import Delivery
from tests import objects
from tests.speaking import Speaker, joined

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def meeting(monkeypatch):
    """Let two puts meet where all checks but those under the row's lock are done."""
    barrier, share = threading.Barrier(2), delivery.share_network

    def meet():
        if threading.current_thread() is not threading.main_thread():
            barrier.wait(10)
        share()

    monkeypatch.setattr(delivery, "share_network", meet)


def put_at_once(cpo, bodies):
    answers = []

    def put(body):
        try:
            path = f"2.2.1/receiver/sessions/{cpo.path}/S1"
            answers.append(Speaker(cpo.address, cpo.token).put(path, body))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=put, args=[body]) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_two_new_payers_at_once_the_second_is_refused(meeting):
    cpo = joined("NL", "CPO", "CPO")
    emsps = [joined("DE", code, "EMSP", modules=["sessions"]) for code in ("EMP", "OTH")]
    bodies = [objects.session(cpo.address, emsp.address, id="S1") for emsp in emsps]
    answers = put_at_once(cpo, bodies)
    assert sorted((reply.http, reply.code) for reply in answers) == [(200, 2001), (201, 1000)]
    assert Delivery.objects.get().receiver.party == Session.objects.get().emsp
