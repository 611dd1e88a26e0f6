"""A closed month, people of the desk, and a bank that tells what we want it to."""

import datetime as dt
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from xml.sax.saxutils import escape

from parties.models import Party, User
from settlement import clearing
from settlement.banking import batches, payouts, statements
from settlement.banking.accounts import account_of
from settlement.models import BankLine, Document, Payout, PayoutBatch, Receivable
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH

NOW = dt.datetime(2024, 5, 2, 9, 0, tzinfo=dt.UTC)
TODAY = NOW.date()
_count = itertools.count(1)


def person(name: str = "clerk", **more: object) -> User:
    """Make a member of staff, or find them."""
    found = User.objects.filter(email=f"{name}@hub.example").first()
    return found or User.objects.create_user(
        f"{name}@hub.example", "a password", is_staff=True, **more
    )


def traded(total: str = "100.0000", seller: str = "FR-ABC", payer: str = "DE-EMP") -> None:
    """Have one CPO supply one eMSP; both are made if need be."""
    factory.cdr(party_of(seller, "CPO"), party_of(payer, "EMSP"), total)


def party_of(code: str, *roles: str) -> Party:
    """Return a party, made if need be."""
    country_code, party_id = code.split("-")
    found = Party.objects.filter(country_code=country_code, party_id=party_id).first()
    return found or factory.party(code, *roles)


def close(month: dt.date = MONTH) -> None:
    """Close a month; its documents are of 6 April 2024."""
    clearing.close(month, now=CLOSING, force=True)


def closed(total: str = "100.0000", seller: str = "FR-ABC", payer: str = "DE-EMP") -> None:
    """Trade, and close the month."""
    traded(total, seller, payer)
    close()


def bill_of(code: str, kind: str = "self_billing_invoice") -> Document:
    """Return the one document of a kind of a party."""
    return Document.objects.get(party=party_of(code), kind=kind)


def owed_by(code: str = "DE-EMP") -> Receivable:
    """Return the one receivable from a party."""
    return Receivable.objects.select_related("settled").get(party=party_of(code))


@dataclass
class Booking:
    """An entry of a bank statement."""

    amount: str
    text: str = ""
    reference: str | None = ""
    end_to_end: str = ""
    iban: str = ""
    name: str = "Somebody"
    reason: str = ""
    currency: str = "EUR"
    status: str = "BOOK"
    batch: str = ""
    more: str = ""

    def xml(self) -> str:
        value = Decimal(self.amount)
        sign, who = ("CRDT", "Dbtr") if value > 0 else ("DBIT", "Cdtr")
        reference = f"BANK-{next(_count):06}" if self.reference == "" else self.reference
        returned = f"<RtrInf><Rsn><Cd>{self.reason}</Cd></Rsn></RtrInf>" if self.reason else ""
        ids = f"<EndToEndId>{self.end_to_end or 'NOTPROVIDED'}</EndToEndId>"
        account = f"<{who}Acct><Id><IBAN>{self.iban}</IBAN></Id></{who}Acct>" if self.iban else ""
        batch = f"<PmtInfId>{self.batch}</PmtInfId>" if self.batch else ""
        return f"""<Ntry><Amt Ccy="{self.currency}">{abs(value)}</Amt><CdtDbtInd>{sign}</CdtDbtInd>
<Sts><Cd>{self.status}</Cd></Sts><BookgDt><Dt>2024-05-02</Dt></BookgDt>
<ValDt><Dt>2024-05-03</Dt></ValDt>
{f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else ""}
<NtryDtls>{
            self.more
            or f'''<TxDtls><Refs>{batch}{ids}</Refs>
<RltdPties><{who}><Pty><Nm>{escape(self.name)}</Nm></Pty></{who}>{account}</RltdPties>
<RmtInf><Ustrd>{escape(self.text)}</Ustrd></RmtInf>{returned}</TxDtls>'''
        }</NtryDtls></Ntry>"""


def camt(
    *bookings: Booking,
    opening: str = "1000.00",
    closing: str | None = None,
    ident: str = "2024-05-02",
    version: str = "08",
    iban: str = "",
) -> bytes:
    """Write a statement of the hub's euro account."""
    if not iban:
        account = account_of(None, "EUR")
        assert account
        iban = account.iban
    booked = [Decimal(b.amount) for b in bookings if b.status == "BOOK"]
    closing = closing or str(Decimal(opening) + sum(booked, Decimal()))
    entries = "".join(booking.xml() for booking in bookings)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt>
<GrpHdr><MsgId>M-{ident}</MsgId><CreDtTm>2024-05-02T20:00:00</CreDtTm></GrpHdr>
<Stmt><Id>{ident}</Id><Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>EUR</Ccy></Acct>
{_balance("OPBD", opening)}{_balance("CLBD", closing)}{entries}</Stmt>
</BkToCstmrStmt></Document>""".encode()


def _balance(code: str, amount: str) -> str:
    sign = "CRDT" if Decimal(amount) >= 0 else "DBIT"
    return f"""<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>
<Amt Ccy="EUR">{abs(Decimal(amount))}</Amt><CdtDbtInd>{sign}</CdtDbtInd>
<Dt><Dt>2024-05-02</Dt></Dt></Bal>"""


def received(*bookings: Booking, ident: str = "", **more: str) -> list[BankLine]:
    """Import a statement with these bookings and return its lines, in their order."""
    ident = ident or f"S{next(_count):06}"
    statements.import_file(camt(*bookings, ident=ident, **more))
    return list(BankLine.objects.filter(statement__ident=ident).order_by("pk"))


def pay(code: str = "DE-EMP", amount: str = "") -> None:
    """Have an eMSP pay its one invoice, or a part of it."""
    receivable = owed_by(code)
    received(Booking(amount or str(receivable.settled.open), receivable.document.number))


def plan() -> list[Payout]:
    """Plan payouts and return those that are planned."""
    return [plan.payout for plan in payouts.plan(NOW) if plan.payout]


def approved() -> PayoutBatch:
    """Put what is planned in euro into a batch, and have it approved."""
    day = max(Payout.objects.values_list("execute_on", flat=True))
    batch = batches.propose("EUR", day, person("clerk"))
    return batches.approve(batch, person("approver"), batches.digest(batch))


def submitted() -> PayoutBatch:
    """Take such a batch to the bank."""
    return batches.submit(batches.make_file(approved()), person("clerk"))


def unpaid(rows: Iterable[Receivable]) -> list[Decimal]:
    """Return what is open of receivables."""
    return [row.settled.open for row in rows]
