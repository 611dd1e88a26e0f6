"""What every answer of /ocpi has in common, and who gets in."""

import base64

import pytest
from django.test import Client

from hub.ocpi import json
from parties.models import Key, Platform
from tests import objects
from tests.speaking import invited, joined

pytestmark = pytest.mark.django_db
PUT = "2.2.1/receiver/locations/NL/CPO/L1"


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "versions", 200),
        ("GET", "versions/", 200),
        ("GET", "2.2.1", 200),
        ("GET", "2.2.1/", 200),
        ("GET", "2.2.1/credentials", 200),
        ("GET", "", 404),
        ("GET", "nothing", 404),
        ("POST", "2.2.1/nothing", 404),
        ("GET", "2.1.1", 404),
        ("POST", "versions", 405),
        ("PATCH", "2.2.1/credentials", 405),
        ("POST", PUT, 405),
        ("DELETE", PUT, 405),
        ("PUT", "2.2.1/receiver/cdrs/NL/CPO/1", 405),
        ("GET", PUT, 404),
        ("OPTIONS", "versions", 405),
        ("GET", "2.2.1/receiver/locations/NL/CPO/%00", 404),
        ("GET", "2.2.1/sender/locations?date_from=%00", 404),
        ("GET", "2.2.1/sender/tokens", 200),
    ],
)
@pytest.mark.ocpi("T-04", "T-05", "T-11", "T-15", "T-32")
def test_every_answer_is_an_envelope(cpo, method, path, status):
    reply = cpo.call(method, path)
    assert reply.http == status
    assert (1000 <= reply.code < 2000) == (status == 200)
    assert len(reply.envelope["timestamp"]) <= 25
    if status == 405:
        assert "GET" in reply.headers["Allow"] or "POST" in reply.headers["Allow"]


@pytest.mark.ocpi("T-01", "T-32")
def test_plain_http_is_refused_and_not_redirected_where_https_is_required(cpo, settings):
    settings.SECURE_SSL_REDIRECT = True
    reply = cpo.get("versions")
    assert (reply.http, reply.code) == (403, 2000)
    assert "https" in reply.message


@pytest.mark.ocpi("T-20")
def test_ids_are_echoed_on_success_and_on_every_error(cpo):
    for path in ("versions", "nothing"):
        for token in (cpo.token, "wrong"):
            cpo.token = token
            reply = cpo.get(path, X_Request_ID="my-id", X_Correlation_ID="their-id")
            assert reply.headers["X-Request-ID"] == "my-id"
            assert reply.headers["X-Correlation-ID"] == "their-id"


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b'{"a": 1, "a": 2}', "application/json", 400),
        (b"[" * 1000 + b"]" * 1000, "application/json", 400),
        (b"{}", "application/json; charset=utf-16", 400),
        (b"{}", "text/plain", 200),
        (b"[]", "application/json; charset=utf-8", 200),
        (b"x" * (5 * 1024 * 1024 + 1), "application/json", 413),
    ],
)
@pytest.mark.ocpi("T-03", "T-09", "T-10")
def test_a_bad_body_is_refused_in_the_envelope(cpo, raw, content_type, status):
    response = Client(raise_request_exception=False).generic(
        "PUT",
        f"/ocpi/{PUT}",
        raw,
        content_type=content_type,
        headers={"Authorization": f"Token {cpo.token}"},
    )
    envelope = json.loads(response.content)
    assert response.status_code == status
    assert envelope["status_code"] in ({2001} if status == 200 else {2000, 2001})


def test_compressed_bodies_are_refused(cpo):
    assert cpo.put(PUT, b"\x1f\x8b", Content_Encoding="gzip").http == 400


@pytest.mark.ocpi("T-04")
def test_an_error_of_the_hub_itself_is_an_envelope_without_its_text(cpo, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("parties.owned.put", fail)
    reply = cpo.put(PUT, objects.location(cpo.address))
    assert (reply.http, reply.code) == (500, 3000)
    assert "secret" not in str(reply.envelope)
    assert "a secret detail" in caplog.text


@pytest.mark.parametrize("header", [None, "", "Token", "Token wrong", "Basic x"])
@pytest.mark.ocpi("T-13", "T-14", "A-07")
def test_who_shows_no_valid_token_is_refused_the_same_way(cpo, header):
    for method, path in (("GET", "versions"), ("GET", "2.2.1/sender/tokens"), ("PUT", PUT)):
        reply = cpo.call(method, path, Authorization=header)
        assert (reply.http, reply.code) == (401, 2000)
        assert reply.headers["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Token a,Token b"},
        {"Authorization": "Token wrong, "},
        {"OCPI_to_country_code": "NL,DE", "OCPI_to_party_id": "CPO"},
        {"OCPI_to_country_code": "NL", "OCPI_to_party_id": "CPO, CPO"},
        {"OCPI_from_country_code": "NL,NL", "OCPI_from_party_id": "CPO"},
        {"OCPI_from_country_code": "NL", "OCPI_from_party_id": "CPO,CPO"},
        {"Content_Length": "2, 2"},
    ],
)
def test_a_header_that_came_twice_is_refused(cpo, headers):
    """WSGI servers join the values of repeated headers with a comma."""
    for method, path in (("GET", "versions"), ("PUT", PUT)):
        reply = cpo.call(method, path, **headers)
        assert (reply.http, reply.code) == (400, 2001)
        assert "more than once" in reply.message


