"""What it costs: currency, amounts, and the hub's own calculation."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from cdrs.facts import Facts
from cdrs.rules.context import Context, Figure, Priced
from cdrs.rules.engine import FLAG, HOLD, rule
from hub.money import ZERO, is_currency, minor_unit

NEW = "2026-12"
PARTS = ("fixed", "energy", "time", "parking", "reservation")
NO_TARIFF = frozenset({"no_tariff", "unknown_tariff", "no_active_tariff"})
NO_ZONE = frozenset({"time_zone_missing", "time_zone_invalid"})
TOLD_ELSEWHERE = frozenset({"currency_mismatch"})
TOTAL, TAX = "total_cost", ".incl_vat"
ENOUGH = 50  # CDRs that make a norm
OUTLIER = 10  # median deviations


# Amounts


@rule(HOLD, final=True)
def currency_unknown(facts: Facts, context: Context) -> str | None:
    """The currency is one of ISO 4217."""
    currency = facts.text("currency")
    return None if is_currency(currency) else f"{currency} is not a currency"


@rule(HOLD)
def currency_differs_from_tariff(facts: Facts, context: Context) -> str | None:
    """The tariffs are in the CDR's currency."""
    others = {tariff["currency"] for tariff in facts.body.get("tariffs") or []}
    others.discard(facts.text("currency"))
    return f"a tariff is in {', '.join(sorted(others))}" if others else None


@rule(HOLD, since=NEW, retried=True)
def currency_not_agreed(facts: Facts, context: Context) -> str | None:
    """The currency is one of the agreement's (`currencies`)."""
    agreed, told = context.parameters.currencies, facts.text("currency")
    if not agreed or told in agreed:
        return None
    return f"the agreement is in {', '.join(agreed)}, not {told}"


@rule(HOLD, final=True)
def cost_negative(facts: Facts, context: Context) -> str | None:
    """Only a credit is negative."""
    return "total_cost is negative" if facts.excl_vat < 0 and not facts.credit else None


@rule(HOLD)
def cost_implausible(facts: Facts, context: Context) -> str | None:
    """No session costs more than ten million, in whatever currency."""
    cost = abs(facts.excl_vat)
    return f"total_cost is {facts.excl_vat}" if cost > 10_000_000 else None


@rule(FLAG)
def parts_do_not_add_up(facts: Facts, context: Context) -> str | None:
    """The parts, where given, add up to the total, within a cent."""
    if context.priced and context.priced.unlimited_excl_vat is not None:
        return None  # min_price or max_price made the total
    prices = [facts.body.get(f"total_{part}_cost") for part in PARTS]
    parts = [abs(price["excl_vat"]) for price in prices if price]
    total = sum(parts, ZERO)
    if not parts or abs(total - abs(facts.excl_vat)) <= Decimal("0.01"):
        return None
    return f"the parts add up to {total}, total_cost is {facts.excl_vat}"


@rule(FLAG)
def vat_negative(facts: Facts, context: Context) -> str | None:
    """VAT is not negative."""
    if facts.incl_vat is None or abs(facts.incl_vat) >= abs(facts.excl_vat):
        return None
    return f"total_cost is {facts.excl_vat} without VAT and {facts.incl_vat} with it"


@rule(FLAG, since=NEW)
def vat_rate_unusual(facts: Facts, context: Context) -> str | None:
    """The rate of VAT is one of the agreement's (`vat_rates`), and never above 30 percent."""
    if facts.incl_vat is None or abs(facts.excl_vat) < 1:
        return None
    rate = (facts.incl_vat / facts.excl_vat - 1) * 100
    agreed = context.parameters.vat_rates or (ZERO, Decimal(30))
    known = any(abs(rate - one) <= Decimal("0.5") for one in agreed)
    if known or (not context.parameters.vat_rates and rate <= 30):
        return None
    return f"total_cost has {rate:.2f} % VAT"


@rule(FLAG)
def more_than_4_decimals(facts: Facts, context: Context) -> str | None:
    """OCPI's amounts have 4 decimals; the hub reads them so."""
    told = Decimal(facts.body["total_cost"]["excl_vat"])
    return f"total_cost {told} is read as {facts.excl_vat}" if told != facts.excl_vat else None


@rule(FLAG, since=NEW)
def finer_than_the_currency(facts: Facts, context: Context) -> str | None:
    """In a currency without cents amounts have no decimals."""
    currency = facts.text("currency")
    if not is_currency(currency) or minor_unit(currency) < 1 or facts.excl_vat % 1 == 0:
        return None
    return f"total_cost is {facts.excl_vat}, and {currency} has no cents"


