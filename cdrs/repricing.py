"""What a CDR costs by its tariffs: those in it, else those that its CPO had published by then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cdrs import pricing, rules
from cdrs.evidence import Candidate
from cdrs.pricing.numbers import EXACT
from cdrs.pricing.verdicts import AGREES, Assessment, Verdict
from hub.money import FOUR, minor_unit
from hub.ocpi import json, tariff_lints

LATER = 5000  # elements that the periods may ask before it takes more than a few milliseconds
MOST = Decimal(10) ** 15  # an amount that a verdict can be kept with
FOUND = (*AGREES, Verdict.VARIANT)
Tariffs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Repriced:
    """What came of it; `tariffs` are the hub's where the CDR has none in it."""

    priced: rules.Priced | None
    known: tuple[rules.KnownTariff, ...] = ()
    tariffs: list[Any] | None = None


def reprice(candidate: Candidate, evidence: rules.Evidence, *, patiently: bool = False) -> Repriced:
    """Price a CDR and compare; a credit is not priced, what it takes back was.

    What would take long is left for later, unless `patiently`.
    """
    if candidate.facts.credit:
        return Repriced(None)
    embedded, added = candidate.embedded, _added(candidate, evidence)
    offered = [*embedded, *added]
    if not patiently and _work(candidate, offered) > LATER:
        return Repriced(rules.Priced(later=True))
    priced = _priced(candidate, offered, evidence)
    guessed = not candidate.named
    if guessed and priced.cost_verdict not in FOUND:
        return Repriced(_no_tariff())
    known = () if guessed else tuple(_known(item, embedded) for item in evidence.published)
    return Repriced(priced, known, added or None)


def _added(candidate: Candidate, evidence: rules.Evidence) -> list[Any]:
    """Return the published tariffs that the CDR names, or its connector, but has not in it."""
    inside = {str(tariff["id"]).upper() for tariff in candidate.embedded}
    return [
        json.kept(bytes(item.body)) for item in evidence.published if item.uid.upper() not in inside
    ]


def _work(candidate: Candidate, offered: Tariffs) -> int:
    elements = max((len(tariff.get("elements") or ()) for tariff in offered), default=0)
    return elements * len(candidate.facts.body["charging_periods"])


def _priced(candidate: Candidate, offered: Tariffs, evidence: rules.Evidence) -> rules.Priced:
    body, zone = candidate.facts.body, evidence.place.time_zone if evidence.place else None
    try:
        assessment = pricing.assess(
            body, offered, zone, minor_unit(candidate.facts.text("currency"))
        )
    except pricing.Refused as error:
        return rules.Priced(engine=pricing.VERSION, refused=error.code, text=str(error))
    total = assessment.account.total
    if any(side is not None and abs(side) >= MOST for side in (total.excl, total.incl)):
        text = "by its tariff it costs more than a session can"
        return rules.Priced(engine=pricing.VERSION, refused="out_of_range", text=text)
    return _told(assessment, offered)


def _told(assessment: Assessment, offered: Tariffs) -> rules.Priced:
    account = assessment.account
    bounded = any(bound.before != bound.after for bound in account.bounds)
    wrong = assessment.cost_verdict is Verdict.MISMATCH
    return rules.Priced(
        engine=pricing.VERSION,
        verdict=assessment.verdict,
        cost_verdict=assessment.cost_verdict,
        reading=assessment.reading.text if assessment.reading else "",
        excl_vat=_rounded(account.total.excl),
        incl_vat=_rounded(account.total.incl),
        unlimited_excl_vat=_rounded(account.sum.excl) if bounded else None,
        figures=tuple(
            rules.Figure(item.field, item.claimed, _exactly(item.computed), item.verdict)
            for item in assessment.differences
        ),
        warnings=tuple(account.warnings),
        ambiguous=wrong and any(_ambiguous(tariff) for tariff in offered),
    )


def _rounded(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else _exactly(amount)


def _exactly(amount: Decimal) -> Decimal:
    """Round to 4 decimals, whatever the size."""
    return amount.quantize(FOUR, ROUND_HALF_UP, EXACT)


def _ambiguous(tariff: Mapping[str, Any]) -> bool:
    return any(True for _ in tariff_lints.duplicate_component(tariff))


def _no_tariff() -> rules.Priced:
    text = "it has no tariff, and those of its connector do not make its cost"
    return rules.Priced(engine=pricing.VERSION, refused="no_tariff", text=text)


def _known(item: rules.Published, embedded: Tariffs) -> rules.KnownTariff:
    """Compare a tariff in the CDR with the one that was published."""
    for tariff in embedded:
        if str(tariff["id"]).upper() == item.uid.upper():
            same = _prices(tariff) == _prices(json.kept(bytes(item.body)))
            return rules.KnownTariff(item.uid, item.since, same)
    return rules.KnownTariff(item.uid, item.since)


def _prices(tariff: Mapping[str, Any]) -> Any:
    """Return what decides about a price, without what is null or empty."""
    names = ("currency", "elements", "min_price", "max_price")
    return _full({name: tariff.get(name) for name in names})


def _full(value: Any) -> Any:
    if isinstance(value, Mapping):
        full = {name: _full(item) for name, item in value.items()}
        return {name: item for name, item in full.items() if item not in (None, [], {})}
    return [_full(item) for item in value] if isinstance(value, list) else value
