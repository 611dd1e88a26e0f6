"""What the guards could not stop, the invariants see: each is broken once behind their back."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection, transaction

from settlement.banking import writeoffs
from settlement.invariants import breaches
from settlement.models import (
    Account,
    Allocation,
    BankAccount,
    BankLine,
    Document,
    Entry,
    Leg,
    Payout,
    PayoutBatch,
    PayoutLine,
    Receipt,
    Receivable,
    WriteOff,
)
from tests.settlement import money
from tests.settlement.conftest import tampering
from tests.settlement.money import Booking

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def busy() -> None:
    """Have money in every state: paid, part paid, written off, at the bank, booked, unmatched."""
    money.traded("100.0000", "FR-ABC", "DE-EMP")
    money.traded("60.0000", "ES-XYZ", "BE-OTH")
    money.closed("40.0000", "FR-ABC", "BE-LAT")
    money.pay("DE-EMP")
    money.pay("BE-OTH")
    money.plan()
    batch = money.submitted()
    first = batch.payouts.order_by("pk").first()
    money.received(
        Booking(str(-first.amount), end_to_end=str(first)), Booking("7.00", "who are you")
    )
    late = money.owed_by("BE-LAT")
    given_up = writeoffs.propose_receivable(late, D(10), "agreed", money.person("clerk"))
    writeoffs.approve(given_up, money.person("approver"), writeoffs.digest(given_up))
    money.pay("BE-LAT", "25.00")
    money.plan()
    assert breaches() == []


def _leg() -> None:
    leg = Leg.objects.order_by("pk").first()
    Leg.objects.filter(pk=leg.pk).update(amount=leg.amount + 1)


def _lost_leg() -> None:
    Leg.objects.order_by("pk").last().delete()


def _currency() -> None:
    Entry.objects.filter(cause="receipt").update(currency="USD")


def _unbooked() -> None:
    entry = Entry.objects.filter(cause="document").first()
    Leg.objects.filter(entry=entry).delete()
    entry.delete()


def _other_amount() -> None:
    document = Document.objects.filter(kind="emsp_invoice").first()
    assert document
    for leg in Leg.objects.filter(entry__document=document):
        Leg.objects.filter(pk=leg.pk).update(amount=leg.amount * 2)


def _other_party() -> None:
    other = Account.objects.filter(kind="cpo_payable").last()
    leg = Leg.objects.filter(account__kind="cpo_payable", entry__cause="document").first()
    Leg.objects.filter(pk=leg.pk).update(account=other)


def _vat() -> None:
    document = Document.objects.first()
    Document.objects.filter(pk=document.pk).update(
        tax=document.tax + 1, gross=document.gross, net=document.net - 1
    )


def _more_than_received() -> None:
    Receipt.objects.filter(cause="payment").update(amount=1)


def _more_than_owed() -> None:
    allocation = Allocation.objects.first()
    Allocation.objects.filter(pk=allocation.pk).update(amount=allocation.amount + 1)


def _strange_receipt() -> None:
    Receipt.objects.filter(party__party_id="EMP").update(party=money.party_of("BE-OTH"))


def _paid_but_open() -> None:
    Receivable.objects.filter(party__party_id="LAT").update(state="paid")


def _open_but_paid() -> None:
    Receivable.objects.filter(party__party_id="EMP").update(state="due")


def _other_debt() -> None:
    Receivable.objects.filter(party__party_id="LAT").update(amount=41)


def _lost_receipt() -> None:
    Allocation.objects.filter(receipt__cause="write_off").delete()
    Receipt.objects.filter(cause="write_off").delete()


def _payout_line() -> None:
    PayoutLine.objects.filter(payout=Payout.objects.first()).update(amount=1)


def _payout_unbooked() -> None:
    batch = PayoutBatch.objects.first()
    Payout.objects.filter(state="planned").update(state="submitted", batch=batch)


def _payout_forgotten() -> None:
    Payout.objects.filter(state="submitted").update(state="rejected")


def _payout_beyond() -> None:
    Payout.objects.filter(state="planned").update(amount=1000)
    PayoutLine.objects.filter(payout__state="planned").update(amount=1000)


def _payout_elsewhere() -> None:
    hub = BankAccount.objects.get(party=None)
    Payout.objects.filter(state="planned").update(bank_account=hub)


def _unverified() -> None:
    BankAccount.objects.filter(payouts__state="planned").update(
        verified_at=None, seeded=False, usable_from=None
    )


def _paid_twice() -> None:
    line = PayoutLine.objects.filter(payout__state="booked").first()
    PayoutLine.objects.filter(pk=line.pk).update(amount=line.amount + 1000)


def _alone() -> None:
    for table in ("payoutbatch", "writeoff"):
        for name in ("batch_approved", "write_off_decided"):
            connection.cursor().execute(
                f"ALTER TABLE settlement_{table}"
                f" DROP CONSTRAINT IF EXISTS {name}_by_a_second_person"
            )
    PayoutBatch.objects.update(approved_by=money.person("clerk"))


def _other_batch() -> None:
    PayoutBatch.objects.update(execute_on="2030-01-01")


def _other_file() -> None:
    PayoutBatch.objects.update(file=b"<Document/>")


def _other_account() -> None:
    BankAccount.objects.filter(payouts__state="booked").update(iban="NL91ABNA0417164300")


def _other_write_off() -> None:
    WriteOff.objects.update(reason="another")


def _bank_line() -> None:
    line = BankLine.objects.filter(state="open").get()
    BankLine.objects.filter(pk=line.pk).update(amount=8)


def _bank_line_state() -> None:
    BankLine.objects.filter(state="open").update(state="matched")


def _bank_line_twice() -> None:
    connection.cursor().execute(
        "ALTER TABLE settlement_bankline DROP CONSTRAINT bank_line_booked_once"
    )
    line = BankLine.objects.filter(state="open").get()
    line.pk = None
    line.save(force_insert=True)


BROKEN: list[tuple[Callable[[], None], str]] = [
    (_leg, "ledger_entries_balance"),
    (_lost_leg, "ledger_entries_balance"),
    (_currency, "ledger_entries_balance"),
    (_unbooked, "documents_are_in_the_ledger"),
    (_other_amount, "documents_are_in_the_ledger"),
    (_other_party, "documents_are_in_the_ledger"),
    (_vat, "documents_are_in_the_ledger"),
    (_more_than_received, "allocations_fit"),
    (_more_than_owed, "allocations_fit"),
    (_strange_receipt, "allocations_fit"),
    (_paid_but_open, "receivables_are_what_they_say"),
    (_open_but_paid, "receivables_are_what_they_say"),
    (_other_debt, "receivables_are_what_they_say"),
    (_lost_receipt, "receivables_are_in_the_ledger"),
    (_payout_line, "payouts_fit"),
    (_payout_unbooked, "payouts_fit"),
    (_payout_forgotten, "payouts_fit"),
    (_payout_beyond, "payouts_fit"),
    (_payout_elsewhere, "payouts_fit"),
    (_unverified, "payouts_fit"),
    (_paid_twice, "payouts_fit"),
    (_alone, "nobody_decided_alone"),
    (_other_batch, "nobody_decided_alone"),
    (_other_file, "nobody_decided_alone"),
    (_other_account, "nobody_decided_alone"),
    (_other_write_off, "nobody_decided_alone"),
    (_bank_line, "bank_lines_are_booked_once"),
    (_bank_line_state, "bank_lines_are_booked_once"),
    (_bank_line_twice, "bank_lines_are_booked_once"),
]


def test_each_invariant_sees_what_breaks_it(busy: None, subtests: pytest.Subtests) -> None:
    for tamper, check in BROKEN:
        with subtests.test(tamper.__name__), transaction.atomic():
            with tampering():
                tamper()
            assert check in {breach.check for breach in breaches()}
            transaction.set_rollback(True)
    assert breaches() == []
