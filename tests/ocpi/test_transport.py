"""Transport: the envelope, its codes, ids and headers, and how patient the hub is about the rest.

Most of section 1 is shown beside what it is about; here is what belongs to all modules alike.
"""

import http.client
import re
from urllib.parse import quote, urlsplit

import pytest

import hub.urls  # noqa: F401 - with it, all errors of the hub are defined
from hub.ocpi import envelope as envelopes
from hub.ocpi import errors, json
from hub.ocpi.errors import OcpiError
from parties import calling, delivery, journal
from parties.calling import Call
from parties.models import Exchange
from tests import objects
from tests.speaking import joined
from tests.wires import Said, envelope, receiving, wire

pytestmark = pytest.mark.django_db
PUT = "2.2.1/receiver/locations/NL/CPO/L1"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
STANDARD = {1000, 2000, 2001, 2002, 2003, 2004, 3000, 3001, 3002, 3003, 4000, 4001, 4002, 4003}


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP")


@pytest.mark.ocpi("T-02", "T-22")
def test_what_the_hub_sends_says_what_it_is(cpo):
    with wire(lambda seen: envelope([])) as partner:
        emsp = receiving(partner, "locations")
        cpo.put(PUT, objects.location(cpo.address))
        delivery.drain(emsp.platform.pk)
        calling.make(emsp.platform, Call("GET", f"{partner.url}/locations"))
    put, get = partner.seen
    assert put.headers["Content-Type"] == "application/json"
    assert get.headers["Content-Type"] is None
    for seen in (put, get):
        assert UUID.fullmatch(seen.headers["X-Request-ID"])
        assert UUID.fullmatch(seen.headers["X-Correlation-ID"])
    assert put.headers["X-Request-ID"] != get.headers["X-Request-ID"]


@pytest.mark.ocpi("T-03")
@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/html"},
        {"Accept": "application/xml;q=1"},
        {"Accept": "nonsense"},
        {"Accept": ""},
        {"Accept_Encoding": "gzip"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/json;charset=UTF-8"},
        {"Content_Type": 'application/json; charset="utf-8"'},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "multipart/form-data; boundary=x"},
        {"Content_Type": "application/merge-patch+json"},
        {"Content_Type": "/"},
        {"Content_Type": ""},
    ],
)
def test_good_json_is_taken_whatever_the_headers_call_it(cpo, headers):
    assert cpo.put(PUT, objects.location(cpo.address), **headers).http == 201


@pytest.mark.ocpi("T-03")
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-gzip", "gzip, identity"])
def test_a_compressed_body_is_refused_with_the_reason(cpo, encoding):
    reply = cpo.put(PUT, objects.location(cpo.address), Content_Encoding=encoding)
    assert (reply.http, reply.code) == (400, 2001)
    assert "compressed" in reply.message
    assert cpo.put(PUT, objects.location(cpo.address), Content_Encoding="identity").http == 201


@pytest.mark.ocpi("T-06", "T-29")
def test_data_is_a_list_or_an_object_as_the_answer_asks(cpo, emsp):
    assert emsp.get("2.2.1/sender/locations").data == []
    assert emsp.get("2.2.1/sender/cdrs").data == []
    cpo.put(PUT, objects.location(cpo.address))
    assert [item["id"] for item in emsp.get("2.2.1/sender/locations").data] == ["L1"]
    assert emsp.get("2.2.1/sender/locations/L1").data["id"] == "L1"
    for path, kind in (("versions", list), ("2.2.1", dict), ("2.2.1/credentials", dict)):
        reply = emsp.get(path)
        assert isinstance(reply.data, kind)
        assert b"null" not in json.dumps(reply.envelope)


@pytest.mark.ocpi("T-07")
def test_pushes_are_answered_without_data(cpo, emsp):
    location, session = objects.location(cpo.address), objects.session(cpo.address, emsp.address)
    cdr, tariff = objects.cdr(cpo.address, emsp.address), objects.tariff(cpo.address)
    change = {"name": "x", "last_updated": "2026-11-10T11:00:00Z"}
    replies = [
        cpo.put(PUT, location),
        cpo.put(PUT, location),
        cpo.call("PATCH", PUT, change),
        cpo.put("2.2.1/receiver/sessions/NL/CPO/S1", session),
        cpo.put("2.2.1/receiver/tariffs/NL/CPO/T1", tariff),
        cpo.call("DELETE", "2.2.1/receiver/tariffs/NL/CPO/T1"),
        cpo.post("2.2.1/receiver/cdrs", cdr),
        emsp.put("2.2.1/receiver/tokens/DE/EMP/CARD1", objects.token(emsp.address)),
    ]
    assert [reply.code for reply in replies] == [1000] * 8
    assert all("data" not in reply.envelope for reply in replies)