def test_ids_with_commas_are_no_trouble(cpo):
    assert cpo.get("versions", X_Request_ID="a,b").http == 200


@pytest.mark.ocpi("A-01", "A-04", "A-05")
def test_a_token_is_taken_plain_or_in_base64(cpo):
    encoded = base64.b64encode(cpo.token.encode()).decode()
    for form in (cpo.token, encoded, encoded.rstrip("=")):
        assert cpo.get("versions", Authorization=f"Token {form}").http == 200


@pytest.mark.ocpi("A-08")
def test_an_invitation_opens_versions_and_credentials_only():
    guest = invited("NL", "NEW", "CPO")
    assert guest.get("versions").http == 200
    assert guest.get("2.2.1").http == 200
    assert guest.get("2.2.1/credentials").data["token"] == guest.token
    assert guest.get("2.2.1/sender/tokens").http == 401
    assert guest.put("2.2.1/receiver/locations/NL/NEW/L1", {}).http == 401


@pytest.mark.ocpi("T-13")
def test_an_expired_or_used_invitation_and_a_suspended_platform_are_refused():
    guest = invited("NL", "NEW", "CPO")
    Key.objects.update(expires_at="2020-01-01T00:00Z")
    assert guest.get("versions").http == 401
    Key.objects.update(expires_at=None, used_at="2020-01-01T00:00Z")
    assert guest.get("versions").http == 401
    Key.objects.update(used_at=None)
    assert guest.get("versions").http == 200
    Platform.objects.update(state="suspended")
    assert guest.get("versions").http == 401


@pytest.mark.ocpi("A-10")
def test_tokens_are_nowhere_in_the_database(cpo):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(key::text, '') FROM parties_key key")
        assert cpo.token not in cursor.fetchone()[0]


@pytest.mark.ocpi("V-01", "V-02", "C-03", "R-02", "V-11")
def test_the_hub_shows_its_role_and_its_endpoints_in_both_versions(cpo):
    assert [item["version"] for item in cpo.get("versions").data] == ["2.2.1", "2.2"]
    details = cpo.get("2.2.1").data
    assert details["version"] == "2.2.1"
    assert len(details["endpoints"]) == 16
    credentials = cpo.get("2.2.1/credentials").data
    assert [role["role"] for role in credentials["roles"]] == ["HUB"]
    assert "OCPI-from-party-id" not in cpo.get("versions").headers


@pytest.mark.ocpi("R-01", "R-05")
def test_answers_of_functional_modules_carry_routing_headers(cpo):
    reply = cpo.get("2.2.1/sender/tokens", OCPI_from_country_code="nl", OCPI_from_party_id="cpo")
    assert reply.headers["OCPI-to-party-id"] == "CPO"
    assert reply.headers["OCPI-from-party-id"] == "OCN"


@pytest.mark.parametrize(
    ("headers", "http", "code"),
    [
        ({"OCPI_from_party_id": "CPO"}, 200, 2001),
        ({"OCPI_from_party_id": "XYZ", "OCPI_from_country_code": "NL"}, 200, 2001),
        ({"OCPI_to_party_id": "XYZ", "OCPI_to_country_code": "NL"}, 200, 4001),
        ({"OCPI_to_party_id": "OCN", "OCPI_to_country_code": "xx"}, 201, 1000),
        ({"OCPI_to_party_id": "CPO", "OCPI_to_country_code": "NL"}, 201, 1000),
    ],
)
@pytest.mark.ocpi("R-05", "R-06", "A-12")
def test_routing_headers_are_checked(cpo, headers, http, code):
    reply = cpo.put(PUT, objects.location(cpo.address), **headers)
    assert (reply.http, reply.code) == (http, code)
