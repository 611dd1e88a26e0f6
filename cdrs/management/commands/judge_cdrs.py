"""Judge stored CDRs again."""

import datetime as dt
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from cdrs import judging, rules
from cdrs.models import Cdr, CdrQuerySet, Verdict
from hub.commands import JsonCommand
from hub.ocpi.messages import Address
from parties.models import Party

BAR = 40


class Command(JsonCommand):
    """Judges CDRs again, those of frozen months and discarded ones left as they are."""

    help = "Judge the CDRs of a month, of a party, or all of them again; or replay their verdicts."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which CDRs, and what to do."""
        parser.add_argument("--period", metavar="YYYY-MM", help="by the month they ended in")
        parser.add_argument("--party", metavar="CC-PID", help="of that CPO or for that eMSP")
        parser.add_argument("--held", action="store_true", help="only those that are held")
        parser.add_argument(
            "--replay",
            action="store_true",
            help="change nothing: reach every verdict again by the rules of its day",
        )

    def run(self, *, replay: bool, **options: Any) -> Mapping[str, Any]:
        """Judge them and count what became of them."""
        cdrs = _chosen(options)
        outcomes = self._replayed(cdrs) if replay else self._judged(cdrs)
        return {"rules": rules.VERSION, **options_told(options), **outcomes}

    def failure(self, result: Mapping[str, Any]) -> str:
        """Fail if a verdict could not be reached again."""
        return f"{result['differ']} verdicts differ" if result.get("differ") else ""

    def _judged(self, cdrs: CdrQuerySet) -> dict[str, Any]:
        ids = list(cdrs.order_by("pk").values_list("pk", flat=True))
        outcomes = judging.rejudge(ids, Verdict.Cause.AGAIN, timezone.now())
        counted = Counter(_shown(outcomes, len(ids)))
        names = ("released", "held", "changed", judging.SAME)
        return {"cdrs": len(ids), **{name: counted[name] for name in names}}

    def _replayed(self, cdrs: CdrQuerySet) -> dict[str, Any]:
        verdicts = Verdict.objects.filter(cdr__in=cdrs.values("pk")).select_related("cdr")
        counted = Counter(_shown(map(_agrees, verdicts.iterator(500)), verdicts.count()))
        return {"verdicts": counted.total(), "agree": counted[True], "differ": counted[False]}


def options_told(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return which CDRs were meant."""
    return {name: options[name] for name in ("period", "party") if options[name]}


def _chosen(options: Mapping[str, Any]) -> CdrQuerySet:
    cdrs: CdrQuerySet = Cdr.objects.all()
    if options["period"]:
        cdrs = cdrs.filter(month=_month(options["period"]))
    if options["party"]:
        party = _party(options["party"])
        cdrs = cdrs.filter(owner=party) | cdrs.filter(emsp=party)
    return cdrs.filter(state=Cdr.State.HELD) if options["held"] else cdrs


def _month(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise CommandError(f"{text!r} is not a month (YYYY-MM)") from error


def _party(text: str) -> Party:
    code, _, party_id = text.replace("*", "-").partition("-")
    address = Address.of(code, party_id)
    found = Party.objects.filter(
        country_code=address.country_code, party_id=address.party_id
    ).first()
    if found is None:
        raise CommandError(f"there is no party {text}")
    return found


def _agrees(verdict: Verdict) -> bool:
    found = [[item.code, item.severity, item.text] for item in judging.replay(verdict)]
    return bool(found == verdict.findings)


def _shown(outcomes: Iterable[Any], total: int) -> Iterator[Any]:
    """Pass on what comes, with a bar on standard error where a person is looking."""
    watched, last = sys.stderr.isatty(), -1
    for count, outcome in enumerate(outcomes, 1):
        yield outcome
        filled = BAR * count // max(total, 1)
        if watched and filled != last:
            last = filled
            sys.stderr.write(f"\r[{'#' * filled:<{BAR}}] {count}/{total}")
    if watched and total:
        sys.stderr.write("\n")
