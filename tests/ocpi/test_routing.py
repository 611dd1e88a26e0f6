"""Whom a message reaches: direct, broadcast, open, from the store; and what is passed on of it."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from cdrs.models import Session, Token
from hub.ocpi import client, json
from hub.ocpi.messages import Address, Route
from hub.ocpi.versions import RECEIVER, SENDER, endpoints
from hub.sandbox.faults import Fault
from hub.sandbox.inbox import Received
from hub.sandbox.partner import Partner
from hub.sandbox.serving import Reply
from locations.models import Location, Tariff
from parties import far_pages, tasks
from parties.models import Delivery, FarPage, Platform
from parties.viewsets import OcpiViewSet
from tests import objects
from tests.partners import member
from tests.speaking import joined

pytestmark = pytest.mark.django_db
HUB = Address("XX", "OCN")


@pytest.fixture
def emsp2(db: None) -> Iterator[Partner]:
    """Serve other drivers."""
    with member("AT*TWO", ["EMSP"], "Second Mobility") as partner:
        yield partner


def put_location(cpo: Partner, to: Address | None = None, **members: Any) -> client.Answer:
    body = objects.location(cpo.address, **members)
    path = ("FR", "CPO", body["id"])
    return cpo.call("PUT", "locations", RECEIVER, *path, body=body, to=to)


def heard(partner: Partner, module: str = "locations") -> list[Received]:
    return [item for item in partner.received if item.module == module]


def route_of(message: Any) -> Route:
    return Route.from_headers(message.headers)


def raw(answer: client.Answer) -> bytes:
    return json.dumps(answer.data)


# The hub's own interfaces


@pytest.mark.ocpi("V-03", "V-04", "V-05", "V-06", "V-07", "V-10")
def test_the_hub_offers_sixteen_interfaces_each_at_a_url_of_its_own() -> None:
    listed = endpoints("2.2.1")
    pairs = [(item["identifier"], item["role"]) for item in listed]
    modules = ("cdrs", "chargingprofiles", "commands", "locations", "sessions", "tariffs", "tokens")
    both = [(module, role) for module in modules for role in (SENDER, RECEIVER)]
    singles = [("credentials", SENDER), ("hubclientinfo", SENDER)]
    assert sorted(pairs) == sorted(both + singles)
    urls = [item["url"] for item in listed]
    assert len(set(urls)) == len(urls) == 16
    assert all(url.startswith(f"{settings.HUB_BASE_URL}/ocpi/2.2.1/") for url in urls)
    assert {item["url"].replace("2.2.1", "2.2") for item in listed} == {
        item["url"] for item in endpoints("2.2")
    }


# Broadcast


@pytest.mark.ocpi("R-07", "B-01", "B-02", "B-03", "B-04", "R-03")
@pytest.mark.parametrize("to", [None, HUB, Address("FR", "CPO")])
def test_what_is_for_the_hub_is_broadcast(
    cpo: Partner,
    emsp: Partner,
    emsp2: Partner,
    deliver: Callable[[], int],
    caplog: pytest.LogCaptureFixture,
    to: Address | None,
) -> None:
    caplog.set_level("INFO")
    emsp2.misbehave(Fault.ERROR500)
    answer = put_location(cpo, to)
    assert (answer.http, answer.code) == (201, 1000)
    assert answer.headers["X-Hub-Decision"] == "broadcast: 2 receivers"
    assert "routed: broadcast: 2 receivers" in caplog.messages
    assert route_of(answer) == Route(to=cpo.address, sender=HUB)
    assert heard(emsp) == []
    deliver()
    [request] = heard(emsp)
    assert request.path == ("2.2.1", "receiver", "locations", "FR", "CPO", "L1")
    assert route_of(request) == Route(to=emsp.address, sender=HUB)
    assert put_location(cpo, to).headers["X-Hub-Decision"] == "broadcast: 0 receivers"


@pytest.mark.ocpi("B-06")
def test_the_end_of_a_tariff_is_broadcast(
    cpo: Partner, emsp: Partner, deliver: Callable[[], int]
) -> None:
    cpo.publish_tariff(objects.tariff(cpo.address))
    deliver()
    answer = cpo.call("DELETE", "tariffs", RECEIVER, "FR", "CPO", "T1", to=HUB)
    assert answer.headers["X-Hub-Decision"] == "broadcast"
    deliver()
    assert [item.method for item in heard(emsp, "tariffs")] == ["PUT", "DELETE"]


# Direct pushes


@pytest.mark.ocpi("R-03", "R-07", "R-08", "R-09", "R-10", "R-13", "T-21", "T-31", "C-04")
def test_what_names_a_party_is_for_that_party_alone(
    cpo: Partner, emsp: Partner, emsp2: Partner, deliver: Callable[[], int]
) -> None:
    body = objects.location(cpo.address, x_extra={"price": 1, "odd": None})
    content = json.dumps(body).replace(b'"price":1', b'"price": 1.10')
    path = ("FR", "CPO", "L1")
    query = "?x_hint=a%20b"
    answer = cpo.call(
        "PUT", "locations", RECEIVER, *path, query=query, body=content, to=emsp.address
    )
    assert (answer.http, answer.code) == (201, 1000)
    assert answer.headers["X-Hub-Decision"] == "direct: DE*MSP"
    assert route_of(answer) == Route(to=cpo.address, sender=emsp.address)
    [request] = heard(emsp)
    assert (request.method, request.path[3:]) == ("PUT", path)
    assert request.query == {"x_hint": "a b"}
    assert request.content == content
    assert route_of(request) == Route(to=emsp.address, sender=cpo.address)
    assert request.headers["X-Correlation-ID"] == answer.headers["X-Correlation-ID"]
    assert request.headers["X-Request-ID"] != answer.headers["X-Request-ID"]
    assert not Location.objects.exists()
    assert not Delivery.objects.filter(module="locations").exists()
    deliver()
    assert heard(emsp2) == []
    assert emsp.fetch("locations") == []


@pytest.mark.ocpi("R-07", "R-09", "L-01")
def test_changes_parts_and_ends_go_directly_too(cpo: Partner, emsp: Partner) -> None:
    put_location(cpo, emsp.address)
    stamp = {"last_updated": "2026-11-11T10:00:00Z"}
    calls: list[tuple[str, str, tuple[str, ...], Any]] = [
        ("PATCH", "locations", ("L1",), {"name": "New", **stamp}),
        ("PATCH", "locations", ("L1", "E1"), {"status": "CHARGING", **stamp}),
        ("PUT", "locations", ("L1", "E 2"), objects.evse(uid="E 2", **stamp)),
        ("PUT", "locations", ("L1", "E1", "1"), objects.connector(max_amperage=16, **stamp)),
        ("PUT", "tariffs", ("T1",), objects.tariff(cpo.address)),
        ("DELETE", "tariffs", ("T1",), None),
    ]
    for method, module, path, body in calls:
        answer = cpo.call(method, module, RECEIVER, "fr", "cpo", *path, body=body, to=emsp.address)
        assert answer.code == 1000, answer
        assert answer.headers["X-Hub-Decision"] == "direct: DE*MSP"
        request = emsp.received[-1]
        assert (request.method, request.module) == (method, module)
        assert request.path[3:] == ("FR", "CPO", *path)
        assert request.content == (json.dumps(body) if body else b"")
    assert not Location.objects.exists()
    assert not Tariff.objects.exists()
    [known] = emsp.holds("locations").values()
    assert known["name"] == "New"


@pytest.mark.ocpi("R-07", "K-02")
def test_a_token_may_be_for_one_cpo(cpo: Partner, emsp: Partner, stranger: Partner) -> None:
    body = objects.token(emsp.address, type="APP_USER")
    path, query = ("DE", "MSP", "CARD1"), "?type=APP_USER"
    options: dict[str, Any] = {"query": query, "body": body, "to": cpo.address}
    answer = emsp.call("PUT", "tokens", RECEIVER, *path, **options)
    assert (answer.http, answer.headers["X-Hub-Decision"]) == (201, "direct: FR*CPO")
    [request] = heard(cpo, "tokens")
    assert request.query == {"type": "APP_USER"}
    assert not Token.objects.exists()
    shown = emsp.call("GET", "tokens", RECEIVER, *path, query=query, to=cpo.address)
    assert shown.data == body
    assert emsp.call("GET", "tokens", RECEIVER, *path, query=query).http == 404
    named = emsp.call("PUT", "tokens", RECEIVER, *path, body=body, to=Address("SE", "STR"))
    assert named.headers["X-Hub-Decision"] == "direct: SE*STR"


@pytest.mark.ocpi("P-02", "P-03", "P-04", "R-07")
def test_a_direct_push_is_checked_like_any_other(
    cpo: Partner, emsp: Partner, stranger: Partner
) -> None:
    foreign = objects.location(Address("SE", "STR"))
    path: tuple[str, ...] = ("SE", "STR", "L1")
    assert cpo.call("PUT", "locations", RECEIVER, *path, body=foreign, to=emsp.address).http == 404
    path = ("FR", "CPO", "L1")
    for body in (foreign, objects.location(cpo.address, id="L2"), {"id": "L1"}):
        answer = cpo.call("PUT", "locations", RECEIVER, *path, body=body, to=emsp.address)
        assert (answer.http, answer.code) == (200, 2001)
    assert cpo.call("PUT", "locations", RECEIVER, *path, body=b"{", to=emsp.address).http == 400
    assert heard(emsp) == []


@pytest.mark.ocpi("R-06", "R-08")
def test_who_cannot_be_reached_is_told_apart(cpo: Partner, emsp: Partner) -> None:
    unknown = put_location(cpo, Address("DE", "NIX"))
    assert (unknown.http, unknown.code) == (200, 4001)
    assert unknown.headers["X-Hub-Decision"] == "refused: unknown receiver"
    with member("BE*CPO", ["CPO"], "Another CPO") as other:
        assert put_location(cpo, other.address).code == 4001
    platform = Platform.objects.get(roles__party__party_id="MSP")
    platform.endpoints.filter(module="locations").delete()
    missing = put_location(cpo, emsp.address)
    assert (missing.http, missing.code) == (200, 4000)
    assert "locations as RECEIVER" in missing.message
    for state in (Platform.State.OFFLINE, Platform.State.SUSPENDED):
        Platform.objects.filter(pk=platform.pk).update(state=state)
        away = put_location(cpo, emsp.address)
        assert (away.http, away.code) == (200, 4003)
    assert heard(emsp) == []


@pytest.mark.ocpi("T-18", "T-19", "R-06", "X-06")
@pytest.mark.parametrize(
    ("fault", "http", "code"),
    [
        (Fault.REFUSE, 200, 2001),
        (Fault.NOT_FOUND, 404, 2000),
        (Fault.UNAUTHORIZED, 200, 4003),
        (Fault.CLOSE, 200, 4003),
        (Fault.HANG, 200, 4002),
        (Fault.DRIP, 200, 4002),
        (Fault.ERROR500, 200, 4000),
        (Fault.GARBAGE, 200, 4000),
    ],
)
def test_what_the_receiver_answers_is_what_the_sender_hears(
    cpo: Partner,
    emsp: Partner,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    http: int,
    code: int,
) -> None:
    monkeypatch.setattr(OcpiViewSet, "seconds", 1.0)
    emsp.misbehave(fault, module="locations")
    answer = put_location(cpo, emsp.address)
    assert (answer.http, answer.code) == (http, code)
    assert route_of(answer) == Route(to=cpo.address, sender=emsp.address)


@pytest.mark.ocpi("T-18", "T-19", "R-11")
@pytest.mark.parametrize(
    ("http", "content", "expected"),
    [
        (200, b"", (200, 1000)),
        (204, b"", (200, 1000)),
        (202, b'{"status_code": 1000}', (200, 1000)),
        (200, b'{"status_code": 2010, "data": [{"path": "$.x"}]}', (200, 2010)),
        (400, b'{"status_code": 2001, "data": 1.50}', (200, 2001)),
        (500, b'{"status_code": 3000}', (200, 3000)),
        (403, b'{"status_code": 2000}', (200, 4003)),
        (429, b'{"status_code": 2900}', (200, 4003)),
        (500, b'{"status_code": 1000}', (200, 4000)),
        (302, b"", (200, 4000)),
        (404, b"not here", (200, 4000)),
        (200, b'{"detail": "fine"}', (200, 4000)),
        (200, b'{"status_code": "1000"}', (200, 4000)),
        (200, b'{"status_code": 1000, "status_code": 2000}', (200, 4000)),
        (200, b'{"status_code": 9000}', (200, 4000)),
    ],
)
def test_odd_answers_have_a_defined_outcome(
    cpo: Partner,
    emsp: Partner,
    monkeypatch: pytest.MonkeyPatch,
    http: int,
    content: bytes,
    expected: tuple[int, int],
) -> None:
    monkeypatch.setattr(emsp, "_reply", lambda *args: Reply(http, content))
    answer = put_location(cpo, emsp.address)
    assert (answer.http, answer.code) == expected
    assert route_of(answer) == Route(to=cpo.address, sender=emsp.address)
    if expected == (200, 2001):
        assert raw(answer) == b"1.50"


# Direct reads


@pytest.mark.ocpi("R-03", "R-07", "R-08", "R-12", "G-11")
def test_a_list_is_read_at_the_party_that_is_named(
    cpo: Partner, emsp: Partner, stranger: Partner
) -> None:
    cpo.publish_location(objects.location(cpo.address))
    cpo.own.keep("locations", "L2", objects.location(cpo.address, id="L2", x_for="you"))
    query = "?date_from=2020-01-01T00:00:00Z&limit=5&x_more=a%2Cb"
    answer = emsp.call("GET", "locations", SENDER, query=query, to=cpo.address)
    assert [item["id"] for item in answer.data] == ["L1", "L2"]
    assert answer.headers["X-Hub-Decision"] == "direct: FR*CPO"
    assert answer.headers["X-Total-Count"] == "2"
    assert answer.headers["X-Limit"] == "5"
    assert "Link" not in answer.headers
    assert route_of(answer) == Route(to=emsp.address, sender=cpo.address)
    [request] = heard(cpo)
    assert request.path == ("2.2.1", "sender", "locations")
    assert request.query == {"date_from": "2020-01-01T00:00:00Z", "limit": "5", "x_more": "a,b"}
    assert route_of(request) == Route(to=cpo.address, sender=emsp.address)
    assert [item["id"] for item in emsp.fetch("locations")] == ["L1"]
    assert emsp.call("GET", "locations", SENDER, to=Address("DE", "NIX")).code == 4001


@pytest.mark.ocpi("R-07", "L-01", "T-11", "T-19")
def test_a_location_is_read_at_the_party_that_is_named(cpo: Partner, emsp: Partner) -> None:
    cpo.own.keep("locations", "L 7", objects.location(cpo.address, id="L 7"))
    answer = emsp.call("GET", "locations", SENDER, "L 7", to=cpo.address)
    assert (answer.http, answer.data["id"]) == (200, "L 7")
    missing = emsp.call("GET", "locations", SENDER, "L8", to=cpo.address)
    assert (missing.http, missing.code) == (404, 2000)
    assert missing.message == "no such object"


@pytest.mark.ocpi("T-11", "T-19", "G-10")
@pytest.mark.parametrize(
    ("http", "content", "expected"),
    [
        (404, b"", (404, 2003)),
        (404, b'{"detail": "Not found."}', (404, 2003)),
        (405, b"", (405, 2000)),
        (404, b'{"status_code": 2003}', (404, 2003)),
        (200, b"", (200, 4000)),
        (200, b"<html>", (200, 4000)),
        (401, b'{"status_code": 2000}', (200, 4003)),
    ],
)
def test_404_and_405_of_a_read_are_relayed(
    cpo: Partner,
    emsp: Partner,
    monkeypatch: pytest.MonkeyPatch,
    http: int,
    content: bytes,
    expected: tuple[int, int],
) -> None:
    monkeypatch.setattr(cpo, "_reply", lambda *args: Reply(http, content))
    answer = emsp.call("GET", "locations", SENDER, "L1", to=cpo.address)
    assert (answer.http, answer.code) == expected


@pytest.mark.ocpi("R-09", "T-33")
@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("?x=a%2Fb+c&y=%C3%A9&z=1,2", {"x": "a/b c", "y": "é", "z": "1,2"}),
        ("?date_from=2026-01-01T00:00:00+00:00", {"date_from": "2026-01-01T00:00:00 00:00"}),
        ("?x=é", {"x": "é"}),
        ('?x="<|>"', {"x": '"<|>"'}),
    ],
)
def test_a_query_goes_on_as_it_means(
    cpo: Partner, emsp: Partner, query: str, seen: dict[str, str]
) -> None:
    assert emsp.call("GET", "locations", SENDER, "L1", query=query, to=cpo.address).http == 404
    assert heard(cpo)[0].query == seen


def test_a_single_object_in_a_list_is_taken_out(
    cpo: Partner, emsp: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b'{"status_code": 1000, "data": [{"id": "L1", "x": 0.10}]}'
    monkeypatch.setattr(cpo, "_reply", lambda *args: Reply(200, content))
    answer = emsp.call("GET", "locations", SENDER, "L1", to=cpo.address)
    assert raw(answer) == b'{"id":"L1","x":0.10}'
    listed = emsp.call("GET", "locations", SENDER, to=cpo.address)
    assert raw(listed) == b'[{"id":"L1","x":0.10}]'
    for single in (b'{"id":"L1"}', b"null"):
        body = b'{"status_code": 1000, "data": %b}' % single
        monkeypatch.setattr(cpo, "_reply", lambda *args, body=body: Reply(200, body))
        assert isinstance(emsp.call("GET", "locations", SENDER, to=cpo.address).data, list)


@pytest.mark.ocpi("R-07", "G-01", "G-02")
def test_of_who_is_away_the_hub_shows_what_it_has(
    cpo: Partner, emsp: Partner, stranger: Partner
) -> None:
    cpo.publish_location(objects.location(cpo.address))
    stranger.publish_location(objects.location(stranger.address))
    platform = Platform.objects.get(roles__party__party_id="CPO")
    platform.move_to(Platform.State.OFFLINE)
    answer = emsp.call("GET", "locations", SENDER, to=cpo.address)
    assert [item["party_id"] for item in answer.data] == ["CPO"]
    assert answer.headers["X-Hub-Decision"] == "store: FR*CPO cannot be asked"
    assert emsp.call("GET", "locations", SENDER, "L1", to=cpo.address).data["party_id"] == "CPO"
    for to in (HUB, emsp.address, None):
        both = emsp.call("GET", "locations", SENDER, to=to)
        assert len(both.data) == 2
        assert both.headers["X-Hub-Decision"] == "store"
        assert route_of(both) == Route(to=emsp.address, sender=HUB)


@pytest.mark.ocpi("R-13", "G-03")
def test_no_driver_of_another_emsp_is_shown_by_way_of_a_careless_cpo(
    cpo: Partner, emsp: Partner, emsp2: Partner
) -> None:
    for number, payer in enumerate((emsp, emsp2, emsp)):
        session = objects.session(cpo.address, payer.address, id=f"S{number}")
        cpo.own.keep("sessions", session["id"], session)
    answer = emsp.call("GET", "sessions", SENDER, to=cpo.address)
    assert [item["id"] for item in answer.data] == ["S0", "S2"]
    assert [item["id"] for item in emsp2.call("GET", "sessions", SENDER, to=cpo.address).data] == [
        "S1"
    ]


@pytest.mark.ocpi("X-05", "R-10")
def test_what_another_party_shows_is_spelled_as_ocpi_has_it(
    cpo: Partner, emsp: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"latitude": Decimal("52.373"), "longitude": Decimal("4.893")}
    odd = objects.location(
        cpo.address, last_updated="2026-11-10 10:00:00", coordinates=place, x_extra=Decimal("0.10")
    )
    hopeless = objects.location(cpo.address, id="L2", city=None, address=7)
    answered = {"status_code": 1000, "data": [odd, hopeless]}
    monkeypatch.setattr(cpo, "_reply", lambda *args: Reply.of(200, answered))
    first, second = emsp.call("GET", "locations", SENDER, to=cpo.address).data
    assert first["last_updated"] == "2026-11-10T10:00:00Z"
    assert first["coordinates"] == {"latitude": "52.37300", "longitude": "4.89300"}
    assert json.dumps(first["x_extra"]) == b"0.10"
    assert second == hopeless
    monkeypatch.setattr(cpo, "_reply", lambda *args: Reply.of(200, answered | {"data": odd}))
    assert emsp.call("GET", "locations", SENDER, "L1", to=cpo.address).data == first
    Platform.objects.filter(roles__party__party_id="CPO").update(strict=True)
    assert emsp.call("GET", "locations", SENDER, "L1", to=cpo.address).data == odd


def test_a_page_may_be_long_but_not_endless(
    cpo: Partner, emsp: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for millions, code in ((3, 1000), (9, 4003)):
        text = "x" * millions * 1_000_000
        reply = Reply.of(200, {"status_code": 1000, "data": [{"id": "L1", "x": text}]})
        monkeypatch.setattr(cpo, "_reply", lambda *args, reply=reply: reply)
        assert emsp.call("GET", "locations", SENDER, to=cpo.address).code == code


# The far side's next page


class Pages:
    """Takes the place of a CPO's lists: answers with a Link of the test's own."""

    def __init__(self, partner: Partner) -> None:
        self.partner, self.link, self.asked = partner, "", list[Received]()

    def __call__(self, received: Received, *args: Any) -> Reply:
        self.asked.append(received)
        headers = {"link": self.link.replace("{base}", self.partner.url), "x-total-count": "7"}
        data = [{"id": "L1"}]
        return Reply.of(200, {"status_code": 1000, "data": data}, **headers)


@pytest.fixture
def pages(cpo: Partner, monkeypatch: pytest.MonkeyPatch) -> Pages:
    """Let the CPO's lists have a next page."""
    found = Pages(cpo)
    monkeypatch.setattr(cpo, "_reply", found)
    return found


