"""In the sandbox a party can trade at once; in live only people can make it so."""

import pytest

from parties.models import Party
from settlement import fictional
from settlement.models import Agreement, LegalEntity, SelfBillingAgreement, VatRule
from settlement.onboarding import equip
from tests.settlement import factory
from tests.settlement.factory import MONTH

pytestmark = pytest.mark.django_db

LENGTHS = {"NL": 18, "DE": 22, "FR": 27, "GB": 22, "ES": 24, "IT": 27, "BE": 16, "AT": 20, "CH": 21}
LENGTHS |= {"BR": 29, "CZ": 24, "DK": 18, "FI": 18, "GR": 27, "IE": 22, "LU": 20, "NO": 15}
LENGTHS |= {"PL": 28, "PT": 25, "SE": 24}


def test_a_cpo_gets_company_agreement_and_rules() -> None:
    seller = factory.cpo()
    assert LegalEntity.objects.complete().filter(party=seller).exists()
    assert seller.legal_entity.name == "FR-ABC Power SAS"
    assert seller.legal_entity.vat_id.startswith("FR")
    agreement = seller.legal_entity.self_billing_agreements.get()
    assert (str(agreement.valid_from), agreement.acceptance) == ("2020-01-01", "silence")
    hub = LegalEntity.objects.complete().get(party=None)
    assert (hub.name, hub.country) == ("Open Charge Network Clearing B.V.", "NL")
    assert VatRule.objects.applying("NL", "NL", MONTH).rate == 21
    assert VatRule.objects.count() > 40
    agreed = Agreement.objects.get()
    assert (agreed.party, agreed.kind, agreed.version) == (seller, "cpo", 1)


def test_an_emsp_needs_no_self_billing_agreement() -> None:
    assert factory.emsp().agreements.get().kind == "emsp"
    assert SelfBillingAgreement.objects.count() == 0


def test_a_second_time_changes_nothing_a_person_has_entered() -> None:
    seller = factory.cpo()
    LegalEntity.objects.filter(party=seller).update(name="Entered by hand")
    VatRule.objects.filter(supplier_country="NL", category="S").update(rate="25")
    equip(seller)
    assert LegalEntity.objects.get(party=seller).name == "Entered by hand"
    assert VatRule.objects.applying("NL", "NL", MONTH).rate == 25
    assert (LegalEntity.objects.count(), SelfBillingAgreement.objects.count()) == (2, 1)


def test_in_live_nothing_is_made_up(settings: object) -> None:
    settings.SANDBOX = False
    factory.cpo()
    assert LegalEntity.objects.count() == VatRule.objects.count() == Agreement.objects.count() == 0


def test_the_same_party_is_always_the_same_company() -> None:
    twice = [Party(country_code="DE", party_id="ABC", name="Power") for _ in range(2)]
    other = Party(country_code="DE", party_id="ABD", name="Power")
    first, second = (fictional.company(party) for party in twice)
    assert first == second
    assert first["vat_id"] != fictional.company(other)["vat_id"]


@pytest.mark.parametrize("country", [*LENGTHS, "US", "CA", "MX", "KR", "XX"])
def test_every_country_gets_a_complete_company(country: str) -> None:
    party = Party.objects.create(country_code=country, party_id="ABC", name="Power")
    equip(party)
    entity = LegalEntity.objects.complete().get(party=party)
    assert "{" not in " ".join([*entity.lines, entity.name])
    assert not {"#", "?"} & set(entity.vat_id + entity.registration + entity.iban)
    entity.full_clean()
    if country in LENGTHS:
        assert len(entity.iban) == LENGTHS[country]
        assert _check(entity.iban) == 1


def test_the_hub_has_a_valid_iban_and_greece_its_own_vat_prefix() -> None:
    equip(Party.objects.create(country_code="GR", party_id="ABC", name="Power"))
    assert _check(LegalEntity.objects.get(party=None).iban) == 1
    assert LegalEntity.objects.get(country="GR").vat_id.startswith("EL")


def _check(iban: str) -> int:
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97
