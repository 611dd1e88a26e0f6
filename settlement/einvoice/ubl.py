"""The same e-invoice in UBL 2.1, as Peppol carries it: BIS Billing, or BIS Self-Billing.

A pure function of the snapshot. Elements stand in the order of the schema; BT and BG numbers are
those of EN 16931-1.
"""

from collections.abc import Iterator
from typing import Any

from lxml import etree

from settlement.einvoice import terms
from settlement.einvoice.terms import Snapshot

OASIS = "urn:oasis:names:specification:ubl:schema:xsd"
CAC, CBC = f"{OASIS}:CommonAggregateComponents-2", f"{OASIS}:CommonBasicComponents-2"
PREFIXES = {"cac": CAC, "cbc": CBC}
CUSTOMIZATION = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:{}:3.0"
PROFILE = "urn:fdc:peppol.eu:2017:poacc:{}:01:1.0"


def written(snapshot: Snapshot) -> bytes:
    """Write a snapshot as UBL, the same bytes every time."""
    credit = snapshot["type_code"] in terms.CREDIT
    kind = "CreditNote" if credit else "Invoice"
    namespace = f"{OASIS}:{kind}-2"
    prefixes: Any = {None: namespace, **PREFIXES}
    root = etree.Element(f"{{{namespace}}}{kind}", nsmap=prefixes)
    _head(root, snapshot, kind)
    _references(root, snapshot)
    _party(_add(root, "cac:AccountingSupplierParty/cac:Party"), snapshot["supplier"])
    _party(_add(root, "cac:AccountingCustomerParty/cac:Party"), snapshot["customer"])
    place = "cac:Delivery/cac:DeliveryLocation/cac:Address/cac:Country/cbc:IdentificationCode"
    _add(root, place, terms.place_of_supply(snapshot))  # BT-80
    _means(_add(root, "cac:PaymentMeans"), snapshot)
    _add(root, "cac:PaymentTerms/cbc:Note", terms.payment_terms(snapshot))  # BT-20
    _taxes(_add(root, "cac:TaxTotal"), snapshot)
    if accounted := terms.accounted(snapshot):  # BT-111
        total = _add(root, "cac:TaxTotal")
        _add(total, "cbc:TaxAmount", accounted.tax, currencyID=accounted.currency)
    _sums(_add(root, "cac:LegalMonetaryTotal"), snapshot)
    for line in snapshot["lines"]:
        _line(_add(root, f"cac:{kind}Line"), line, snapshot["currency"])
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _add(parent: Any, path: str, text: str = "", **attributes: str) -> Any:
    """Add a chain of new elements below a parent, the text in the last one, and return that."""
    for name in path.split("/"):
        prefix, _, local = name.partition(":")
        parent = etree.SubElement(parent, f"{{{PREFIXES[prefix]}}}{local}")
    parent.text = text or None
    for name, value in attributes.items():
        parent.set(name, value)
    return parent


def _head(root: Any, snapshot: Snapshot, kind: str) -> None:
    business = "selfbilling" if snapshot["type_code"] in terms.SELF_BILLED else "billing"
    _add(root, "cbc:CustomizationID", CUSTOMIZATION.format(business))
    _add(root, "cbc:ProfileID", PROFILE.format(business))
    _add(root, "cbc:ID", snapshot["number"])  # BT-1
    _add(root, "cbc:IssueDate", snapshot["issued_on"])  # BT-2
    if kind == "Invoice":
        _add(root, "cbc:DueDate", snapshot["due_on"])  # BT-9
    _add(root, f"cbc:{kind}TypeCode", snapshot["type_code"])  # BT-3
    if notes := " / ".join(text for text, _ in terms.notes(snapshot)):
        _add(root, "cbc:Note", notes)  # BT-22, at most one on Peppol
    _add(root, "cbc:DocumentCurrencyCode", snapshot["currency"])  # BT-5
    if accounted := terms.accounted(snapshot):
        _add(root, "cbc:TaxCurrencyCode", accounted.currency)  # BT-6
    _add(root, "cbc:BuyerReference", terms.buyer_reference(snapshot))  # BT-10
    _period(root, snapshot["period_start"], snapshot["period_end"])  # BG-14


def _period(parent: Any, start: str, end: str) -> None:
    period = _add(parent, "cac:InvoicePeriod")
    _add(period, "cbc:StartDate", start)
    _add(period, "cbc:EndDate", end)


def _references(root: Any, snapshot: Snapshot) -> None:
    for reference in snapshot["references"]:  # BG-3
        document = _add(root, "cac:BillingReference/cac:InvoiceDocumentReference")
        _add(document, "cbc:ID", reference["number"])
        _add(document, "cbc:IssueDate", reference["issued_on"])
    if annex := terms.annex(snapshot):  # BG-24
        document = _add(root, "cac:AdditionalDocumentReference")
        _add(document, "cbc:ID", annex.name)
        _add(document, "cbc:DocumentDescription", annex.description)


