"""Lists: what a reader may see of everybody, page by page, by date, in the order of creation."""

import datetime as dt

import pytest
from django.db import connection

from cdrs.models import Cdr, Session, Token
from hub.ocpi import json, times
from locations.models import Location, Tariff
from tests import objects
from tests.pushing import Pushing, shown, told
from tests.speaking import Speaker, joined

pytestmark = pytest.mark.django_db
STAMP = objects.STAMP


@pytest.fixture
def filled(cpo, stranger):
    """Seven locations: L0 to L4 of the CPO, then X0 and X1 of somebody else."""
    for number in range(5):
        body = objects.location(cpo.address, id=f"L{number}", last_updated=hour(number))
        Pushing(cpo, "locations").put(body["id"], body=body)
    for number in range(2):
        body = objects.location(stranger.address, id=f"X{number}", last_updated=hour(number))
        Pushing(stranger, "locations").put(body["id"], body=body)


def hour(number):
    return f"2026-11-10T1{number}:00:00Z"


def ids(answer):
    assert answer.code == 1000, answer
    return [item.get("id") or item["uid"] for item in answer.data]


def pages(partner, module, query):
    """Follow the links as a partner does; return the pages."""
    found, answer = [], shown(partner, module, query=query)
    while True:
        found.append(answer)
        link = answer.headers.get("Link")
        if not link:
            return found
        assert link.endswith('; rel="next"')
        answer = partner.request("GET", link[1 : link.index(">")])


# What is in them


@pytest.mark.ocpi("G-01", "G-02", "B-01", "T-06")
def test_the_objects_of_all_parties_come_from_the_store(filled, cpo, emsp, stranger):
    assert ids(shown(emsp, "locations")) == ["L0", "L1", "L2", "L3", "L4", "X0", "X1"]
    owners = {(item["country_code"], item["party_id"]) for item in shown(emsp, "locations").data}
    assert owners == {("FR", "CPO"), ("SE", "STR")}
    assert [item.method for item in cpo.received if item.module == "locations"] == []
    assert told(emsp, "locations") == []


@pytest.mark.ocpi("G-02", "R-07")
@pytest.mark.parametrize("to", [None, ("XX", "OCN"), ("DE", "MSP")])
def test_a_list_for_nobody_the_hub_or_its_reader_is_the_hubs(filled, emsp, to):
    country, party = to or (None, None)
    reader = Speaker(emsp.address, emsp.hub_token)
    reply = reader.get(
        "2.2.1/sender/locations", OCPI_to_country_code=country, OCPI_to_party_id=party
    )
    assert len(reply.data) == 7


@pytest.mark.ocpi("G-03", "D-16", "S-06", "K-11")
def test_everybody_sees_what_is_for_them(cpo, emsp, stranger):
    """The stranger is a CPO, who sees tokens, and an eMSP, whose drivers charged nowhere."""
    Pushing(emsp, "tokens").put("CARD1", body=objects.token(emsp.address))
    Pushing(cpo, "tariffs").put("T1", body=objects.tariff(cpo.address))
    Pushing(cpo, "sessions").put("S1", body=objects.session(cpo.address, emsp.address))
    cpo.send_cdr(objects.cdr(cpo.address, emsp.address))
    seen = {
        partner.name: {
            module: shown(partner, module).data
            for module in ("locations", "tariffs", "tokens", "sessions", "cdrs")
        }
        for partner in (cpo, emsp, stranger)
    }
    counts = {
        name: {module: len(rows or []) for module, rows in modules.items()}
        for name, modules in seen.items()
    }
    nothing = dict.fromkeys(["locations", "tariffs", "tokens", "sessions", "cdrs"], 0)
    assert counts["Cast Charging"] == {**nothing, "tokens": 1}
    assert counts["Cast Mobility"] == {**nothing, "tariffs": 1, "sessions": 1, "cdrs": 1}
    assert counts["Cast Stranger"] == {**nothing, "tariffs": 1, "tokens": 1}
    assert shown(cpo, "sessions").http == 403
    assert shown(stranger, "sessions", "S1").http == 404
    assert shown(stranger, "cdrs", "C1").http == 404


