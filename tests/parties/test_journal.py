"""The message journal: everything is in it, and nothing that must not be."""

import base64
import json
import logging
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from parties import delivery, journal, keys, tasks
from parties.masking import SHOWN, Mask
from parties.models import Exchange
from tests import objects
from tests.speaking import invited, joined
from tests.wires import TOKEN, Said, envelope, receiving, wire

pytestmark = [pytest.mark.django_db, pytest.mark.ocpi("X-02")]
DRIVER = "04A2B3C4D5E6F7"


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP")


def noted(**wanted):
    journal.flush()
    return list(Exchange.objects.filter(**wanted).order_by("pk"))


def everything():
    """Return all that the journal holds as one text."""
    return " ".join(str(vars(item)) for item in noted())


def test_a_push_is_noted_with_all_that_support_needs(cpo):
    body = objects.location(cpo.address)
    cpo.put(
        "2.2.1/receiver/locations/NL/CPO/L1",
        body,
        X_Request_ID="r-1",
        X_Correlation_ID="c-1",
        OCPI_from_country_code="NL",
        OCPI_from_party_id="CPO",
    )
    [item] = noted()
    assert (item.direction, item.platform, item.method) == ("in", cpo.platform, "PUT")
    assert (item.module, item.interface) == ("locations", "RECEIVER")
    assert item.path == "/ocpi/2.2.1/receiver/locations/NL/CPO/L1"
    assert (item.request_id, item.correlation_id) == ("r-1", "c-1")
    assert (item.sender, item.receiver) == ("NL*CPO", "")
    assert (item.http_status, item.status_code, item.outcome) == (201, 1000, "Success")
    assert '"uid":"E1"' in item.request_body
    assert '"status_code":1000' in item.answer_body
    assert timezone.now() - item.at < timedelta(seconds=10)
    assert item.decision.startswith("broadcast") or not item.decision


@pytest.mark.parametrize(
    ("method", "path", "http"),
    [
        ("GET", "nothing", 404),
        ("POST", "versions", 405),
        ("PUT", "2.2.1/receiver/locations/NL/CPO/L1", 400),
        ("GET", "2.2.1/receiver/locations/FR/XXX/L1", 404),
    ],
)
def test_refusals_are_noted_with_who_was_refused(cpo, method, path, http):
    cpo.call(method, path, b"{")
    [item] = noted()
    assert (item.platform, item.http_status) == (cpo.platform, http)
    assert item.outcome


def test_strangers_and_double_headers_are_noted_without_a_platform(cpo):
    cpo.get("versions", Authorization="Token wrong")
    cpo.get("versions", Authorization="Token a,Token b")
    cpo.get("versions", Authorization=None)
    assert [(item.platform, item.http_status) for item in noted()] == [
        (None, 401),
        (None, 400),
        (None, 401),
    ]


def test_a_flood_of_strangers_does_not_fill_the_journal(cpo, caplog):
    for _ in range(journal.STRANGERS * 4):
        cpo.get("versions", Authorization="Token wrong")
    cpo.get("versions")
    items = noted()
    assert len(items) < journal.STRANGERS * 4
    assert items[-1].platform == cpo.platform
    assert "missing in the journal" in caplog.text


@pytest.mark.ocpi("A-10")
def test_no_token_is_ever_noted(cpo):
    guest = invited("NL", "NEW", "CPO", dialect="quickstart")
    body = {
        "token": TOKEN,
        "url": "http://127.0.0.1:1/versions",
        "roles": [{"role": "CPO", "business_details": {"name": "New"}}],
    }
    access = guest.post("2.2/credentials", body).data["token"]
    guest.post("2.2/credentials", b'{"token": "' + TOKEN.encode() + b'", "url": oops}')
    guest.post("2.2/credentials", {**body, "token": "bad token with " + TOKEN})
    guest.token = access
    guest.get("2.2.1/credentials")
    text = everything()
    for secret in (TOKEN, access, cpo.token):
        assert secret not in text
        assert base64.b64encode(secret.encode()).decode() not in text
    assert "(masked)" in text


