"""The simulated partners behave, or misbehave as told; their demo network adds up."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest
import tzfpy

from cdrs import evidence, rules
from cdrs.facts import Facts
from hub.egress import EgressFailedError
from hub.ocpi import client, json, types, validation
from hub.ocpi.messages import Address
from hub.sandbox import catalogue, history, live, mistakes
from hub.sandbox.catalogue import CPOS, EMSPS
from hub.sandbox.charging import Charge, cdr, session, staged
from hub.sandbox.desk import HEARS
from hub.sandbox.faults import Fault
from hub.sandbox.member import HandshakeError
from hub.sandbox.network import Network, NotReadyError
from hub.sandbox.notes import Notes
from hub.sandbox.partner import Partner
from hub.sandbox.traffic import Month, World
from parties.models import Platform
from tests import objects
from tests.partners import guest

BEGINS, ENDS = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
STAMP = "2026-08-15T00:00:00Z"


# Partners


@pytest.fixture
def alone() -> Iterator[Partner]:
    """Have an eMSP without a hub."""
    with Partner(Address("DE", "MSP"), ["EMSP"], "Alone").served() as partner:
        yield partner


def ask(partner: Partner, path: str = "versions", *, token: str = "", **more: object):
    peer = client.Peer(token or partner.token, client.BASE64, None)
    return client.send("GET", f"{partner.url}/{path}", peer=peer, seconds=0.3, **more)


def test_a_partner_shows_its_endpoints_to_who_has_its_token(alone: Partner) -> None:
    [version] = ask(alone).data
    assert version == {"version": "2.2.1", "url": f"{alone.url}/2.2.1"}
    listed = ask(alone, "2.2.1").data["endpoints"]
    pairs = {(item["identifier"], item["role"]) for item in listed}
    assert {("cdrs", "RECEIVER"), ("locations", "RECEIVER"), ("tokens", "SENDER")} <= pairs
    assert ("tokens", "RECEIVER") not in pairs
    assert ask(alone, token="another").http == 401
    assert ask(alone, "2.2.1/receiver/tokens/FR/CPO/1").code == 2000


@pytest.mark.parametrize(
    ("fault", "http", "code"),
    [
        (Fault.ERROR500, 500, None),
        (Fault.GARBAGE, 200, None),
        (Fault.REFUSE, 200, 2001),
        (Fault.UNAUTHORIZED, 401, 2000),
    ],
)
def test_a_partner_answers_wrongly_as_often_as_told(
    alone: Partner, fault: Fault, http: int, code: int | None
) -> None:
    alone.misbehave(fault, times=1)
    answer = ask(alone)
    assert (answer.http, answer.code) == (http, code)
    assert ask(alone).code == 1000


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.DRIP, Fault.CLOSE])
def test_a_partner_does_not_answer_at_all(alone: Partner, fault: Fault) -> None:
    alone.misbehave(fault)
    with pytest.raises(EgressFailedError) as failure:
        ask(alone)
    assert failure.value.timeout == (fault is not Fault.CLOSE)


def test_a_stopped_partner_is_gone_on_open_connections_too() -> None:
    with Partner(Address("DE", "MSP"), ["EMSP"], "Gone").served() as partner:
        assert ask(partner).code == 1000
    with pytest.raises(EgressFailedError):
        ask(partner)


def test_the_handshake_connects_both_sides(db: None) -> None:
    with guest("FR*CPO", ["CPO"], "A CPO") as (partner, token):
        with pytest.raises(HandshakeError, match="401"):
            partner.register("http://127.0.0.1:8000/ocpi/versions", "wrong")
        partner.register("http://127.0.0.1:8000/ocpi/versions", token)
        assert partner.hub_endpoints["cdrs RECEIVER"].endswith("/ocpi/2.2.1/receiver/cdrs")
        assert Platform.objects.get().state == Platform.State.CONNECTED


def test_what_one_tells_reaches_the_other(cpo: Partner, emsp: Partner, deliver) -> None:
    assert emsp.push_token(objects.token(emsp.address)).http == 201
    assert cpo.publish_tariff(objects.tariff(cpo.address)).http == 201
    assert cpo.publish_location(objects.location(cpo.address)).http == 201
    assert cpo.send_session(objects.session(cpo.address, emsp.address)).http == 201
    answer = cpo.send_cdr(objects.cdr(cpo.address, emsp.address))
    assert answer.http == 201
    assert cpo.request("GET", answer.headers["Location"]).data["id"] == "C1"
    assert deliver() == 5 + 2  # both hear that the other is there
    assert set(cpo.holds("tokens")) == {"CARD1"}
    assert emsp.holds("locations")["L1"]["city"] == "Amsterdam"
    assert {item.module for item in emsp.received} == {"hubclientinfo", *HEARS["EMSP"]}
    assert [item["id"] for item in emsp.locations()] == ["L1"]


def test_a_stranger_hears_what_is_broadcast_and_nothing_else(
    cpo: Partner, emsp: Partner, stranger: Partner, deliver
) -> None:
    cpo.publish_location(objects.location(cpo.address))
    cpo.send_session(objects.session(cpo.address, emsp.address))
    cpo.send_cdr(objects.cdr(cpo.address, emsp.address))
    deliver()
    assert {item.module for item in stranger.received} == {"hubclientinfo", "locations"}


def test_long_lists_are_fetched_page_by_page(cpo: Partner, emsp: Partner) -> None:
    for number in range(103):
        cpo.publish_location(objects.location(cpo.address, id=f"L{number}"))
    assert len(emsp.locations()) == 103


# The demo network


@pytest.fixture(scope="module")
def world() -> World:
    return World(STAMP)


def month(world: World, cpo: catalogue.Company) -> list[Charge]:
    return Month(world, cpo, BEGINS, ENDS, "2026-10").charges(125)


def test_the_catalogue_is_valid_and_lies_where_it_says(world: World) -> None:
    locations = [item for cpo in CPOS for item in world.locations[cpo]]
    assert len(locations) == 40
    assert len({item["city"] for item in locations}) == 40
    for item in locations:
        validation.check(types.Location, item)
        place = item["coordinates"]
        zone = tzfpy.get_tz(float(place["longitude"]), float(place["latitude"]))
        assert zone == item["time_zone"], item["city"]
    for cpo in CPOS:
        for item in world.tariffs[cpo]:
            validation.check(types.Tariff, item)
    for emsp in EMSPS:
        for item in world.cards[emsp]:
            validation.check(types.Token, item)


@pytest.mark.parametrize("cpo", CPOS, ids=lambda cpo: cpo.name)
def test_a_month_is_the_same_every_time_and_passes_every_rule(
    world: World, cpo: catalogue.Company
) -> None:
    charges = month(world, cpo)
    assert len(charges) > 120
    assert [cdr(item) for item in charges] == [cdr(item) for item in month(World(STAMP), cpo)]
    token = rules.KnownToken(True, "", ENDS)
    for charge in charges:
        body = cdr(charge)
        validation.check(types.CDR, body)
        validation.check(types.Session, session(charge, progress=D("0.5")))
        body["cdr_token"]["contract_id"] = ""
        now = charge.ended_at + timedelta(minutes=1)
        read = json.loads(json.dumps(body))
        usual = evidence.parameters([])
        context = rules.Context(now=now, token=token, parameters=usual)
        assert rules.judge(Facts(read), context) == []


@pytest.mark.parametrize("cpo", CPOS, ids=lambda cpo: cpo.name)
def test_no_evse_is_used_by_two_at_a_time(world: World, cpo: catalogue.Company) -> None:
    for outlet in world.outlets[cpo]:
        used = [item for item in month(world, cpo) if item.outlet.evse is outlet.evse]
        used.sort(key=lambda item: item.started_at)
        for earlier, later in pairwise(used):
            assert earlier.ended_at <= later.started_at


def test_prices_are_exact_when_the_hour_changes_them(world: World) -> None:
    """From 19:30 to 20:15 local time with 11 kW, then half an hour of parking."""
    outlet = world.outlets[CPOS[0]][0]
    stages = staged(
        outlet,
        datetime(2026, 10, 6, 17, 30, tzinfo=UTC),
        charging=timedelta(minutes=45),
        parking=timedelta(minutes=30),
        power_kw=11,
    )
    bill = Charge("X", outlet, world.cards[EMSPS[0]][0], stages).bill
    assert [stage.energy_kwh for stage in stages] == [D("5.50"), D("2.75"), 0]
    assert bill.energy == {"excl_vat": D("3.5475"), "incl_vat": D("4.2925")}
    assert bill.parking == {"excl_vat": D("1.2000"), "incl_vat": D("1.4520")}
    assert bill.fixed == {"excl_vat": D("0.3500"), "incl_vat": D("0.4235")}
    assert bill.total == {"excl_vat": D("5.0975"), "incl_vat": D("6.1680")}


CODES = {
    mistakes.secret_token: "token_unknown",
    mistakes.blocked_token: "token_invalid",
    mistakes.backwards: "end_before_start",
    mistakes.wrong_sum: "energy_sum_differs",
    mistakes.watt_hours: "energy_sum_differs",
    mistakes.twice: "session_billed_twice",
    mistakes.other_currency: "currency_differs_from_tariff",
    mistakes.never_published: "location_unknown",
}


@pytest.mark.parametrize("mistake", CODES, ids=lambda mistake: mistake.__name__)
def test_every_mistake_is_found(world: World, mistake) -> None:
    charge = month(world, CPOS[0])[0]
    *_, wrong = mistake(charge)
    validation.check(types.CDR, wrong)
    valid = mistake is not mistakes.blocked_token
    token = rules.KnownToken(valid, "", BEGINS)
    context = rules.Context(
        now=ENDS,
        token=None if mistake is mistakes.secret_token else token,
        location_known=mistake is not mistakes.never_published,
        same_session="C1" if mistake is mistakes.twice else "",
    )
    read = json.loads(json.dumps(wrong | {"auth_method": "WHITELIST"}))
    assert CODES[mistake] in [item.code for item in rules.judge(Facts(read), context)]


def test_a_corrected_cdr_is_taken_back_in_full(world: World) -> None:
    wrong, credit, right = mistakes.corrected(month(world, CPOS[0])[0])
    assert credit["total_cost"]["excl_vat"] == -wrong["total_cost"]["excl_vat"]
    assert 2 * credit["total_energy"] == 2 * wrong["total_energy"] == right["total_energy"]
    assert len({wrong["id"], credit["id"], right["id"]}) == 3
    for body in (wrong, credit, right):
        validation.check(types.CDR, body)


def test_the_network_waits_for_its_registration(tmp_path: Path) -> None:
    network = Network("http://127.0.0.1:1", Notes(tmp_path / "notes.json"))
    with pytest.raises(NotReadyError, match="nl-swt, us-vlt, de-roa, br-mov"):
        network.publish(BEGINS)


def test_notes_outlive_the_process_and_are_private(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    Notes(path).write(one=1, two="2")
    assert Notes(path).read("two") == "2"
    assert Notes(path).read("three") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


class Recorder:
    """Takes the place of a partner and of the hub."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict]] = []

    def __getattr__(self, name: str):
        def call(item: object, **more: object) -> client.Answer:
            self.told.append((name, item))
            return client.Answer(200, 1000, "", None, {})

        return call