@pytest.mark.ocpi("G-14", "K-01", "L-04")
def test_what_ended_stays_in_the_lists(cpo, emsp):
    Pushing(emsp, "tokens").put("CARD1", body=objects.token(emsp.address, valid=False))
    gone = objects.location(cpo.address, evses=[objects.evse(status="REMOVED")])
    Pushing(cpo, "locations").put("L1", body=gone)
    assert shown(cpo, "tokens").data[0]["valid"] is False
    assert shown(emsp, "locations").data == [gone]


# Pages


@pytest.mark.ocpi("G-05", "G-06", "G-08", "G-09")
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_the_pages_together_are_the_list_and_the_last_has_no_link(filled, emsp, limit):
    found = pages(emsp, "locations", f"?limit={limit}")
    assert [item for page in found for item in ids(page)] == [
        *("L0", "L1", "L2", "L3", "L4"),
        *("X0", "X1"),
    ]
    assert len(found) == -(-7 // limit)
    assert {page.headers["X-Total-Count"] for page in found} == {"7"}
    assert {page.headers["X-Limit"] for page in found} == {str(limit)}


@pytest.mark.ocpi("G-06", "G-05")
def test_the_link_keeps_the_filters_and_the_total_counts_what_they_leave(filled, emsp):
    query = f"?date_from={hour(1)}&date_to={hour(4)}&received_from={hour(0)}&limit=2"
    first, second = pages(emsp, "locations", query)
    assert ids(first) + ids(second) == ["L1", "L2", "L3", "X1"]
    assert first.headers["X-Total-Count"] == second.headers["X-Total-Count"] == "4"
    link = first.headers["Link"]
    assert link.startswith("<http")
    for part in ("date_from=", "date_to=", "received_from=", "offset=2", "limit=2"):
        assert part in link


@pytest.mark.ocpi("G-07", "G-06")
def test_a_limit_above_ours_is_cut_and_said_so(filled, emsp, monkeypatch):
    monkeypatch.setattr("hub.ocpi.pagination.CEILING", 3)
    answer = shown(emsp, "locations", query="?limit=10000")
    assert len(answer.data) == 3
    assert answer.headers["X-Limit"] == "3"
    assert "limit=3" in answer.headers["Link"]
    assert shown(emsp, "locations").headers["X-Limit"] == "3"


@pytest.mark.ocpi("G-09")
def test_beyond_the_end_is_nothing_and_the_total_is_right(filled, emsp):
    for offset in (7, 8, 999_999_999):
        answer = shown(emsp, "locations", query=f"?offset={offset}")
        assert (answer.data, "Link" in answer.headers) == ([], False)
        assert answer.headers["X-Total-Count"] == "7"


@pytest.mark.ocpi("G-09", "T-10")
@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=%D9%A1", "limit=1e2"),
        *("offset=-1", "offset=x", "offset=99999999999999999999"),
        *("date_from=x", "date_to=2026-02-30T00:00:00Z", "date_from=2026-11-10"),
        *("received_from=x", "date_from=2026-11-10T10:00:00%2B01:00"),
    ],
)
def test_nonsense_is_a_2001(emsp, query):
    for module in ("locations", "tariffs", "sessions", "cdrs"):
        answer = shown(emsp, module, query=f"?{query}")
        assert (answer.http, answer.code) == (200, 2001), module


@pytest.mark.ocpi("G-08")
def test_an_update_moves_nothing_to_another_page(filled, cpo, emsp):
    body = objects.location(cpo.address, id="L0", last_updated="2026-11-10T23:00:00Z")
    first = shown(emsp, "locations", query="?limit=3")
    Pushing(cpo, "locations").put("L0", body=body)
    rest = emsp.request("GET", first.headers["Link"][1:].split(">")[0])
    assert ids(first) + ids(rest) == ["L0", "L1", "L2", "L3", "L4", "X0"]


# Dates


@pytest.mark.ocpi("G-05")
def test_from_is_inclusive_and_to_is_exclusive(filled, emsp):
    assert ids(shown(emsp, "locations", query=f"?date_from={hour(1)}")) == [
        *("L1", "L2", "L3", "L4"),
        "X1",
    ]
    assert ids(shown(emsp, "locations", query=f"?date_to={hour(1)}")) == ["L0", "X0"]
    both = f"?date_from={hour(1)}&date_to={hour(2)}"
    assert ids(shown(emsp, "locations", query=both)) == ["L1", "X1"]


