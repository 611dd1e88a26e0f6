"""Changes that come at the same time, in threads and transactions of their own: none is lost."""

import threading

import pytest
from django.db import connections

from cdrs.models import Session
from locations.models import Location, Tariff
from parties import delivery, storing
from parties.models import Delivery
from tests import objects
from tests.speaking import Speaker, joined

pytestmark = pytest.mark.django_db(transaction=True)
LATER = "2026-11-10T11:00:00Z"


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP", modules=["locations", "tariffs", "sessions"])


def at_once(speaker, calls):
    """Make calls that meet, once each, where all is read but what the row's lock guards."""
    barrier, met = threading.Barrier(len(calls)), threading.local()
    answers = [None] * len(calls)

    def meeting(step):
        def meet(*args):
            if not getattr(met, "already", False):
                met.already = True
                barrier.wait(20)
            return step(*args)

        return meet

    def make(number, call):
        try:
            answers[number] = Speaker(speaker.address, speaker.token).call(*call)
        finally:
            connections.close_all()

    with pytest.MonkeyPatch.context() as patched:
        for module, step in ((delivery, "share_network"), (storing, "replace")):
            patched.setattr(module, step, meeting(getattr(module, step)))
        threads = [threading.Thread(target=make, args=item) for item in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return answers


@pytest.mark.ocpi("P-10", "P-08", "L-14")
def test_of_many_statuses_of_one_location_none_is_lost(cpo, emsp):
    evses = [objects.evse(uid=f"E{number}") for number in range(8)]
    path = f"2.2.1/receiver/locations/{cpo.path}/L1"
    cpo.put(path, objects.location(cpo.address, evses=evses))
    body = {"status": "CHARGING", "last_updated": LATER}
    answers = at_once(cpo, [("PATCH", f"{path}/E{number}", body) for number in range(8)])
    assert [(reply.http, reply.code) for reply in answers] == [(200, 1000)] * 8
    location = Location.objects.get()
    assert {item["status"] for item in location.body["evses"]} == {"CHARGING"}
    assert (location.version, location.body["last_updated"]) == (9, LATER)
    assert Delivery.objects.get().wanted == 9


@pytest.mark.ocpi("S-03", "S-04", "P-10")
def test_of_many_charging_periods_of_one_session_none_is_lost(cpo, emsp):
    path = f"2.2.1/receiver/sessions/{cpo.path}/S1"
    cpo.put(path, objects.session(cpo.address, emsp.address))
    periods = [
        {"start_date_time": f"2026-11-10T08:{number:02}:00Z", "dimensions": [ENERGY]}
        for number in range(8)
    ]
    bodies = [{"charging_periods": [period], "last_updated": LATER} for period in periods]
    answers = at_once(cpo, [("PATCH", path, body) for body in [*bodies, bodies[0]]])
    assert {reply.code for reply in answers} == {1000}
    stored = Session.objects.get().body["charging_periods"]
    assert sorted(stored, key=lambda period: period["start_date_time"]) == periods


ENERGY = {"type": "ENERGY", "volume": 1}


@pytest.mark.ocpi("P-10")
def test_the_newest_of_many_wins_whatever_the_order(cpo, emsp):
    path = f"2.2.1/receiver/locations/{cpo.path}/L1"
    cpo.put(path, objects.location(cpo.address))
    bodies = [
        {"name": f"Name {minute}", "last_updated": f"2026-11-10T11:{minute:02}:00Z"}
        for minute in range(8)
    ]
    answers = at_once(cpo, [("PATCH", path, body) for body in bodies])
    assert {reply.code for reply in answers} == {1000}
    assert Location.objects.get().body["name"] == "Name 7"


@pytest.mark.ocpi("F-02", "F-04")
def test_a_tariff_is_deleted_once(cpo, emsp):
    path = f"2.2.1/receiver/tariffs/{cpo.path}/T1"
    cpo.put(path, objects.tariff(cpo.address))
    answers = at_once(cpo, [("DELETE", path)] * 4)
    assert sorted(reply.http for reply in answers) == [200, 404, 404, 404]
    assert Tariff.objects.get().version == 2
    assert Delivery.objects.get().wanted == 2


@pytest.mark.ocpi("P-10", "L-05")
def test_many_new_parts_all_find_their_place(cpo, emsp):
    path = f"2.2.1/receiver/locations/{cpo.path}/L1"
    cpo.put(path, objects.location(cpo.address, evses=[]))
    calls = [
        ("PUT", f"{path}/E{number}", objects.evse(uid=f"E{number}", last_updated=LATER))
        for number in range(6)
    ]
    answers = at_once(cpo, calls)
    assert [reply.http for reply in answers] == [201] * 6
    assert len(Location.objects.get().body["evses"]) == 6
