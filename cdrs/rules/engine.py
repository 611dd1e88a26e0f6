"""The register of rules, by version, and the judge.

A rule is never changed once a version with it has been in use: the new one gets a `since`, the old
one an `until`, and a verdict of any day can be judged again by the rules of that day.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from cdrs.facts import Facts
from cdrs.rules.context import Context

VERSION = "2027-01"
FIRST = "2026-11"
REJECT, HOLD, FLAG = "reject", "hold", "flag"
LONGEST_TEXT = 255

Check = Callable[[Facts, Context], str | None]


@dataclass(frozen=True)
class Finding:
    """What one rule says of a CDR."""

    code: str
    severity: str
    text: str


@dataclass(frozen=True)
class Rule:
    """A rule as it is registered.

    `retried` is for holds that go away when somebody completes what the hub knows; `final` for
    those that no person can set aside, because the CDR could not be settled; `timed` for rules that
    compare times, which have nothing to say of a CDR without dates; `credits` for those that look
    at credits, too: what was wrong with its original is no reason to keep a credit back.
    """

    code: str
    severity: str
    check: Check
    since: str = FIRST
    until: str = ""
    retried: bool = False
    final: bool = False
    timed: bool = False
    credits: bool = False

    @property
    def words(self) -> str:
        """Return what the rule asks for."""
        return (self.check.__doc__ or "").strip()

    def in_force(self, version: str) -> bool:
        """Tell whether a version of the rules has it."""
        return self.since <= version and (not self.until or version < self.until)


RULES: list[Rule] = []


def rule(
    severity: str,
    *,
    since: str = FIRST,
    until: str = "",
    retried: bool = False,
    final: bool = False,
    timed: bool = False,
    credits: bool = False,
    code: str = "",
) -> Callable[[Check], Check]:
    """Register a rule under the name of its function, unless `code` names it."""

    def register(function: Check) -> Check:
        name = code or function.__name__
        also = credits or final or severity == REJECT
        RULES.append(Rule(name, severity, function, since, until, retried, final, timed, also))
        return function

    return register


@cache
def in_force(version: str = VERSION) -> tuple[Rule, ...]:
    """Return the rules of a version, in their order."""
    return tuple(item for item in RULES if item.in_force(version))


@cache
def by_code(version: str = VERSION) -> dict[str, Rule]:
    """Return the rules of a version by their codes."""
    return {item.code: item for item in in_force(version)}


@cache
def codes() -> frozenset[str]:
    """Return the codes of the rules of all versions."""
    return frozenset(item.code for item in RULES)


def judge(facts: Facts, context: Context, version: str = VERSION) -> list[Finding]:
    """Return everything that the rules of a version find, at once and in their order.

    Of a CDR without dates they say that (`epoch_date`), and nothing that would follow from it; of
    a credit only what concerns credits.
    """
    return list(_found(facts, context, version))


def _found(facts: Facts, context: Context, version: str) -> Iterator[Finding]:
    for item in in_force(version):
        if (item.timed and facts.dateless) or (facts.credit and not item.credits):
            continue
        if text := item.check(facts, context):
            yield Finding(item.code, item.severity, text[:LONGEST_TEXT])