@pytest.mark.ocpi("T-10", "T-08")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", PUT, {}),
        ("PUT", PUT, []),
        ("PUT", PUT, None),
        ("PUT", PUT, "text"),
        ("PUT", PUT, {"publish": "perhaps"}),
        ("PUT", "2.2.1/receiver/locations/NL/CPO/L2", "another id"),
        ("PATCH", PUT, {"name": "x"}),
        ("POST", "2.2.1/receiver/cdrs", {"id": "C1"}),
        ("GET", "2.2.1/sender/tokens?limit=x", None),
        ("GET", "2.2.1/sender/tokens?offset=-1", None),
        ("GET", "2.2.1/sender/tokens?date_from=yesterday", None),
    ],
)
def test_what_is_wrong_in_substance_is_http_200(cpo, method, path, body):
    cpo.put(PUT, objects.location(cpo.address))
    if body == "another id":
        body = objects.location(cpo.address)
    raw = b"null" if body is None and method == "PUT" else body
    reply = cpo.call(method, path, raw)
    assert (reply.http, reply.code) == (200, 2001)
    assert reply.message.isprintable()
    assert all(item.keys() == {"path", "problem"} for item in reply.data or [])


def all_errors(kind=OcpiError):
    """Return the family of errors, as far as it is defined anywhere in the hub."""
    return {kind}.union(*(all_errors(child) for child in kind.__subclasses__()))


@pytest.mark.ocpi("T-16", "T-17")
def test_the_hub_answers_with_the_codes_of_the_standard_and_no_others():
    used = {kind.status_code for kind in all_errors()}
    used |= {code for code, _ in errors.STATUS_BY_HTTP.values()}
    assert used - {errors.TooMany.status_code} <= STANDARD
    assert used | {1000} >= STANDARD  # each of them is used somewhere


@pytest.mark.ocpi("T-17")
def test_a_code_of_our_own_is_in_the_range_for_them_and_of_no_module():
    assert 2900 <= errors.TooMany.status_code <= 2999
    assert errors.TooMany.http_status == 429  # said before a request reaches its module


@pytest.mark.ocpi("T-16")
def test_each_code_means_what_the_standard_says():
    meanings = {
        errors.Invalid: 2001,
        errors.NotEnoughInformation: 2002,
        errors.UnknownLocation: 2003,
        errors.UnknownToken: 2004,
        errors.CannotUseApi: 3001,
        errors.UnsupportedVersion: 3002,
        errors.HubError: 4000,
        errors.UnknownReceiver: 4001,
        errors.TimedOut: 4002,
        errors.NotConnected: 4003,
    }
    assert {kind: kind.status_code for kind in meanings} == meanings


@pytest.mark.ocpi("T-19")
def test_codes_of_the_hub_travel_on_http_200():
    hub = [kind for kind in all_errors() if 4000 <= kind.status_code < 5000]
    assert {kind.http_status for kind in hub} == {200}


@pytest.mark.ocpi("T-04", "T-05", "T-20")
def test_the_answers_that_django_would_give_itself_are_envelopes(cpo, settings):
    settings.ALLOWED_HOSTS = ["hub.example"]
    reply = cpo.get("versions", X_Request_ID="r-1", X_Correlation_ID="c-1", Host="evil.example")
    assert (reply.http, reply.code) == (400, 2000)
    assert reply.headers["X-Request-ID"] == "r-1"
    assert reply.headers["X-Correlation-ID"] == "c-1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", reply.envelope["timestamp"])


@pytest.mark.ocpi("T-22")
@pytest.mark.parametrize("sent", ["x", "a" * 255, "urn:uuid:1+2/3=4", "{b7a1}", "1~2@3"])
def test_any_sensible_id_is_repeated_as_it_came(cpo, sent):
    reply = cpo.get("versions", X_Request_ID=sent, X_Correlation_ID=sent)
    assert reply.headers["X-Request-ID"] == reply.headers["X-Correlation-ID"] == sent
    journal.flush()
    assert Exchange.objects.filter(request_id=sent, correlation_id=sent).exists()


