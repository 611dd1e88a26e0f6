"""Tokens: told apart by their type, patched, never deleted, shown to CPOs alone."""

import pytest
from hypothesis import given

from cdrs.models import Token
from hub.ocpi import types
from tests import objects, wire
from tests.pushing import Pushing, shown, told

pytestmark = pytest.mark.django_db
STAMP, LATER = "2026-01-01T00:00:00Z", "2026-11-10T11:00:00Z"
APP = "?type=APP_USER"


@pytest.fixture
def own(emsp):
    """The eMSP's tokens at the hub: the card CARD1."""
    own = Pushing(emsp, "tokens")
    assert own.put("CARD1", body=objects.token(emsp.address)).http == 201
    return own


def token(own, **members):
    return objects.token(own.partner.address, **members)


@pytest.mark.ocpi("K-01", "P-01", "P-05", "P-09", "T-12")
def test_a_token_is_put_replaced_and_read_back(own, cpo):
    body = token(own, language="de", last_updated=LATER)
    assert own.put("CARD1", body=body).http == 200
    assert own.get("card1").data == body
    assert shown(cpo, "tokens").data == [body]


@pytest.mark.ocpi("K-01", "T-15")
@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_a_token_is_ended_not_deleted(own, method):
    answer = own.call(method, "CARD1", body={})
    assert answer.http == 405
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "PUT", "PATCH"}


@pytest.mark.ocpi("K-01", "K-08", "G-14")
@pytest.mark.parametrize("whitelist", ["ALWAYS", "ALLOWED", "ALLOWED_OFFLINE", "NEVER"])
def test_an_invalid_token_stays_in_the_list_and_its_whitelist_is_the_emsps(
    own, cpo, deliver, whitelist
):
    own.patch("CARD1", body={"valid": False, "whitelist": whitelist, "last_updated": LATER})
    [listed] = shown(cpo, "tokens").data
    assert (listed["valid"], listed["whitelist"]) == (False, whitelist)
    deliver()
    assert cpo.holds("tokens")["CARD1"]["whitelist"] == whitelist
    assert Token.objects.get().valid is False


@pytest.mark.ocpi("K-02", "K-03")
def test_the_same_uid_of_another_type_is_another_token(own):
    app = token(own, type="APP_USER")
    assert own.put("CARD1", body=app).http == 201
    assert own.put("CARD1", body={**app, "language": "fr"}, query=APP).http == 200
    assert own.get("CARD1").data["type"] == "RFID"
    assert own.get("CARD1", query=APP).data["language"] == "fr"
    assert own.get("CARD1", query="?type=OTHER").code == 2004
    answer = own.put("CARD1", body=app, query="?type=RFID")
    assert (answer.http, answer.code) == (200, 2001)
    assert Token.objects.count() == 2


@pytest.mark.ocpi("K-02", "K-03", "K-04")
def test_without_a_type_the_card_is_meant_else_the_only_token(own, emsp):
    own.put("CARD1", body=token(own, type="APP_USER"))
    own.put("APP1", body=token(own, uid="APP1", type="APP_USER"))
    change = {"language": "fr", "last_updated": LATER}
    assert own.patch("CARD1", body=change).code == 1000
    assert own.get("CARD1").data["language"] == "fr"
    assert "language" not in own.get("CARD1", query=APP).data
    assert own.get("APP1").data["type"] == "APP_USER"
    assert own.patch("APP1", body=change).code == 1000
    assert own.get("APP1", query=APP).data["language"] == "fr"
    own.put("APP1", body=token(own, uid="APP1", type="OTHER"))
    for answer in (own.get("APP1"), own.patch("APP1", body={**change, "language": "en"})):
        assert (answer.code, "?type=" in answer.message) == (2001, True)


@pytest.mark.ocpi("K-02", "K-04", "P-06")
def test_a_patch_is_of_the_type_that_it_names(own):
    own.put("CARD1", body=token(own, type="APP_USER"))
    by_body = {"type": "APP_USER", "language": "fr", "last_updated": LATER}
    assert own.patch("CARD1", body=by_body).code == 1000
    by_query = {"issuer": "New", "last_updated": LATER}
    assert own.patch("CARD1", body=by_query, query=APP).code == 1000
    found = own.get("CARD1", query=APP).data
    assert (found["language"], found["issuer"]) == ("fr", "New")
    assert own.get("CARD1").data == token(own)
    assert own.patch("CARD1", body=by_body, query="?type=RFID").code == 2001
    assert own.patch("CARD1", body={**by_query, "type": 7}).http == 404
    assert own.patch("CARD9", body=by_query).code == 2004


@pytest.mark.ocpi("K-04", "P-06")
@pytest.mark.parametrize("body", [{"valid": False}, {"valid": False, "last_updated": None}])
def test_a_patch_says_when(own, body):
    assert own.patch("CARD1", body=body).code == 2001
    assert Token.objects.get().valid


@pytest.mark.ocpi("P-08", "P-07", "P-10")
def test_a_patch_leaves_a_valid_token_of_the_same_identity(own):
    for members, path in [
        ({"valid": None}, "$"),
        ({"whitelist": "SOMETIMES"}, "$.whitelist"),
        ({"uid": "CARD2"}, "$.uid"),
        ({"country_code": "FR"}, "$.country_code"),
    ]:
        answer = own.patch("CARD1", body={**members, "last_updated": LATER})
        assert (answer.code, answer.data[0]["path"]) == (2001, path)
    late = own.patch("CARD1", body={"valid": False, "last_updated": "2025-12-31T00:00:00Z"})
    assert (late.code, "Ignored" in late.message) == (1000, True)
    assert own.get("CARD1").data == token(own)


@pytest.mark.ocpi("K-02", "B-03", "B-04", "B-07")
def test_a_change_is_told_to_every_cpo_with_the_type(own, cpo, stranger, deliver):
    app = token(own, type="APP_USER", uid="APP1")
    own.put("APP1", body=app)
    deliver()
    own.patch("APP1", body={"valid": False, "last_updated": LATER}, query=APP)
    deliver()
    for partner in (cpo, stranger):
        last = [item for item in partner.received if item.module == "tokens"][-1]
        assert (last.method, last.path[3:]) == ("PATCH", ("DE", "MSP", "APP1"))
        assert last.query == {"type": "APP_USER"}
        assert partner.holds("tokens")["APP1"] == {**app, "valid": False, "last_updated": LATER}


@pytest.mark.ocpi("K-11", "G-03")
def test_tokens_are_for_cpos_alone_and_a_uid_is_not_logged(own, cpo, emsp, stranger, caplog):
    other = token(own, uid="A-SECRET-UID")
    own.put("A-SECRET-UID", body=other)
    assert len(shown(cpo, "tokens").data) == 2
    assert shown(emsp, "tokens").http == 403
    assert Pushing(cpo, "tokens").get("A-SECRET-UID").http == 403
    assert "A-SECRET-UID" not in caplog.text
    assert told(emsp, "tokens") == []


@pytest.mark.ocpi("P-01", "P-05", "P-12", "K-01", "K-02")
@wire.examples(25)
@given(
    body=wire.objects(types.Token, country_code="DE", party_id="MSP", uid="ANY", last_updated=STAMP)
)
def test_any_valid_token_comes_back_as_it_went(emsp, body):
    own = Pushing(emsp, "tokens")
    Token.objects.all().delete()
    assert own.put("ANY", body=body).http == 201
    assert own.get("ANY").data == body
