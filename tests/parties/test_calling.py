"""Calling partners who do things differently: learned at the wire, remembered, and told."""

import base64
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hub.ocpi import client
from hub.ocpi.errors import TimedOut
from parties import calling, delivery, journal, keys, quirks
from parties.calling import Call
from parties.models import Delivery, Exchange, Quirk
from parties.quirks import Habit
from tests import objects
from tests.speaking import Speaker, joined
from tests.wires import TOKEN, Said, Seen, Wire, envelope, receiving, wire

pytestmark = [pytest.mark.django_db, pytest.mark.ocpi("X-04")]
ENCODED = base64.b64encode(TOKEN.encode()).decode()


@pytest.fixture
def partner() -> Iterator[Wire]:
    with wire(lambda seen: envelope([])) as found:
        yield found


@pytest.fixture
def emsp(partner: Wire) -> Speaker:
    return receiving(partner, "locations")


def get(emsp: Speaker, partner: Wire, path: str = "/locations", **options: Any) -> Any:
    call = Call("GET", f"{partner.url}{path}", "locations", "SENDER", **options)
    return calling.make(emsp.platform, call)


def names(emsp: Speaker) -> set[str]:
    journal.flush()
    return set(Quirk.objects.filter(platform=emsp.platform).values_list("name", flat=True))


def bare(status: int, **headers: str) -> Said:
    """Return what a web server says that is not OCPI."""
    return Said(status, b'{"detail": "Not Found"}', headers)


@pytest.mark.ocpi("A-01", "A-06")
def test_a_token_goes_out_in_base64_and_plain_where_that_is_wanted(
    emsp: Speaker, partner: Wire
) -> None:
    def plain_only(seen: Seen) -> Said:
        if seen.headers["Authorization"] == f"Token {TOKEN}":
            return envelope([])
        return envelope(code=2001, status=401)

    partner.answer = plain_only
    assert get(emsp, partner).succeeded
    assert emsp.platform.token_form == "plain"
    assert get(emsp, partner).succeeded
    sent = [seen.headers["Authorization"] for seen in partner.seen]
    assert sent == [f"Token {ENCODED}", f"Token {TOKEN}", f"Token {TOKEN}"]
    assert Habit.WANTS_PLAIN in names(emsp)
    assert Exchange.objects.filter(http_status=401, direction="out").count() == 1
    assert len({seen.headers["X-Request-ID"] for seen in partner.seen}) == 3


@pytest.mark.ocpi("A-06")
def test_a_platform_that_goes_over_to_base64_is_followed(emsp: Speaker, partner: Wire) -> None:
    partner.platform(emsp, token_form="plain")
    wanted = f"Token {ENCODED}"
    partner.answer = lambda seen: (
        envelope([]) if seen.headers["Authorization"] == wanted else bare(401)
    )
    assert get(emsp, partner).succeeded
    assert emsp.platform.token_form == "base64"


def test_a_token_that_is_refused_in_both_forms_changes_nothing(
    emsp: Speaker, partner: Wire
) -> None:
    partner.answer = lambda seen: envelope(code=2000, status=401)
    assert get(emsp, partner).http == 401
    assert len(partner.seen) == 2
    assert emsp.platform.token_form == "base64"
    assert Habit.WANTS_PLAIN not in names(emsp)


@pytest.mark.ocpi("C-16")
def test_the_token_before_the_last_change_is_tried_last(emsp: Speaker, partner: Wire) -> None:
    until = timezone.now() + timedelta(minutes=5)
    partner.platform(emsp, previous_sealed_token=keys.seal("former"), previous_until=until)
    former = f"Token {base64.b64encode(b'former').decode()}"
    partner.answer = lambda seen: (
        envelope([]) if seen.headers["Authorization"] == former else bare(401)
    )
    assert get(emsp, partner).succeeded
    assert len(partner.seen) == 3
    assert Habit.FORMER_TOKEN in names(emsp)
    assert emsp.platform.token_form == "base64"
    assert keys.previous_token(emsp.platform) == "former"
    partner.answer = lambda seen: envelope([])
    assert get(emsp, partner).succeeded
    assert keys.previous_token(emsp.platform) == ""


