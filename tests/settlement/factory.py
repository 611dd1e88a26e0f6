"""Rows to settle: parties ready to trade, and CDRs as intake would have left them."""

import datetime as dt
import itertools
from decimal import Decimal

from cdrs.models import Cdr, CdrQuerySet, Decision, Period
from cdrs.periods import period_for
from parties import clientinfo
from parties.models import Party, Platform, Role, User
from settlement import onboarding
from settlement.models import FxRate

MONTH = dt.date(2024, 3, 1)
CLOSING = dt.datetime(2024, 4, 6, 9, 0, tzinfo=dt.UTC)
_count = itertools.count(1)


def party(code: str, *roles: str, equipped: bool = True) -> Party:
    """Make a party with roles, and unless told otherwise all it takes to be billed."""
    country_code, party_id = code.split("-")
    made = Party.objects.create(country_code=country_code, party_id=party_id, name=f"{code} Power")
    platform = Platform.objects.create(name=code, state="connected")
    for role in roles:
        Role.objects.create(party=made, platform=platform, role=role)
    clientinfo.refresh(platform)
    if equipped:
        onboarding.equip(made)
    return made


def cpo(code: str = "FR-ABC", equipped: bool = True) -> Party:
    """Make a CPO."""
    return party(code, "CPO", equipped=equipped)


def emsp(code: str = "DE-EMP", equipped: bool = True) -> Party:
    """Make an eMSP."""
    return party(code, "EMSP", equipped=equipped)


def cdr(seller: Party, payer: Party, total: str = "10.0000", **facts: object) -> Cdr:
    """Store one CDR."""
    return cdrs(1, seller, payer, total, **facts)[0]


def cdrs(
    count: int,
    seller: Party,
    payer: Party,
    total: str = "10.0000",
    *,
    month: dt.date = MONTH,
    settled_in: dt.date | None = None,
    state: str = "accepted",
    energy: str = "20.5000",
    currency: str = "EUR",
    country: str | None = None,
    **facts: object,
) -> list[Cdr]:
    """Store CDRs that are alike but for their ids."""
    accepted = state == "accepted"
    period = Period.objects.get_or_create(month=settled_in or month)[0] if accepted else None
    ended_at = dt.datetime.combine(month, dt.time(12), dt.UTC) + dt.timedelta(days=9)
    return Cdr.objects.bulk_create(
        Cdr(
            **{"uid": f"CDR-{next(_count):06}", "emsp": payer, "body": {}, **facts},
            owner=seller,
            state=state,
            period=period,
            month=month,
            started_at=ended_at - dt.timedelta(hours=1),
            ended_at=ended_at,
            last_updated=ended_at,
            session_uid="S-1",
            country=seller.country_code if country is None else country,
            currency=currency,
            energy_kwh=Decimal(energy),
            total_excl_vat=Decimal(total),
            digest="0" * 64,
            rules="test",
        )
        for _ in range(count)
    )


def credit(original: Cdr, **facts: object) -> Cdr:
    """Store the credit that takes a CDR back."""
    return cdr(
        original.owner,
        original.emsp,
        str(-original.total_excl_vat),
        energy=str(original.energy_kwh),
        currency=original.currency,
        month=original.month,
        **{"country": original.country, "credit_of": original, **facts},
    )


def rate(base: str, quote: str, *days: dt.date, value: str = "1.05") -> None:
    """Store what one currency is in another on some days; else on the day of closing."""
    for day in days or (CLOSING.date(),):
        FxRate.objects.create(on=day, base=base, quote=quote, rate=Decimal(value))


def release(held: CdrQuerySet, now: dt.datetime) -> int:
    """Release held CDRs, as somebody would decide; return how many."""
    chosen = list(held.order_by("pk"))
    for cdr in chosen:
        cdr.findings.filter(cleared_at=None).update(cleared_at=now)
        cdr.move_to("accepted", period=period_for(cdr.month, now=now))
    return len(chosen)


def discard(held: CdrQuerySet) -> None:
    """Discard held CDRs, as somebody would decide."""
    person, _ = User.objects.get_or_create(email="clerk@hub.example")
    Decision.objects.bulk_create(
        Decision(cdr=cdr, action="discard", reason="not ours", person=person) for cdr in held
    )
    held.update(state="discarded")