def test_a_driver_is_hidden_everywhere_but_can_be_found(emsp):
    card = objects.token(
        emsp.address, uid=DRIVER, contract_id="DE-EMP-C77", visual_number="DF000-2001-8999"
    )
    emsp.put(f"2.2.1/receiver/tokens/DE/EMP/{DRIVER}?type=RFID", card)
    emsp.get(f"2.2.1/receiver/tokens/DE/EMP/{DRIVER.lower()}")
    emsp.get("2.2.1/receiver/tokens/DE/EMP/UNKNOWNCARD")
    emsp.put(f"2.2.1/receiver/tokens/DE/EMP/{DRIVER}", {**card, "uid": "X" * 37})
    text = everything()
    for identifier in (DRIVER, DRIVER.lower(), "C77", "2001-8999", "UNKNOWNCARD", "XXX"):
        assert identifier not in text
    short = keys.pseudonym(DRIVER)
    assert [f"~{short}" in item.path for item in noted()] == [True, True, False, True]
    assert noted()[0].path.endswith("?type=RFID")
    assert len(noted(drivers__contains=[keys.pseudonym(DRIVER.lower())])) == 3
    assert f'"uid":"~{short}"' in noted()[0].request_body


@pytest.mark.parametrize(
    ("module", "path", "shown"),
    [
        ("", "/ocpi/2.2.1/tokens/DE/EMP/ABC/1", "/ocpi/2.2.1/tokens/DE/EMP/~{}"),
        ("", "/x/tokens/ABC%2F1/authorize", "/x/tokens/~{}/authorize"),
        ("tokens", "http://h/cards/ABC%2F1", "http://h/cards/~{}"),
        ("tokens", "http://h/cards/ABC%2F1/authorize", "http://h/cards/~{}/authorize"),
        ("tokens", "/tokens/DE/EMP/ABC%2F1?type=A&x=B", "/tokens/DE/EMP/~{}?type=A&x=(masked)"),
        ("", "/ocpi/callback/ABC/1", "/ocpi/callback/~{}"),
        ("", "/ocpi/page/ABC/1", "/ocpi/page/~{}"),
    ],
)
def test_paths_show_neither_drivers_nor_secrets(module, path, shown):
    assert Mask(module).url(path) == shown.format(keys.pseudonym("ABC/1"))


def test_what_is_no_drivers_is_shown():
    mask = Mask("locations")
    body = b'{"evses": [{"uid": "E1"}], "publish_allowed_to": [{"uid": "CARD99"}], "x": 1.50}'
    shown = mask.body(body)
    assert '"uid":"E1"' in shown
    assert "CARD99" not in shown
    assert "1.50" in shown
    assert Mask("tokens").url("/ocpi/2.2.1/sender/tokens?offset=5&limit=2") == (
        "/ocpi/2.2.1/sender/tokens?offset=5&limit=2"
    )


def test_the_url_of_a_callback_is_a_secret_in_bodies():
    shown = Mask("commands").body(b'{"response_url": "https://emsp.example/cb/s3cr3t?key=1"}')
    assert "s3cr3t" not in shown
    assert "https://emsp.example/~" in shown


def test_what_was_hidden_once_is_hidden_in_words_too():
    mask = Mask("tokens")
    mask.body(b'{"uid": "CARD99"}')
    assert "CARD99" not in mask.body(b'{"status_message": "no such token: CARD99"}')
    assert mask.text("$.contract_id: 'DE1' is not well-formed") == "$.contract_id: (masked)"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"uid": "CARD99", "token": "' + TOKEN.encode() + b'",}',
        b'{"uid": "CARD99", "x": NaN, "contract_id": "' + TOKEN.encode(),
        b'{uid: CARD9999, "x" "' + TOKEN.encode() + b'"}',
        b'["' + TOKEN.encode() + b'": 1',
        TOKEN.encode(),
        b"<html>CARD99 " + TOKEN.encode(),
        b"[" * 2000 + TOKEN.encode(),
        b"\xff\xfe CARD99",
    ],
)
def test_of_what_cannot_be_read_only_the_skeleton_is_shown(raw):
    shown = Mask().body(raw)
    assert shown
    assert "CARD99" not in shown
    assert TOKEN not in shown