def read(emsp: Partner, cpo: Partner) -> client.Answer:
    return emsp.call("GET", "locations", SENDER, query="?offset=2&limit=1", to=cpo.address)


def target_of(answer: client.Answer) -> str:
    link: str = answer.headers["Link"]
    assert link.endswith('>; rel="next"')
    return link.partition("<")[2].partition(">")[0]


@pytest.mark.ocpi("G-10", "G-11")
@pytest.mark.parametrize(
    ("link", "path", "query"),
    [
        ('<{base}/2.2.1/sender/locations?offset=3>; rel="next"', None, {"offset": "3"}),
        ("<{base}/far/other?cursor=a%2Fb>;rel=next", ("far", "other"), {"cursor": "a/b"}),
        ('<?offset=3&limit=1>; REL="Next"', None, {"offset": "3", "limit": "1"}),
        ('<{base}/first>; rel="first", <?cursor=z>; rel="last next"', None, {"cursor": "z"}),
        ('<http://internal:8080/x/locations?offset=3>; rel="next"', None, {"offset": "3"}),
        (f'<?cursor={"c" * 600}>; rel="next"', None, {"cursor": "c" * 600}),
    ],
)
def test_the_next_page_is_read_by_a_url_of_the_hubs(
    cpo: Partner, emsp: Partner, pages: Pages, link: str, path: Any, query: dict[str, str]
) -> None:
    pages.link = link
    first = read(emsp, cpo)
    assert first.headers["X-Total-Count"] == "7"
    url = target_of(first)
    assert url.startswith(f"{settings.HUB_BASE_URL}/ocpi/page/")
    assert cpo.url not in str(first.headers)
    peer = client.Peer(emsp.hub_token, client.BASE64, None)
    second = emsp.send("GET", url, peer=peer, seconds=5)
    assert (second.http, second.data) == (200, [{"id": "L1"}])
    assert second.headers["X-Hub-Decision"] == "direct: FR*CPO"
    assert route_of(second) == Route(to=emsp.address, sender=cpo.address)
    asked = pages.asked[-1]
    assert asked.path == (path or ("2.2.1", "sender", "locations"))
    assert asked.query == query
    assert route_of(asked) == Route(to=cpo.address, sender=emsp.address)


