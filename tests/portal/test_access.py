"""The permission matrix, cell by cell, and the doors that it guards."""

import re

import pytest
from django.urls import get_resolver

from parties.models import Access
from parties.people import inviting
from parties.people.access import MATRIX, Area, May, level, own_areas
from tests.portal.cast import person, visitor

EXPECTED = """
credentials owner:W developer:W finance:- operations:- viewer:-
messages    owner:W developer:W finance:- operations:R viewer:R
network     owner:R developer:R finance:R operations:W viewer:R
cdrs        owner:R developer:R finance:R operations:R viewer:R
disputes    owner:W developer:- finance:W operations:W viewer:R
papers      owner:R developer:- finance:W operations:- viewer:R
bank        owner:W developer:- finance:W operations:- viewer:-
people      owner:W developer:- finance:- operations:- viewer:-
trail       owner:R developer:R finance:R operations:R viewer:-
"""
LEVELS = {"-": May.NOTHING, "R": May.READ, "W": May.ACT}
CELLS = [
    (area, *cell.split(":"))
    for area, *cells in (line.split() for line in EXPECTED.strip().splitlines())
    for cell in cells
]
PAGES = {  # what is a page of which area
    "": Area.CDRS,
    "cdrs/": Area.CDRS,
    "cdrs/held/": Area.CDRS,
    "cdrs/export.csv": Area.CDRS,
    "disputes/": Area.DISPUTES,
    "disputes/export.csv": Area.DISPUTES,
    "preview/": Area.PAPERS,
    "statements/": Area.PAPERS,
    "documents/": Area.PAPERS,
    "people/": Area.PEOPLE,
    "audit/": Area.TRAIL,
    "audit/export.csv": Area.TRAIL,
}


@pytest.mark.parametrize(("area", "access", "sign"), CELLS)
def test_each_cell_of_the_matrix(area, access, sign):
    assert level(access, area) == LEVELS[sign]


def test_the_matrix_has_no_other_cells():
    assert len(CELLS) == sum(len(row) for row in MATRIX.values()) == len(Area) * len(Access)


def test_of_the_trail_one_sees_where_one_may_act():
    assert own_areas("owner") == list(Area)
    assert own_areas("developer") == [Area.CREDENTIALS, Area.MESSAGES]
    assert own_areas("finance") == [Area.DISPUTES, Area.PAPERS, Area.BANK]
    assert own_areas("operations") == [Area.NETWORK, Area.DISPUTES]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("access", Access.values)
def test_each_page_is_there_for_who_may_see_its_area(people, access, path):
    answer = visitor(people[access]).get(f"/app/NL-CPO/{path}")
    assert answer.status_code == (200 if level(access, PAGES[path]) else 404)


@pytest.mark.parametrize("access", Access.values)
def test_the_navigation_has_what_is_there(people, access):
    client = visitor(people[access])
    text = client.get("/app/NL-CPO/").text
    for path, area in PAGES.items():
        if path and not path.endswith(".csv"):
            assert (f'href="/app/NL-CPO/{path}"' in text) == bool(level(access, area))


def paths():
    """Yield every address of a party's pages, with made-up parts."""
    for entry in get_resolver().url_patterns:
        if str(entry.pattern) == "app/":
            for inner in entry.url_patterns:
                path = str(inner.pattern)
                if path.startswith("<party:code>"):
                    named = {
                        "<party:code>": "NL-CPO",
                        "<str:kind>": "pdf",
                        "<reference:reference>": "D-2024-000001",
                        "<str:name>": "accept",
                    }
                    for old, new in named.items():
                        path = path.replace(old, new)
                    yield "/app/" + re.sub(r"<int:\w+>", "1", path)


def test_strangers_find_nothing(people, buyer):
    stranger = visitor(person("stranger@emp.example", buyer, "owner"))
    nobody = visitor(person("nobody@nowhere.example"))
    found = list(paths())
    assert len(found) >= 15
    for path in found:
        for client in (stranger, nobody):
            for answer in (client.get(path), client.post(path)):
                assert answer.status_code in {404, 405}, path
                assert "NL-CPO" not in answer.text
                assert "Power" not in answer.text


def test_who_is_not_logged_in_is_asked_to_and_comes_back(people, client):
    for path in paths():
        answer = client.get(path)
        if answer.status_code != 405:
            assert answer.url == f"/app/account/login/?next={path}"
    answer = client.get("/app/ZZ-ZZZ/")
    assert answer.url == "/app/account/login/?next=/app/ZZ-ZZZ/"
    told = {"login": "viewer@cpo.example", "password": "a password of some length"}
    answer = client.post("/app/account/login/", told | {"next": "/app/NL-CPO/?x=1"})
    assert answer.url == "/app/NL-CPO/?x=1"


@pytest.mark.parametrize("code", ["nl-cpo", "NLCPO", "NL-CP", "NL-CPOO", "NL-CPX"])
def test_a_party_that_is_not_there(people, code):
    assert visitor(people["owner"]).get(f"/app/{code}/").status_code == 404


def test_a_person_of_one_party_is_led_to_it_and_one_of_several_chooses(people, buyer):
    client = visitor(people["owner"])
    assert client.get("/app/").url == "/app/NL-CPO/"
    inviting.place(people["owner"], buyer, "viewer")
    text = client.get("/app/").text
    assert "/app/NL-CPO/" in text
    assert "/app/DE-EMP/" in text
    switcher = client.get("/app/DE-EMP/").text
    assert 'href="/app/NL-CPO/"' in switcher
    assert client.get("/app/DE-EMP/people/").status_code == 404
    assert client.get("/app/NL-CPO/people/").status_code == 200


def test_a_person_without_a_party_is_told_so(fresh):
    text = visitor(person("nobody@nowhere.example")).get("/app/").text
    assert "No party yet" in text
    assert "nobody@nowhere.example" in text


def test_the_hub_says_what_it_is(people, settings):
    assert "Sandbox" in visitor(people["viewer"]).get("/app/NL-CPO/").text
    settings.SANDBOX, settings.ENVIRONMENT = False, "live"
    text = visitor(people["viewer"]).get("/app/NL-CPO/").text
    assert "andbox" not in text
    assert "Live" in text


def test_nothing_of_it_is_kept_by_browsers_or_between(people):
    answer = visitor(people["viewer"]).get("/app/NL-CPO/")
    assert "no-store" in answer["Cache-Control"]
    assert "default-src 'self'" in answer["Content-Security-Policy"]


def test_the_first_page_takes_a_fixed_number_of_queries(people, django_assert_max_num_queries):
    client = visitor(people["owner"])
    with django_assert_max_num_queries(50):
        client.get("/app/NL-CPO/")
