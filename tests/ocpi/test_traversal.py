"""Ids that would lead elsewhere in a URL: `.` and `..` go nowhere, in and out."""

import pytest
from django.test import override_settings

from hub import egress
from locations.models import Location
from parties.models import Delivery
from tests import objects
from tests.speaking import joined

pytestmark = [pytest.mark.django_db, pytest.mark.ocpi("T-33", "C-21")]


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO", modules=["tokens"])


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP", modules=["locations", "sessions", "cdrs"])


@pytest.mark.parametrize(
    "tail", ["..%2f..%2fcred", "../cred", "%2e%2e/%2E%2E/cred", ".", "L1/..%2f..%2fx", "L1/.."]
)
def test_no_path_of_ours_holds_dots(cpo, emsp, tail):
    named = {"OCPI_to_country_code": "DE", "OCPI_to_party_id": "EMP"}
    body = objects.evse(uid="cred")
    pushed = cpo.put(f"2.2.1/receiver/locations/{cpo.path}/{tail}", body, **named)
    named = {"OCPI_to_country_code": "NL", "OCPI_to_party_id": "CPO"}
    read = emsp.get(f"2.2.1/sender/locations/{tail}", **named)
    for reply in (pushed, read):
        assert (reply.http, reply.message) == (404, "no such resource: . and .. are no ids")


@pytest.mark.parametrize("uid", [".", ".."])
def test_no_object_is_named_by_dots(cpo, emsp, uid):
    inner = objects.location(cpo.address, id="L1", evses=[objects.evse(uid=uid)])
    path = f"2.2.1/receiver/locations/{cpo.path}/L1"
    for body in (inner, objects.location(cpo.address, id=uid)):
        assert cpo.put(path, body).code == 2001
    assert not Location.objects.exists()
    assert not Delivery.objects.exists()
    assert cpo.put(path, objects.location(cpo.address, id="L1")).http == 201
    renamed = objects.connector(id=uid)
    assert cpo.put(f"{path}/E1", renamed).code != 1000


def test_three_dots_are_a_name(cpo, emsp):
    body = objects.location(cpo.address, id="...")
    assert cpo.put(f"2.2.1/receiver/locations/{cpo.path}/...", body).http == 201


@override_settings(ALLOW_PRIVATE_NETWORKS=True)
@pytest.mark.parametrize("path", ["/a/../b", "/a/%2e%2E/b", "/a/.", "/x%2F..%2Fy", "/.."])
def test_the_door_calls_no_such_url(path):
    with pytest.raises(egress.EgressDeniedError, match="in its path"):
        egress.check_url(f"http://partner.example{path}", None)
