"""The developer hub: its calls are the published ones, and its pages keep the house rules."""

import json
import re
import shlex
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.test import Client, RequestFactory

from hub import pages

pytestmark = pytest.mark.usefixtures("plain_static")

PUBLISHED = {
    "credentials": """\
curl -X POST $HUB/ocpi/2.2/credentials \\
  -H "Authorization: Token YOUR_INITIAL_TOKEN" -H "Content-Type: application/json" \\
  -d '{"token": "YOUR_SERVER_TOKEN", "url": "https://your-backend.com/ocpi/versions",
       "roles": [{"role": "CPO", "business_details": {"name": "My CPO"}}]}'""",
    "location": """\
curl -X PUT $HUB/ocpi/2.2/locations/LOC_123 \\
  -H "Authorization: Token YOUR_CRED_TOKEN" -H "Content-Type: application/json" \\
  -d '{"id": "LOC_123", "type": "ON_STREET", "name": "Downtown Charger 1", "address": "123 Main St",
       "city": "Paris", "country": "FRA", "coordinates": {"latitude": "48.8566", "longitude": "2.3522"},
       "evses": [""",  # noqa: E501
    "cdr": """\
curl -X POST $HUB/ocpi/2.2/cdrs \\
  -H "Authorization: Token YOUR_CRED_TOKEN" -H "Content-Type: application/json" \\
  -d '{"id": "CDR_98765", "start_date_time": "2024-03-15T14:00:00Z", "stop_date_time": "2024-03-15T15:30:00Z",
       "auth_id": "DE8ACC12", "auth_method": "AUTH_REQUEST",
       "total_cost": {"excl_vat": 15.00, "incl_vat": 18.00}, "total_energy": 45.5,
       "currency": "EUR", "party_id": "FRA", "country_code": "FR"}'""",  # noqa: E501
}
ROLES = {
    "cpo": ["credentials", "versions", "location", "tariff", "cdr"],
    "emsp": ["credentials", "versions", "token", "locations", "start", "sessions"],
}


class CallReader(HTMLParser):
    """Collects what the browser would copy from each pre[data-call]."""

    def __init__(self):
        super().__init__()
        self.calls, self.name = {}, None

    def handle_starttag(self, tag, attrs):
        if tag == "pre":
            self.name = dict(attrs).get("data-call")

    def handle_endtag(self, tag):
        if tag == "pre":
            self.name = None

    def handle_data(self, data):
        if self.name:
            self.calls[self.name] = self.calls.get(self.name, "") + data


def calls_of(html):
    reader = CallReader()
    reader.feed(html)
    return {name: text.strip() for name, text in reader.calls.items()}


def body_of(call):
    words = shlex.split(call)
    return json.loads(words[words.index("-d") + 1])


@pytest.fixture
def visit(client: Client):
    def get(path="/", status=200, **headers):
        response = client.get(path, headers=headers)
        assert response.status_code == status
        return response

    return get


@pytest.mark.parametrize("role", ROLES)
def test_each_role_sees_its_calls_in_order(visit, role):
    assert list(calls_of(visit(f"/?role={role}").text)) == ROLES[role]


@pytest.mark.parametrize("path", ["/", "/?role=", "/?role=nonsense", "/?role=%3Cscript%3E"])
def test_whoever_says_nothing_is_a_cpo(visit, path):
    assert list(calls_of(visit(path).text)) == ROLES["cpo"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_calls_are_shown_verbatim(visit, name):
    shown = calls_of(visit(host="hub.example:8000").text)[name]
    published = PUBLISHED[name].replace("$HUB", "http://hub.example:8000")
    assert shown == published or (name == "location" and shown.startswith(published))


@pytest.mark.parametrize("role", ROLES)
def test_every_body_is_json(visit, role):
    bodies = [
        body_of(call) for call in calls_of(visit(f"/?role={role}").text).values() if "-d" in call
    ]
    assert all(bodies)


def test_the_ellipsis_of_the_printed_guide_is_filled_in_and_explained(visit):
    html = visit().text
    [evse] = body_of(calls_of(html)["location"])["evses"]
    assert evse["uid"]
    assert evse["connectors"]
    assert "&quot;evses&quot;: [...]" in html or '"evses": [...]' in html


def test_the_emsp_registers_as_one(visit):
    [role] = body_of(calls_of(visit("/?role=emsp").text)["credentials"])["roles"]
    assert role["role"] == "EMSP"


def test_the_pushed_token_agrees_with_its_address(visit):
    call = calls_of(visit("/?role=emsp").text)["token"]
    token = body_of(call)
    path = urlsplit(shlex.split(call)[3]).path
    assert path.endswith("/{country_code}/{party_id}/{uid}".format(**token))


def test_a_configured_address_beats_the_visitors_host(visit, settings):
    settings.HUB_BASE_URL = "https://hub.example.org"
    html = visit(host="10.0.0.7:8000").text
    assert "https://hub.example.org/ocpi/2.2/credentials" in html
    assert "10.0.0.7" not in html


def test_a_host_with_shell_characters_never_reaches_the_page(client):
    response = client.get("/", headers={"host": "hub.example;rm -rf"})
    assert response.status_code == 400
    assert "rm -rf" not in response.text
    assert "[Sandbox] We cannot read this request" in response.text


def test_commands_are_here_and_disputes_are_promised(visit):
    assert "commands/START_SESSION" in visit("/?role=cpo").text
    assert 'data-call="start"' in visit("/?role=emsp").text
    for role in ROLES:
        assert "Coming in a later release" in visit(f"/?role={role}").text


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/?role=emsp", 200), ("/nowhere", 404)])
def test_house_rules(visit, path, status):
    response = visit(path, status)
    html = response.text
    assert html.count("<h1") == 1
    assert "<title>[Sandbox] " in html
    assert re.search(r'class="environment">\s*<strong>Sandbox</strong>', html)
    assert 'href="#content"' in html
    assert 'id="content"' in html
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert re.findall(r"<script(?![^>]*\ssrc=)", html) == []
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html)
    assert len(html.encode()) < 60_000
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]


def test_live_is_not_marked_and_invites_nobody(visit, settings):
    settings.SANDBOX, settings.ENVIRONMENT = False, "live"
    html = visit().text
    assert "andbox" not in html
    assert "add_party" not in html


def test_only_reading_is_possible(client):
    assert client.post("/").status_code == 405


def test_a_failure_of_ours_is_a_page_too(rf: RequestFactory):
    response = pages.server_error(rf.get("/"))
    assert response.status_code == 500
    assert b"[Sandbox] Something broke on our side" in response.content


def test_every_static_file_that_is_named_exists(visit, settings, tmp_path):
    hashed = {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": hashed}
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    names = re.findall(r'"/static/([^"]+)"', visit().text)
    assert len(names) >= 4
    assert all((tmp_path / name).is_file() for name in names)


@pytest.mark.django_db
def test_the_admin_wears_our_skin(visit):
    html = visit("/admin/login/").text
    assert "admin-skin.css" in html
    assert "[Sandbox]" in html
    assert "Open Charge Network" in html
