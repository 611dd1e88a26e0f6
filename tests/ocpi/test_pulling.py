"""The partners' own lists are read: patiently, within bounds, and as if all had been pushed."""

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from cdrs.models import Cdr, Session, Token
from hub import egress, locks
from hub.ocpi import client, json, times
from hub.ocpi.envelope import envelope
from hub.ocpi.messages import Address
from hub.sandbox.faults import Fault
from hub.sandbox.serving import Reply, Server
from locations.models import Location, Tariff
from parties import alive, crawling, invitations, keys, leaving, owned, pulling, quirks
from parties.models import Delivery, Endpoint, Key, Platform, Pull, Quirk
from tests import objects
from tests.partners import member
from tests.speaking import joined

pytestmark = pytest.mark.django_db(transaction=True)
CPO = Address("NL", "CPO")


class Shelf:
    """A list server of somebody else's making: `style` says how it pages, `size` in what steps."""

    def __init__(self):
        self.items, self.size, self.received = [], 2, []
        self.style, self.url, self.break_at, self.fault = linked(), "", None, None

    def answer(self, received):
        self.received.append(received)
        if self.break_at is not None and int(received.query.get("offset", 0)) >= self.break_at:
            return self.fault
        offset = int(received.query.get("offset", 0))
        page = self.items[offset : offset + self.size]
        return Reply.of(200, envelope(page), **self.style(self, offset))

    @property
    def offsets(self):
        return [int(item.query.get("offset", 0)) for item in self.received]

    @property
    def base(self):
        return f"{self.url}/locations"


def linked(template='<{base}?offset={next}&limit={size}>; rel="next"', name="Link", **more):
    """Return a style that names the next page in a Link."""

    def style(shelf, offset):
        following = offset + shelf.size
        if following >= len(shelf.items):
            return more
        values = {"base": shelf.base, "next": following, "size": shelf.size}
        return {name: template.format(**values), **more}

    return style


def counted(shelf, offset):
    return {"X-Total-Count": str(len(shelf.items)), "X-Limit": str(shelf.size)}


def bare(shelf, offset):
    return {}


@pytest.fixture
def shelf():
    shelf = Shelf()
    server = Server(shelf.answer)
    shelf.url = server.url
    server.start()
    yield shelf
    server.stop()


@pytest.fixture
def cpo(shelf):
    speaker = joined("NL", "CPO", "CPO")
    offer(speaker, shelf, "locations")
    return speaker


