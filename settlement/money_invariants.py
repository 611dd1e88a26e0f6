"""What must hold of money at any time: the ledger, receivables, payouts and bank lines."""

from collections.abc import Iterator
from typing import Any

from django.db import connection

# Each check is a query whose rows are (subject, text); none if all is well. Sets, never loops.
ENTRIES_BALANCE = """
SELECT e.idem_key, count(l.id) || ' legs, off by ' || coalesce(sum(l.amount), 0)
FROM settlement_entry e LEFT JOIN settlement_leg l ON l.entry_id = e.id
GROUP BY e.id HAVING count(l.id) < 2 OR sum(l.amount) <> 0
UNION ALL
SELECT e.idem_key, 'is in ' || e.currency || ', a leg in ' || a.currency
FROM settlement_entry e JOIN settlement_leg l ON l.entry_id = e.id
JOIN settlement_account a ON a.id = l.account_id WHERE a.currency <> e.currency
"""
DOCUMENTS_ARE_BOOKED = """
SELECT d.number, 'is not booked as it is: ' || d.gross || ' against ' || coalesce(b.theirs, 0)
FROM settlement_document d LEFT JOIN LATERAL (
    SELECT sum(l.amount) FILTER (WHERE a.party_id = d.party_id) AS theirs,
        count(*) FILTER (WHERE a.party_id IS NOT NULL AND a.party_id <> d.party_id) AS others
    FROM settlement_entry e JOIN settlement_leg l ON l.entry_id = e.id
    JOIN settlement_account a ON a.id = l.account_id
    WHERE e.document_id = d.id AND e.cause = 'document' AND e.currency = d.currency
) b ON true
WHERE d.gross <> 0 AND (coalesce(b.others, 0) <> 0 OR coalesce(b.theirs, 0) <> d.gross * CASE
    WHEN d.kind IN ('self_billing_invoice', 'emsp_credit_note') THEN -1 ELSE 1 END)
UNION ALL
SELECT d.number, 'its VAT is booked as ' || coalesce(b.tax, 0) || ', not ' || d.tax
FROM settlement_document d LEFT JOIN LATERAL (
    SELECT sum(abs(l.amount)) AS tax
    FROM settlement_entry e JOIN settlement_leg l ON l.entry_id = e.id
    JOIN settlement_account a ON a.id = l.account_id
    WHERE e.document_id = d.id AND e.cause = 'document' AND a.kind IN ('input_vat', 'output_vat')
) b ON true
WHERE coalesce(b.tax, 0) <> d.tax
"""
ALLOCATIONS_FIT = """
SELECT 'receipt ' || c.id, sum(x.amount) || ' of ' || c.amount || ' is allocated'
FROM settlement_receipt c JOIN settlement_allocation x ON x.receipt_id = c.id
GROUP BY c.id HAVING sum(x.amount) > c.amount
UNION ALL
SELECT 'receivable ' || r.id, sum(x.amount) || ' of ' || r.amount || ' is allocated'
FROM settlement_receivable r JOIN settlement_allocation x ON x.receivable_id = r.id
GROUP BY r.id HAVING sum(x.amount) > r.amount
UNION ALL
SELECT 'allocation ' || x.id, 'joins what is of two parties or currencies'
FROM settlement_allocation x JOIN settlement_receipt c ON c.id = x.receipt_id
JOIN settlement_receivable r ON r.id = x.receivable_id
WHERE (c.party_id, c.currency) <> (r.party_id, r.currency)
"""
RECEIVABLES_ARE_WHAT_THEY_SAY = """
SELECT 'receivable ' || r.id, r.state || ' with ' || o.open || ' open'
FROM settlement_receivable r JOIN settlement_openamount o ON o.receivable_id = r.id
WHERE (r.state IN ('paid', 'written_off')) <> (o.open = 0)
UNION ALL
SELECT d.number, 'is owed as ' || r.amount || ', not ' || d.gross
FROM settlement_receivable r JOIN settlement_document d ON d.id = r.document_id
WHERE (r.amount, r.party_id, r.currency) <> (d.gross, d.party_id, d.currency)
"""
LEDGER_IS_WHAT_IS_OPEN = """
SELECT p.country_code || '-' || p.party_id || ' ' || b.currency,
    'owes ' || b.ledger || ' by the ledger, ' || b.open || ' by its invoices and payments'
FROM (
    SELECT party_id, currency, sum(ledger) AS ledger, sum(open) AS open FROM (
        SELECT a.party_id, a.currency, l.amount AS ledger, 0 AS open
        FROM settlement_leg l JOIN settlement_account a ON a.id = l.account_id
        WHERE a.kind = 'emsp_receivable'
        UNION ALL
        SELECT party_id, currency, 0, amount FROM settlement_receivable
        UNION ALL
        SELECT party_id, currency, 0, -amount FROM settlement_receipt
    ) every GROUP BY party_id, currency
) b JOIN parties_party p ON p.id = b.party_id WHERE b.ledger <> b.open
"""
PAYOUTS_FIT = """
SELECT 'payout ' || p.id, 'its lines are of ' || coalesce(sum(x.amount), 0)
FROM settlement_payout p LEFT JOIN settlement_payoutline x ON x.payout_id = p.id
GROUP BY p.id HAVING coalesce(sum(x.amount), 0) <> p.amount
UNION ALL
SELECT 'payout ' || p.id, p.state || ', and booked as ' || coalesce(b.debit, 0)
FROM settlement_payout p LEFT JOIN LATERAL (
    SELECT sum(l.amount) AS debit
    FROM settlement_entry e JOIN settlement_leg l ON l.entry_id = e.id
    JOIN settlement_account a ON a.id = l.account_id AND a.kind = 'cpo_payable'
    WHERE e.idem_key IN ('payout:' || p.id, 'payout_back:' || p.id) AND a.party_id = p.party_id
) b ON true
WHERE coalesce(b.debit, 0) <> CASE WHEN p.state IN ('submitted', 'booked') THEN p.amount ELSE 0 END
UNION ALL
SELECT 'payouts of party ' || w.party_id, w.amount || ' ' || w.currency || ' wait, owed is '
    || -settlement_balance('cpo_payable', w.party_id, w.currency)
FROM (SELECT party_id, currency, sum(amount) AS amount FROM settlement_payout
    WHERE state IN ('planned', 'approved', 'batched') GROUP BY party_id, currency) w
WHERE w.amount > -settlement_balance('cpo_payable', w.party_id, w.currency)
UNION ALL
SELECT 'payout ' || p.id, 'goes to an account that is not of its party, or was never verified'
FROM settlement_payout p JOIN settlement_bankaccount a ON a.id = p.bank_account_id
WHERE a.verified_at IS NULL OR (a.party_id, a.currency) IS DISTINCT FROM (p.party_id, p.currency)
UNION ALL
SELECT 'document ' || x.document_id, 'is paid out beyond its amount'
FROM settlement_payoutline x JOIN settlement_payout p ON p.id = x.payout_id
JOIN settlement_document d ON d.id = x.document_id
WHERE p.state IN ('planned', 'approved', 'batched', 'submitted', 'booked')
GROUP BY x.document_id, d.gross HAVING sum(x.amount) > d.gross
"""
NOBODY_DECIDED_ALONE = """
SELECT 'batch ' || id, 'was approved by who proposed it, or is not what was approved'
FROM settlement_payoutbatch
WHERE state IN ('approved', 'filed', 'submitted', 'completed') AND (approved_by_id = created_by_id
    OR approved_by_id IS NULL
    OR approved_sha256 <> settlement_batch_digest(id, currency, account_id, execute_on)
    OR (file IS NOT NULL AND file_sha256 <> encode(sha256(file), 'hex')))
UNION ALL
SELECT 'write-off ' || id, 'was decided by who proposed it, or is not what was decided'
FROM settlement_writeoff
WHERE state <> 'proposed' AND (approved_by_id IS NULL OR approved_by_id = created_by_id
    OR approved_sha256 <> settlement_writeoff_digest(receivable_id, bank_line_id, amount, reason))
UNION ALL
SELECT 'bank account ' || id, 'was verified by who entered it'
FROM settlement_bankaccount WHERE verified_at IS NOT NULL AND NOT seeded
    AND (verified_by_id IS NULL OR verified_by_id = created_by_id)
"""
BANK_LINES_ARE_BOOKED = """
SELECT 'bank line ' || b.id, b.amount || ' is booked as ' || coalesce(sum(l.amount), 0)
FROM settlement_bankline b
LEFT JOIN settlement_entry e ON e.idem_key = 'bank_line:' || b.id
LEFT JOIN settlement_leg l ON l.entry_id = e.id AND l.account_id IN (
    SELECT id FROM settlement_account WHERE kind = 'bank')
GROUP BY b.id HAVING coalesce(sum(l.amount), 0) <> b.amount
UNION ALL
SELECT 'bank lines to match in ' || coalesce(l.currency, w.currency),
    coalesce(w.amount, 0) || ' wait, the ledger has ' || coalesce(-l.amount, 0)
FROM (SELECT a.currency, sum(x.amount) AS amount FROM settlement_leg x
    JOIN settlement_account a ON a.id = x.account_id
    WHERE a.kind = 'unidentified' GROUP BY a.currency) l
FULL JOIN (SELECT currency, sum(amount) AS amount FROM settlement_bankline
    WHERE state = 'open' GROUP BY currency) w USING (currency)
WHERE coalesce(w.amount, 0) <> coalesce(-l.amount, 0)
UNION ALL
SELECT 'bank line ' || key, 'is booked ' || count(*) || ' times'
FROM settlement_bankline GROUP BY account_no, currency, key HAVING count(*) > 1
"""


