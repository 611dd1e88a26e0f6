"""The e-invoice inside a PDF: UN/CEFACT Cross Industry Invoice, Factur-X profile EN 16931.

A pure function of the snapshot. Elements stand in the order of the schema; BT and BG numbers are
those of EN 16931-1.
"""

from collections.abc import Iterator
from typing import Any

from lxml import etree

from settlement.einvoice import terms
from settlement.einvoice.terms import Snapshot

GUIDELINE = "urn:cen.eu:en16931:2017"
NAMESPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
}
RAM = NAMESPACES["ram"]


def written(snapshot: Snapshot) -> bytes:
    """Write a snapshot as CII, the same bytes every time."""
    root = etree.Element(_rsm("CrossIndustryInvoice"), nsmap=NAMESPACES)
    context = etree.SubElement(root, _rsm("ExchangedDocumentContext"))
    _add(context, "GuidelineSpecifiedDocumentContextParameter/ID", GUIDELINE)
    _document(etree.SubElement(root, _rsm("ExchangedDocument")), snapshot)
    trade = etree.SubElement(root, _rsm("SupplyChainTradeTransaction"))
    for line in snapshot["lines"]:
        _line(_add(trade, "IncludedSupplyChainTradeLineItem"), line)
    _agreement(_add(trade, "ApplicableHeaderTradeAgreement"), snapshot)
    _delivery(_add(trade, "ApplicableHeaderTradeDelivery"), snapshot)
    _settlement(_add(trade, "ApplicableHeaderTradeSettlement"), snapshot)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _rsm(name: str) -> str:
    return f"{{{NAMESPACES['rsm']}}}{name}"


def _add(parent: Any, path: str, text: str = "", **attributes: str) -> Any:
    """Add a chain of new elements below a parent, the text in the last one, and return that."""
    for name in path.split("/"):
        parent = etree.SubElement(parent, f"{{{RAM}}}{name}")
    parent.text = text or None
    for name, value in attributes.items():
        parent.set(name, value)
    return parent


def _day(parent: Any, path: str, iso: str) -> None:
    """Add a date in format 102: YYYYMMDD."""
    stamp = etree.SubElement(_add(parent, path), f"{{{NAMESPACES['udt']}}}DateTimeString")
    stamp.set("format", "102")
    stamp.text = iso.replace("-", "")


def _document(document: Any, snapshot: Snapshot) -> None:
    _add(document, "ID", snapshot["number"])  # BT-1
    _add(document, "TypeCode", snapshot["type_code"])  # BT-3
    _day(document, "IssueDateTime", snapshot["issued_on"])  # BT-2
    for text, subject in terms.notes(snapshot):  # BG-1
        note = _add(document, "IncludedNote")
        _add(note, "Content", text)
        _add(note, "SubjectCode", subject)


def _line(item: Any, line: Snapshot) -> None:  # BG-25
    _add(item, "AssociatedDocumentLineDocument/LineID", str(line["no"]))
    product = _add(item, "SpecifiedTradeProduct")
    _add(product, "Name", line["text"])  # BT-153
    for name, value in terms.attributes(line):  # BG-32
        characteristic = _add(product, "ApplicableProductCharacteristic")
        _add(characteristic, "Description", name)
        _add(characteristic, "Value", value)
    price = _add(item, "SpecifiedLineTradeAgreement/NetPriceProductTradePrice")
    _add(price, "ChargeAmount", line["price"])  # BT-146
    _add(price, "BasisQuantity", line["base_quantity"], unitCode=line["unit"])  # BT-149
    delivery = _add(item, "SpecifiedLineTradeDelivery")
    _add(delivery, "BilledQuantity", line["quantity"], unitCode=line["unit"])  # BT-129
    settlement = _add(item, "SpecifiedLineTradeSettlement")
    tax = _add(settlement, "ApplicableTradeTax")
    _add(tax, "TypeCode", "VAT")
    _add(tax, "CategoryCode", line["vat_category"])  # BT-151
    _add(tax, "RateApplicablePercent", line["vat_rate"])  # BT-152
    _period(settlement, line["start"], line["end"])  # BG-26
    total = "SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount"
    _add(settlement, total, line["net"])  # BT-131


def _period(parent: Any, start: str, end: str) -> None:
    period = _add(parent, "BillingSpecifiedPeriod")
    _day(period, "StartDateTime", start)
    _day(period, "EndDateTime", end)


def _agreement(agreement: Any, snapshot: Snapshot) -> None:
    _add(agreement, "BuyerReference", terms.buyer_reference(snapshot))  # BT-10
    _party(_add(agreement, "SellerTradeParty"), snapshot["supplier"])
    _party(_add(agreement, "BuyerTradeParty"), snapshot["customer"])
    if annex := terms.annex(snapshot):  # BG-24
        document = _add(agreement, "AdditionalReferencedDocument")
        _add(document, "IssuerAssignedID", annex.name)
        _add(document, "TypeCode", "916")
        _add(document, "Name", annex.description)


