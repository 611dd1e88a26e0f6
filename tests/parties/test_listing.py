"""Long lists: what a process remembers of them for some seconds never costs an object."""

import pytest

from locations.models import Location
from parties import listing
from tests import objects
from tests.speaking import joined

PATH = "2.2.1/sender/locations"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Count a list of four as long, and the third place as deep."""
    monkeypatch.setattr(listing, "LONG", 3)
    monkeypatch.setattr(listing, "DEEP", 2)
    for name in ("_totals", "_places"):
        monkeypatch.setattr(listing, name, listing.Memory())


@pytest.fixture
def cpo(db):
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def emsp(db):
    return joined("DE", "EMP", "EMSP")


def put(cpo, *names, **members):
    for name in names:
        path = f"2.2.1/receiver/locations/{cpo.path}/{name}"
        assert cpo.put(path, objects.location(cpo.address, id=name, **members)).code == 1000


def page(reader, offset, limit=2):
    reply = reader.get(f"{PATH}?offset={offset}&limit={limit}")
    return [item["id"] for item in reply.data], reply.headers


def crawl(reader):
    """Follow the links; return the ids of all pages."""
    found, query = [], "?limit=2"
    while query:
        reply = reader.get(PATH + query)
        found += [item["id"] for item in reply.data]
        link = reply.headers.get("Link", "")
        query = link.partition(PATH)[2].partition(">")[0]
    return found


def test_every_object_is_on_one_page(cpo, emsp):
    names = [f"L{number}" for number in range(7)]
    put(cpo, *names)
    assert crawl(emsp) == names
    assert crawl(emsp) == names


def test_what_comes_after_the_count_is_found(cpo, emsp):
    put(cpo, "L0", "L1", "L2", "L3", "L4")
    assert page(emsp, 0)[1]["X-Total-Count"] == "5"
    put(cpo, "L5", "L6")
    assert crawl(emsp) == [f"L{number}" for number in range(7)]
    ids, headers = page(emsp, 6)
    assert (ids, headers["X-Total-Count"]) == (["L6"], "7")
    assert "Link" not in headers


def test_what_is_withdrawn_during_a_crawl_takes_nothing_else_along(cpo, emsp):
    put(cpo, *(f"L{number}" for number in range(7)))
    assert page(emsp, 2)[0] == ["L2", "L3"]
    Location.objects.filter(uid="L0").update(complete=False)
    assert page(emsp, 4)[0] == ["L4", "L5"]


def test_places_are_those_of_one_reader(cpo, emsp):
    other = joined("FR", "OTH", "CPO", "EMSP")
    put(other, "X0")
    put(cpo, *(f"L{number}" for number in range(5)))
    assert page(emsp, 2)[0] == ["L1", "L2"]
    assert page(other, 2)[0] == ["L2", "L3"]
    assert page(emsp, 3)[0] == ["L2", "L3"]


def test_of_a_short_list_nothing_is_remembered(cpo, emsp):
    put(cpo, "L0", "L1", "L2")
    assert page(emsp, 0)[1]["X-Total-Count"] == "3"
    Location.objects.filter(uid="L0").update(complete=False)
    assert page(emsp, 0, limit=1)[1]["X-Total-Count"] == "2"


def test_memory_forgets_the_oldest_and_the_stale(monkeypatch):
    monkeypatch.setattr(listing, "PLACES", 2)
    memory = listing.Memory()
    for key in ("a", "b", "c"):
        memory.keep(key, 1)
    assert [memory.recall(key) for key in ("a", "b", "c")] == [None, 1, 1]
    monkeypatch.setattr(listing, "FRESH", -1.0)
    memory.keep("b", 2)
    assert memory.recall("b") is None
