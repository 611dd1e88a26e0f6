"""What is odd about how partners ask is accepted, noted, and shown to nobody else."""

import base64

import pytest

from parties import journal
from parties.models import Quirk
from parties.quirks import Habit, described
from tests import objects
from tests.speaking import joined

pytestmark = [pytest.mark.django_db, pytest.mark.ocpi("X-04")]
PUT = "2.2.1/receiver/locations/NL/CPO/L1"
IDS = {"X_Request_ID": "r", "X_Correlation_ID": "c"}
FROM = {"OCPI_from_country_code": "NL", "OCPI_from_party_id": "CPO"}


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


def noted(cpo):
    journal.flush()
    return dict(Quirk.objects.filter(platform=cpo.platform).values_list("name", "example"))


def test_who_keeps_to_the_letter_has_no_quirks(cpo):
    assert cpo.put(PUT, objects.location(cpo.address), **IDS, **FROM).http == 201
    assert cpo.get("versions", **IDS).http == 200
    assert noted(cpo) == {}


@pytest.mark.ocpi("A-04", "A-05", "A-06")
@pytest.mark.parametrize(
    ("spell", "habits"),
    [
        (lambda token, b64: f"Token {b64}", set()),
        (lambda token, b64: f"token  {b64}", set()),
        (lambda token, b64: f"Token {token}", {Habit.TOKEN_PLAIN}),
        (lambda token, b64: token, {Habit.TOKEN_BARE, Habit.TOKEN_PLAIN}),
        (lambda token, b64: b64, {Habit.TOKEN_BARE}),
        (lambda token, b64: f"Bearer {b64}", {Habit.TOKEN_BEARER}),
        (lambda token, b64: f"Token {b64.rstrip('=')}", {Habit.TOKEN_UNPADDED}),
        (
            lambda token, b64: f"Token {base64.b64encode(f'{token}{chr(10)}'.encode()).decode()}",
            {Habit.TOKEN_NEWLINE},
        ),
    ],
)
def test_every_spelling_of_the_token_is_taken_and_noted(cpo, spell, habits):
    encoded = base64.b64encode(cpo.token.encode()).decode()
    assert cpo.get("versions", **IDS, Authorization=spell(cpo.token, encoded)).http == 200
    assert set(noted(cpo)) == habits
    assert cpo.token not in str(noted(cpo))


@pytest.mark.ocpi("T-22", "T-23", "T-25", "X-05")
@pytest.mark.parametrize(
    ("headers", "name", "example"),
    [
        ({**FROM}, Habit.NO_IDS, ""),
        ({**FROM, "X_Request_ID": "r"}, Habit.NO_IDS, ""),
        ({**FROM, "X_Request_ID": "a b", "X_Correlation_ID": "c"}, Habit.ODD_IDS, ""),
        ({**IDS}, Habit.NO_SENDER, ""),
        (
            {**IDS, "OCPI_from_country_code": "nl", "OCPI_from_party_id": "cpo"},
            Habit.LOWER_CASE,
            "OCPI-from-party-id: cpo",
        ),
        ({**IDS, **FROM, "Content_Type": "text/plain"}, Habit.CONTENT_TYPE, "text/plain"),
    ],
)
def test_odd_headers_are_taken_and_noted(cpo, headers, name, example):
    assert cpo.put(PUT, objects.location(cpo.address), **headers).http == 201
    assert noted(cpo) == {name: example}


@pytest.mark.ocpi("T-25", "T-28")
def test_lower_case_in_the_url_and_explicit_nulls_are_taken_and_noted(cpo):
    body = objects.location(cpo.address, name=None, images=None)
    reply = cpo.put("2.2.1/receiver/locations/nl/cpo/l1", body, **IDS, **FROM)
    assert reply.http == 201
    assert noted(cpo) == {Habit.LOWER_CASE: "nl/cpo", Habit.NULLS: "name"}


def test_strangers_have_no_quirks(cpo):
    cpo.get("versions", Authorization="wrong")
    journal.flush()
    assert not Quirk.objects.exists()


def test_a_quirk_is_told_in_words():
    assert (
        described("slash tokens") == "wants URLs to end in a slash (one row for each module) tokens"
    )
    assert described("repair: date") == "repair: date"
