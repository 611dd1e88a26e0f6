"""Write credit transfers: ISO 20022 pain.001.001.09, the same bytes for the same transfer.

Pure: plain data in, bytes out. Euro to an IBAN goes as SEPA credit transfer, the rest as an
ordinary one. Names and texts are spelled in the letters that every bank takes.
"""

import datetime as dt
import hashlib
import unicodedata
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from lxml import etree

from hub.money import ZERO, minor_unit

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-?:().,'+ ")
SPELLED = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "&": "+"}
)


class Holder(NamedTuple):
    """Who has an account, and where; town and country are mandatory in structured addresses."""

    name: str
    town: str
    country: str


class BankAccount(NamedTuple):
    """An IBAN, or an account number with the routing number of its bank."""

    iban: str
    routing_number: str
    account_number: str
    bic: str


class Invoice(NamedTuple):
    """A self-billed invoice that is paid."""

    number: str
    issued_on: dt.date


class Payment(NamedTuple):
    """One credit transfer."""

    end_to_end_id: str
    uetr: str
    amount: Decimal
    creditor: Holder
    account: BankAccount
    invoices: Sequence[Invoice]


class Transfer(NamedTuple):
    """A file: payments of one currency from one account on one day."""

    message_id: str
    created_at: dt.datetime
    execute_on: dt.date
    currency: str
    debtor: Holder
    account: BankAccount
    payments: Sequence[Payment]


def uetr(seed: str) -> str:
    """Return the unique reference that belongs to a seed: of the shape of a UUID, version 4."""
    return str(uuid.UUID(bytes=hashlib.sha256(seed.encode()).digest()[:16], version=4))


def plain(text: str, length: int) -> str:
    """Spell a text in the letters that every bank takes, not longer than allowed."""
    bare = unicodedata.normalize("NFKD", text.translate(SPELLED))
    kept = "".join(
        sign if sign in PLAIN else " " for sign in bare if not unicodedata.combining(sign)
    )
    return " ".join(kept.split())[:length].strip() or "-"


def written(transfer: Transfer) -> bytes:
    """Write a file."""
    default: Any = {None: NAMESPACE}
    root = etree.Element(f"{{{NAMESPACE}}}Document", nsmap=default)
    body = _add(root, "CstmrCdtTrfInitn")
    header = _add(body, "GrpHdr")
    _add(header, "MsgId", transfer.message_id)
    _add(header, "CreDtTm", transfer.created_at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    _sums(header, transfer)
    _add(header, "InitgPty/Nm", plain(transfer.debtor.name, 70))
    _payments(_add(body, "PmtInf"), transfer)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _sums(item: Any, transfer: Transfer) -> None:
    total = sum((payment.amount for payment in transfer.payments), ZERO)
    _add(item, "NbOfTxs", str(len(transfer.payments)))
    _add(item, "CtrlSum", _spelled(total, transfer.currency))


def _payments(item: Any, transfer: Transfer) -> None:
    sepa = _is_sepa(transfer)
    _add(item, "PmtInfId", f"{transfer.message_id}-1")
    _add(item, "PmtMtd", "TRF")
    _add(item, "BtchBookg", "true")
    _sums(item, transfer)
    if sepa:
        _add(item, "PmtTpInf/SvcLvl/Cd", "SEPA")
    _add(item, "ReqdExctnDt/Dt", transfer.execute_on.isoformat())
    _holder(_add(item, "Dbtr"), transfer.debtor)
    account = _add(item, "DbtrAcct")
    _number(account, transfer.account)
    _add(account, "Ccy", transfer.currency)
    _bank(_add(item, "DbtrAgt/FinInstnId"), transfer.account)
    _add(item, "ChrgBr", "SLEV" if sepa else "SHAR")
    for payment in transfer.payments:
        _payment(_add(item, "CdtTrfTxInf"), payment, transfer.currency)


def _is_sepa(transfer: Transfer) -> bool:
    accounts = [transfer.account, *(payment.account for payment in transfer.payments)]
    return transfer.currency == "EUR" and all(account.iban for account in accounts)


def _payment(item: Any, payment: Payment, currency: str) -> None:
    ids = _add(item, "PmtId")
    _add(ids, "InstrId", payment.end_to_end_id)
    _add(ids, "EndToEndId", payment.end_to_end_id)
    _add(ids, "UETR", payment.uetr)
    amount = _add(item, "Amt/InstdAmt", _spelled(payment.amount, currency))
    amount.set("Ccy", currency)
    if payment.account.bic or payment.account.routing_number:
        _bank(_add(item, "CdtrAgt/FinInstnId"), payment.account)
    _holder(_add(item, "Cdtr"), payment.creditor)
    _number(_add(item, "CdtrAcct"), payment.account)
    _remittance(item, payment)


def _remittance(item: Any, payment: Payment) -> None:
    """Name the invoice that is paid: structured if it is one, else in words (SEPA allows one)."""
    if len(payment.invoices) == 1:
        (invoice,) = payment.invoices
        told = _add(item, "RmtInf/Strd/RfrdDocInf")
        _add(told, "Tp/CdOrPrtry/Cd", "SBIN")
        _add(told, "Nb", invoice.number)
        _add(told, "RltdDt", invoice.issued_on.isoformat())
        return
    numbers = " ".join(invoice.number for invoice in payment.invoices)
    _add(item, "RmtInf/Ustrd", plain(f"{payment.end_to_end_id} {numbers}", 140))


def _holder(item: Any, holder: Holder) -> None:
    _add(item, "Nm", plain(holder.name, 70))
    address = _add(item, "PstlAdr")
    _add(address, "TwnNm", plain(holder.town, 35))
    _add(address, "Ctry", holder.country)


def _number(item: Any, account: BankAccount) -> None:
    if account.iban:
        _add(item, "Id/IBAN", account.iban)
    else:
        _add(item, "Id/Othr/Id", account.account_number)


def _bank(item: Any, account: BankAccount) -> None:
    if account.bic:
        _add(item, "BICFI", account.bic)
    if account.routing_number:
        member = _add(item, "ClrSysMmbId")
        _add(member, "ClrSysId/Cd", "USABA")
        _add(member, "MmbId", account.routing_number)
    if not (account.bic or account.routing_number):
        _add(item, "Othr/Id", "NOTPROVIDED")


def _spelled(amount: Decimal, currency: str) -> str:
    return f"{amount.quantize(minor_unit(currency)):f}"


def _add(item: Any, path: str, text: str | None = None) -> Any:
    for name in path.split("/"):
        item = etree.SubElement(item, f"{{{NAMESPACE}}}{name}")
    item.text = text
    return item
