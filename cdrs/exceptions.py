"""Held CDRs grouped by what holds them: causes are mended, not rows."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, Exists, Min, OuterRef, Q, Sum
from django.utils import timezone

from cdrs import judging, rules
from cdrs.models import Cdr, CdrQuerySet, Finding, Verdict
from parties.models import Party, User

OLD = dt.timedelta(days=30)
MOST = 1000  # CDRs that are decided about in one go


class Group(NamedTuple):
    """CDRs of one CPO in one currency that are held for one reason."""

    code: str
    words: str
    owner: Party
    currency: str
    cdrs: int
    total: Decimal
    oldest: dt.datetime
    old: int
    sample: str


class Outcome(NamedTuple):
    """What became of a decision about several CDRs: how many, and why not of others."""

    done: int
    refused: list[str]


def groups(now: dt.datetime) -> list[Group]:
    """Return all reasons for which CDRs are held, the dearest first."""
    rows = (
        _open_holds()
        .filter(cdr__state=Cdr.State.HELD)
        .values("code", "cdr__owner", "cdr__currency")
        .annotate(
            count=Count("pk"),
            total=Sum("cdr__total_excl_vat"),
            oldest=Min("cdr__received_at"),
            old=Count("pk", filter=Q(cdr__received_at__lt=now - OLD)),
            sample=Min("cdr__uid"),
        )
        .order_by("-total")
    )
    found = list(rows)
    owners = Party.objects.in_bulk([row["cdr__owner"] for row in found])
    return [_group(row, owners) for row in found]


def held_for(code: str, cdrs: CdrQuerySet | None = None) -> CdrQuerySet:
    """Keep the held CDRs that a reason holds."""
    held = (Cdr.objects.all() if cdrs is None else cdrs).filter(state=Cdr.State.HELD)
    return held.filter(Exists(_open_holds().filter(cdr=OuterRef("pk"), code=code)))


def reasons(cdrs: CdrQuerySet) -> list[dict[str, Any]]:
    """Return what holds CDRs, with how many, and whether a person may set it aside."""
    rows = _open_holds().filter(cdr__in=cdrs.order_by().values("pk")).values("code")
    counted = rows.annotate(count=Count("pk")).order_by("-count", "code")
    return [
        {**row, "words": words(row["code"]), "final": not judging.may_be_set_aside(row["code"])}
        for row in counted
    ]


def totals(cdrs: CdrQuerySet) -> list[tuple[str, int, Decimal]]:
    """Return currency, number and sum of CDRs."""
    rows = cdrs.order_by("currency").values_list("currency")
    return list(rows.annotate(count=Count("pk"), total=Sum("total_excl_vat")))


def words(code: str) -> str:
    """Return what a rule asks for."""
    found = rules.by_code().get(code)
    return found.words.replace("`", "") if found else ""


def decide(
    act: Callable[[int, User, str, dt.datetime], Any],
    cdr_ids: Iterable[int],
    person: User,
    reason: str,
) -> Outcome:
    """Have a person's decision take effect on CDRs, each by itself."""
    done, refused = 0, []
    for cdr_id in cdr_ids:
        try:
            act(cdr_id, person, reason, timezone.now())
        except judging.CannotDecide as error:
            refused.append(str(error))
        else:
            done += 1
    return Outcome(done, refused)


def judge_again(cdr_ids: Iterable[int]) -> Iterator[str]:
    """Judge CDRs again and yield what became of each."""
    return judging.rejudge(cdr_ids, Verdict.Cause.AGAIN, timezone.now())


def _open_holds() -> Any:
    return Finding.objects.filter(severity=Finding.Severity.HOLD, cleared_at=None).order_by()


def _group(row: dict[str, Any], owners: dict[int, Party]) -> Group:
    return Group(
        code=row["code"],
        words=words(row["code"]),
        owner=owners[row["cdr__owner"]],
        currency=row["cdr__currency"],
        cdrs=row["count"],
        total=row["total"],
        oldest=row["oldest"],
        old=row["old"],
        sample=row["sample"],
    )