@pytest.mark.ocpi("T-22", "T-23")
@pytest.mark.parametrize("sent", ["a" * 256, "a\x01b", "a b", "<b>", "é", "a,b", ""])
def test_an_id_that_cannot_be_repeated_safely_is_replaced(cpo, sent):
    reply = cpo.get("versions", X_Request_ID=sent, X_Correlation_ID="c")
    assert UUID.fullmatch(reply.headers["X-Request-ID"])
    assert reply.headers["X-Correlation-ID"] == "c"


@pytest.mark.ocpi("T-30")
def test_urls_are_absolute_and_of_limited_length(cpo, settings):
    for version in cpo.get("versions").data:
        urls = [
            version["url"],
            *(item["url"] for item in cpo.get(version["version"]).data["endpoints"]),
        ]
        assert all(url.startswith(f"{settings.HUB_BASE_URL}/ocpi/") for url in urls)
        assert all(len(url) <= 255 for url in urls)
    long = objects.location(
        cpo.address, operator={"name": "x", "website": "https://x/" + "y" * 250}
    )
    assert cpo.put(PUT, long).data[0]["path"] == "$.operator.website"


@pytest.mark.ocpi("T-33")
@pytest.mark.parametrize(
    "uid", ["a/b", "a b", "a+b", "a%2Fb", "a#b", "NL*CPO*1", "a?b=c&d", "%41", "a;b"]
)
def test_any_printable_id_goes_in_and_out_and_is_decoded_once(cpo, uid):
    body = objects.location(cpo.address, id=uid)
    path = f"2.2.1/receiver/locations/NL/CPO/{quote(uid, safe='')}"
    with wire(lambda seen: envelope()) as partner:
        emsp = receiving(partner, "locations")
        assert cpo.put(path, body).http == 201
        delivery.drain(emsp.platform.pk)
    assert cpo.get(path).data["id"] == uid
    assert emsp.get(f"2.2.1/sender/locations/{quote(uid, safe='')}").data["id"] == uid
    assert partner.seen[0].path == f"/locations/NL/CPO/{quote(uid, safe='')}"


@pytest.mark.ocpi("T-24", "T-32", "A-01")
@pytest.mark.django_db(transaction=True)
def test_header_names_are_read_without_case_and_slashes_are_no_matter(cpo, live_server, settings):
    """Through a real server, which takes header names as they come."""
    connection = http.client.HTTPConnection(urlsplit(live_server.url).netloc, timeout=10)
    body = json.dumps(objects.location(cpo.address))
    names = ("AUTHORIZATION", "x-request-id", "X-CORRELATION-id", "ocpi-FROM-country-code")
    values = (f"Token {cpo.token}", "r-1", "c-1", "NL")
    headers = {**dict(zip(names, values, strict=True)), "ocpi-from-PARTY-ID": "cpo"}
    for slash, status in (("/", 201), ("", 200)):
        connection.request("PUT", f"/ocpi/{PUT}{slash}", body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        assert (answer.status, content["status_code"]) == (status, 1000)
        assert answer.headers["X-Request-ID"] == "r-1"
        assert answer.headers["OCPI-to-party-id"] == "CPO"


@pytest.mark.ocpi("T-24")
def test_header_names_of_answers_are_read_without_case(cpo):
    with wire(lambda seen: Said(307, b"", {"lOcAtIoN": "/there"})) as partner:
        emsp = receiving(partner, "locations")
        calling.make(emsp.platform, Call("GET", f"{partner.url}/here"))
    assert [seen.path for seen in partner.seen] == ["/here", "/there"]


@pytest.mark.ocpi("T-25")
@pytest.mark.parametrize("text", ["a\nb", "a\tb", "a\x00b", "a\x7fb", "\r"])
def test_control_characters_are_refused_in_any_string(cpo, text):
    raw = json.dumps(objects.location(cpo.address, name=text))
    reply = cpo.put(PUT, raw)
    assert (reply.http, reply.code) in {(200, 2001), (400, 2001)}
    assert cpo.put(PUT, objects.location(cpo.address, name="Köln, Ω 東京 🔌")).http == 201


def test_a_body_has_a_limit(cpo):
    limit = envelopes.MAX_BODY
    assert cpo.put(PUT, b" " * (limit + 1)).http == 413
    assert cpo.put(PUT, b" " * limit).http == 400
