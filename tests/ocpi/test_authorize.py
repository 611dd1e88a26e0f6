"""Real-time authorisation: the owner of the token decides, the hub only asks and remembers."""

from typing import Any

import pytest

from cdrs.authorizing import AuthorizeViewSet, authorization
from cdrs.models import Authorization, Token
from hub.ocpi import client, json
from hub.ocpi.messages import Address, Route
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from hub.sandbox.serving import Reply
from parties.forwarding import Relayed
from parties.models import Platform
from tests import objects

pytestmark = pytest.mark.django_db
PLACE = {"location_id": "L1", "evse_uids": ["E1"], "x_pole": 7}


@pytest.fixture
def emsp(emsp: Partner) -> Partner:
    """Have a card that everybody was told of."""
    emsp.push_token(objects.token(emsp.address))
    return emsp


def heard(partner: Partner) -> list[Any]:
    return [item for item in partner.received if item.path[-1] == "authorize"]


@pytest.mark.ocpi("K-01", "K-05", "K-06", "K-07", "K-10", "R-03", "O-03", "T-21", "T-06")
def test_the_emsp_decides_and_the_hub_remembers(cpo: Partner, emsp: Partner) -> None:
    answer = cpo.authorize("card1", place=PLACE)
    assert (answer.http, answer.code) == (200, 1000)
    assert answer.data["allowed"] == "ALLOWED"
    assert answer.data["token"] == objects.token(emsp.address)
    assert answer.data["location"] == PLACE
    assert answer.headers["X-Hub-Decision"] == "open: DE*MSP by token uid"
    assert Route.from_headers(answer.headers) == Route(to=cpo.address, sender=emsp.address)
    [request] = heard(emsp)
    assert request.content == json.dumps(PLACE)
    assert request.path == ("2.2.1", "sender", "tokens", "CARD1", "authorize")
    assert Route.from_headers(request.headers) == Route(to=emsp.address, sender=cpo.address)
    assert request.headers["X-Correlation-ID"] == answer.headers["X-Correlation-ID"]
    kept = Authorization.objects.get()
    assert (str(kept.cpo), str(kept.emsp)) == ("FR*CPO", "DE*MSP")
    assert (kept.token_uid, kept.token_type, kept.location_uid) == ("CARD1", "RFID", "L1")
    assert (kept.allowed, kept.reference) == ("ALLOWED", answer.data["authorization_reference"])


@pytest.mark.ocpi("K-05", "K-02")
def test_the_body_may_be_absent_and_the_type_too(cpo: Partner, emsp: Partner) -> None:
    assert cpo.authorize("CARD1").data["allowed"] == "ALLOWED"
    [request] = heard(emsp)
    assert (request.content, request.query) == (b"", {})
    assert cpo.authorize("CARD1", "?type=RFID").data["allowed"] == "ALLOWED"
    assert heard(emsp)[-1].query == {"type": "RFID"}
    unknown = cpo.authorize("CARD1", "?type=APP_USER")
    assert (unknown.http, unknown.code, unknown.data) == (404, 2004, None)
    assert len(heard(emsp)) == 2


@pytest.mark.ocpi("K-02", "K-03")
def test_the_only_token_with_that_uid_is_asked_for_by_its_type(cpo: Partner, emsp: Partner) -> None:
    emsp.push_token(objects.token(emsp.address, uid="APP1", type="APP_USER"))
    for to in (None, emsp.address):
        assert cpo.authorize("APP1", to=to).data["allowed"] == "ALLOWED"
        assert heard(emsp)[-1].query == {"type": "APP_USER"}
    assert Authorization.objects.filter(token_type="APP_USER").count() == 2


@pytest.mark.ocpi("K-01")
def test_the_owner_may_stand_in_the_url(cpo: Partner, emsp: Partner, stranger: Partner) -> None:
    stranger.push_token(objects.token(stranger.address))
    assert cpo.authorize("CARD1").code == 2002
    answer = cpo.call("POST", "tokens", "SENDER", "de", "msp", "CARD1", "authorize")
    assert answer.data["allowed"] == "ALLOWED"
    assert answer.headers["X-Hub-Decision"] == "open: DE*MSP by the owner in the URL"
    assert heard(emsp)[-1].path == ("2.2.1", "sender", "tokens", "CARD1", "authorize")
    assert heard(stranger) == []
    nobody = cpo.call("POST", "tokens", "SENDER", "DE", "NIX", "CARD1", "authorize")
    assert nobody.code == 4001


@pytest.mark.ocpi("O-04", "R-03")
def test_a_card_of_two_emsps_needs_a_name(cpo: Partner, emsp: Partner, stranger: Partner) -> None:
    stranger.push_token(objects.token(stranger.address))
    answer = cpo.authorize("CARD1")
    assert (answer.http, answer.code, answer.data) == (200, 2002, None)
    named = cpo.authorize("CARD1", to=stranger.address)
    assert named.headers["X-Hub-Decision"] == "direct: SE*STR"
    assert named.data["token"]["party_id"] == "STR"
    assert heard(emsp) == []


@pytest.mark.ocpi("K-05", "O-06")
def test_a_token_that_nobody_has_is_404_and_2004_without_data(cpo: Partner, emsp: Partner) -> None:
    answer = cpo.authorize("NEVER")
    assert (answer.http, answer.code, answer.data) == (404, 2004, None)
    assert heard(emsp) == []
    asked = cpo.authorize("NEVER", to=emsp.address)
    assert (asked.http, asked.code, asked.data) == (404, 2004, None)
    assert len(heard(emsp)) == 1
    kept = Authorization.objects.get()
    assert (kept.allowed, kept.status_code) == ("", 2004)


