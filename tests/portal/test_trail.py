"""The audit trail: numbered, chained, never changed, and seen by who may."""

import pytest
from django.db import DatabaseError, connection, transaction

from parties import audit_invariants
from parties.models import TrailEntry, TrailHead
from parties.people import trail
from parties.people.access import Area
from settlement import invariants
from tests.portal.cast import visitor
from tests.racing import at_once
from tests.settlement import factory
from tests.settlement.conftest import tampering


def breaches():
    return [text for _, text in audit_invariants.trails_are_unbroken()]


@pytest.fixture
def kept(seller, buyer):
    for number in range(3):
        trail.note(seller, Area.PEOPLE, "invited", subject=f"ä{number}@x.example", access="viewer")
    trail.note(buyer, Area.PAPERS, "downloaded", subject="A,B:\n3", rows=3)
    return seller


def test_entries_are_numbered_by_party_and_chained(kept, buyer):
    entries = list(TrailEntry.objects.filter(party=kept).order_by("seq"))
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert entries[0].previous == "0" * 64
    assert [entry.previous for entry in entries[1:]] == [entry.digest for entry in entries[:-1]]
    assert [entry.digest for entry in entries] == [entry.expected_digest() for entry in entries]
    assert TrailEntry.objects.get(party=buyer).seq == 1
    assert breaches() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE parties_trailentry SET who = 'somebody else' WHERE seq = 2",
        "DELETE FROM parties_trailentry WHERE seq = 3",
        "TRUNCATE parties_trailentry",
        "UPDATE parties_trailhead SET seq = 1",
        "DELETE FROM parties_trailhead",
        "TRUNCATE parties_trailhead",
    ],
)
def test_the_database_lets_nobody_touch_it(kept, statement):
    connection.check_constraints()
    with pytest.raises(DatabaseError, match="audit trail"), transaction.atomic():
        connection.cursor().execute(statement)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE parties_trailentry SET who = 'x' WHERE seq = 2", "digest that it should have"),
        ("UPDATE parties_trailentry SET details = '{}' WHERE seq = 1", "digest that it should"),
        ("UPDATE parties_trailentry SET at = at + interval '1 us' WHERE seq = 1", "digest that"),
        ("DELETE FROM parties_trailentry WHERE seq = 2", "comes after number 1"),
        ("DELETE FROM parties_trailentry WHERE seq = 3", "last entries are missing"),
        (
            "UPDATE parties_trailentry SET subject = 'y', digest = repeat('f', 64) WHERE seq = 2",
            "does not continue",
        ),
        ("DELETE FROM parties_trailhead", "behind the end"),
    ],
)
def test_what_was_tampered_with_is_found(kept, statement, words):
    with tampering(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert any(words in text for text in breaches())
    assert "trails_are_unbroken" in {breach.check for breach in invariants.breaches()}


@pytest.mark.django_db(transaction=True)
def test_entries_of_many_at_once_are_one_chain():
    party = factory.cpo("NL-CPO")

    def note(number):
        for _ in range(5):
            trail.note(party, Area.PEOPLE, "invited", subject=f"{number}")

    at_once(*(lambda number=number: note(number) for number in range(4)))
    numbers = TrailEntry.objects.filter(party=party).order_by("seq").values_list("seq", flat=True)
    assert list(numbers) == list(range(1, 21))
    assert TrailHead.objects.get(party=party).seq == 20
    assert breaches() == []


def test_what_is_rolled_back_leaves_no_gap(seller):
    trail.note(seller, Area.PEOPLE, "invited")
    with transaction.atomic():
        trail.note(seller, Area.PEOPLE, "removed")
        transaction.set_rollback(True)
    trail.note(seller, Area.PEOPLE, "joined")
    assert list(TrailEntry.objects.order_by("seq").values_list("deed", "seq")) == [
        ("invited", 1),
        ("joined", 2),
    ]
    assert breaches() == []


def test_the_owner_sees_it_in_words_and_others_their_own_area(people, seller):
    trail.note(seller, Area.PAPERS, "downloaded", person=people["finance"], subject="OCN-1.pdf")
    text = visitor(people["owner"]).get("/app/NL-CPO/audit/").text
    assert "gave viewer@cpo.example the access Viewer" in text
    assert "downloaded OCN-1.pdf" in text
    text = visitor(people["finance"]).get("/app/NL-CPO/audit/").text
    assert "downloaded OCN-1.pdf" in text
    assert "gave viewer@cpo.example" not in text
    text = visitor(people["developer"]).get("/app/NL-CPO/audit/").text
    assert "OCN-1.pdf" not in text


def test_it_is_searched_and_turned(people, seller):
    for number in range(60):
        trail.note(seller, Area.PEOPLE, "invited", subject=f"p{number}@x.example", access="viewer")
    client = visitor(people["owner"])
    assert "p59@x.example" in client.get("/app/NL-CPO/audit/").text
    assert "p1@x.example" in client.get("/app/NL-CPO/audit/?page=2").text
    found = client.get("/app/NL-CPO/audit/?q=p7@x.example").text
    assert "p7@x.example" in found
    assert "p8@x.example" not in found


def test_it_is_exported_with_its_chain_and_the_export_is_noted(people, seller):
    trail.note(seller, Area.PEOPLE, "invited", subject="=cmd|' /C calc'!A0", access="viewer")
    answer = visitor(people["owner"]).get("/app/NL-CPO/audit/export.csv")
    assert answer["Content-Disposition"] == 'attachment; filename="audit-NL-CPO.csv"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    lines = answer.text.splitlines()
    assert lines[0].startswith("number,at,who")
    assert "'=cmd" in answer.text
    assert TrailEntry.objects.filter(deed="exported").get().told["rows"] == len(lines) - 1


def test_no_party_sees_the_trail_of_another(people, buyer):
    trail.note(buyer, Area.PEOPLE, "invited", subject="secret@emp.example", access="viewer")
    text = visitor(people["owner"]).get("/app/NL-CPO/audit/").text
    assert "secret@emp.example" not in text
