"""The API reference: complete, valid, true to the hub, and readable."""

import json
import re
import shlex
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver, resolve
from openapi_spec_validator import validate

from hub.ocpi import examples, openapi, operations, schemas, types, validation
from parties import policy
from parties.views import NothingViewSet
from tests.speaking import joined

pytestmark = pytest.mark.usefixtures("plain_static")

PAGE = "/developers/reference/"
FILLED = {
    "version": "2.2.1",
    "country_code": "NL",
    "party_id": "ABC",
    "command": "START_SESSION",
}


@pytest.fixture
def document(client: Client):
    return client.get(f"{PAGE}openapi.json").json()


def patterns(resolver, depth=0):
    for item in resolver.url_patterns:
        if isinstance(item, URLPattern):
            yield from [item] if depth else []
        elif depth or str(item.pattern).startswith("^ocpi"):
            yield from patterns(item, depth + 1)


def test_the_document_is_valid_and_names_this_host(client):
    document = client.get(f"{PAGE}openapi.json", headers={"host": "hub.example:8000"}).json()
    validate(document)
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "http://hub.example:8000"}]


def test_every_pattern_below_ocpi_is_in_it(document):
    """All but the one that answers for what is not there."""
    shown = {
        (resolve(filled(path)).func, method)
        for path, item in document["paths"].items()
        for method in item
    }
    there = {
        (pattern.callback, method)
        for pattern in patterns(get_resolver())
        if pattern.callback.cls is not NothingViewSet
        for method in pattern.callback.actions
        if method != "head"
    }
    assert shown == there


def filled(path):
    names = re.findall(r"{(\w+)}", path)
    return path.format(**{name: FILLED.get(name, "1001") for name in names})


def test_every_operation_is_described():
    """What it takes and brings is told in hub/ocpi/operations.py."""
    undescribed = [call.key for call in openapi.calls() if call.operation.summary == undoc(call)]
    assert undescribed == []


def undoc(call):
    return call._undescribed().summary


def test_nothing_is_described_that_is_not_there():
    keys = {call.key for call in openapi.calls()}
    simple = {key.replace(" ", " 2.2/") for key in operations.QUICK_START}
    assert {*operations.OPERATIONS, *simple} - keys == set()


def test_who_may_call_is_the_policy(document):
    for path, item in document["paths"].items():
        for operation in item.values():
            module, interface = operation["tags"][0], operation["x-interface"]
            allowed = policy.ALLOWED.get((module, interface), ())
            assert operation["x-roles"] == sorted(allowed), path


def test_every_object_and_enumeration_of_the_wire_is_in_it(document):
    found = document["components"]["schemas"]
    assert {"Location", "EVSE", "CDR", "Tariff", "Token", "Session", "ClientInfo"} <= found.keys()
    assert len([name for name in found if "enum" in found[name]]) == 34
    assert found["Status"]["enum"][0] == "AVAILABLE"
    assert found["LocationChange"]["required"] == ["last_updated"]
    assert found["CDR"]["properties"]["total_energy"] == {"type": "number"}


@pytest.mark.parametrize(
    "kind",
    [
        types.Credentials,
        types.Location,
        types.EVSE,
        types.Connector,
        types.Tariff,
        types.Session,
        types.CDR,
        types.Token,
        types.ChargingPreferences,
        types.SetChargingProfile,
        types.ActiveChargingProfile,
        *operations.COMMANDS,
        *operations.RESULTS,
    ],
)
def test_the_examples_are_valid(kind):
    example = examples.example(schemas.of(kind))
    assert validation.problems(kind, example) == []


class PageReader(HTMLParser):
    """Collects the calls, the links and the anchors of a page."""

    def __init__(self, html):
        super().__init__()
        self.calls, self.links, self.ids, self.name = {}, [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        if tag == "pre":
            self.name = given.get("data-call")

    def handle_endtag(self, tag):
        if tag == "pre":
            self.name = None

    def handle_data(self, data):
        if self.name:
            self.calls[self.name] = self.calls.get(self.name, "") + data


@pytest.fixture
def page(client):
    return PageReader(client.get(PAGE, headers={"host": "hub.example"}).text)


def test_the_page_shows_every_operation_with_a_call(page, document):
    operations = {
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    }
    assert page.calls.keys() == operations
    assert operations <= set(page.ids)


def test_links_lead_somewhere_and_names_are_unique(page):
    assert len(page.ids) == len(set(page.ids))
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside - set(page.ids) == set()


def test_the_page_keeps_the_house_rules(client):
    response = client.get(PAGE)
    html = response.text
    assert response.status_code == 200
    assert html.count("<h1") == 1
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert "style=" not in html
    assert re.findall(r"<script(?![^>]*src=)", html) == []
    assert 'href="/developers/reference/" aria-current="page"' in html
    assert 'href="/developers/reference/"' in client.get("/").text


@pytest.mark.ocpi("C-04", "F-11", "K-09", "L-08", "A-11", "G-13")
def test_the_page_tells_partners_what_their_side_should_know(client):
    html = client.get(PAGE).text
    for words in (
        "Do not answer 404 because the owner is not among the roles",
        "do not repeat prices in the",
        "status of an EVSE as information only",
        "do not push locations that are purely private",
        "Change your token by PUT credentials at least once a month",
        "from a day before the last answer",
    ):
        assert words in " ".join(html.split())


@pytest.mark.django_db
def test_the_calls_of_the_page_work_when_pasted(page):
    """Nobody is answered with a fault of the hub, and every path leads to a view."""
    speaker = joined("NL", "ABC", "CPO", "EMSP", modules=["tokens", "locations"])
    for name, call in page.calls.items():
        words = shlex.split(call)
        url, method = urlsplit(words[3]), words[2]
        body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        assert url.netloc == "hub.example", name
        path = f"{url.path}?{url.query}".removeprefix("/ocpi/")
        if "credentials" in path and method != "GET":
            continue  # they would change who we are
        reply = speaker.call(method, path, body)
        assert reply.http in {200, 201, 404}, (name, reply)
        assert "no such resource; start" not in reply.message, name
        assert not reply.data or "path" not in str(reply.data), (name, reply.envelope)
