"""What both spellings of an e-invoice say in the same words."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

Snapshot = dict[str, Any]

SELF_BILLED, CREDIT = ("389", "261"), ("261", "381")
UNEXPLAINED = ("S", "Z")  # categories that must not give a reason (BR-S-10, BR-Z-10)
# How a VAT id is written as an address on Peppol (BT-34, BT-49): the code list EAS. It has no VAT
# ids of Sweden any more: there the number of the organisation is the address, which is within.
# fmt: off
VAT_SCHEMES = {
    "AT": "9914", "BE": "9925", "BG": "9926", "CH": "9927", "CY": "9928", "CZ": "9929",
    "DE": "9930", "EE": "9931", "ES": "9920", "FI": "0213", "FR": "9957", "GB": "9932",
    "GR": "9933", "HR": "9934", "HU": "9910", "IE": "9935", "IT": "0211", "LT": "9937",
    "LU": "9938", "LV": "9939", "MT": "9943", "NL": "9944", "PL": "9945", "PT": "9946",
    "RO": "9947", "SE": "0007", "SI": "9949", "SK": "9950",
}
# fmt: on


class Annex(NamedTuple):
    """The list of CDRs as a supporting document."""

    name: str
    description: str


class Endpoint(NamedTuple):
    """An electronic address."""

    id: str
    scheme: str


class Payment(NamedTuple):
    """How a document is paid; `code` is of UNTDID 4461."""

    code: str
    account: str
    is_iban: bool
    name: str


class Accounted(NamedTuple):
    """The VAT in the currency of the state that gets it."""

    currency: str
    tax: str


class Exemption(NamedTuple):
    """Why no VAT is charged."""

    text: str
    code: str


def notes(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Return the mentions with what they are about (UNTDID 4451): AAI, general."""
    for mention in snapshot["mentions"]:
        yield mention, "AAI"
    if snapshot["environment"] == "sandbox":
        yield "Sandbox: not a tax document", "AAI"


def attributes(line: Snapshot) -> Iterator[tuple[str, str]]:
    """Return what ties a line to the rows of the annex; nothing for a fee."""
    if line["counterparty"]:
        yield "counterparty", line["counterparty"]
        yield "supply_month", line["supply_month"]
        yield "country", line["country"] or "-"
        yield "credit", "yes" if line["credit"] else "no"
        yield "cdrs", str(line["cdrs"])


def annex(snapshot: Snapshot) -> Annex | None:
    """Return the annex with the digest that proves it."""
    listed = snapshot["annex"]
    return Annex(listed["name"], f"SHA-256 {listed['sha256']}") if listed else None


def buyer_reference(snapshot: Snapshot) -> str:
    """Return what the customer files the document under: its own code and the month."""
    return f"{snapshot['customer']['party']} {snapshot['period']}"


def endpoint(entity: Snapshot) -> Endpoint | None:
    """Return the address on Peppol that a VAT id makes, if it makes one."""
    scheme, number = VAT_SCHEMES.get(entity["country"]), entity["vat_id"]
    if scheme is None or not number:
        return None
    return Endpoint(number[2:12] if entity["country"] == "SE" else number, scheme)


def place_of_supply(snapshot: Snapshot) -> str:
    """Return where electricity is supplied to a dealer: where that is established (Article 38)."""
    return str(snapshot["customer"]["country"])


def payment(snapshot: Snapshot) -> Payment:
    """Return how it is paid: by transfer, or set off where a credit note takes back."""
    account = snapshot["payment"]["iban"].replace(" ", "")
    if snapshot["type_code"] in CREDIT or not account:
        return Payment("97" if snapshot["type_code"] in CREDIT else "1", "", False, "")
    sepa = _is_iban(account) and snapshot["currency"] == "EUR"
    name = snapshot["payment"]["account_name"]
    return Payment("58" if sepa else "30", account, _is_iban(account), name)


def payment_terms(snapshot: Snapshot) -> str:
    """Return in words when and how it is paid."""
    if snapshot["type_code"] in CREDIT:
        return "Set off against the next settlement"
    return f"Due on {snapshot['due_on']}"


def accounted(snapshot: Snapshot) -> Accounted | None:
    """Return the VAT in another currency, where the document is not in that of the state."""
    said = snapshot.get("accounting")  # documents of before there was any do not tell
    return Accounted(said["currency"], said["tax"]) if said else None


def exemption(group: Snapshot) -> Exemption:
    """Return the reason for a VAT group without VAT; where there is VAT it must be empty."""
    if group["category"] in UNEXPLAINED:
        return Exemption("", "")
    return Exemption(group["note"] or "Exempt from VAT", group["vatex"])


def zero(snapshot: Snapshot) -> str:
    """Return nothing, with the decimals of the currency."""
    _, point, decimals = snapshot["net"].partition(".")
    return f"0{point}{'0' * len(decimals)}"


def _is_iban(account: str) -> bool:
    """Tell whether an account is an IBAN: letters, digits, and a remainder of 1 (ISO 13616)."""
    if not re.fullmatch("[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}", account):
        return False
    moved = account[4:] + account[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1
