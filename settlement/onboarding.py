"""Make a party ready to be settled with; in the sandbox at once, in live only people can."""

import csv
import datetime as dt
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from parties.models import Party, Role
from settlement import fictional
from settlement.banking import accounts
from settlement.models import (
    Agreement,
    BillingContact,
    LegalEntity,
    SelfBillingAgreement,
    VatRule,
)

AGREED_SINCE = dt.date(2020, 1, 1)
ENDS = ("supplier_country", "customer_country", "supply_country", "dealer", "subject")
HUB = {
    "name": "Open Charge Network Clearing B.V.",
    "address": "Keizersgracht 555",
    "postal_code": "1017 DR",
    "city": "Amsterdam",
    "country": "NL",
    "vat_id": "NL863210987B01",
    "registration": "KVK 86321098",
    "iban": fictional.iban("NL", "OCNC0863210987"),
    "account_name": "Open Charge Network Clearing B.V.",
}

VAT_RULES = Path(__file__).with_name("vat_rules.csv")


@transaction.atomic
def equip(party: Party, currency: str = "EUR") -> None:
    """Give a sandbox party what it takes to be billed and paid: company, agreements, bank account.

    The hub's own side comes with it. What is there already stays as it is. In live this does
    nothing.
    """
    if not settings.SANDBOX:
        return
    equip_hub()
    entity, _ = LegalEntity.objects.get_or_create(party=party, defaults=fictional.company(party))
    sells = Agreement.Kind.CPO in _kinds(party)
    if sells and not entity.self_billing_agreements.exists():
        SelfBillingAgreement.objects.create(supplier=entity, valid_from=AGREED_SINCE)
    agree(party)
    accounts.seed(party, currency)
    accounts.seed(None, currency)
    code = party.address.code.lower()
    BillingContact.objects.get_or_create(party=party, email=f"billing@{code}.example")


def agree(party: Party) -> None:
    """Give a party an agreement for each of its roles that needs one and has none."""
    agreed = set(party.agreements.values_list("kind", flat=True))
    Agreement.objects.bulk_create(
        Agreement(party=party, kind=kind, valid_from=AGREED_SINCE)
        for kind in sorted(_kinds(party) - agreed)
    )


def equip_hub() -> None:
    """See to it that the hub has a company of its own, and the default VAT rules.

    A rule is not made where somebody has made one for the same two countries.
    """
    LegalEntity.objects.get_or_create(party=None, defaults=HUB)
    made = set(VatRule.objects.order_by().values_list(*ENDS).distinct())
    missing = [row for row in _vat_rules() if tuple(row[name] for name in ENDS) not in made]
    VatRule.objects.bulk_create([VatRule(**row) for row in missing], ignore_conflicts=True)


def _kinds(party: Party) -> set[str]:
    """Return which agreements a party needs for the roles it has."""
    roles = set(party.roles.values_list("role", flat=True))
    sells, buys = Role.Kind.CPO in roles, roles & set(Role.WITH_DRIVERS)
    needed = {Agreement.Kind.CPO.value: sells, Agreement.Kind.EMSP.value: bool(buys)}
    return {kind for kind, needs in needed.items() if needs}


@cache
def _vat_rules() -> tuple[dict[str, Any], ...]:
    """Return the default rules: what holds between the hub's country and others, and at home."""
    with VAT_RULES.open(encoding="utf-8", newline="") as table:
        return tuple(_vat_rule(row) for row in csv.DictReader(table))


def _vat_rule(row: dict[str, str]) -> dict[str, Any]:
    ends = {name: row[name.removesuffix("_country")] for name in ENDS}
    told = {name: row[name] for name in ("category", "vatex", "mention")}
    return {
        **ends,
        **told,
        "valid_from": dt.date.fromisoformat(row["valid_from"]),
        "valid_to": dt.date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
        "rate": Decimal(row["rate"]),
        "legal_reference": row["legal_reference"],
    }