@pytest.mark.ocpi("C-16")
def test_the_token_before_is_not_tried_for_ever(emsp: Speaker, partner: Wire) -> None:
    until = timezone.now() - timedelta(seconds=1)
    partner.platform(emsp, previous_sealed_token=keys.seal("former"), previous_until=until)
    partner.answer = lambda seen: bare(401)
    assert get(emsp, partner).http == 401
    assert len(partner.seen) == 2


def test_in_a_handshake_the_token_is_used_as_it_is(emsp: Speaker, partner: Wire) -> None:
    partner.answer = lambda seen: bare(401)
    peer = client.Peer("offered", client.BASE64, None)
    assert calling.make(emsp.platform, Call("GET", partner.url), peer).http == 401
    assert len(partner.seen) == 1


@pytest.mark.parametrize("status", [301, 404, 405])
@pytest.mark.ocpi("T-32")
def test_a_missing_slash_is_tried_and_remembered(emsp: Speaker, partner: Wire, status: int) -> None:
    def picky(seen: Seen) -> Said:
        path = seen.path.partition("?")[0]
        return envelope([]) if path.endswith("/") else bare(status, Location=f"{path}/")

    partner.answer = picky
    assert get(emsp, partner, "/locations?limit=5").succeeded
    assert get(emsp, partner, "/locations?limit=5").succeeded
    paths = [seen.path for seen in partner.seen]
    assert paths == ["/locations?limit=5", "/locations/?limit=5", "/locations/?limit=5"]
    assert quirks.slash("locations") in names(emsp)


def test_an_answer_of_ocpi_is_final_and_a_slash_in_vain_is_tried_once(
    emsp: Speaker, partner: Wire
) -> None:
    partner.answer = lambda seen: envelope(code=2003, status=404)
    assert get(emsp, partner).code == 2003
    assert len(partner.seen) == 1
    partner.answer = lambda seen: bare(404)
    for _ in range(3):
        assert get(emsp, partner).http == 404
    assert len(partner.seen) == 1 + 2 + 1 + 1
    assert quirks.slash("locations") not in names(emsp)


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_on_the_same_host_keeps_method_and_body(
    emsp: Speaker, partner: Wire, status: int
) -> None:
    def moved(seen: Seen) -> Said:
        return envelope() if seen.path == "/new/L1" else bare(status, Location="/new/L1")

    partner.answer = moved
    call = Call("PUT", f"{partner.url}/locations/L1", "locations", body={"id": "L1"})
    assert calling.make(emsp.platform, call).succeeded
    assert [(seen.method, seen.body) for seen in partner.seen] == [("PUT", b'{"id":"L1"}')] * 2
    assert Habit.REDIRECTS in names(emsp)


def test_a_redirect_that_only_adds_a_slash_is_remembered(emsp: Speaker, partner: Wire) -> None:
    partner.answer = lambda seen: (
        envelope([])
        if seen.path.endswith("/")
        else bare(307, Location=f"{partner.url}{seen.path}/")
    )
    for _ in range(2):
        assert get(emsp, partner).succeeded
    assert len(partner.seen) == 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_leads_to_another_host_or_method(
    emsp: Speaker, partner: Wire, status: int
) -> None:
    with wire(lambda seen: envelope([])) as other:
        partner.answer = lambda seen: bare(status, Location=f"{other.url}/locations")
        assert get(emsp, partner).http == status
        assert other.seen == []
    assert len(partner.seen) == 1


def test_remedies_add_up_and_a_loop_ends(emsp: Speaker, partner: Wire) -> None:
    def odd(seen: Seen) -> Said:
        if not seen.path.endswith("/"):
            return bare(307, Location=f"{seen.path}/")
        return envelope([]) if TOKEN in seen.headers["Authorization"] else bare(401)

    partner.answer = odd
    assert get(emsp, partner).succeeded
    partner.seen.clear()
    partner.answer = lambda seen: bare(307, Location=f"{seen.path}x")
    assert get(emsp, partner).http == 307
    assert len(partner.seen) <= 3


