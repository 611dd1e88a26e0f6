"""Versions and version details: where every partner begins."""

import pytest
from django.test import Client

from hub.ocpi import json, validation, versions
from hub.ocpi.types import Version, VersionDetails
from parties.models import Exchange, Key, Platform
from tests.speaking import Speaker, invited, joined

pytestmark = pytest.mark.django_db
BOTH_WAYS = ["cdrs", "chargingprofiles", "commands", "locations", "sessions", "tariffs", "tokens"]
NO_URL = ("commands", "SENDER")


@pytest.fixture
def member():
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def guest():
    return invited("NL", "NEW", "CPO")


def details_of(member, version="2.2.1"):
    return member.get(version).data["endpoints"]


def served(endpoints):
    """Return all but the Sender of commands: results go to the URL that each command names."""
    return [item for item in endpoints if (item["identifier"], item["role"]) != NO_URL]


def path_of(url, settings):
    assert url.startswith(f"{settings.HUB_BASE_URL}/ocpi/")
    return url.removeprefix(f"{settings.HUB_BASE_URL}/ocpi/")


@pytest.mark.ocpi("V-01", "V-02", "V-10", "T-06")
def test_the_list_names_the_versions_with_absolute_urls(member, guest, settings):
    settings.HUB_BASE_URL = "https://hub.example"
    for speaker in (member, guest):
        data = speaker.get("versions").data
        assert [item["version"] for item in data] == ["2.2.1", "2.2"]
        for item in data:
            assert validation.problems(Version, item) == []
            assert item["url"] == f"https://hub.example/ocpi/{item['version']}"


@pytest.mark.ocpi("V-01", "T-13", "A-07")
@pytest.mark.parametrize("path", ["versions", "2.2.1", "2.2"])
def test_without_a_token_there_is_nothing_to_see(member, path):
    for header in (None, "Token och_wrong"):
        reply = member.get(path, Authorization=header)
        assert (reply.http, reply.headers["WWW-Authenticate"]) == (401, "Token")


@pytest.mark.ocpi("V-03", "V-05")
@pytest.mark.parametrize("version", versions.VERSIONS)
def test_the_details_are_those_of_a_hub(member, version):
    data = member.get(version).data
    assert validation.problems(VersionDetails, data) == []
    assert data["version"] == version
    listed = sorted((item["identifier"], item["role"]) for item in data["endpoints"])
    assert listed == sorted(
        [
            ("credentials", "SENDER"),
            ("hubclientinfo", "SENDER"),
            *((module, role) for module in BOTH_WAYS for role in ("SENDER", "RECEIVER")),
        ]
    )
    assert len(listed) == 16


@pytest.mark.ocpi("V-04")
def test_credentials_are_listed_once_as_sender(guest):
    listed = [item for item in details_of(guest) if item["identifier"] == "credentials"]
    assert [item["role"] for item in listed] == ["SENDER"]


@pytest.mark.ocpi("V-06")
def test_no_two_endpoints_share_a_base(member):
    urls = [f"{item['url']}/" for item in details_of(member)]
    for url in urls:
        assert [other for other in urls if other.startswith(url)] == [url]


@pytest.mark.ocpi("V-07")
@pytest.mark.parametrize("version", versions.VERSIONS)
def test_every_url_names_its_version(member, version, settings):
    for item in details_of(member, version):
        assert path_of(item["url"], settings).split("/")[0] == version


@pytest.mark.ocpi("V-03", "V-10")
@pytest.mark.parametrize("version", versions.VERSIONS)
def test_behind_every_url_there_is_something(member, version, settings):
    """Some interfaces are about single objects only: then something is below the URL."""
    for item in served(details_of(member, version)):
        path = path_of(item["url"], settings)
        replies = [member.get(path), member.get(f"{path}/X"), member.get(f"{path}/NL/CPO/X")]
        assert any("start at /ocpi/versions" not in reply.message for reply in replies), item