@pytest.mark.ocpi("G-10", "G-11", "C-21")
@pytest.mark.parametrize(
    "link",
    [
        "",
        '<{base}/2.2.1/sender/locations?offset=0>; rel="prev"',
        '<{base}/2.2.1/sender/locations?offset=2&limit=1>; rel="next"',
        '<{base}/2.2.1/sender/locations?limit=1&offset=1>; rel="next"',
        '<http://169.254.169.254/?offset=0>; rel="next"',
        f'<?cursor={"c" * 2000}>; rel="next"',
        "rel=next",
    ],
)
def test_a_link_that_leads_nowhere_new_ends_the_list(
    cpo: Partner, emsp: Partner, pages: Pages, link: str
) -> None:
    pages.link = link
    answer = read(emsp, cpo)
    assert answer.code == 1000
    assert "Link" not in answer.headers
    assert not FarPage.objects.exists()


@pytest.mark.ocpi("G-11")
def test_a_page_is_for_its_reader_and_for_an_hour(
    cpo: Partner, emsp: Partner, emsp2: Partner, pages: Pages
) -> None:
    pages.link = "<?offset=3>; rel=next"
    url = target_of(read(emsp, cpo))
    assert emsp2.request("GET", url).http == 404
    assert emsp.request("GET", f"{url[:-1]}x").http == 404
    wrong = client.Peer("wrong", client.BASE64, None)
    assert emsp.send("GET", url, peer=wrong, seconds=5).http == 401
    assert len(pages.asked) == 1
    assert emsp.request("GET", url).code == 1000
    assert emsp.request("GET", url).code == 1000
    FarPage.objects.update(expires_at=timezone.now())
    assert emsp.request("GET", url).http == 404
    tasks.reconnect()
    assert not FarPage.objects.exists()
    assert far_pages.LIFE.seconds == 3600


