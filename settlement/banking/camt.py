"""Read bank statements: ISO 20022 camt.053, versions .001.02 and later, without trusting them.

Pure: bytes in, plain data out. Namespaces are ignored, so every version reads alike; entities and
document types are refused. A statement must add up: opening + booked = closing.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from hub.money import ZERO, minor_unit
from settlement.banking.iso20022 import BadFile, all_of, own_text, root_of, text_of

SIGNS = {"CRDT": 1, "DBIT": -1}


class BadStatement(BadFile):
    """The file is not a statement that can be booked; the message says what is wrong with it."""


@dataclass(frozen=True)
class Line:
    """One booking; `key` is unique within the account, `amount` negative for what went."""

    key: str
    amount: Decimal
    booked_on: dt.date
    value_on: dt.date
    end_to_end_id: str
    batch_id: str
    remittance: str
    counterparty: str
    counterparty_account: str
    return_reason: str


@dataclass(frozen=True)
class Statement:
    """One statement of one account."""

    ident: str
    account: str
    currency: str
    opened_with: Decimal
    opened_on: dt.date
    closed_with: Decimal
    closed_on: dt.date
    lines: list[Line]


def read(content: bytes) -> list[Statement]:
    """Read a file; raises BadStatement for anything that is not entirely understood."""
    root = root_of(content, "camt.053", "statement", BadStatement)
    found = [_statement(item) for item in all_of(root, "BkToCstmrStmt/Stmt")]
    if not found:
        raise BadStatement("the file holds no statement (BkToCstmrStmt/Stmt)")
    return found


def _statement(item: Any) -> Statement:
    ident = _needed(item, "Id", "the statement")
    where = f"statement {ident}"
    account = text_of(item, "Acct/Id/IBAN") or _needed(item, "Acct/Id/Othr/Id", where)
    opening, closing = _balance(item, ("OPBD", "PRCD"), where), _balance(item, ("CLBD",), where)
    currency = text_of(item, "Acct/Ccy") or opening[1]
    for found in (opening[1], closing[1]):
        if found != currency:
            raise BadStatement(f"{where}: a balance is in {found}, the account in {currency}")
    lines = list(_lines(item, ident, currency))
    expected = opening[0] + sum((line.amount for line in lines), ZERO)
    if expected != closing[0]:
        raise BadStatement(
            f"{where} does not add up: opening and bookings give {expected},"
            f" closing is {closing[0]}"
        )
    return Statement(
        ident=ident,
        account=account.replace(" ", "").upper(),
        currency=currency,
        opened_with=opening[0],
        opened_on=opening[2],
        closed_with=closing[0],
        closed_on=closing[2],
        lines=lines,
    )


def _balance(item: Any, codes: tuple[str, ...], where: str) -> tuple[Decimal, str, dt.date]:
    """Return a balance of a kind with its currency and day: the first opening, the last closing."""
    found = [row for row in all_of(item, "Bal") if text_of(row, "Tp/CdOrPrtry/Cd") in codes]
    if not found:
        raise BadStatement(f"{where} has no balance {' or '.join(codes)}")
    row = found[-1] if codes == ("CLBD",) else found[0]
    amount, currency = _amount(row, where)
    return _sign(row, where) * amount, currency, _day(row, "Dt", where)


def _lines(item: Any, ident: str, currency: str) -> Iterator[Line]:
    seen: Counter[str] = Counter()
    for number, entry in enumerate(all_of(item, "Ntry"), start=1):
        where = f"statement {ident}, entry {number}"
        status = text_of(entry, "Sts/Cd") or _needed(entry, "Sts", where)
        if status != "BOOK":
            continue  # pending and informational entries are not in the balance either
        reference = text_of(entry, "AcctSvcrRef")
        reference = reference or f"{ident}/{text_of(entry, 'NtryRef') or number}"
        seen[reference] += 1
        key = reference if seen[reference] == 1 else f"{reference}~{seen[reference]}"
        yield from _bookings(entry, key[:80], currency, where)


def _bookings(entry: Any, key: str, currency: str, where: str) -> Iterator[Line]:
    """Return a line per transaction of an entry, or one for the entry where it tells no amounts."""
    total, found = _amount(entry, where)
    if found != currency:
        raise BadStatement(f"{where} is in {found}, its account in {currency}")
    sign = _sign(entry, where)
    details = all_of(entry, "NtryDtls/TxDtls")
    amounts = [_amount_of(detail, where) for detail in details]
    if len(details) < 2 or None in amounts:
        detail = details[0] if len(details) == 1 else None
        yield _line(entry, detail, key, sign * total, where)
        return
    told = sum((amount for amount in amounts if amount is not None), ZERO)
    if told != total:
        raise BadStatement(f"{where} is of {total}, its transactions of {told} together")
    for number, (detail, amount) in enumerate(zip(details, amounts, strict=True), start=1):
        yield _line(entry, detail, f"{key}/{number}", sign * (amount or ZERO), where)


def _line(entry: Any, detail: Any, key: str, amount: Decimal, where: str) -> Line:
    if not amount:
        raise BadStatement(f"{where} is of no amount")
    booked_on = _day(entry, "BookgDt", where)
    told = detail if detail is not None else entry
    end = text_of(told, "Refs/EndToEndId")
    other = "Dbtr" if amount > 0 else "Cdtr"
    return Line(
        key=key,
        amount=amount,
        booked_on=booked_on,
        value_on=_day(entry, "ValDt", where) if all_of(entry, "ValDt") else booked_on,
        end_to_end_id="" if end == "NOTPROVIDED" else end[:35],
        batch_id=(text_of(told, "Refs/PmtInfId") or text_of(entry, "NtryDtls/Btch/PmtInfId"))[:35],
        remittance=_remittance(told),
        counterparty=_party(told, other)[:140],
        counterparty_account=_account(told, other)[:34],
        return_reason=_returned(told)[:140],
    )


def _remittance(told: Any) -> str:
    paths = ("RmtInf/Ustrd", "RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/RfrdDocInf/Nb")
    found = [text for path in paths for item in all_of(told, path) if (text := own_text(item))]
    return "\n".join([*found, *(own_text(item) for item in all_of(told, "AddtlTxInf"))])[:2000]


def _party(told: Any, who: str) -> str:
    return text_of(told, f"RltdPties/{who}/Nm") or text_of(told, f"RltdPties/{who}/Pty/Nm")


def _account(told: Any, who: str) -> str:
    of = f"RltdPties/{who}Acct/Id"
    return (text_of(told, f"{of}/IBAN") or text_of(told, f"{of}/Othr/Id")).replace(" ", "").upper()


def _returned(told: Any) -> str:
    reason = text_of(told, "RtrInf/Rsn/Cd") or text_of(told, "RtrInf/Rsn/Prtry")
    more = " ".join(own_text(item) for item in all_of(told, "RtrInf/AddtlInf"))
    return f"{reason} {more}".strip() or ("returned" if all_of(told, "RtrInf") else "")


# Elements


def _needed(item: Any, path: str, where: str) -> str:
    if text := text_of(item, path):
        return text
    raise BadStatement(f"{where} has no {path}")


def _amount(item: Any, where: str) -> tuple[Decimal, str]:
    found = all_of(item, "Amt")
    if not found:
        raise BadStatement(f"{where} has no Amt")
    return _decimal(found[0], where), found[0].get("Ccy", "")


def _amount_of(detail: Any, where: str) -> Decimal | None:
    found = all_of(detail, "Amt") or all_of(detail, "AmtDtls/TxAmt/Amt")
    return _decimal(found[0], where) if found else None


def _decimal(item: Any, where: str) -> Decimal:
    try:
        amount = Decimal(own_text(item))
    except InvalidOperation:
        raise BadStatement(f"{where}: {own_text(item)!r} is not an amount") from None
    currency = item.get("Ccy", "")
    if not amount.is_finite() or amount < 0 or amount >= Decimal(10) ** 14:
        raise BadStatement(f"{where}: {own_text(item)!r} is not an amount")
    if len(currency) != 3 or amount % minor_unit(currency):
        raise BadStatement(f"{where}: {own_text(item)} {currency} is not an amount of a currency")
    return amount


def _sign(item: Any, where: str) -> int:
    told = _needed(item, "CdtDbtInd", where)
    if told not in SIGNS:
        raise BadStatement(f"{where}: CdtDbtInd is {told!r}")
    return SIGNS[told]


def _day(item: Any, path: str, where: str) -> dt.date:
    told = text_of(item, f"{path}/Dt") or text_of(item, f"{path}/DtTm")
    try:
        return dt.date.fromisoformat(told[:10])
    except ValueError:
        raise BadStatement(f"{where}: {path} {told!r} is not a day") from None
