"""Which bank line is about what: the references first, then amounts together with the account.

Only what cannot well be something else is matched without a person; the rest are suggestions.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Replace, Upper
from django.utils.translation import gettext as _

from hub.money import ZERO
from parties.models import Party
from settlement.models import BankAccount, BankLine, Payout, PayoutBatch, Receivable

SHOWN = 10


class Suggestion(NamedTuple):
    """What a line may pay: receivables of one party; `sure` when no person is needed."""

    party: Party
    receivables: list[Receivable]
    why: str
    sure: bool

    @property
    def open(self) -> Decimal:
        """Return what is open of them."""
        return sum((row.settled.open for row in self.receivables), ZERO)


class Paid(NamedTuple):
    """Payouts that a line tells of: booked, or returned for a reason."""

    payouts: list[Payout]
    returned: str


def payouts_of(line: BankLine) -> Paid | None:
    """Return the payouts that a line is about, by their end-to-end id or that of their file.

    The amount must be theirs to the cent; else it is for a person to look at.
    """
    states = [Payout.State.SUBMITTED, *([Payout.State.BOOKED] if line.amount > 0 else [])]
    rows = Payout.objects.filter(state__in=states, currency=line.currency)
    found = _named_payouts(rows, line)
    if not found or sum(payout.amount for payout in found) != abs(line.amount):
        return None
    return Paid(found, line.return_reason)


def _named_payouts(rows: QuerySet[Payout], line: BankLine) -> list[Payout]:
    text = f"{line.end_to_end_id} {line.remittance}" if line.amount > 0 else line.end_to_end_id
    if ids := re.findall(r"OCN-PAYOUT-([0-9]{8,})", text):
        return list(rows.filter(pk__in=map(int, ids)))
    batch = re.match(r"OCN-BATCH-([0-9]{8,})", line.batch_id)
    if batch is None or line.amount > 0:
        return []
    filed = PayoutBatch.objects.filter(pk=int(batch[1]), state=PayoutBatch.State.SUBMITTED)
    return list(rows.filter(batch__in=filed))


def suggestions(line: BankLine) -> list[Suggestion]:
    """Return what an incoming line may pay, the likeliest first."""
    if line.amount <= 0:
        return []
    found: dict[tuple[int, ...], Suggestion] = {}
    for suggestion in (*_by_reference(line), *_by_account(line), *_by_amount(line)):
        key = (suggestion.party.pk, *sorted(row.pk for row in suggestion.receivables))
        found.setdefault(key, suggestion)
    return list(found.values())[:SHOWN]


def sure_match(line: BankLine) -> Suggestion | None:
    """Return the one match that needs no person, if there is one."""
    if line.amount <= 0:
        return None
    sure = [item for item in (*_by_reference(line), *_by_account(line)) if item.sure]
    return sure[0] if len({item.party.pk for item in sure}) == 1 else None


def names(text: str, number: str) -> bool:
    """Tell whether a text names a document, whatever a bank has done to hyphens and spaces."""
    exact = rf"(?<![A-Z0-9]){re.escape(number.upper())}(?![A-Z0-9-])"
    squeezed = rf"{bare(number)}(?![0-9])"
    return bool(re.search(exact, text.upper()) or re.search(squeezed, bare(text)))


def bare(text: str) -> str:
    """Return the letters and digits of a text, in upper case."""
    return re.sub(r"[^A-Z0-9]", "", text.upper())


def _by_reference(line: BankLine) -> Iterator[Suggestion]:
    """The line names documents, paid or not; sure if they are all of one party."""
    text = f"{line.end_to_end_id} {line.remittance}"
    likely: QuerySet[Any] = _receivables(line).annotate(
        text=Value(bare(text)), bare=Replace("document__number", Value("-"))
    )
    rows: list[Receivable] = [
        row
        for row in likely.filter(text__contains=Upper("bare"))
        if names(text, row.document.number)
    ]
    parties = {row.party_id: row.party for row in rows}
    for party in parties.values():
        own = [row for row in rows if row.party_id == party.pk]
        yield Suggestion(party, own, _("its invoices are named"), len(parties) == 1)


def _by_account(line: BankLine) -> Iterator[Suggestion]:
    """The money comes from an account that a party is known by."""
    number = line.counterparty_account
    if not number:
        return
    known = BankAccount.objects.filter(Q(iban=number) | Q(account_number=number), ended_at=None)
    ids = set(known.exclude(party=None).values_list("party", flat=True))
    for party in Party.objects.filter(pk__in=ids):
        rows = list(_unpaid(line).filter(party=party))
        exact = [row for row in rows if row.settled.open == line.amount]
        total = sum((row.settled.open for row in rows), ZERO)
        sure = len(ids) == 1 and (len(exact) == 1 or total == line.amount)
        yield Suggestion(party, exact[:1] or rows, _("it comes from its account"), sure)


def _by_amount(line: BankLine) -> Iterator[Suggestion]:
    """The amount is that of one invoice, or of all that a party owes."""
    rows = list(_unpaid(line))
    for row in rows:
        if row.settled.open == line.amount:
            yield Suggestion(row.party, [row], _("the amount is that of the invoice"), False)
    parties = {row.party_id: row.party for row in rows}
    for party in parties.values():
        own = [row for row in rows if row.party_id == party.pk]
        if len(own) > 1 and sum(row.settled.open for row in own) == line.amount:
            yield Suggestion(party, own, _("the amount is all that it owes"), False)


def _receivables(line: BankLine) -> QuerySet[Receivable]:
    rows = Receivable.objects.filter(currency=line.currency).order_by("due_on", "pk")
    return rows.select_related("party", "settled", "document").defer("document__snapshot")


def _unpaid(line: BankLine) -> QuerySet[Receivable]:
    return _receivables(line).filter(state__in=Receivable.UNPAID, settled__open__gt=0)
