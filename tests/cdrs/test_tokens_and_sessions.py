"""Tokens go to CPOs, sessions to the eMSP that owns the token."""

import pytest

from cdrs.models import Session, Token
from parties.models import Delivery
from tests import objects
from tests.speaking import joined

pytestmark = pytest.mark.django_db


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO", modules=["tokens"])


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP", modules=["sessions"])


def owed(module):
    rows = Delivery.objects.filter(module=module).select_related("receiver__party")
    return [str(row.receiver.party) for row in rows]


@pytest.mark.ocpi("K-02", "K-03")
def test_the_type_is_part_of_a_tokens_identity(cpo, emsp):
    path = f"2.2.1/receiver/tokens/{emsp.path}/CARD1"
    app = objects.token(emsp.address, type="APP_USER")
    assert emsp.put(path, objects.token(emsp.address)).http == 201
    assert emsp.put(path, app).http == 201
    assert emsp.put(f"{path}?type=APP_USER", app).http == 200
    assert emsp.put(f"{path}?type=RFID", app).code == 2001
    assert Token.objects.count() == 2
    assert emsp.get(f"{path}?type=APP_USER").data["type"] == "APP_USER"
    assert emsp.get(f"{path}?type=OTHER").code == 2004
    assert sorted(Token.objects.get(type="APP_USER").query) == sorted("?type=APP_USER")


@pytest.mark.ocpi("B-03", "T-14")
def test_cpos_are_owed_tokens_and_list_them(cpo, emsp):
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD1", objects.token(emsp.address))
    assert owed("tokens") == ["NL*CPO"]
    assert [item["uid"] for item in cpo.get("2.2.1/sender/tokens").data] == ["CARD1"]
    assert emsp.get("2.2.1/sender/tokens").http == 403
    assert cpo.put(f"2.2.1/receiver/tokens/{cpo.path}/C", objects.token(cpo.address)).http == 403


@pytest.mark.ocpi("B-05", "G-03", "S-06")
def test_a_session_is_for_the_owner_of_the_token_alone(cpo, emsp):
    joined("AT", "OTH", "EMSP", modules=["sessions"])
    body = objects.session(cpo.address, emsp.address)
    assert cpo.put(f"2.2.1/receiver/sessions/{cpo.path}/S1", body).http == 201
    assert owed("sessions") == ["DE*EMP"]
    assert Session.objects.get().emsp == emsp.party
    assert emsp.get("2.2.1/sender/sessions").data == [body]


@pytest.mark.ocpi("S-06")
def test_a_session_of_an_unknown_token_owner_is_kept_and_sent_to_nobody(cpo, emsp):
    body = objects.session(cpo.address, cpo.address)
    assert cpo.put(f"2.2.1/receiver/sessions/{cpo.path}/S1", body).http == 201
    assert owed("sessions") == []
    assert emsp.get("2.2.1/sender/sessions").data == []


def test_a_session_is_not_moved_to_another_emsp(cpo, emsp):
    other = joined("AT", "OTH", "EMSP", modules=["sessions"])
    path = f"2.2.1/receiver/sessions/{cpo.path}/S1"
    cpo.put(path, objects.session(cpo.address, emsp.address))
    moved = objects.session(cpo.address, other.address, last_updated="2026-11-10T11:00:00Z")
    assert cpo.put(path, moved).code == 2001
    assert owed("sessions") == ["DE*EMP"]