# Sessions and CDRs: the hub takes custody, whoever is named


@pytest.mark.ocpi("R-03", "R-07", "O-02", "O-03", "B-05", "S-06", "D-02", "D-09")
@pytest.mark.parametrize(
    ("to", "decision", "answered_by"),
    [
        (None, "open: DE*MSP by cdr_token", Address("DE", "MSP")),
        (HUB, "open: DE*MSP by cdr_token", HUB),
        (Address("DE", "MSP"), "direct: DE*MSP", Address("DE", "MSP")),
    ],
)
def test_a_session_and_a_cdr_are_kept_for_the_payer(
    cpo: Partner,
    emsp: Partner,
    deliver: Callable[[], int],
    to: Address | None,
    decision: str,
    answered_by: Address,
) -> None:
    body = objects.session(cpo.address, emsp.address)
    path = ("FR", "CPO", "S1")
    cdr = objects.cdr(cpo.address, emsp.address)
    change = {"kwh": 21, "last_updated": "2026-11-10T11:00:00Z"}
    answers = [
        cpo.call("PUT", "sessions", RECEIVER, *path, body=body, to=to),
        cpo.call("PATCH", "sessions", RECEIVER, *path, body=change, to=to),
        cpo.call("POST", "cdrs", RECEIVER, body=cdr, to=to),
    ]
    for answer in answers:
        assert answer.code == 1000
        assert answer.headers["X-Hub-Decision"] == decision
        assert route_of(answer) == Route(to=cpo.address, sender=answered_by)
    place = answers[2].headers["Location"]
    assert place.startswith(f"{settings.HUB_BASE_URL}/ocpi/")
    deliver()
    assert cpo.request("GET", place).data == cdr
    sent = heard(emsp, "sessions") + heard(emsp, "cdrs")
    assert [route_of(item) for item in sent] == [Route(to=emsp.address, sender=cpo.address)] * 2
    read_back = cpo.call("GET", "sessions", RECEIVER, *path, to=to)
    assert read_back.headers["X-Hub-Decision"] == "store"
    assert read_back.data["kwh"] == 21


