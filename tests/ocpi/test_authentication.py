"""Authentication: one token, one platform; and who speaks for whom.

More of section 2 is shown in tests/parties: test_keys, test_quirks, test_calling, test_protocol.
"""

import base64
import math

import pytest
from django.db import connection

from parties import journal, keys
from parties.models import Exchange, Key, Platform, Quirk
from tests import objects
from tests.speaking import invited, joined

pytestmark = pytest.mark.django_db
MODULES = ("locations", "tariffs", "sessions", "cdrs", "tokens", "commands", "chargingprofiles")


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.mark.ocpi("A-04", "A-07")
def test_a_token_that_is_base64_itself_is_one_platforms_in_either_reading(cpo):
    """A partner's token may be valid Base64 of another's: the digest decides, not the decoding."""
    other = joined("FR", "CPO", "CPO")
    inner = "0123456789abcdef0123456789abcdef"
    outer = base64.b64encode(inner.encode()).decode()
    Key.objects.filter(platform=cpo.platform).update(digest=keys.digest(outer))
    cpo.token = outer
    assert cpo.get("2.2.1/credentials", Authorization=f"Token {outer}").http == 200
    assert cpo.get("2.2.1/credentials").http == 200
    Key.objects.filter(platform=other.platform).update(digest=keys.digest(inner))
    found = {
        speaker.get("2.2.1/credentials", Authorization=header).data["token"]
        for speaker, header in ((cpo, f"Token {base64.b64encode(outer.encode()).decode()}"),)
    }
    assert found == {outer}


@pytest.mark.ocpi("A-04")
def test_what_decodes_to_nonsense_is_looked_up_as_it_is(cpo):
    for token in ("abcd", "och_plain-token.with:marks", "0123456789abcdef0123456789abcdef"):
        Key.objects.filter(platform=cpo.platform).update(digest=keys.digest(token))
        assert cpo.get("versions", Authorization=f"Token {token}").http == 200


@pytest.mark.ocpi("A-07", "T-13")
@pytest.mark.parametrize(
    "header",
    [
        "Token",
        "Token ",
        "Token =",
        "Token ====",
        "Token \x00",
        "Token é",
        f"Token {'A' * 10_000}",
        "Token och_x y",
        "Basic och_x",
        "Digest username=x",
        "=" * 64,
    ],
)
def test_nonsense_is_401_and_nothing_worse(cpo, header):
    reply = cpo.get("versions", Authorization=header)
    assert (reply.http, reply.code) == (401, 2000)
    assert reply.headers["WWW-Authenticate"] == "Token"


@pytest.mark.ocpi("A-04")
def test_hit_and_miss_cost_the_same_queries(cpo, django_assert_num_queries):
    cpo.get("versions")
    with django_assert_num_queries(1):
        cpo.get("versions", Authorization="Token wrong")
    with django_assert_num_queries(1):
        cpo.get("versions")


@pytest.mark.ocpi("A-08")
@pytest.mark.parametrize("interface", ["sender", "receiver"])
@pytest.mark.parametrize("module", MODULES)
def test_a_registration_token_opens_no_module(module, interface):
    guest = invited("NL", "NEW", "CPO", "EMSP")
    for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
        for tail in ("", "/NL/NEW/1", "/1"):
            reply = guest.call(method, f"2.2.1/{interface}/{module}{tail}", {})
            assert reply.http in {401, 404, 405}
            assert reply.code == 2000
    for path in (f"2.2.1/sender/{module}", f"2.2.1/receiver/{module}/NL/NEW/1"):
        assert guest.get(path).http in {401, 404, 405}
    assert guest.get("2.2.1/sender/tokens").http == 401


@pytest.mark.ocpi("A-10")
def test_a_token_has_256_bits_and_what_a_header_can_hold():
    token = keys.new_token()
    assert len(token.removeprefix("och_")) * math.log2(62) >= 256
    assert len(token) <= 64
    assert token.isascii()
    assert token.isprintable()
    assert not set(token) & set(" :\"'\\,;")


@pytest.mark.ocpi("A-10")
def test_no_table_of_the_database_holds_a_token_that_opens_the_hub(cpo):
    for form in (cpo.token, base64.b64encode(cpo.token.encode()).decode()):
        cpo.get("versions", Authorization=f"Token {form}")
        cpo.get("versions", Authorization=form)
        cpo.get(f"{form}?token={form}", Authorization=f"Token {form}x")
    journal.flush()
    assert Exchange.objects.count() == 6
    assert Quirk.objects.exists()
    encoded = base64.b64encode(cpo.token.encode()).decode()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")  # noqa: S608
            text = cursor.fetchone()[0]
            assert cpo.token not in text, table
            assert encoded not in text, table


@pytest.mark.ocpi("A-12")
@pytest.mark.parametrize(
    ("headers", "http", "code"),
    [
        ({"OCPI_from_country_code": "FR", "OCPI_from_party_id": "OTH"}, 200, 2001),
        ({"OCPI_from_country_code": "XX", "OCPI_from_party_id": "OCN"}, 200, 2001),
        ({"OCPI_from_country_code": "NL", "OCPI_from_party_id": "CPO"}, 201, 1000),
    ],
)
def test_nobody_sends_in_the_name_of_another_platforms_party(cpo, headers, http, code):
    joined("FR", "OTH", "CPO")
    path = "2.2.1/receiver/locations/NL/CPO/L1"
    reply = cpo.put(path, objects.location(cpo.address), **headers)
    assert (reply.http, reply.code) == (http, code)


@pytest.mark.ocpi("A-07", "A-10")
def test_another_secret_of_the_hub_makes_all_tokens_worthless(cpo, settings):
    settings.SECRET_KEY = "another"
    assert cpo.get("versions").http == 401


@pytest.mark.ocpi("A-07", "T-14")
def test_a_suspended_platform_is_told_what_a_stranger_is_told(cpo):
    Platform.objects.filter(pk=cpo.platform.pk).update(state=Platform.State.SUSPENDED)
    known, stranger = cpo.get("versions"), cpo.get("versions", Authorization="Token wrong")
    assert (known.http, known.message) == (stranger.http, stranger.message) == (401, known.message)
