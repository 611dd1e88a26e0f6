"""Make a party ready to be settled with; in the sandbox at once, in live only people can."""

import datetime as dt

from django.conf import settings
from django.db import transaction

from parties.models import Party, Role
from settlement import fictional
from settlement.banking import accounts
from settlement.models import BillingContact, LegalEntity, SelfBillingAgreement, VatRule

AGREED_SINCE = dt.date(2020, 1, 1)
RULED_SINCE = dt.date(2015, 1, 1)
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

ARTICLE_195 = "Articles 38 and 195 of Directive 2006/112/EC"
ABROAD = "Not subject to VAT in the EU: Articles 38 and 39 of Directive 2006/112/EC"
RULES = (
    ("NL", "NL", "S", "21.00", "", "Article 9 of the Wet op de omzetbelasting 1968"),
    ("EU", "NL", "AE", "0.00", "Reverse charge", ARTICLE_195),
    ("*", "NL", "O", "0.00", "Not subject to VAT", ABROAD),
    ("NL", "EU", "AE", "0.00", "Reverse charge", ARTICLE_195),
    ("NL", "*", "O", "0.00", "Not subject to VAT", ABROAD),
)


@transaction.atomic
def equip(party: Party, currency: str = "EUR") -> None:
    """Give a sandbox party what it takes to be billed and paid: company, agreement, bank account.

    The hub's own side comes with it. What is there already stays as it is. In live this does
    nothing.
    """
    if not settings.SANDBOX:
        return
    equip_hub()
    entity, _ = LegalEntity.objects.get_or_create(party=party, defaults=fictional.company(party))
    sells = party.roles.filter(role=Role.Kind.CPO).exists()
    if sells and not entity.self_billing_agreements.exists():
        SelfBillingAgreement.objects.create(supplier=entity, valid_from=AGREED_SINCE)
    accounts.seed(party, currency)
    accounts.seed(None, currency)
    code = f"{party.country_code}-{party.party_id}".lower()
    BillingContact.objects.get_or_create(party=party, email=f"billing@{code}.example")


def equip_hub() -> None:
    """See to it that the hub has a company of its own, and the default VAT rules."""
    LegalEntity.objects.get_or_create(party=None, defaults=HUB)
    for supplier, customer, category, rate, mention, reference in RULES:
        ends = {"supplier_country": supplier, "customer_country": customer}
        if not VatRule.objects.filter(**ends).exists():
            VatRule.objects.create(
                **ends,
                valid_from=RULED_SINCE,
                category=category,
                rate=rate,
                mention=mention,
                legal_reference=reference,
            )