@pytest.mark.ocpi("S-06", "R-07")
def test_a_session_of_nobody_is_held_and_one_for_another_refused(
    cpo: Partner, emsp: Partner, emsp2: Partner
) -> None:
    body = objects.session(cpo.address, Address("LU", "NIX"))
    path = ("FR", "CPO", "S1")
    answer = cpo.call("PUT", "sessions", RECEIVER, *path, body=body)
    assert (answer.http, answer.headers["X-Hub-Decision"]) == (201, "held")
    body = objects.session(cpo.address, emsp.address, id="S2")
    path = ("FR", "CPO", "S2")
    wrong = cpo.call("PUT", "sessions", RECEIVER, *path, body=body, to=emsp2.address)
    assert wrong.code == 2001
    assert Session.objects.count() == 1


# The headers themselves


@pytest.mark.ocpi("R-05", "R-11")
def test_half_a_pair_is_refused_and_case_does_not_matter(cpo: Partner, emsp: Partner) -> None:
    speaker = joined("NL", "CPX", "CPO")
    path = f"2.2.1/receiver/locations/{speaker.path}/L1"
    body = objects.location(speaker.address)
    for headers in (
        {"OCPI_to_party_id": "MSP"},
        {"OCPI_to_country_code": "DE"},
        {"OCPI_from_party_id": "CPX"},
        {"OCPI_to_country_code": "DEU", "OCPI_to_party_id": "MSP"},
    ):
        assert speaker.put(path, body, **headers).code == 2001
    reply = speaker.put(path, body, OCPI_to_country_code="de", OCPI_to_party_id="msp")
    assert reply.headers["OCPI-from-party-id"] == "MSP"
    assert (reply.headers["OCPI-to-country-code"], reply.headers["OCPI-to-party-id"]) == (
        "NL",
        "CPX",
    )
    assert heard(emsp)[0].headers["OCPI-to-country-code"] == "DE"
    assert heard(emsp)[0].headers["OCPI-from-party-id"] == "CPX"


@pytest.mark.ocpi("R-01", "R-02", "C-20")
def test_configuration_modules_have_no_routing_headers(emsp: Partner) -> None:
    for path in ("versions", "2.2.1", "2.2.1/credentials", "2.2.1/sender/hubclientinfo"):
        url = f"{settings.HUB_BASE_URL}/ocpi/{path}"
        answer = emsp.request("GET", url, to=Address("DE", "NIX"))
        assert answer.code == 1000
        assert [name for name in answer.headers if name.lower().startswith("ocpi-")] == []
    assert route_of(emsp.call("GET", "sessions", SENDER)) == Route(to=emsp.address, sender=HUB)


def test_the_hub_does_not_call_itself(cpo: Partner, emsp: Partner) -> None:
    platform = Platform.objects.get(roles__party__party_id="MSP")
    url = f"{settings.HUB_BASE_URL}/ocpi/2.2.1/receiver/locations"
    platform.endpoints.filter(module="locations").update(url=url)
    answer = put_location(cpo, emsp.address)
    assert (answer.http, answer.code) == (200, 4000)
    assert "itself" in answer.message
