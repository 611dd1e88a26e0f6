"""Whether a document may become an e-invoice: the rules of others, and our own to the cent.

The schematron of EN 16931 lets VAT be off by up to 1.00, and any quantity times price pass. So an
exact verifier of our own, the one that partners run (`ocn_verify.py`), has to agree as well.
"""

from collections.abc import Iterator
from typing import Any

from settlement import ocn_verify
from settlement.einvoice import cii, schemas, schematron, ubl
from settlement.ocn_verify import Invoice

Snapshot = dict[str, Any]

SPELLINGS = {"CII": cii.written, "UBL": ubl.written}
FEWEST = 5  # letters of a VAT id: a country and what follows
REVERSE_CHARGE = "AE"


def faults(snapshot: Snapshot) -> list[str]:
    """Return everything that is wrong with the e-invoices of a snapshot, none if they are right.

    Raises CannotValidate when a validator does not answer.
    """
    found = [f"snapshot: {fault}" for fault in exact(ocn_verify.stated(snapshot))]
    for name, write in SPELLINGS.items():
        xml = write(snapshot)
        found += [f"{name}: {fault}" for fault in validated(xml)]
        found += [f"{name}: {fault}" for fault in faithful(xml, snapshot)]
    return found


def validated(xml: bytes) -> list[str]:
    """Return what breaks the schema and the rules of EN 16931; raises CannotValidate."""
    return [*schemas.breaches(xml), *schematron.failed(xml)]


def faithful(xml: bytes, snapshot: Snapshot) -> list[str]:
    """Return what an e-invoice says otherwise than its snapshot, or says wrongly."""
    said, meant = ocn_verify.read(xml), ocn_verify.stated(snapshot)
    told = zip(Invoice._fields, said, meant, strict=True)
    differ = [f"{name} is {found}, not {wanted}" for name, found, wanted in told if found != wanted]
    return [*differ, *exact(said)]


def exact(invoice: Invoice) -> list[str]:
    """Return where a document is off by as little as a cent, or lacks what the law asks."""
    compared = ocn_verify.arithmetic(invoice)
    wrong = [
        f"{found.what}: must be {found.expected}, is {found.found}"
        for found in compared
        if not found.holds
    ]
    return [*wrong, *missing(invoice)]


def missing(invoice: Invoice) -> Iterator[str]:
    """Tell what Article 226 of Directive 2006/112/EC asks for and an e-invoice does not say."""
    said = {
        "(1) the date of issue": invoice.issued_on,
        "(2) the number": invoice.number,
        "(3) the VAT id of the supplier": len(invoice.seller.vat_id) >= FEWEST,
        "(5) the name of the supplier": invoice.seller.name,
        "(5) the address of the supplier": invoice.seller.city and invoice.seller.country,
        "(5) the name of the customer": invoice.buyer.name,
        "(5) the address of the customer": invoice.buyer.city and invoice.buyer.country,
        "(6) quantity and nature of the goods": invoice.lines
        and all(line.text and line.unit and line.quantity for line in invoice.lines),
        "(7) the time of supply": all(line.start and line.end for line in invoice.lines),
        "(8) the taxable amounts and rates": invoice.groups,
    }
    yield from (f"Article 226 {what} is missing" for what, found in said.items() if not found)
    yield from _missing_mentions(invoice)


def _missing_mentions(invoice: Invoice) -> Iterator[str]:
    """Tell which words are missing: for self-billing, reverse charge, exemption, correction."""
    if invoice.type_code in ("389", "261") and "Self-billing" not in invoice.notes:
        yield "Article 226 (10a) the mention 'Self-billing' is missing"
    for group in invoice.groups:
        if group.category == REVERSE_CHARGE and len(invoice.buyer.vat_id) < FEWEST:
            yield "Article 226 (4) the VAT id of the customer, who owes the VAT, is missing"
        if group.category == REVERSE_CHARGE and "everse charge" not in group.reason:
            yield "Article 226 (11a) the mention 'Reverse charge' is missing"
        if group.category in ("E", "G") and not group.reason:
            yield "Article 226 (11) the reason of the exemption is missing"
    if invoice.type_code in ocn_verify.CREDIT_NOTES and not invoice.references:
        yield "Article 219 the document that is corrected is not named"