@pytest.mark.ocpi("V-10")
def test_urls_are_the_public_ones_however_the_hub_is_called(member, settings):
    settings.HUB_BASE_URL = "https://hub.example"
    settings.ALLOWED_HOSTS = ["*"]
    for path in ("versions", "2.2.1", "2.2.1/credentials"):
        text = str(member.get(path, Host="inner.example:1234", X_Forwarded_Host="x.example").data)
        assert "https://hub.example/ocpi/" in text
        assert "inner.example" not in text
        assert "x.example" not in text


@pytest.mark.ocpi("V-11", "R-02")
@pytest.mark.parametrize("path", ["versions", "2.2.1"])
def test_routing_headers_mean_nothing_here(member, path):
    reply = member.get(
        path,
        OCPI_to_country_code="DE",
        OCPI_to_party_id="XYZ",
        OCPI_from_country_code="Atlantis",
    )
    assert (reply.http, reply.code) == (200, 1000)
    assert not [name for name in reply.headers if name.lower().startswith("ocpi-")]


@pytest.mark.ocpi("V-11")
def test_to_ask_for_versions_changes_nothing(member):
    ignored = {"last_used_at", "heard_at", "probe_at", "probes_failed"}

    def everything():
        rows = [*Platform.objects.values(), *Key.objects.values()]
        return [{k: v for k, v in row.items() if k not in ignored} for row in rows]

    before, exchanges = everything(), Exchange.objects.count()
    for _ in range(3):
        assert member.get("versions").data == versions.versions()
    assert everything() == before
    assert Exchange.objects.count() == exchanges


@pytest.mark.ocpi("V-08")
def test_only_modules_of_the_specification_are_advertised(member):
    known = {*BOTH_WAYS, "credentials", "hubclientinfo"}
    assert {item["identifier"] for item in details_of(member)} == known


@pytest.mark.ocpi("V-01", "T-32")
@pytest.mark.parametrize("path", ["versions/", "2.2.1/", "2.2/"])
def test_a_slash_at_the_end_does_not_matter(member, path):
    assert member.get(path).data == member.get(path.rstrip("/")).data


@pytest.mark.ocpi("T-15")
@pytest.mark.parametrize("path", ["versions", "2.2.1"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_versions_are_only_read(member, path, method):
    reply = member.call(method, path, {})
    assert reply.http == 405
    assert "GET" in reply.headers["Allow"]


@pytest.mark.ocpi("V-02")
@pytest.mark.parametrize("path", ["2.1.1", "2.0", "3.0", "2.2.2", "2.2.1.1", "versions/2.2.1"])
def test_other_versions_are_not_there(member, path):
    assert member.get(path).http == 404


@pytest.mark.ocpi("A-08", "A-07")
def test_an_invitation_opens_versions_and_credentials_and_no_module(guest, settings):
    for item in served(details_of(guest)):
        path = path_of(item["url"], settings)
        if item["identifier"] == "credentials":
            assert guest.get(path).http == 200
        else:
            tails = ("", "/X", "/NL/NEW/X")
            statuses = {guest.get(path + tail).http for tail in tails}
            assert 401 in statuses <= {401, 404}, item


@pytest.mark.ocpi("A-07")
def test_a_token_means_one_platform(member):
    other = joined("NL", "TWO", "CPO")
    for speaker in (member, other):
        assert speaker.get("2.2.1/credentials").data["token"] == speaker.token
    swapped = Speaker(member.address, other.token)
    assert swapped.put("2.2.1/receiver/locations/NL/CPO/L1", {}).http == 404


@pytest.mark.ocpi("T-03", "T-04")
@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=1", "nonsense", ""])
def test_whatever_is_accepted_gets_the_envelope(member, accept):
    headers = {"Authorization": f"Token {member.token}", "Accept": accept}
    response = Client().get("/ocpi/versions?format=xml", headers=headers)
    assert response["Content-Type"] == "application/json"
    assert json.loads(response.content)["status_code"] == 1000