def test_all_attempts_share_the_time_of_the_call(emsp: Speaker, partner: Wire) -> None:
    def slow(seen: Seen) -> Said:
        time.sleep(0.4)
        return bare(401)

    partner.answer = slow
    started = time.monotonic()
    with pytest.raises(TimedOut):
        calling.ask(emsp.platform, Call("GET", partner.url, seconds=0.6))
    assert time.monotonic() - started < 0.8


@pytest.mark.ocpi("T-07")
def test_what_is_odd_about_answers_is_noted(emsp: Speaker, partner: Wire) -> None:
    ids = ("X-Request-ID", "X-Correlation-ID")
    partner.answer = lambda seen: envelope([], **{name: seen.headers[name] for name in ids})
    get(emsp, partner)
    assert names(emsp) == set()
    partner.answer = lambda seen: envelope({"any": "data"})
    get(emsp, partner)
    assert names(emsp) == {Habit.NO_ECHO}
    partner.answer = lambda seen: Said(200, b"OK", {"Content-Type": "text/plain"})
    get(emsp, partner)
    assert names(emsp) == {Habit.NO_ECHO, Habit.NO_ENVELOPE}
    assert Quirk.objects.get(name=Habit.NO_ENVELOPE).example == "HTTP 200, text/plain"


def test_a_list_of_one_in_answer_to_a_command_is_noted(emsp: Speaker, partner: Wire) -> None:
    partner.answer = lambda seen: envelope(
        [{"result": "ACCEPTED"}], **{"X-Request-ID": seen.headers["X-Request-ID"]}
    )
    answer = calling.make(emsp.platform, Call("POST", partner.url, "commands", body={}))
    assert answer.item == {"result": "ACCEPTED"}
    assert names(emsp) == {Habit.LIST_OF_ONE}


@pytest.mark.parametrize(("status", "acknowledged"), [(200, 1), (204, 1), (500, 0)])
def test_an_empty_success_acknowledges_a_delivery_and_is_noted(
    emsp: Speaker, partner: Wire, status: int, acknowledged: int
) -> None:
    partner.answer = lambda seen: Said(status)
    cpo = joined("NL", "CPO", "CPO")
    cpo.put("2.2.1/receiver/locations/NL/CPO/L1", objects.location(cpo.address))
    delivery.drain(emsp.platform.pk)
    assert Delivery.objects.get().acknowledged == acknowledged
    assert (Habit.SILENT in names(emsp)) == bool(acknowledged)


def test_an_empty_answer_to_a_get_is_no_success(emsp: Speaker, partner: Wire) -> None:
    partner.answer = lambda seen: Said(200)
    assert not get(emsp, partner).succeeded
    assert names(emsp) == {Habit.NO_ENVELOPE}


def test_a_drain_learns_and_uses_what_it_learned(emsp: Speaker, partner: Wire) -> None:
    partner.answer = lambda seen: (
        envelope() if TOKEN in seen.headers["Authorization"] else bare(401)
    )
    cpo = joined("NL", "CPO", "CPO")
    for number in range(20):
        uid = f"L{number}"
        cpo.put(f"2.2.1/receiver/locations/NL/CPO/{uid}", objects.location(cpo.address, id=uid))
    assert delivery.drain(emsp.platform.pk) == 20
    assert not Delivery.objects.filter(acknowledged=0).exists()
    assert len(partner.seen) <= 20 + delivery.IN_FLIGHT
    assert emsp.platform.token_form == "plain"


def test_a_quirk_is_counted_and_written_once_an_hour(emsp: Speaker, monkeypatch: Any) -> None:
    platform = emsp.platform.pk
    for _ in range(3):
        quirks.note(platform, {"repair: date": "a"})
    quirks.write()
    quirks.note(platform, {"repair: date": "b"})
    quirks.write()
    assert Quirk.objects.get().count == 3
    monkeypatch.setattr(quirks, "HOUR", 0.0)
    quirks.write()
    item = Quirk.objects.get()
    assert (item.count, item.example) == (4, "b")


def test_what_is_known_is_read_once_a_minute(emsp: Speaker, django_assert_num_queries: Any) -> None:
    platform = emsp.platform.pk
    assert quirks.known(platform) == frozenset()
    quirks.note(platform, {quirks.slash("tokens"): ""})
    with django_assert_num_queries(0):
        assert quirks.slash("tokens") in quirks.known(platform)