@rule(HOLD)
def home_charging(facts: Facts, context: Context) -> str | None:
    """Compensation for charging at home goes the other way and is not settled here."""
    if facts.body.get("home_charging_compensation"):
        return "compensation for charging at home is not settled automatically"
    return None


@rule(HOLD, since=NEW)
def dearer_than_agreed(facts: Facts, context: Context) -> str | None:
    """A kWh costs no more than the agreement's limit (`most_per_kwh`)."""
    most, per_kwh = context.parameters.most_per_kwh, _per_kwh(facts)
    if most is None or per_kwh is None or per_kwh <= most:
        return None
    return f"{per_kwh:.4f} a kWh; the agreement's limit is {most}"


@rule(HOLD, since=NEW)
def dearer_than_usual(facts: Facts, context: Context) -> str | None:
    """A kWh costs no more than three times what is usual for the CPO (`most_times_median`)."""
    norm, per_kwh, times = context.norm, _per_kwh(facts), context.parameters.most_times_median
    if norm is None or norm.cdrs < ENOUGH or per_kwh is None or times is None:
        return None
    if not norm.per_kwh or per_kwh <= norm.per_kwh * times:
        return None
    return f"{per_kwh:.4f} a kWh; usual for this CPO is {norm.per_kwh:.4f}"


@rule(FLAG, since=NEW, timed=True)
def unusual(facts: Facts, context: Context) -> str | None:
    """Energy and duration are not far out of what is usual for the CPO."""
    norm = context.norm
    if norm is None or norm.cdrs < ENOUGH or facts.credit:
        return None
    told = (
        (facts.energy_kwh, norm.kwh, norm.kwh_off, "kWh"),
        (facts.duration_h, norm.hours, norm.hours_off, "hours"),
    )
    found = [
        f"{value:.2f} {unit} where {usual:.2f} are usual"
        for value, usual, off, unit in told
        if off and abs(value - usual) > OUTLIER * off
    ]
    return "; ".join(found) or None


# Tariffs


@rule(HOLD, since=NEW, retried=True)
def tariff_missing(facts: Facts, context: Context) -> str | None:
    """What costs something has a tariff, in the CDR or known to the hub (`tariff_required`)."""
    priced = context.priced
    if priced is None or priced.refused not in NO_TARIFF or facts.excl_vat == 0:
        return None
    return priced.text if context.parameters.tariff_required else None


@rule(HOLD, since=NEW, retried=True)
def time_zone_missing(facts: Facts, context: Context) -> str | None:
    """Times of a tariff are local: the location or the country tells the time zone."""
    priced = context.priced
    if priced is None or priced.refused not in NO_ZONE:
        return None
    return priced.text if context.parameters.tariff_required else None


@rule(HOLD, since=NEW)
def not_priceable(facts: Facts, context: Context) -> str | None:
    """Tariffs and charging periods can be read."""
    priced = context.priced
    known = NO_TARIFF | NO_ZONE | TOLD_ELSEWHERE
    if priced is None or not priced.refused or priced.refused in known:
        return None
    return priced.text


@rule(HOLD, since=NEW, retried=True)
def priced_later(facts: Facts, context: Context) -> str | None:
    """A CDR with very many charging periods is priced at once after it was taken in."""
    return "it is being priced" if context.priced and context.priced.later else None


@rule(FLAG, since=NEW)
def not_priced(facts: Facts, context: Context) -> str | None:
    """The hub can calculate the price itself."""
    priced = context.priced
    if priced is None or priced.refused not in NO_TARIFF | NO_ZONE or facts.excl_vat == 0:
        return None
    return None if context.parameters.tariff_required else priced.text


@rule(HOLD, since=NEW)
def tariff_differs_from_published(facts: Facts, context: Context) -> str | None:
    """A tariff in the CDR has the prices that were published when the session started."""
    for tariff in context.tariffs:
        known = tariff.since <= facts.started_at and tariff.same is False
        if known and context.parameters.tariff_as_published:
            return f"tariff {tariff.uid} was published with other prices"
    return None


@rule(FLAG, since=NEW, timed=True)
def tariff_published_late(facts: Facts, context: Context) -> str | None:
    """A tariff is published a while before the session (`tariff_notice_minutes`)."""
    notice = timedelta(minutes=context.parameters.tariff_notice_minutes)
    for tariff in context.tariffs:
        if tariff.since > facts.started_at - notice:
            return f"tariff {tariff.uid} was published at {tariff.since:%Y-%m-%d %H:%M} UTC"
    return None


# The hub's calculation


