"""Who an object is broadcast to: the function in the database and the ORM say the same."""

import threading
import time

import pytest
from django.db import connection, connections, transaction

from hub import statements
from parties import delivery, policy, routing
from parties.delivery.owing import JOINING
from parties.models import Delivery, Endpoint, Platform, Role
from tests import objects
from tests.speaking import Speaker, joined

STATES = ("connected", "offline", "push_only", "suspended")


def network(module, sender):
    kinds = [str(kind) for kind in policy.BROADCAST_TO[sender.role]]
    ((receivers, awake),) = statements.rows(
        "SELECT * FROM parties_network(%s, %s::text[], %s::bigint)",
        [module, kinds, sender.party_id],
    )
    return set(receivers), set(awake)


@pytest.mark.django_db
def test_the_function_and_the_orm_agree():
    senders = [joined("NL", f"S{number}X", kind) for number, kind in enumerate(("CPO", "NAP"))]
    kinds = [kind for kind in Role.Kind.values if kind != "CPO"]
    for number, (kind, state) in enumerate((kind, state) for kind in kinds for state in STATES):
        modules = ["locations"] if number % 3 else ["tariffs", "locations"]
        joined("DE", f"{number:03}", kind, modules=modules, state=state)
    joined("FR", "BTH", "CPO", "EMSP", modules=["locations"])
    for sender in [*senders, Speaker(objects.Owner("FR", "BTH"), "")]:
        role = Role.objects.at(sender.address).filter(role__in=["CPO", "NAP"]).get()
        for module in ("locations", "tariffs", "tokens"):
            usual = routing.broadcast(module, role)
            connected = usual.filter(platform__state=Platform.State.CONNECTED)
            receivers, awake = network(module, role)
            assert receivers == set(usual.values_list("pk", flat=True))
            assert awake == set(connected.values_list("platform", flat=True))
    assert receivers == set()


def waiting():
    """Tell whether somebody waits for the lock of joining."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND objid = %s",
            [JOINING],
        )
        return cursor.fetchone()[0] > 0


@pytest.mark.django_db(transaction=True)
def test_who_joins_while_an_object_is_put_is_owed_it():
    cpo, emsp = joined("NL", "CPO", "CPO"), joined("DE", "EMP", "EMSP", state="push_only")
    answers = []

    def put():
        try:
            path = f"2.2.1/receiver/locations/{cpo.path}/L1"
            body = objects.location(cpo.address)
            answers.append(Speaker(cpo.address, cpo.token).put(path, body))
        finally:
            connections.close_all()

    thread = threading.Thread(target=put)
    with transaction.atomic():
        delivery.pause_broadcasts()
        Platform.objects.filter(pk=emsp.platform.pk).update(state="connected")
        Endpoint.objects.create(
            platform=emsp.platform, module="locations", interface="RECEIVER", url="http://x"
        )
        thread.start()
        deadline = time.monotonic() + 30
        while not waiting():
            assert time.monotonic() < deadline, "the put does not wait for who joins"
            time.sleep(0.02)
        delivery.owe_everything(Role.objects.at(emsp.address).get())
    thread.join()
    assert [(reply.http, reply.code) for reply in answers] == [(201, 1000)]
    assert Delivery.objects.get().receiver.party.address == emsp.address
