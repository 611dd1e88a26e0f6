"""CDRs as a party may look at them: its own, or those it is billed for; filtered, summed, paged.

A page is two queries: the ids come from an index that has all that is filtered by, the rows by
their ids. Pages are told by the last CDR of the one before, so they cost the same however deep they
lie, and nothing is skipped or shown twice while CDRs come in.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import Case, Count, Exists, F, OuterRef, Prefetch, Q, Sum, When
from django.utils.translation import gettext_lazy as _

from cdrs.models import Cdr, CdrQuerySet, Finding, Period, Verdict
from cdrs.periods import next_month
from parties.models import Party, Role

ROWS = 50  # on a page
ORDER = ("-ended_at", "-pk")


class Side(models.TextChoices):
    """Which end of a trade a party is on."""

    SOLD = "sold", _("You are paid")
    BOUGHT = "bought", _("You pay")

    @property
    def own(self) -> str:
        """Return the column in which the party stands."""
        return "owner" if self is Side.SOLD else "emsp"

    @property
    def other(self) -> str:
        """Return the column of its partner."""
        return "emsp" if self is Side.SOLD else "owner"


class Opinion(models.TextChoices):
    """What came of a CDR that is settled."""

    CLEAN = "clean", _("Validated")
    FLAGGED = "flagged", _("Validated, with remarks")
    CREDITED = "credited", _("Credited")


class Kind(models.TextChoices):
    """Whether a CDR bills or takes back."""

    SUPPLY = "supply", _("Supplies")
    CREDIT = "credit", _("Credits")


@dataclass(frozen=True)
class Filters:
    """What a person looks for; what is None or empty does not matter."""

    month: dt.date | None = None
    settled: dt.date | None = None
    state: str = ""
    verdict: str = ""
    finding: str = ""
    kind: str = ""
    partner: Party | None = None
    currency: str = ""
    country: str = ""
    least: Decimal | None = None
    most: Decimal | None = None
    q: str = ""


class Cursor(NamedTuple):
    """A place in the list, after which (or before which) a page begins."""

    ended_at: dt.datetime
    pk: int
    back: bool = False

    def spelled(self) -> str:
        """Write it for an address."""
        return f"{self.ended_at.astimezone(dt.UTC):%Y%m%dT%H%M%S.%f}-{self.pk}"

    @classmethod
    def read(cls, text: str, *, back: bool = False) -> "Cursor | None":
        """Read it from an address; None for what is none."""
        at, _, pk = text.rpartition("-")
        try:
            moment = dt.datetime.strptime(at, "%Y%m%dT%H%M%S.%f").replace(tzinfo=dt.UTC)
            return cls(moment, int(pk), back)
        except (ValueError, OverflowError):
            return None


class Total(NamedTuple):
    """What the filtered CDRs of a currency come to: exact sums; a credit's energy is negative."""

    currency: str
    cdrs: int
    energy_kwh: Decimal
    total: Decimal
    held: int
    held_total: Decimal


@dataclass
class Page:
    """A page of CDRs, with the places before and after it, if there is more."""

    rows: list[Any] = field(default_factory=list)
    newer: Cursor | None = None
    older: Cursor | None = None


def of_party(party: Party, side: Side) -> CdrQuerySet:
    """Return what a party may see from its side: all that it sent, or what is billed to it."""
    if side is Side.SOLD:
        return Cdr.objects.filter(owner=party)
    return Cdr.objects.filter(Q(complete=True) | Q(state=Cdr.State.ACCEPTED), emsp=party)


def partners(party: Party, side: Side) -> models.QuerySet[Party]:
    """Return whom a party may trade with from its side."""
    roles = Role.WITH_DRIVERS if side is Side.SOLD else (Role.Kind.CPO,)
    others = Role.objects.filter(party=OuterRef("pk"), role__in=roles)
    return Party.objects.filter(Exists(others)).exclude(pk=party.pk)


# What is looked for


def matching(cdrs: CdrQuerySet, side: Side, filters: Filters) -> CdrQuerySet:
    """Keep the CDRs that a person looks for."""
    for condition in _conditions(side, filters):
        cdrs = cdrs.filter(condition)
    return cdrs


def _conditions(side: Side, filters: Filters) -> Iterator[Q]:
    if filters.month:
        yield _ended_in(filters.month)
    if filters.settled:
        yield Q(period=Period.objects.filter(month=filters.settled).first() or 0)
    if filters.partner:
        yield Q(**{side.other: filters.partner})
    for name in ("state", "currency", "country"):
        if wanted := getattr(filters, name):
            yield Q(**{name: wanted})
    if filters.kind:
        yield Q(credit_of__isnull=filters.kind == Kind.SUPPLY)
    yield from _amounts(filters)
    yield from _judged(filters)
    if filters.q:
        yield _named(filters.q, side)


def _ended_in(month: dt.date) -> Q:
    """Keep those of a month of supply, which is the month of their end, by an indexed range."""
    zone = ZoneInfo(settings.TIME_ZONE)
    begins = dt.datetime.combine(month, dt.time(), zone)
    ends = dt.datetime.combine(next_month(month), dt.time(), zone)
    return Q(month=month, ended_at__gte=begins, ended_at__lt=ends)


def _amounts(filters: Filters) -> Iterator[Q]:
    if filters.least is not None:
        yield Q(total_excl_vat__gte=filters.least)
    if filters.most is not None:
        yield Q(total_excl_vat__lte=filters.most)