@rule(HOLD, since=NEW)
def total_cost_differs(facts: Facts, context: Context) -> str | None:
    """total_cost is what the tariff makes of the charging periods (`cost_tolerance`)."""
    wrong = [item for item in _wrong(context.priced, "mismatch") if not _slight(item, context)]
    return _told(item for item in wrong if item.field.startswith(TOTAL))


@rule(HOLD, since=NEW)
def part_of_cost_differs(facts: Facts, context: Context) -> str | None:
    """Each part of the cost is what the tariff makes of it."""
    wrong = [item for item in _wrong(context.priced, "mismatch") if not _slight(item, context)]
    return _told(item for item in wrong if not item.field.startswith(TOTAL))


@rule(HOLD, since=NEW)
def price_limit_ignored(facts: Facts, context: Context) -> str | None:
    """min_price and max_price are kept to."""
    priced = context.priced
    if priced is None or priced.unlimited_excl_vat is None:
        return None
    wrong = any(item.field == "total_cost.excl_vat" for item in _wrong(priced, "mismatch"))
    if not wrong or abs(priced.unlimited_excl_vat - facts.excl_vat) > Decimal("0.01"):
        return None
    return f"min_price or max_price makes it {_shown(priced.excl_vat)}"


@rule(HOLD, since=NEW)
def tariff_ambiguous(facts: Facts, context: Context) -> str | None:
    """One price applies to each volume: an element has one price for each dimension."""
    priced = context.priced
    if priced is None or not priced.ambiguous or not _wrong(priced, "mismatch"):
        return None
    return "an element of the tariff has two prices for one dimension"


@rule(HOLD, since=NEW)
def price_undecided(facts: Facts, context: Context) -> str | None:
    """Charging periods are split where the price changes, and tell what it depends on."""
    priced = context.priced
    wrong = [item for item in _wrong(priced, "inconclusive") if not _slight(item, context)]
    text = _told(wrong)
    if text is None or priced is None:
        return None
    return f"{', '.join(priced.warnings)}: {text}"


@rule(FLAG, since=NEW)
def cost_slightly_off(facts: Facts, context: Context) -> str | None:
    """A cost that is off by a cent or 0.1 percent is paid as it is claimed."""
    wrong = [*_wrong(context.priced, "mismatch"), *_wrong(context.priced, "inconclusive")]
    return _told(item for item in wrong if _slight(item, context))


@rule(FLAG, since=NEW)
def tax_differs(facts: Facts, context: Context) -> str | None:
    """Costs with tax are what the tariff makes of them; the hub pays tax by its own rules."""
    figures = context.priced.figures if context.priced else ()
    wrong = [
        item
        for item in figures
        if item.field.endswith(TAX) and item.verdict in {"mismatch", "inconclusive"}
    ]
    return _told(item for item in wrong if not _slight(item, context))


@rule(FLAG, since=NEW)
def priced_by_another_reading(facts: Facts, context: Context) -> str | None:
    """A cost that agrees under a tolerated reading of OCPI is paid as it is claimed."""
    priced = context.priced
    return priced.reading or None if priced and priced.cost_verdict == "match_variant" else None


@rule(FLAG, since=NEW)
def free_or_not(facts: Facts, context: Context) -> str | None:
    """What has a price costs something, and what is free costs nothing."""
    priced = context.priced
    if priced is None or priced.excl_vat is None or bool(priced.excl_vat) == bool(facts.excl_vat):
        return None
    return f"it costs {_shown(priced.excl_vat)} by its tariff and {facts.excl_vat} by the CDR"


def _per_kwh(facts: Facts) -> Decimal | None:
    """Return what a kWh costs, of sessions whose fees do not outweigh it."""
    enough = facts.energy_kwh >= 1 and not facts.credit
    return facts.excl_vat / facts.energy_kwh if enough else None


def _wrong(priced: Priced | None, verdict: str) -> list[Figure]:
    """Return the costs before tax with a verdict; volumes need no tariff to be wrong."""
    figures = priced.figures if priced else ()
    return [
        item
        for item in figures
        if item.verdict == verdict and "cost" in item.field and not item.field.endswith(TAX)
    ]


def _slight(item: Figure, context: Context) -> bool:
    limits = context.parameters
    most = max(limits.cost_tolerance, abs(item.computed) * limits.cost_tolerance_share)
    return abs(item.difference) <= most


def _told(figures: Iterator[Figure] | list[Figure]) -> str | None:
    return "; ".join(_figure(item) for item in figures) or None


def _figure(item: Figure) -> str:
    claimed, computed = _shown(item.claimed), _shown(item.computed)
    return f"{item.field} is {claimed}, by the tariff {computed} ({item.difference:+.4f})"


def _shown(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:.4f}"