@pytest.mark.ocpi("K-07")
def test_the_hub_asks_even_where_it_thinks_to_know(cpo: Partner, emsp: Partner) -> None:
    emsp.push_token(objects.token(emsp.address, valid=False, last_updated="2026-02-01T00:00:00Z"))
    emsp.own.keep("tokens", "CARD1", objects.token(emsp.address))
    assert cpo.authorize("CARD1").data["allowed"] == "ALLOWED"
    emsp.own.keep("tokens", "CARD1", objects.token(emsp.address, valid=False))
    answer = cpo.authorize("CARD1")
    assert (answer.http, answer.code, answer.data["allowed"]) == (200, 1000, "BLOCKED")


@pytest.mark.ocpi("K-05", "K-06", "T-18")
@pytest.mark.parametrize(
    ("http", "content", "expected"),
    [
        (404, b"", (404, 2004)),
        (404, b'{"detail": "Not found."}', (404, 2004)),
        (200, b'{"status_code": 2004, "timestamp": "2026-11-25 12:00:00"}', (404, 2004)),
        (404, b'{"status_code": 2004, "data": {"a": 1}}', (404, 2004)),
        (200, b'{"status_code": 2002, "status_message": "where?"}', (200, 2002)),
        (200, b'{"status_code": 3001}', (200, 3001)),
        (400, b'{"status_code": 2001}', (200, 2001)),
        (500, b'{"status_code": 3000}', (200, 3000)),
        (200, b'{"status_code": 1000}', (200, 4000)),
        (200, b'{"status_code": 1000, "data": {"allowed": null}}', (200, 4000)),
        (200, b'{"status_code": 1000, "data": []}', (200, 4000)),
        (200, b'{"status_code": 200, "data": {"allowed": "ALLOWED"}}', (200, 4000)),
        (200, b"", (200, 4000)),
    ],
)
def test_what_an_emsp_says_is_put_into_order(
    cpo: Partner,
    emsp: Partner,
    monkeypatch: pytest.MonkeyPatch,
    http: int,
    content: bytes,
    expected: tuple[int, int],
) -> None:
    answering(emsp, monkeypatch, http, content)
    answer = cpo.authorize("CARD1")
    assert (answer.http, answer.code) == expected
    assert answer.data is None


def answering(partner: Partner, monkeypatch: pytest.MonkeyPatch, http: int, content: bytes) -> None:
    """Let a partner give an answer of the test's own."""
    monkeypatch.setattr(partner, "_reply", lambda *args: Reply(http, content))


@pytest.mark.ocpi("K-06", "R-09")
def test_an_authorisation_is_relayed_as_it_is(
    cpo: Partner, emsp: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b'{"data": [{"allowed": "NO_CREDIT", "x_left": 0.10}], "status_code": 1000}'
    answering(emsp, monkeypatch, 200, content)
    answer = cpo.authorize("CARD1")
    assert json.dumps(answer.data).startswith(b'{"allowed":"NO_CREDIT","x_left":0.10,')
    assert answer.data.pop("token") == objects.token(emsp.address)  # which it left out
    assert set(answer.data) == {"allowed", "x_left"}
    assert Authorization.objects.get().allowed == "NO_CREDIT"


@pytest.mark.ocpi("K-07", "T-19", "X-06")
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.HANG, 4002),
        (Fault.DRIP, 4002),
        (Fault.CLOSE, 4003),
        (Fault.UNAUTHORIZED, 4003),
        (Fault.ERROR500, 4000),
    ],
)
def test_an_emsp_that_fails_leaves_the_decision_to_the_cpo(
    cpo: Partner, emsp: Partner, monkeypatch: pytest.MonkeyPatch, fault: Fault, code: int
) -> None:
    assert AuthorizeViewSet.seconds == 4.0
    monkeypatch.setattr(AuthorizeViewSet, "seconds", 1.0)
    emsp.misbehave(fault, module="tokens")
    answer = cpo.authorize("CARD1")
    assert (answer.http, answer.code, answer.data) == (200, code, None)
    assert not Authorization.objects.exists()


@pytest.mark.ocpi("K-07")
def test_an_emsp_that_is_away_is_not_asked(cpo: Partner, emsp: Partner) -> None:
    platform = Platform.objects.get(roles__party__party_id="MSP")
    platform.move_to(Platform.State.OFFLINE)
    assert cpo.authorize("CARD1").code == 4003


@pytest.mark.ocpi("K-01", "K-05")
def test_only_cpos_ask_and_only_properly(cpo: Partner, emsp: Partner) -> None:
    assert emsp.authorize("CARD1").http == 403
    bad: client.Answer = cpo.authorize("CARD1", place={"evse_uids": ["E1"]})
    assert (bad.http, bad.code) == (200, 2001)
    assert cpo.call("GET", "tokens", "SENDER", "CARD1", "authorize").http == 405
    assert cpo.authorize("CARD1", to=Address("XX", "OCN")).code == 1000
    assert len(heard(emsp)) == 1


@pytest.mark.ocpi("K-06")
def test_a_token_that_the_emsp_leaves_out_is_added(cpo: Partner, emsp: Partner) -> None:
    answered = Relayed(200, 1000, "Success", {"allowed": "BLOCKED"})
    token = Token.objects.get()
    assert authorization(answered, token).data == {"allowed": "BLOCKED", "token": token.body}
    full = Relayed(200, 1000, "Success", {"allowed": "ALLOWED", "token": {"uid": "CARD1"}})
    assert authorization(full, token).data == full.data