@pytest.mark.ocpi("G-13")
def test_what_came_late_is_found_by_when_the_hub_received_it(cpo, emsp):
    """The CDR is from the 10th and was sent later: date_from alone would never show it."""
    before = times.render(times.now() - dt.timedelta(minutes=1))
    cpo.send_cdr(objects.cdr(cpo.address, emsp.address))
    Pushing(cpo, "locations").put("L1", body=objects.location(cpo.address))
    for module, key in (("cdrs", "C1"), ("locations", "L1")):
        assert ids(shown(emsp, module, query=f"?date_from={before}")) == []
        assert ids(shown(emsp, module, query=f"?received_from={before}")) == [key]
        after = times.render(times.now() + dt.timedelta(seconds=1))
        assert ids(shown(emsp, module, query=f"?received_from={after}")) == []


@pytest.mark.ocpi("G-13")
def test_a_change_counts_as_received(cpo, emsp):
    own = Pushing(cpo, "locations")
    own.put("L1", body=objects.location(cpo.address))
    Location.objects.update(received_at="2026-11-01T00:00:00Z")
    query = "?received_from=2026-11-02T00:00:00Z"
    assert ids(shown(emsp, "locations", query=query)) == []
    own.patch("L1", body={"name": "New", "last_updated": "2026-11-10T11:00:00Z"})
    assert ids(shown(emsp, "locations", query=query)) == ["L1"]


# Cost


@pytest.mark.ocpi("G-12")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [Location, Tariff, Token, Session, Cdr])
def test_a_deep_page_reads_an_index_and_no_objects(model):
    reader = joined("DE", "EMP", "EMSP")
    role, owner = reader.party.roles.get(), joined("NL", "CPO", "CPO").party
    fill(model, owner, reader.party)
    rows = model.objects.visible_to(role).order_by("pk").values("pk")
    for query in (rows[1900:1950], rows.filter(last_updated__gte=STAMP)[1900:1950]):
        plan = query.explain(analyze=True, format="json")
        nodes = list(nodes_of(json.loads(plan.encode())[0]["Plan"]))
        assert "Index Only Scan" in {node["Node Type"] for node in nodes}
        assert sum(node.get("Heap Fetches", 0) for node in nodes) < 200
        own = [node for node in nodes if node.get("Relation Name") == model._meta.db_table]
        assert "Seq Scan" not in {node["Node Type"] for node in own}


def nodes_of(plan):
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes_of(inner)


def fill(model, owner, payer):
    """Store 2000 objects with a body of some size, as the columns ask for."""
    fixed = {
        Location: {"name": "", "city": "", "country": "NLD", "publish": True},
        Tariff: {"currency": "EUR"},
        Token: {"type": "RFID", "contract_id": "", "valid": True},
        Session: {"emsp_id": payer.pk, "status": "ACTIVE"},
        Cdr: {
            "emsp_id": payer.pk,
            **dict.fromkeys(["started_at", "ended_at"], STAMP),
            **dict.fromkeys(["session_uid", "token_uid", "evse_uid", "country", "digest"], ""),
            **dict.fromkeys(["energy_kwh", "total_excl_vat"], 0),
            "state": "held",
            "month": "2026-11-01",
            "currency": "EUR",
            "rules": "1",
        },
    }[model]
    text = json.dumps({"filler": "x" * 500}).decode()
    columns = {"owner_id": owner.pk, "body": text, "complete": True, "version": 1}
    columns |= {"last_updated": STAMP, "received_at": STAMP, **fixed}
    table, names = model._meta.db_table, ", ".join(columns)
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")  # else vacuum comes too early
        cursor.execute(
            f"INSERT INTO {table} (uid, {names}) SELECT 'N' || n,"  # noqa: S608 - our own names
            f" {', '.join(['%s'] * len(columns))} FROM generate_series(1, 2000) AS n",
            list(columns.values()),
        )
        cursor.execute("RESET synchronous_commit")
        cursor.execute(f"VACUUM ANALYZE {table}")