def _party(party: Any, entity: Snapshot) -> None:  # BG-4, BG-7
    _add(party, "ID", entity["party"])
    _add(party, "Name", entity["name"])
    if entity["registration"]:
        _add(party, "SpecifiedLegalOrganization/ID", entity["registration"])
    address = _add(party, "PostalTradeAddress")
    for name, text in _address(entity):
        _add(address, name, text)
    if endpoint := terms.endpoint(entity):  # BT-34, BT-49
        communication = _add(party, "URIUniversalCommunication")
        _add(communication, "URIID", endpoint.id, schemeID=endpoint.scheme)
    if entity["vat_id"]:
        _add(party, "SpecifiedTaxRegistration/ID", entity["vat_id"], schemeID="VA")


def _address(entity: Snapshot) -> Iterator[tuple[str, str]]:
    lines = zip(("LineOne", "LineTwo", "LineThree"), entity["street"], strict=False)
    every = (("PostcodeCode", entity["postal_code"]), *lines, ("CityName", entity["city"]))
    yield from ((name, text) for name, text in every if text)
    yield "CountryID", entity["country"]


def _delivery(delivery: Any, snapshot: Snapshot) -> None:
    place = _add(delivery, "ShipToTradeParty/PostalTradeAddress")
    _add(place, "CountryID", terms.place_of_supply(snapshot))  # BT-80


def _settlement(settlement: Any, snapshot: Snapshot) -> None:
    _add(settlement, "PaymentReference", snapshot["payment"]["reference"])  # BT-83
    if accounted := terms.accounted(snapshot):
        _add(settlement, "TaxCurrencyCode", accounted.currency)  # BT-6
    _add(settlement, "InvoiceCurrencyCode", snapshot["currency"])  # BT-5
    _means(_add(settlement, "SpecifiedTradeSettlementPaymentMeans"), snapshot)
    for tax in snapshot["taxes"]:
        _tax(_add(settlement, "ApplicableTradeTax"), tax)
    _period(settlement, snapshot["period_start"], snapshot["period_end"])  # BG-14
    _payment_terms(_add(settlement, "SpecifiedTradePaymentTerms"), snapshot)
    _sums(_add(settlement, "SpecifiedTradeSettlementHeaderMonetarySummation"), snapshot)
    for reference in snapshot["references"]:  # BG-3
        _reference(_add(settlement, "InvoiceReferencedDocument"), reference)


def _means(means: Any, snapshot: Snapshot) -> None:  # BG-16
    payment = terms.payment(snapshot)
    _add(means, "TypeCode", payment.code)
    if payment.account:
        account = _add(means, "PayeePartyCreditorFinancialAccount")
        if payment.is_iban:
            _add(account, "IBANID", payment.account)
        if payment.name:
            _add(account, "AccountName", payment.name)
        if not payment.is_iban:
            _add(account, "ProprietaryID", payment.account)


def _tax(tax: Any, group: Snapshot) -> None:  # BG-23
    _add(tax, "CalculatedAmount", group["tax"])
    _add(tax, "TypeCode", "VAT")
    reason = terms.exemption(group)
    if reason.text:
        _add(tax, "ExemptionReason", reason.text)
    _add(tax, "BasisAmount", group["base"])
    _add(tax, "CategoryCode", group["category"])
    if reason.code:
        _add(tax, "ExemptionReasonCode", reason.code)
    _add(tax, "RateApplicablePercent", group["rate"])


def _payment_terms(payment: Any, snapshot: Snapshot) -> None:
    _add(payment, "Description", terms.payment_terms(snapshot))  # BT-20
    _day(payment, "DueDateDateTime", snapshot["due_on"])  # BT-9


def _sums(sums: Any, snapshot: Snapshot) -> None:  # BG-22
    _add(sums, "LineTotalAmount", snapshot["net"])
    _add(sums, "ChargeTotalAmount", terms.zero(snapshot))
    _add(sums, "AllowanceTotalAmount", terms.zero(snapshot))
    _add(sums, "TaxBasisTotalAmount", snapshot["net"])
    _add(sums, "TaxTotalAmount", snapshot["tax"], currencyID=snapshot["currency"])
    if accounted := terms.accounted(snapshot):  # BT-111
        _add(sums, "TaxTotalAmount", accounted.tax, currencyID=accounted.currency)
    _add(sums, "GrandTotalAmount", snapshot["gross"])
    _add(sums, "DuePayableAmount", snapshot["gross"])


def _reference(document: Any, reference: Snapshot) -> None:
    _add(document, "IssuerAssignedID", reference["number"])  # BT-25
    stamp = _add(document, "FormattedIssueDateTime")
    day = etree.SubElement(stamp, f"{{{NAMESPACES['qdt']}}}DateTimeString")
    day.set("format", "102")
    day.text = reference["issued_on"].replace("-", "")  # BT-26