def ledger_entries_balance() -> Iterator[tuple[Any, str]]:
    """Every entry has two legs or more, of its currency, that add up to zero (I10)."""
    return _rows(ENTRIES_BALANCE)


def documents_are_in_the_ledger() -> Iterator[tuple[Any, str]]:
    """Every document is booked, once, by its gross and its VAT."""
    return _rows(DOCUMENTS_ARE_BOOKED)


def allocations_fit() -> Iterator[tuple[Any, str]]:
    """No receipt and no receivable is allocated beyond its amount (I17)."""
    return _rows(ALLOCATIONS_FIT)


def receivables_are_what_they_say() -> Iterator[tuple[Any, str]]:
    """A receivable is that of its document, and paid or written off if nothing of it is open."""
    return _rows(RECEIVABLES_ARE_WHAT_THEY_SAY)


def receivables_are_in_the_ledger() -> Iterator[tuple[Any, str]]:
    """What a party owes by the ledger is what its invoices say, less what it has paid."""
    return _rows(LEDGER_IS_WHAT_IS_OPEN)


def payouts_fit() -> Iterator[tuple[Any, str]]:
    """Payouts stay within what is owed, go to verified accounts, and are booked as paid (I18)."""
    return _rows(PAYOUTS_FIT)


def nobody_decided_alone() -> Iterator[tuple[Any, str]]:
    """Batches, write-offs and accounts have two people, and are what the second one saw."""
    return _rows(NOBODY_DECIDED_ALONE)


def bank_lines_are_booked_once() -> Iterator[tuple[Any, str]]:
    """Every line of the bank is in the ledger, once; what is not matched is there as such (I19)."""
    return _rows(BANK_LINES_ARE_BOOKED)


def _rows(query: str) -> Iterator[tuple[Any, str]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return iter(cursor.fetchall())


CHECKS = (
    ledger_entries_balance,
    documents_are_in_the_ledger,
    allocations_fit,
    receivables_are_what_they_say,
    receivables_are_in_the_ledger,
    payouts_fit,
    nobody_decided_alone,
    bank_lines_are_booked_once,
)