def _judged(filters: Filters) -> Iterator[Q]:
    open_ones = Finding.objects.filter(cdr=OuterRef("pk"), cleared_at=None)
    if filters.finding:
        yield Q(Exists(open_ones.filter(code=filters.finding)))
    if filters.verdict == Opinion.CREDITED:
        credits = _standing_credits().filter(credit_of__isnull=False)
        yield Q(pk__in=credits.values("credit_of"))
    elif filters.verdict:
        flagged = Exists(open_ones)
        settled = Q(state=Cdr.State.ACCEPTED)
        yield settled & (Q(flagged) if filters.verdict == Opinion.FLAGGED else ~Q(flagged))


def _credits() -> CdrQuerySet:
    return _standing_credits().filter(credit_of=OuterRef("pk"))


def credits_of(cdr: Cdr) -> CdrQuerySet:
    """Return the credit that takes a CDR back, if it was not discarded."""
    return _standing_credits().filter(credit_of=cdr)


def credited(ids: Sequence[int]) -> set[int]:
    """Return those of some CDRs that a credit takes back."""
    rows = _standing_credits().filter(credit_of__in=ids)
    return {key for key in rows.values_list("credit_of", flat=True) if key}


def _standing_credits() -> CdrQuerySet:
    return Cdr.objects.exclude(state=Cdr.State.DISCARDED)


def _named(text: str, side: Side) -> Q:
    """Keep those with an id: of the CDR, its session, or its EVSE; the case does not matter.

    The indexes begin with the CPO, so for an eMSP all CPOs are named.
    """
    found = Q(uid__iexact=text) | Q(session_uid__iexact=text) | Q(evse_uid__iexact=text)
    if side is Side.SOLD:
        return found
    sellers = Role.objects.filter(role=Role.Kind.CPO).values_list("party", flat=True)
    return found & Q(owner__in=list(sellers))


# What is shown


def page_of(cdrs: CdrQuerySet, cursor: Cursor | None) -> Page:
    """Return a page of CDRs, the latest first, with what is needed to show them."""
    back = cursor is not None and cursor.back
    ordered = cdrs.order_by("ended_at", "pk") if back else cdrs.order_by(*ORDER)
    if cursor:
        ordered = ordered.filter(_beyond(cursor))
    found = list(ordered.values_list("ended_at", "pk")[: ROWS + 1])
    more, found = len(found) > ROWS, found[:ROWS]
    if back:
        found.reverse()
    page = Page(rows=_rows([pk for _, pk in found]))
    if found and (more if back else cursor is not None):
        page.newer = Cursor(found[0][0], found[0][1], back=True)
    if found and (more or back):
        page.older = Cursor(*found[-1])
    return page


def _beyond(cursor: Cursor) -> Q:
    if cursor.back:
        later = Q(ended_at__gt=cursor.ended_at) | Q(pk__gt=cursor.pk)
        return Q(ended_at__gte=cursor.ended_at) & later
    earlier = Q(ended_at__lt=cursor.ended_at) | Q(pk__lt=cursor.pk)
    return Q(ended_at__lte=cursor.ended_at) & earlier


def _rows(ids: Sequence[int]) -> list[Any]:
    """Fetch CDRs with parties, period, open findings and last verdict: four queries."""
    rows = Cdr.objects.filter(pk__in=ids).select_related("owner", "emsp", "period")
    open_ones = Finding.objects.filter(cleared_at=None)
    rows = rows.annotate(is_credited=Exists(_credits())).defer("body", "raw").order_by(*ORDER)
    found = list(rows.prefetch_related(Prefetch("findings", open_ones, to_attr="open_findings")))
    verdicts = last_verdicts(ids)
    for cdr in found:
        cdr.last_verdict = verdicts.get(cdr.pk)
    return found


def last_verdicts(ids: Sequence[int]) -> dict[int, Verdict]:
    """Return what the hub has computed last for some CDRs."""
    rows = Verdict.objects.filter(cdr__in=ids).order_by("cdr_id", "-pk").distinct("cdr_id")
    shown = rows.only("cdr_id", "computed_excl_vat", "difference", "cost_verdict")
    return {verdict.cdr_id: verdict for verdict in shown}


def totals(cdrs: CdrQuerySet) -> list[Total]:
    """Add the CDRs up by currency, exactly; one pass over an index."""
    held = Q(state=Cdr.State.HELD)
    energy = Case(When(credit_of=None, then=F("energy_kwh")), default=-F("energy_kwh"))
    rows = cdrs.order_by("currency").values("currency")
    return [
        Total(**row)
        for row in rows.annotate(
            cdrs=Count("pk"),
            energy_kwh=Sum(energy),
            total=Sum("total_excl_vat"),
            held=Count("pk", filter=held),
            held_total=Sum("total_excl_vat", filter=held, default=Decimal()),
        )
    ]


class Cause(NamedTuple):
    """What holds some CDRs of a party, with how many and how much."""

    code: str
    currency: str
    cdrs: int
    total: Decimal
    oldest: dt.datetime


def causes(cdrs: CdrQuerySet) -> list[Cause]:
    """Group held CDRs by what holds them, the dearest first; one may stand in several groups."""
    held = cdrs.filter(state=Cdr.State.HELD).order_by().values("pk")
    findings = Finding.objects.filter(
        cdr__in=held, severity=Finding.Severity.HOLD, cleared_at=None
    ).order_by()
    rows = findings.values("code", currency=F("cdr__currency")).annotate(
        cdrs=Count("pk"),
        total=Sum("cdr__total_excl_vat"),
        oldest=models.Min("cdr__received_at"),
    )
    return [Cause(**row) for row in rows.order_by("-total", "code")]