def test_live_traffic_goes_on_where_it_was(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SECONDS", (0.0, 0.0))
    now, recorder = datetime(2026, 11, 20, 12, tzinfo=UTC), Recorder()
    partners = dict.fromkeys(CPOS, recorder)
    traffic = live.Live(partners, world, Notes(tmp_path / "notes.json"), Event())
    traffic.perform(7, now)
    names = [name for name, _ in recorder.told]
    shown = ["publish_location", *["send_session"] * 3, "send_cdr", "publish_location"]
    assert names == shown
    statuses = [item["status"] for name, item in recorder.told if name == "send_session"]
    assert statuses == ["ACTIVE", "ACTIVE", "COMPLETED"]
    before = recorder.told[1:-1]
    recorder.told.clear()
    traffic.perform(7, now)
    assert recorder.told[1:-1] == before
    traffic.perform(8, now)
    ids = {item["id"] for name, item in recorder.told if name == "send_cdr"}
    assert len(ids) == 2


def test_cards_are_asked_for_and_apps_are_not(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SECONDS", (0.0, 0.0))
    seen = set()
    for number in range(8):
        recorder = Recorder()
        traffic = live.Live(
            dict.fromkeys(CPOS, recorder), world, Notes(tmp_path / "notes.json"), Event()
        )
        traffic.perform(number, datetime(2026, 11, 20, 12, tzinfo=UTC))
        asked = [item for name, item in recorder.told if name == "authorize"]
        [cdr] = [item for name, item in recorder.told if name == "send_cdr"]
        card = cdr["cdr_token"]["type"] == "RFID"
        assert asked == ([cdr["cdr_token"]["uid"]] if card else [])
        assert cdr["auth_method"] == ("AUTH_REQUEST" if card else "COMMAND")
        seen.add(card)
    assert seen == {True, False}


def test_the_past_has_mistakes_and_one_late_cdr(world: World) -> None:
    span = history.Span("2026-10", BEGINS, ENDS)
    jobs = [job for cpo in CPOS for job in history.jobs(world, cpo, span, late=True)]
    cdrs = [body for _, bodies in jobs for body in bodies]
    assert 250 < len(cdrs) < 300
    assert len({(body["party_id"], body["id"]) for body in cdrs}) == len(cdrs)
    assert sum(bool(body.get("credit")) for body in cdrs) == 2
    assert sum(charge.ended_at < BEGINS for charge, _ in jobs) == 1