def offer(speaker, shelf, *modules):
    """Let a platform offer lists on a shelf."""
    platform = speaker.platform
    Platform.objects.filter(pk=platform.pk).update(
        sealed_token=keys.seal("theirs"),
        hosts=[shelf.url.split("/")[2]],
        registered_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    for module in modules:
        Endpoint.objects.create(
            platform=platform, module=module, interface="SENDER", url=f"{shelf.url}/{module}"
        )


def locations(*names, owner=CPO, **members):
    return [objects.location(owner, id=name, **members) for name in names]


def pull(speaker):
    """Read the lists of a platform; return what came of the first."""
    found = pulling.pull(speaker.platform.pk)
    return found[0] if found else None


def stored():
    return sorted(Location.objects.values_list("uid", flat=True))


def counts(record):
    return (record.taken, record.unchanged, record.refused, record.ignored)


def pass_time(**span):
    """Let the readings so far be so much older."""
    for record in Pull.objects.all():
        record.began_at -= timedelta(**span)
        record.started_at -= timedelta(**span)
        record.save()


# What is read, and as whom


@pytest.mark.ocpi("G-04", "G-10")
def test_a_list_is_read_to_its_end_and_its_objects_go_the_way_of_a_push(shelf, cpo):
    joined("DE", "EMP", "EMSP", modules=["locations"])
    shelf.items = locations("A", "B", "C", "D", "E", unknown={"kept": objects.D("1.10")})
    record = pull(cpo)
    assert (record.complete, record.error, record.pages) == (True, "", 3)
    assert counts(record) == (5, 0, 0, 0)
    assert Location.objects.get(uid="A").body == shelf.items[0]
    assert Delivery.objects.filter(module="locations").count() == 5
    assert shelf.offsets == [0, 2, 4]
    assert record.finished_at >= record.started_at
    assert cpo.platform.pulled_at
    assert cpo.platform.pull_at > timezone.now() + timedelta(hours=2)


@pytest.mark.ocpi("G-04", "R-04")
def test_every_page_is_asked_for_by_the_hub_from_the_party_with_the_token(shelf, cpo):
    shelf.items = locations("A", "B", "C")
    pull(cpo)
    for received in shelf.received:
        assert received.method == "GET"
        assert received.headers["Authorization"] == client.authorization("theirs", "base64")
        assert received.headers["OCPI-to-party-id"] == "CPO"
        assert received.headers["OCPI-to-country-code"] == "NL"
        assert received.headers["OCPI-from-party-id"] == "OCN"
    assert shelf.received[0].query == {"offset": "0", "limit": "100"}
    assert len({received.headers["X-Request-ID"] for received in shelf.received}) == 2
    assert len({received.headers["X-Correlation-ID"] for received in shelf.received}) == 1


@pytest.mark.ocpi("G-04")
def test_reading_again_changes_nothing_and_tells_nobody(shelf, cpo):
    joined("DE", "EMP", "EMSP", modules=["locations"])
    shelf.items = locations("A", "B")
    pull(cpo)
    before = list(Delivery.objects.values())
    assert counts(pull(cpo)) == (0, 2, 0, 0)
    assert list(Delivery.objects.values()) == before


@pytest.mark.ocpi("G-04")
def test_what_was_pushed_in_a_newer_version_is_not_taken_back(shelf, cpo):
    shelf.items = locations("A", name="old")
    body = objects.location(CPO, id="A", name="new", last_updated="2026-11-12T00:00:00Z")
    cpo.put("2.2.1/receiver/locations/NL/CPO/A", body)
    assert counts(pull(cpo)) == (0, 1, 0, 0)
    assert Location.objects.get().body["name"] == "new"


@pytest.mark.ocpi("G-04")
def test_each_role_is_read_what_it_has_to_tell(shelf):
    cpo, emsp = joined("NL", "CPO", "CPO"), joined("DE", "EMP", "EMSP")
    for speaker in (cpo, emsp):
        offer(speaker, shelf, *("locations", "tariffs", "sessions", "cdrs", "tokens", "commands"))
    assert [item.module for item in pulling.pull(cpo.platform.pk)] == [
        "tariffs",
        "locations",
        "sessions",
        "cdrs",
    ]
    shelf.items = [objects.token(emsp.address)]
    [record] = pulling.pull(emsp.platform.pk)
    assert (record.module, record.taken) == ("tokens", 1)
    assert Token.objects.get().owner == emsp.party


@pytest.mark.ocpi("G-04")
def test_foreign_objects_are_ignored_and_counted(shelf, cpo):
    joined("NL", "RIV", "CPO")
    shelf.items = [
        *locations("A"),
        *locations("B", owner=Address("NL", "RIV")),
        *locations("C", owner=Address("ZZ", "NIL")),
        *locations("D", owner=Address("nl", "cpo")),
    ]
    assert counts(pull(cpo)) == (2, 0, 0, 2)
    assert stored() == ["A", "D"]
    assert set(Location.objects.values_list("owner__party_id", flat=True)) == {"CPO"}


@pytest.mark.ocpi("G-10")
def test_a_platform_of_several_parties_is_asked_for_each_and_may_answer_for_all(shelf, cpo):
    token = keys.issue(cpo.platform, Key.Purpose.INVITATION)
    invitations.invite(Address("NL", "TWO"), ["CPO", "EMSP"], "Two", join=token)
    shelf.items = [*locations("A"), *locations("B", owner=Address("NL", "TWO"))]
    first, second = pulling.pull(cpo.platform.pk)
    assert (first.party.party_id, second.party.party_id) == ("CPO", "TWO")
    assert (counts(first), counts(second)) == ((2, 0, 0, 0), (0, 2, 0, 0))
    named = [received.headers["OCPI-to-party-id"] for received in shelf.received]
    assert named == ["CPO", "TWO"]
    assert Location.objects.get(uid="B").owner.party_id == "TWO"


# Pages


@pytest.mark.ocpi("G-10")
@pytest.mark.parametrize(
    "style",
    [
        linked(),
        linked("<{base}?offset={next}&limit={size}>;rel=next"),
        linked('</locations?offset={next}>; rel="next"'),
        linked('<?offset={next}>; rel="next"'),
        linked('<{base}?offset={next}>; REL="NEXT"', name="link"),
        linked('<{base}?offset=0>; rel="first prev", <{base}?offset={next}>; rel="last next"'),
        linked('<{base}?offset=0>; rel=prev, <{base}?offset={next}>; title="a, b"; rel=next'),
        linked('<http://internal.example:8080/x?offset={next}>; rel="next"'),
        linked(**{"X-Total-Count": "many", "X-Limit": ""}),
        linked(**{"X-Total-Count": "1"}),
        counted,
    ],
)
def test_next_pages_are_found_however_they_are_named(shelf, cpo, style):
    shelf.style = style
    shelf.items = locations("A", "B", "C", "D", "E")
    record = pull(cpo)
    assert (record.complete, record.error, record.pages) == (True, "", 3)
    assert stored() == ["A", "B", "C", "D", "E"]


@pytest.mark.ocpi("G-10")
def test_a_cursor_is_followed_to_the_letter(shelf, cpo):
    """Offsets are not for the hub to make up: a cursor may mean anything."""
    cursor = "cursor=a%2Fb%3D%3D&x=1"
    shelf.items, shelf.size = locations("A", "B"), 5
    shelf.style = lambda shelf, offset: (
        {} if len(shelf.received) > 1 else {"Link": f'<{shelf.base}/more;v=1?{cursor}>; rel="next"'}
    )
    pull(cpo)
    assert shelf.received[1].path == ("locations", "more;v=1")
    assert shelf.received[1].query == {"cursor": "a/b==", "x": "1"}


@pytest.mark.ocpi("G-10")
def test_without_any_header_a_short_page_is_the_last_and_a_full_one_perhaps_not(shelf, cpo):
    shelf.style = bare
    shelf.items = locations("A", "B", "C")
    assert pull(cpo).pages == 1
    shelf.size = 100
    shelf.items = locations(*(f"L{number:03}" for number in range(150)))
    pass_time(days=2)
    record = pull(cpo)
    assert (record.pages, record.complete, len(stored())) == (2, True, 152)


@pytest.mark.ocpi("G-10")
def test_a_server_without_pages_that_ignores_the_offset_is_read_once(shelf, cpo):
    items = locations(*(f"L{number:03}" for number in range(120)))
    shelf.answer = None
    with serving(lambda received: Reply.of(200, envelope(items))) as url:
        Endpoint.objects.update(url=f"{url}/locations")
        Platform.objects.update(hosts=[url.split("/")[2]])
        record = pull(cpo)
    assert (record.complete, record.error, record.taken, record.pages) == (True, "", 120, 2)


@contextmanager
def serving(answer):
    server = Server(answer)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@pytest.mark.ocpi("G-10")
@pytest.mark.parametrize(
    ("style", "error", "calls"),
    [
        (
            lambda shelf, offset: {"Link": f"<{shelf.base}?offset=0&limit=100>; rel=next"},
            "circle",
            1,
        ),
        (
            lambda shelf, offset: {"Link": f"<{shelf.base}?offset={2 - offset}>; rel=next"},
            "repeats itself",
            3,
        ),
        (
            lambda shelf, offset: {"Link": f"<{shelf.base}?c={len(shelf.received)}>; rel=next"},
            "repeats itself",
            2,
        ),
        (
            lambda shelf, offset: {"Link": f"<{shelf.base}?offset={offset + 9}>; rel=next"},
            "without objects",
            12,
        ),
    ],
)
def test_a_list_that_never_ends_is_left(shelf, cpo, style, error, calls):
    shelf.items, shelf.style = locations("A", "B", "C", "D"), style
    record = pull(cpo)
    assert error in record.error
    assert (record.complete, record.next_url) == (False, "")
    assert len(shelf.received) == calls
    assert "A" in stored()


@pytest.mark.ocpi("G-10")
def test_a_link_to_a_foreign_host_is_not_called(shelf, cpo):
    called = []

    def trap(received):
        called.append(received)
        return Reply.of(200, envelope([]))

    with serving(trap) as url:
        shelf.style = lambda shelf, offset: {"Link": f'<{url}/steal>; rel="next"'}
        shelf.items = locations("A")
        record = pull(cpo)
    assert not called
    assert "not approved" in record.error
    assert (record.taken, record.complete) == (1, False)


@pytest.mark.ocpi("G-10")
def test_a_link_that_forgot_https_is_followed_by_https():
    platform = Platform(hosts=["a.example"])
    answer = client.read(_reply(Link='<http://a.example/x?offset=2>; rel="next"'))
    page = crawling.following(answer, "https://a.example/x?offset=0", 2, platform)
    assert page.url == "https://a.example/x?offset=2"


def _reply(**headers):
    return egress.Reply(200, headers, json.dumps(envelope([])), 0.0)


@pytest.mark.ocpi("G-10")
def test_there_is_an_end_to_the_pages_and_it_is_gone_on_from_there(shelf, cpo, monkeypatch):
    monkeypatch.setattr(crawling, "MAX_PAGES", 2)
    shelf.items = locations("A", "B", "C", "D", "E")
    record = pull(cpo)
    assert (record.pages, record.complete) == (2, False)
    assert "more than 2 pages" in record.error
    record = pull(cpo)
    assert (record.pages, record.complete, shelf.offsets) == (1, True, [0, 2, 4])


@pytest.mark.parametrize(
    ("data", "taken"),
    [(None, 0), ([], 0), (objects.location(CPO), 1), ("no list", None), (5, None)],
)
@pytest.mark.ocpi("G-10")
def test_data_may_be_one_object_or_nothing(shelf, cpo, data, taken):
    shelf.style = bare
    shelf.answer_with = data
    with serving(lambda received: Reply.of(200, {**envelope(), "data": data})) as url:
        Endpoint.objects.update(url=f"{url}/locations")
        Platform.objects.update(hosts=[url.split("/")[2]])
        record = pull(cpo)
    assert record.complete == (taken is not None)
    assert record.taken == (taken or 0)
    assert bool(record.error) == (taken is None)


# Bad objects, bad partners


@pytest.mark.ocpi("G-04")
def test_a_bad_object_in_the_middle_is_noted_and_stops_nothing(shelf, cpo, caplog):
    good = locations("A", "B", "C", "D")
    future = times.render(timezone.now() + timedelta(days=1))
    bad = [
        None,
        "text",
        [],
        {},
        {**good[0], "id": None},
        {**good[0], "id": "X1", "coordinates": {"latitude": "north", "longitude": "0"}},
        {**good[0], "id": "X2", "last_updated": future},
        {**good[0], "id": "X3", "last_updated": "2026-02-31T00:00:00Z"},
        {**good[0], "id": "X4", "name": "nul\x00"},
        {**good[0], "id": "X" * 400},
        {**good[0], "id": "X5", "country_code": 5},
    ]
    shelf.items = [good[0], *bad, *good[1:]]
    record = pull(cpo)
    assert (record.error, record.complete) == ("", True)
    assert counts(record) == (4, 0, len(bad), 0)
    assert stored() == ["A", "B", "C", "D"]
    assert "X1: not a valid Location" in record.refusals
    assert "X4: " in record.refusals
    assert "a partner's list is not in order" in caplog.text


@pytest.mark.ocpi("G-04", "X-05")
def test_what_is_odd_but_clear_is_repaired_unless_the_platform_is_strict(shelf, cpo):
    odd = {"last_updated": "2026-11-10 10:00:00+00:00", "country": "NL"}
    shelf.items = locations("A", **odd)
    assert counts(pull(cpo)) == (1, 0, 0, 0)
    found = Location.objects.get()
    assert (found.body["country"], found.body["last_updated"]) == ("NLD", "2026-11-10T10:00:00Z")
    assert found.raw == shelf.items[0]
    assert counts(pull(cpo)) == (0, 1, 0, 0)
    quirks.write()
    assert Quirk.objects.filter(platform=cpo.platform, name="repair: date").exists()
    Platform.objects.update(strict=True)
    shelf.items = locations("B", **odd)
    assert counts(pull(cpo)) == (0, 0, 1, 0)
    assert stored() == ["A"]


@pytest.mark.ocpi("G-04", "X-05")
def test_a_cdr_of_a_list_is_repaired_too_but_never_its_money(shelf, cpo):
    emsp = joined("DE", "EMP", "EMSP", modules=["cdrs"])
    offer(cpo, shelf, "cdrs")
    Endpoint.objects.filter(module="locations").delete()
    cdr = objects.cdr(CPO, emsp.address, last_updated="2026-11-10T12:00:00+01:00")
    shelf.items = [cdr, {**cdr, "id": "C2", "total_cost": {"excl_vat": "10.00"}}]
    assert counts(pull(cpo)) == (1, 0, 1, 0)
    assert Cdr.objects.get().body["last_updated"] == "2026-11-10T11:00:00Z"
    assert Cdr.objects.get().raw == cdr


@pytest.mark.ocpi("G-04")
def test_refusals_do_not_reveal_drivers(shelf):
    emsp = joined("DE", "EMP", "EMSP")
    offer(emsp, shelf, "tokens")
    shelf.items = [objects.token(emsp.address, uid="SECRETCARD", contract_id="x" * 99)]
    record = pull(emsp)
    assert record.refused == 1
    assert "SECRETCARD" not in record.refusals
    assert "x" * 20 not in record.refusals
    assert record.refusals.startswith("~")


@pytest.mark.ocpi("G-04")
def test_of_very_many_bad_objects_the_first_are_kept_in_words(shelf, cpo):
    shelf.items = [{"id": f"X{number}"} for number in range(60)]
    shelf.size = 60
    record = pull(cpo)
    assert (record.refused, record.refusals.count("\n")) == (60, crawling.REFUSALS)


@pytest.mark.ocpi("G-04")
def test_a_fault_of_the_hub_with_one_object_spares_the_others(shelf, cpo, monkeypatch, caplog):
    put = owned.put

    def fail(push):
        if push.uid == "B":
            raise RuntimeError("a bug")
        return put(push)

    monkeypatch.setattr(owned, "put", fail)
    shelf.items = locations("A", "B", "C")
    assert counts(pull(cpo)) == (2, 0, 1, 0)
    assert stored() == ["A", "C"]
    assert "a listed object could not be taken" in caplog.text


@pytest.mark.ocpi("G-04")
@pytest.mark.parametrize(
    "fault",
    [
        Reply(500, b"oops", {"Content-Type": "text/plain"}),
        Reply(200, b"<html>"),
        Reply(200, b'{"status_code": 1000, "data": [NaN]}'),
        Reply.of(200, envelope(status_code=3000, message="busy")),
        Reply.of(401, envelope(status_code=2001, message="who are you?")),
        Reply(429, b""),
        Reply(500, b"", fault=Fault.CLOSE),
    ],
)
def test_a_fault_on_a_page_is_told_and_the_next_reading_goes_on_there(shelf, cpo, fault):
    shelf.items = locations("A", "B", "C", "D", "E")
    shelf.break_at, shelf.fault = 4, fault
    record = pull(cpo)
    assert (record.complete, record.pages, record.taken) == (False, 2, 4)
    assert record.error
    assert cpo.platform.pulled_at is None
    assert cpo.platform.pull_at < timezone.now() + timedelta(hours=1)
    shelf.break_at = None
    shelf.received.clear()
    record = pull(cpo)
    assert (record.complete, record.taken, shelf.offsets) == (True, 1, [4])


@pytest.mark.ocpi("G-04")
def test_where_going_on_fails_too_the_list_is_read_from_its_beginning(shelf, cpo):
    shelf.items = locations("A", "B", "C")
    shelf.break_at, shelf.fault = 2, Reply(404, b"that cursor is too old")
    pull(cpo)
    pull(cpo)
    shelf.break_at = None
    shelf.received.clear()
    assert pull(cpo).complete
    assert shelf.offsets == [0, 2]


def test_what_was_left_long_ago_is_read_from_the_beginning(shelf, cpo):
    shelf.items = locations("A", "B", "C")
    shelf.break_at, shelf.fault = 2, Reply(500, b"")
    pull(cpo)
    pass_time(days=2)
    shelf.break_at = None
    shelf.received.clear()
    pull(cpo)
    assert shelf.offsets == [0, 2]


@pytest.mark.ocpi("G-04")
def test_a_reading_that_was_killed_is_gone_on_with(shelf, cpo, monkeypatch):
    shelf.items = locations("A", "B", "C", "D", "E")
    following = crawling.following

    def killed(answer, url, *rest):
        if "offset=2" in url:
            raise SystemExit
        return following(answer, url, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(crawling, "following", killed)
        with pytest.raises(SystemExit):
            pull(cpo)
    shelf.received.clear()
    assert pull(cpo).complete
    assert shelf.offsets == [2, 4]
    assert stored() == ["A", "B", "C", "D", "E"]


@pytest.mark.ocpi("G-04")
def test_when_the_time_is_over_the_rest_is_read_soon(shelf, cpo, monkeypatch):
    monkeypatch.setattr(pulling, "SECONDS", 0.5)
    offer_more = Endpoint.objects.create(
        platform=cpo.platform, module="tariffs", interface="SENDER", url=f"{shelf.url}/tariffs"
    )
    shelf.items = []
    answer = shelf.answer

    def slowly(received):
        time.sleep(0.6)
        return answer(received)

    with serving(slowly) as url:
        Endpoint.objects.filter(pk=offer_more.pk).update(url=f"{url}/tariffs")
        Platform.objects.update(hosts=[url.split("/")[2], shelf.url.split("/")[2]])
        [record] = pulling.pull(cpo.platform.pk)
    assert (record.module, "time ran out" in record.error) == ("tariffs", True)
    assert cpo.platform.pull_at < timezone.now() + timedelta(minutes=2)


@pytest.mark.ocpi("G-04")
def test_who_does_not_answer_at_all_is_not_asked_for_the_other_lists(shelf, cpo):
    offer(cpo, shelf, "tariffs")
    Endpoint.objects.filter(module="tariffs").update(url="http://127.0.0.1:1/tariffs")
    Platform.objects.update(hosts=["127.0.0.1:1", shelf.url.split("/")[2]])
    [record] = pulling.pull(cpo.platform.pk)
    assert record.module == "tariffs"
    assert not shelf.received


def test_a_page_may_be_larger_than_other_answers_but_not_endless(shelf, cpo, monkeypatch):
    shelf.items = locations("A", "B", padding="x" * 1_000_000)
    assert pull(cpo).taken == 2
    monkeypatch.setattr(crawling, "MAX_BYTES", 1_000_000)
    assert "longer than" in pull(cpo).error


def test_a_page_has_not_any_number_of_objects(shelf, cpo, monkeypatch):
    shelf.items, shelf.size = [{}] * 21, 21
    monkeypatch.setattr(crawling, "MOST", 20)
    read = pull(cpo)
    assert (read.error, read.refused, read.complete) == (
        "a page has more than 20 objects",
        0,
        False,
    )


def test_the_time_counts_within_a_page_too(shelf, cpo, monkeypatch):
    shelf.items = locations("A", "B", "C")
    listing = crawling.Listing(Pull(), cpo.party.roles.first(), {})
    with pytest.raises(crawling.Stopped, match="the time for this reading is over"):
        listing.take(shelf.items, until=0.0)


# Since when


@pytest.mark.ocpi("G-04")
def test_later_only_what_changed_is_asked_for_with_an_overlap_and_all_of_it_once_a_day(shelf, cpo):
    shelf.items = locations("A")
    first = pull(cpo)
    assert "date_from" not in shelf.received[-1].query
    second = pull(cpo)
    asked = times.parse(shelf.received[-1].query["date_from"])
    overlap = first.began_at - asked
    assert timedelta(hours=1) <= overlap < timedelta(hours=1, seconds=1)
    assert second.covers_from == first.began_at - pulling.OVERLAP
    pass_time(days=1, minutes=1)
    assert pull(cpo).covers_from is None
    assert "date_from" not in shelf.received[-1].query


@pytest.mark.ocpi("G-04", "G-05")
def test_sessions_and_cdrs_are_read_from_the_registration_on(shelf, cpo):
    """What was before was settled elsewhere; a server that ignores the filter changes nothing."""
    emsp = joined("DE", "EMP", "EMSP")
    Endpoint.objects.update(module="cdrs", url=f"{shelf.url}/cdrs")
    shelf.items = [
        objects.cdr(CPO, emsp.address, id="OLD", last_updated="2026-10-31T23:59:59Z"),
        objects.cdr(CPO, emsp.address, id="NEW", session_id="S2"),
    ]
    record = pull(cpo)
    assert shelf.received[0].query["date_from"] == "2026-11-01T00:00:00Z"
    assert counts(record) == (1, 0, 0, 1)
    assert Cdr.objects.get().uid == "NEW"
    Platform.objects.update(registered_at=timezone.now())  # its credentials were replaced
    pull(cpo)
    later = times.parse(shelf.received[-1].query["date_from"])
    assert record.began_at - later >= timedelta(days=1)
    Platform.objects.update(registered_at=datetime(2026, 11, 2, tzinfo=UTC))
    Endpoint.objects.update(module="sessions")
    shelf.items = [objects.session(CPO, emsp.address)]
    pull(cpo)
    assert shelf.received[-1].query["date_from"] == "2026-11-02T00:00:00Z"
    assert Session.objects.get().emsp == emsp.party


@pytest.mark.ocpi("G-04")
def test_a_cdr_is_taken_once_and_owed_to_its_payer_whether_pushed_or_pulled(shelf, cpo):
    emsp = joined("DE", "EMP", "EMSP", modules=["cdrs"])
    Endpoint.objects.filter(interface="SENDER").update(module="cdrs", url=f"{shelf.url}/cdrs")
    body = objects.cdr(CPO, emsp.address)
    cpo.post("2.2.1/receiver/cdrs", body)
    other = objects.cdr(CPO, emsp.address, id="C2", session_id="S2")
    shelf.items = [body, other, {**other, "id": "C1"}]
    assert counts(pull(cpo)) == (1, 1, 1, 0)
    assert set(Cdr.objects.values_list("uid", flat=True)) == {"C1", "C2"}
    assert Delivery.objects.filter(module="cdrs").count() == 2
    assert "cannot be changed" in Pull.objects.get().refusals


@pytest.mark.ocpi("G-04")
def test_a_tariff_that_was_deleted_comes_back_only_when_it_was_changed_after_that(shelf, cpo):
    Endpoint.objects.update(module="tariffs", url=f"{shelf.url}/tariffs")
    body = objects.tariff(CPO)
    cpo.put("2.2.1/receiver/tariffs/NL/CPO/T1", body)
    cpo.call("DELETE", "2.2.1/receiver/tariffs/NL/CPO/T1")
    shelf.items = [body]
    assert counts(pull(cpo)) == (0, 1, 0, 0)
    assert Tariff.objects.get().deleted
    shelf.items = [{**body, "last_updated": times.render(timezone.now() + timedelta(seconds=2))}]
    assert counts(pull(cpo)) == (1, 0, 0, 0)
    assert not Tariff.objects.get().deleted


# What is missing


@pytest.mark.ocpi("L-06", "G-14")
def test_a_location_that_is_missing_from_the_list_is_marked_and_nothing_else(shelf, cpo):
    joined("DE", "EMP", "EMSP", modules=["locations"])
    shelf.items = locations("A", "B", "C")
    pull(cpo)
    before = Location.objects.get(uid="B")
    owed = list(Delivery.objects.values())
    del shelf.items[1]
    pass_time(days=2)
    Location.objects.update(received_at=timezone.now() - timedelta(days=2))
    assert pull(cpo).complete
    marked = Location.objects.get(uid="B")
    assert marked.missing
    assert (marked.body, marked.version) == (before.body, before.version)
    assert list(Delivery.objects.values()) == owed
    assert not Location.objects.exclude(uid="B").exclude(missing_since=None).exists()
    shelf.items = locations("A", "b", "C")
    pass_time(days=2)
    pull(cpo)
    assert not Location.objects.get(uid="B").missing


@pytest.mark.ocpi("L-06")
def test_a_push_shows_that_a_location_is_not_missing(shelf, cpo):
    cpo.put("2.2.1/receiver/locations/NL/CPO/A", objects.location(CPO, id="A"))
    Location.objects.update(received_at=timezone.now() - timedelta(days=2))
    pull(cpo)
    assert Location.objects.get().missing
    body = objects.location(CPO, id="A", name="still here", last_updated="2026-11-12T00:00:00Z")
    cpo.put("2.2.1/receiver/locations/NL/CPO/A", body)
    assert not Location.objects.get().missing


@pytest.mark.ocpi("L-06")
@pytest.mark.parametrize(
    "why", ["unfinished", "resumed", "only changes", "pushed meanwhile", "other"]
)
def test_a_location_is_not_missing_where_the_list_does_not_say_so(shelf, cpo, why):
    owner = joined("NL", "RIV", "CPO") if why == "other" else cpo
    body = objects.location(owner.address, id="A")
    shelf.items = locations("B", "C", "D")
    if why == "only changes":
        pull(cpo)
    owner.put(f"2.2.1/receiver/locations/{owner.path}/A", body)
    if why != "pushed meanwhile":
        Location.objects.update(received_at=timezone.now() - timedelta(days=2))
    else:
        Location.objects.update(received_at=timezone.now() + timedelta(seconds=5))
    if why in {"unfinished", "resumed"}:
        shelf.break_at, shelf.fault = 2, Reply(500, b"")
        pull(cpo)
    if why == "resumed":
        shelf.break_at = None
    if why != "unfinished":
        assert pull(cpo).complete
    assert Location.objects.get(uid="A").missing_since is None


# When, and by whom


@pytest.mark.ocpi("G-04", "H-09")
def test_it_begins_soon_after_the_handshake_and_gets_to_the_others(deliver):
    with (
        member("FR*CPO", ["CPO"], "Cast Charging") as cpo,
        member("DE*MSP", ["EMSP"], "Cast Mobility") as emsp,
    ):
        for item in (objects.location(cpo.address), objects.location(cpo.address, id="L2")):
            cpo.own.keep("locations", item["id"], item)
        emsp.own.keep("tokens", "CARD1", objects.token(emsp.address))
        platforms = Platform.objects.order_by("pk")
        assert all(item.pull_at - timezone.now() < timedelta(seconds=10) for item in platforms)
        Platform.objects.update(pull_at=timezone.now())
        started = pulling.start_due()
        assert started == [item.pk for item in platforms]
        assert pulling.start_due() == []
        assert all(item.complete for pk in started for item in pulling.pull(pk))
        deliver()
        assert set(emsp.holds("locations")) == {"L1", "L2"}
        assert set(cpo.holds("tokens")) == {"CARD1"}


@pytest.mark.ocpi("H-09")
def test_who_comes_back_is_read_again(deliver):
    with member("FR*CPO", ["CPO"], "Cast Charging") as cpo:
        platform = Platform.objects.get()
        assert all(item.complete for item in pulling.pull(platform.pk))
        assert not pulling.due().exists()
        platform.refresh_from_db()
        Platform.objects.update(heard_at=None)
        alive.go_offline(platform)
        Platform.objects.update(pull_at=timezone.now() - timedelta(hours=1))
        assert pulling.start_due() == []
        assert pulling.pull(platform.pk) == []
        missed = objects.location(cpo.address, last_updated=times.render(timezone.now()))
        cpo.own.keep("locations", "L1", missed)
        Platform.objects.update(state_since=timezone.now() - timedelta(minutes=2))
        cpo.fetch("tokens")
        Platform.objects.update(pull_at=timezone.now() - timedelta(seconds=1))
        [pk] = pulling.start_due()
        pulling.pull(pk)
        assert Location.objects.get().uid == "L1"


@pytest.mark.ocpi("G-04")
def test_only_who_is_connected_and_offers_lists_is_due(shelf, cpo):
    joined("DE", "EMP", "EMSP", modules=["locations"])
    assert [item.pk for item in pulling.due()] == [cpo.platform.pk]
    pulling.pull(cpo.platform.pk)
    assert not pulling.due().exists()
    Platform.objects.update(pull_at=timezone.now())
    assert pulling.due().exists()
    leaving.suspend(cpo.platform)
    assert not pulling.due().exists()


@pytest.mark.ocpi("G-04")
def test_two_workers_do_not_read_the_same_platform_at_once(shelf, cpo):
    shelf.items, go_on = locations("A"), threading.Event()
    answer, found = shelf.answer, []

    def wait(received):
        go_on.wait(10)
        return answer(received)

    def read():
        try:
            found.append(pull(cpo))
        finally:
            connections.close_all()

    with serving(wait) as url:
        Endpoint.objects.update(url=f"{url}/locations")
        Platform.objects.update(hosts=[url.split("/")[2]])
        thread = threading.Thread(target=read)
        thread.start()
        while not Pull.objects.exists():
            time.sleep(0.01)
        assert pulling.pull(cpo.platform.pk) == []
        go_on.set()
        thread.join()
    assert found[0].taken == 1


@pytest.mark.ocpi("G-04")
def test_only_so_many_platforms_are_read_at_once(shelf, cpo, monkeypatch):
    """The other workers have deliveries to make."""
    monkeypatch.setattr(pulling, "SEATS", 1)
    shelf.items, taken, go_on = locations("A"), threading.Event(), threading.Event()

    def sit():
        try:
            with locks.alone(pulling.SEAT, 0):
                taken.set()
                go_on.wait(10)
        finally:
            connections.close_all()

    thread = threading.Thread(target=sit)
    thread.start()
    taken.wait(10)
    assert pulling.pull(cpo.platform.pk) == []
    assert not shelf.received
    assert cpo.platform.pull_at < timezone.now() + timedelta(seconds=31)
    go_on.set()
    thread.join()
    assert pull(cpo).taken == 1


@pytest.mark.ocpi("G-04")
def test_a_push_during_a_reading_wins_by_its_time(shelf, cpo):
    """The page was written before the push; it is taken after it."""
    newer = objects.location(CPO, id="A", name="new", last_updated="2026-11-12T00:00:00Z")
    answer, pushed = shelf.answer, []

    def meanwhile(received):
        try:
            pushed.append(cpo.put("2.2.1/receiver/locations/NL/CPO/A", newer).code)
        finally:
            connections.close_all()
        return answer(received)

    shelf.items = locations("A", name="old")
    with serving(meanwhile) as url:
        Endpoint.objects.update(url=f"{url}/locations")
        Platform.objects.update(hosts=[url.split("/")[2]])
        assert counts(pull(cpo)) == (0, 1, 0, 0)
    assert pushed == [1000]
    assert Location.objects.get().body["name"] == "new"


def test_old_readings_are_forgotten(shelf, cpo):
    pull(cpo)
    pass_time(days=31)
    pull(cpo)
    assert Pull.objects.count() == 1
