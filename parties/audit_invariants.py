"""What must hold of the audit trails: complete, unchanged, and ending where they say."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, OuterRef

from parties.models import TrailEntry, TrailHead
from parties.people import trail


def trails_are_unbroken() -> Iterator[tuple[Any, str]]:
    """Each entry of a party's audit trail continues the one before it, from the first to the last.

    The digests are computed anew here, by other means than the database's.
    """
    entries = TrailEntry.objects.order_by("party_id", "seq").select_related("party")
    yield from trail.breaks(entries.iterator(chunk_size=2000))
    last = TrailEntry.objects.filter(
        party=OuterRef("party"), seq=OuterRef("seq"), digest=OuterRef("digest")
    )
    for head in TrailHead.objects.exclude(Exists(last)).select_related("party"):
        yield head, "the last entries are missing"
    heads = TrailHead.objects.filter(party=OuterRef("party"), seq__gte=OuterRef("seq"))
    for entry in TrailEntry.objects.exclude(Exists(heads)).select_related("party"):
        yield entry, "is behind the end of the trail"


CHECKS = (trails_are_unbroken,)
