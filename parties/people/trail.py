"""Write down who did what at a party, in the transaction in which they do it."""

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from hub import peers
from parties.models import Party, TrailEntry, User
from parties.people.access import Area, own_areas

HUB = "hub"


def note(
    party: Party | int,
    area: Area,
    deed: str,
    *,
    person: User | None = None,
    subject: str = "",
    request: HttpRequest | None = None,
    **details: Any,
) -> TrailEntry:
    """Add an entry to the trail of a party; locks its end until the transaction is over.

    Never give it a secret: an entry cannot be taken back.
    """
    return TrailEntry.objects.create(
        party_id=party if isinstance(party, int) else party.pk,
        person=person,
        who=person.email if person else HUB,
        area=area,
        deed=deed,
        subject=subject[:255],
        details=json.dumps(details, ensure_ascii=False, sort_keys=True, default=str),
        address=peers.address(request)[:45] if request else "",
    )


def note_everywhere(person: User, deed: str, request: HttpRequest | None, **details: Any) -> None:
    """Note what concerns a person at each of their parties, always in the same order."""
    for party_id in person.memberships.order_by("party_id").values_list("party_id", flat=True):
        note(party_id, Area.PEOPLE, deed, person=person, request=request, **details)


def visible(party: Party, access: str) -> QuerySet[TrailEntry]:
    """Return the entries of a party that an access may see, the newest first."""
    entries = TrailEntry.objects.filter(party=party, area__in=own_areas(access))
    return entries.order_by("-seq")


def breaks(entries: Iterable[TrailEntry]) -> Iterable[tuple[TrailEntry, str]]:
    """Yield what is wrong with the entries of all parties, given by party and number.

    An entry that was taken out leaves a gap, a changed one does not have its digest any more.
    """
    before: TrailEntry | None = None
    for entry in entries:
        if before is None or before.party_id != entry.party_id:
            before = TrailEntry(party_id=entry.party_id, seq=0, digest="0" * 64)
        if entry.seq != before.seq + 1:
            yield entry, f"comes after number {before.seq}"
        elif entry.previous != before.digest:
            yield entry, "does not continue the entry before it"
        if entry.digest != entry.expected_digest():
            yield entry, "does not have the digest that it should have"
        before = entry
