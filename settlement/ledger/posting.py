"""Book what happens: each thing once, by its key, in entries that balance."""

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from parties.models import Party, Role
from settlement.models import Account, Document, Entry, Leg

Kind = Account.Kind
AMOUNTS = ("net", "tax", "gross")


class Side(NamedTuple):
    """An amount on an account: a debit when positive, a credit when negative."""

    kind: str
    amount: Decimal
    party: Party | None = None


# Per kind of document: account, amount of the document, and +1 for a debit or -1 for a credit.
PURCHASE = ((Kind.PURCHASES, "net", 1), (Kind.INPUT_VAT, "tax", 1), (Kind.PAYABLE, "gross", -1))
SALE = ((Kind.RECEIVABLE, "gross", 1), (Kind.SALES, "net", -1), (Kind.OUTPUT_VAT, "tax", -1))
FEE = ((Kind.PAYABLE, "gross", 1), (Kind.FEES, "net", -1), (Kind.OUTPUT_VAT, "tax", -1))
FEE_OF_EMSP = ((Kind.RECEIVABLE, "gross", 1), *FEE[1:])


def _taken_back(rows: Iterable[tuple[str, str, int]]) -> tuple[tuple[str, str, int], ...]:
    return tuple((kind, amount, -sign) for kind, amount, sign in rows)


POSTINGS: Mapping[str, tuple[tuple[str, str, int], ...]] = {
    "self_billing_invoice": PURCHASE,
    "self_billing_credit_note": _taken_back(PURCHASE),
    "emsp_invoice": SALE,
    "emsp_credit_note": _taken_back(SALE),
    "fee_invoice": FEE,
}


class NotPosted(Exception):
    """It cannot be booked; the message says why, and nothing was."""


def sides_of(document: Document) -> list[Side]:
    """Return how a document is booked, by its kind; amounts are positive, the kind has the sign."""
    if document.kind not in POSTINGS:
        raise NotPosted(f"there is no posting for documents of kind {document.kind!r}")
    rows = POSTINGS[document.kind]
    if rows is FEE and not is_paid_out(document.party):
        rows = FEE_OF_EMSP
    return [
        Side(
            kind,
            sign * getattr(document, amount),
            document.party if kind in Account.OF_PARTIES else None,
        )
        for kind, amount, sign in rows
    ]


def is_paid_out(party: Party) -> bool:
    """Tell whether fees are taken off what a party is paid, as of a CPO, not asked of it."""
    return party.roles.filter(role=Role.Kind.CPO).exists()


def key_of(document: Document) -> str:
    """Return the key of a document's entry."""
    return f"document:{document.pk}"


@transaction.atomic(savepoint=False)
def post(
    key: str,
    cause: str,
    currency: str,
    booked_on: dt.date,
    sides: Iterable[Side],
    *,
    text: str = "",
    document: Document | None = None,
) -> Entry | None:
    """Book an entry and return it; None if its key is booked already, or all of it is zero.

    Whether it balances the database says at the end of the transaction.
    """
    rows = [side for side in sides if side.amount]
    if not rows or Entry.objects.filter(idem_key=key).exists():
        return None
    accounts = accounts_of(rows, currency)
    entry = Entry.objects.create(
        idem_key=key,
        cause=cause,
        currency=currency,
        booked_on=booked_on,
        text=text[:140],
        document=document,
    )
    Leg.objects.bulk_create(
        Leg(entry=entry, no=no, account=accounts[side.kind, _id(side.party)], amount=side.amount)
        for no, side in enumerate(rows, start=1)
    )
    return entry


def accounts_of(sides: Iterable[Side], currency: str) -> dict[tuple[str, int | None], Account]:
    """Return the accounts of an entry by kind and party, opening those that are missing."""
    wanted = {(side.kind, _id(side.party)) for side in sides}
    found = _found(wanted, currency)
    if missing := wanted - found.keys():
        Account.objects.bulk_create(
            [
                Account(kind=kind, party_id=party, currency=currency)
                for kind, party in sorted(missing, key=lambda key: (key[0], key[1] or 0))
            ],
            ignore_conflicts=True,
        )
        found = _found(wanted, currency)
    return found


def _found(
    wanted: set[tuple[str, int | None]], currency: str
) -> dict[tuple[str, int | None], Account]:
    rows = Account.objects.filter(currency=currency, kind__in={kind for kind, _party in wanted})
    parties = {party for _kind, party in wanted if party}
    rows = rows.filter(Q(party=None) | Q(party__in=parties))
    found = {(row.kind, row.party_id): row for row in rows}
    return {key: found[key] for key in wanted & found.keys()}


def _id(party: Party | None) -> int | None:
    return party.pk if party else None


def post_document(document: Document) -> Entry | None:
    """Book a document; a second time does nothing. Raises NotPosted."""
    return post(
        key_of(document),
        Entry.Cause.DOCUMENT,
        document.currency,
        document.issued_on,
        sides_of(document),
        text=document.number,
        document=document,
    )