def test_a_skeleton_still_shows_what_is_wrong():
    shown = Mask().body(b'{"name": "Dam", "publish": true, "evses": [1,2,],}')
    assert shown == '{"name": "...", "publish": true, "evses": [1,2,],}'


def test_long_bodies_are_cut_and_stay_json(cpo):
    body = objects.location(cpo.address, evses=[objects.evse(uid=f"E{n}") for n in range(400)])
    cpo.put("2.2.1/receiver/locations/NL/CPO/L1", body)
    [item] = noted()
    assert len(item.request_body) < SHOWN * 1.2
    assert "more" in str(json.loads(item.request_body)["evses"][-1])
    assert "too long" in Mask().body(b'"' + b"x" * 200_000 + b'"')


def test_deliveries_are_noted_with_each_attempt(cpo):
    with wire(lambda seen: envelope()) as partner:
        emsp = receiving(partner, "locations")
        cpo.put("2.2.1/receiver/locations/NL/CPO/L1", objects.location(cpo.address))
        delivery.drain(emsp.platform.pk)
    [item] = noted(direction="out")
    assert (item.platform, item.module, item.method) == (emsp.platform, "locations", "PUT")
    assert item.path == f"{partner.url}/locations/NL/CPO/L1"
    assert (item.http_status, item.status_code, item.receiver) == (200, 1000, "DE*EMP")
    assert item.request_id == partner.seen[0].headers["X-Request-ID"]
    assert '"Dam 1"' in item.request_body


def test_a_call_without_an_answer_is_noted_in_words(cpo):
    with wire(lambda seen: Said(200, b"x" * 2_000_000)) as partner:
        emsp = receiving(partner, "locations")
    cpo.put("2.2.1/receiver/locations/NL/CPO/L1", objects.location(cpo.address))
    delivery.drain(emsp.platform.pk)
    [item] = noted(direction="out")
    assert (item.http_status, item.status_code, item.answer_body) == (None, None, "")
    assert "Error" in item.outcome


def test_an_absent_database_loses_nothing_and_troubles_nobody(cpo, monkeypatch):
    def absent(rows):
        raise OperationalError("gone")

    cpo.get("versions")
    with monkeypatch.context() as patch:
        patch.setattr(journal, "write", absent)
        for _ in range(3):
            journal._journal._flush_safely()
        assert cpo.get("versions").http == 200
    assert len(noted()) == 2


def test_one_bad_row_does_not_cost_the_others(cpo, caplog):
    for number in range(3):
        cpo.get("versions", X_Request_ID=f"r{number}")
    journal._journal._drafts[1].ids = journal.Ids("x" * 300)
    with caplog.at_level(logging.ERROR):
        assert [item.request_id for item in noted()] == ["r0", "r2"]
    assert "does not fit" in caplog.text


def test_too_many_that_wait_are_dropped_and_counted(cpo, monkeypatch, caplog):
    monkeypatch.setattr(journal, "LIMIT", 2)
    for _ in range(5):
        cpo.get("versions")
    assert len(noted()) == 2
    assert "missing in the journal" in caplog.text


def test_a_fault_of_the_journal_is_not_the_partners(cpo, monkeypatch):
    def fail(*args):
        raise RuntimeError

    monkeypatch.setattr(journal, "record", fail)
    assert cpo.get("versions").http == 200


@pytest.mark.ocpi("X-01")
def test_old_exchanges_are_forgotten_batch_by_batch(cpo, settings, monkeypatch):
    monkeypatch.setattr(journal, "BATCH", 3)
    settings.JOURNAL_DAYS = 30
    for _ in range(10):
        cpo.get("versions")
    old = [item.pk for item in noted()][:8]
    Exchange.objects.filter(pk__in=old).update(at=timezone.now() - timedelta(days=31))
    tasks.forget_exchanges()
    assert Exchange.objects.count() == 2
    assert journal.purge(30, timezone.now()) == 0
