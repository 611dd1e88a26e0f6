"""A match that was wrong is taken back: by counterparts, all of it, once."""

from decimal import Decimal as D

import pytest
from django.contrib.admin.models import LogEntry
from django.db import Error, connection, transaction
from django.test import Client
from django.urls import reverse

from settlement import staff
from settlement.banking import batches, statements, undoing
from settlement.banking.allocating import credit_of
from settlement.banking.statements import CannotMatch
from settlement.invariants import breaches
from settlement.models import Allocation, BankLine, Entry, Payout, Receipt, Receivable
from tests.racing import at_once
from tests.settlement import money

pytestmark = pytest.mark.django_db


@pytest.fixture
def line() -> BankLine:
    """Have a line that named the invoice of somebody else, and a payout planned for it."""
    money.traded("60.0000", "ES-XYZ", "BE-OTH")
    money.closed("100.0000")
    money.pay("DE-EMP", "100.00")
    assert [payout.party for payout in money.plan()] == [money.party_of("FR-ABC")]
    return BankLine.objects.get()


def test_everything_is_as_if_the_line_had_never_been_matched(line: BankLine) -> None:
    undone = undoing.undo(line, "it was for May", money.person())
    owed, payer = money.owed_by(), money.party_of("DE-EMP")
    line.refresh_from_db()
    assert (line.state, owed.settled.open) == ("open", D(100))
    assert owed.state in Receivable.UNPAID
    assert (undone.amount, undone.reverses.bank_line, undone.person.email) == (
        *(D(-100), line),
        "clerk@hub.example",
    )
    assert credit_of(payer, "EUR") == 0
    assert Payout.objects.get().state == "cancelled"
    assert [leg.account.kind for leg in Entry.objects.get(cause="undone").legs.order_by("no")] == [
        *("emsp_receivable", "unidentified")
    ]
    assert breaches() == []


def test_it_is_matched_again_as_often_as_it_was_wrong(line: BankLine) -> None:
    other = money.party_of("BE-OTH")
    undoing.undo(line, "not theirs", money.person())
    statements.match(line, other, [])
    assert (money.owed_by("BE-OTH").state, credit_of(other, "EUR")) == ("paid", D(40))
    undoing.undo(line, "theirs all the same", money.person())
    statements.match(line, money.party_of("DE-EMP"), [])
    assert money.owed_by("DE-EMP").state == "paid"
    assert money.owed_by("BE-OTH").settled.open == D(60)
    assert Receipt.objects.filter(bank_line=line).count() == 5
    assert breaches() == []


def test_an_approver_is_told_of_a_payout_that_rests_on_it(line: BankLine) -> None:
    batch = money.approved()
    assert [row.text for row in batches.remarks(batch)] == ["the first payout to this party"]
    undoing.undo(line, "it was for May", money.person())
    told = [row.text for row in batches.remarks(batch)]
    assert told[0] == "more than may be paid to this party by now: take it out"
    batches.take_out(Payout.objects.select_related("batch").get())
    assert Payout.objects.get().state == "cancelled"


def test_what_is_not_matched_with_invoices_is_not_undone(line: BankLine) -> None:
    with pytest.raises(CannotMatch, match="say why"):
        undoing.undo(line, " ", money.person())
    undoing.undo(line, "wrong", money.person())
    with pytest.raises(CannotMatch, match="not matched"):
        undoing.undo(line, "wrong", money.person())


def test_two_at_once_undo_it_once(transactional_db: None, line: BankLine) -> None:
    by = money.person()

    def undo() -> bool:
        try:
            undoing.undo(line, "wrong", by)
        except CannotMatch:
            return False
        return True

    assert sorted(at_once(undo, undo)) == [False, True]
    assert breaches() == []


@pytest.mark.usefixtures("plain_static")
def test_a_clerk_undoes_it_on_the_page_and_that_is_noted(line: BankLine) -> None:
    clerk, _ = staff.grant("clerk@hub.example", "clerk", "a long password of mine")
    client = Client()
    client.force_login(clerk)
    page = reverse("admin:settlement_bankline_change", args=[line.pk])
    assert "Undo the match" in client.get(page).text
    deed = reverse("admin:settlement_bankline_do", args=[line.pk, "undo"])
    client.post(deed, {"reason": "paid for a namesake"})
    shown = client.get(page).text
    assert "paid for a namesake" in shown
    assert "Undo the match" not in shown
    assert "paid for a namesake" in LogEntry.objects.get(user=clerk).change_message


# The database


RECEIPT = """INSERT INTO settlement_receipt (cause, party_id, currency, amount, received_on,
        bank_line_id, reverses_id, reason, person_id, created_at)
    SELECT cause, party_id, currency, %s, received_on, bank_line_id, %s, %s, %s, now()
    FROM settlement_receipt"""
ALLOCATION = """INSERT INTO settlement_allocation (receipt_id, receivable_id, amount, reverses_id,
        created_at)
    SELECT receipt_id, receivable_id, %s, %s, now() FROM settlement_allocation"""


def refused(statement: str, *values: object) -> str:
    with pytest.raises(Error) as caught, transaction.atomic():
        _execute(statement, values)
    return str(caught.value)


def _execute(statement: str, values: tuple[object, ...]) -> None:
    connection.cursor().execute(statement, values)
    connection.check_constraints()


def test_it_takes_back_all_or_nothing(line: BankLine) -> None:
    receipt, part, by = Receipt.objects.get(), Allocation.objects.get(), money.person().pk
    assert "pays once" in refused(RECEIPT, "100.00", None, "", None)
    assert "as it is" in refused(RECEIPT, "-40.00", receipt.pk, "wrong", by)
    assert "takes_back" in refused(RECEIPT, "-100.00", receipt.pk, "", by)
    assert "takes_back" in refused(RECEIPT, "-100.00", receipt.pk, "wrong", None)
    assert "with all that it settles" in refused(RECEIPT, "-100.00", receipt.pk, "wrong", by)
    assert "settles nothing" in refused(ALLOCATION, "-100.00", part.pk)
    undoing.undo(line, "wrong", money.person())
    assert "settles nothing" in refused(f"{ALLOCATION} WHERE reverses_id IS NULL", "1.00", None)