def _party(party: Any, entity: Snapshot) -> None:  # BG-4, BG-7
    if endpoint := terms.endpoint(entity):  # BT-34, BT-49
        _add(party, "cbc:EndpointID", endpoint.id, schemeID=endpoint.scheme)
    _add(party, "cac:PartyIdentification/cbc:ID", entity["party"])
    address = _add(party, "cac:PostalAddress")
    for path, text in _address(entity):
        _add(address, path, text)
    if entity["vat_id"]:
        registration = _add(party, "cac:PartyTaxScheme")
        _add(registration, "cbc:CompanyID", entity["vat_id"])
        _add(registration, "cac:TaxScheme/cbc:ID", "VAT")
    legal = _add(party, "cac:PartyLegalEntity")
    _add(legal, "cbc:RegistrationName", entity["name"])
    if entity["registration"]:
        _add(legal, "cbc:CompanyID", entity["registration"])


def _address(entity: Snapshot) -> Iterator[tuple[str, str]]:
    names = ("cbc:StreetName", "cbc:AdditionalStreetName")
    yield from zip(names, entity["street"], strict=False)
    yield from ((name, text) for name, text in _town(entity) if text)
    yield from (("cac:AddressLine/cbc:Line", text) for text in entity["street"][2:3])
    yield "cac:Country/cbc:IdentificationCode", entity["country"]


def _town(entity: Snapshot) -> Iterator[tuple[str, str]]:
    yield "cbc:CityName", entity["city"]
    yield "cbc:PostalZone", entity["postal_code"]


def _means(means: Any, snapshot: Snapshot) -> None:  # BG-16
    payment = terms.payment(snapshot)
    _add(means, "cbc:PaymentMeansCode", payment.code)
    _add(means, "cbc:PaymentID", snapshot["payment"]["reference"])  # BT-83
    if payment.account:
        account = _add(means, "cac:PayeeFinancialAccount")
        _add(account, "cbc:ID", payment.account)
        if payment.name:
            _add(account, "cbc:Name", payment.name)


def _taxes(total: Any, snapshot: Snapshot) -> None:  # BG-22, BG-23
    currency = snapshot["currency"]
    _add(total, "cbc:TaxAmount", snapshot["tax"], currencyID=currency)
    for group in snapshot["taxes"]:
        subtotal = _add(total, "cac:TaxSubtotal")
        _add(subtotal, "cbc:TaxableAmount", group["base"], currencyID=currency)
        _add(subtotal, "cbc:TaxAmount", group["tax"], currencyID=currency)
        category = _category(subtotal, "cac:TaxCategory", group["category"], group["rate"])
        reason = terms.exemption(group)
        if reason.code:
            _add(category, "cbc:TaxExemptionReasonCode", reason.code)
        if reason.text:
            _add(category, "cbc:TaxExemptionReason", reason.text)
        _add(category, "cac:TaxScheme/cbc:ID", "VAT")


def _category(parent: Any, name: str, category: str, rate: str) -> Any:
    element = _add(parent, name)
    _add(element, "cbc:ID", category)
    _add(element, "cbc:Percent", rate)
    return element


def _sums(total: Any, snapshot: Snapshot) -> None:
    sums = (
        ("LineExtensionAmount", snapshot["net"]),
        ("TaxExclusiveAmount", snapshot["net"]),
        ("TaxInclusiveAmount", snapshot["gross"]),
        ("AllowanceTotalAmount", terms.zero(snapshot)),
        ("ChargeTotalAmount", terms.zero(snapshot)),
        ("PayableAmount", snapshot["gross"]),
    )
    for name, amount in sums:
        _add(total, f"cbc:{name}", amount, currencyID=snapshot["currency"])


def _line(item: Any, line: Snapshot, currency: str) -> None:  # BG-25
    credit = item.tag.endswith("CreditNoteLine")
    _add(item, "cbc:ID", str(line["no"]))
    quantity = "CreditedQuantity" if credit else "InvoicedQuantity"
    _add(item, f"cbc:{quantity}", line["quantity"], unitCode=line["unit"])  # BT-129
    _add(item, "cbc:LineExtensionAmount", line["net"], currencyID=currency)  # BT-131
    _period(item, line["start"], line["end"])  # BG-26
    product = _add(item, "cac:Item")
    _add(product, "cbc:Name", line["text"])  # BT-153
    category = _category(
        product, "cac:ClassifiedTaxCategory", line["vat_category"], line["vat_rate"]
    )
    _add(category, "cac:TaxScheme/cbc:ID", "VAT")
    for name, value in terms.attributes(line):  # BG-32
        property_ = _add(product, "cac:AdditionalItemProperty")
        _add(property_, "cbc:Name", name)
        _add(property_, "cbc:Value", value)
    price = _add(item, "cac:Price")
    _add(price, "cbc:PriceAmount", line["price"], currencyID=currency)  # BT-146
    _add(price, "cbc:BaseQuantity", line["base_quantity"], unitCode=line["unit"])  # BT-149
