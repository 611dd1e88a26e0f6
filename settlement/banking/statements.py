"""Take bank statements in: a file as a whole, each line once, and matched where it is sure."""

import hashlib
from dataclasses import asdict
from decimal import Decimal
from typing import NamedTuple

from hub.money import minor_unit
from parties.models import Party, User
from settlement.banking import allocating, camt, matching, returns
from settlement.ledger.posting import Side, post
from settlement.ledger.turns import in_turn
from settlement.models import (
    Account,
    BankAccount,
    BankLine,
    BankStatement,
    Entry,
    Receipt,
    Receivable,
)

Kind = Account.Kind


class CannotMatch(Exception):
    """The line cannot be matched like this; the message says why, and nothing was changed."""


class Imported(NamedTuple):
    """What came of a statement; `gap` tells where it does not follow the one before."""

    account: str
    statement: str
    new: int
    known: int
    matched: int
    gap: str


@in_turn
def import_file(content: bytes, by: User | None = None) -> list[Imported]:
    """Take a file in. Raises camt.BadStatement, with everything as it was, for any fault in it."""
    digest = hashlib.sha256(content).hexdigest()
    return [_import(statement, digest, by) for statement in camt.read(content)]


def _import(told: camt.Statement, digest: str, by: User | None) -> Imported:
    account = _own_account(told)
    gap = _gap(account, told)
    statement, _ = BankStatement.objects.get_or_create(
        account=account,
        ident=told.ident[:35],
        sha256=digest,
        defaults={
            "currency": told.currency,
            "opened_with": told.opened_with,
            "opened_on": told.opened_on,
            "closed_with": told.closed_with,
            "closed_on": told.closed_on,
            "imported_by": by,
        },
    )
    new = _new_lines(statement, told)
    BankLine.objects.bulk_create(new)
    matched = sum(_book(line) for line in new)
    known = len(told.lines) - len(new)
    return Imported(account.number, told.ident, len(new), known, matched, gap)


def _own_account(told: camt.Statement) -> BankAccount:
    """Return the hub's account that a statement is of, locked: its imports wait for each other."""
    rows = BankAccount.objects.select_for_update().filter(party=None, currency=told.currency)
    for account in rows.exclude(verified_at=None).order_by("-pk"):
        if account.number.upper() == told.account:
            return account
    raise camt.BadStatement(
        f"statement {told.ident} is of {told.account} in {told.currency},"
        " which is no verified account of the hub"
    )


def _gap(account: BankAccount, told: camt.Statement) -> str:
    """Say where a statement does not begin with what the latest one before it ended with."""
    before = account.statements.filter(closed_on__lte=told.opened_on)
    last = before.exclude(ident=told.ident).order_by("-closed_on", "-pk").first()
    if last is None or last.closed_with == told.opened_with:
        return ""
    closed = last.closed_with.quantize(minor_unit(told.currency))
    return f"{last.ident} closed with {closed}, this one opens with {told.opened_with}"


def _new_lines(statement: BankStatement, told: camt.Statement) -> list[BankLine]:
    """Return the lines that are not known; one that is known must be as it was."""
    rows = BankLine.objects.filter(account_no=told.account, currency=told.currency)
    known = dict(
        rows.filter(key__in=[line.key for line in told.lines]).values_list("key", "amount")
    )
    for line in told.lines:
        if line.key in known and known[line.key] != line.amount:
            raise camt.BadStatement(
                f"statement {told.ident}: {line.key} was {known[line.key].normalize():f} before"
                f" and is {line.amount} now"
            )
    return [
        BankLine(
            statement=statement, account_no=told.account, currency=told.currency, **asdict(line)
        )
        for line in told.lines
        if line.key not in known
    ]


def _book(line: BankLine) -> bool:
    """Book a new line: as what it surely is, or as not yet matched; tell which."""
    if paid := matching.payouts_of(line):
        returns.book(line, paid)
        return _matched(line)
    if found := matching.sure_match(line):
        _receive(line, found.party, found.receivables, Kind.BANK)
        return True
    post(
        f"bank_line:{line.pk}",
        Entry.Cause.UNMATCHED,
        line.currency,
        line.booked_on,
        [Side(Kind.BANK, line.amount), Side(Kind.UNIDENTIFIED, -line.amount)],
        text=f"{line.counterparty} {line.remittance}".strip(),
    )
    return False


@in_turn
def match(line: BankLine, party: Party, named: list[Receivable]) -> Decimal:
    """Let a person's word match an incoming line; return what is left to the party's credit.

    Raises CannotMatch.
    """
    line = BankLine.objects.select_for_update().get(pk=line.pk)
    if line.state != BankLine.State.OPEN:
        raise CannotMatch("somebody has matched this line already")
    if line.amount <= 0:
        raise CannotMatch("only money that came in can pay invoices")
    if line.write_offs.filter(state="proposed").exists():
        raise CannotMatch("it is proposed to write this line off: decide about that first")
    if any((row.party_id, row.currency) != (party.pk, line.currency) for row in named):
        raise CannotMatch(f"not all of these are invoices of {party} in {line.currency}")
    return _receive(line, party, named, Kind.UNIDENTIFIED)


@in_turn
def match_payouts(line: BankLine) -> bool:
    """Look once more whether an open line is about payouts, and book it; tell whether it was."""
    line = BankLine.objects.select_for_update().get(pk=line.pk)
    paid = matching.payouts_of(line) if line.state == BankLine.State.OPEN else None
    if paid is None:
        return False
    returns.book(line, paid, Kind.UNIDENTIFIED)
    return _matched(line)


def _matched(line: BankLine) -> bool:
    line.move_to(BankLine.State.MATCHED)
    return True


def _receive(line: BankLine, party: Party, named: list[Receivable], source: str) -> Decimal:
    """Book money of a party, from the bank or from what was not matched, and let it settle."""
    post(
        returns.key_of(line, source),
        Entry.Cause.RECEIPT if source == Kind.BANK else Entry.Cause.MATCH,
        line.currency,
        line.booked_on,
        [Side(source, line.amount), Side(Kind.RECEIVABLE, -line.amount, party)],
        text=f"{line.key} {line.remittance}",
    )
    receipt = Receipt.objects.create(
        cause=Receipt.Cause.PAYMENT,
        party=party,
        currency=line.currency,
        amount=line.amount,
        received_on=line.booked_on,
        bank_line=line,
    )
    _matched(line)
    return allocating.allocate(receipt, named)
