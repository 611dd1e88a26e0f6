"""What eMSPs owe: paid in parts, late in steps, reminded once, given up by two people."""

import datetime as dt
from decimal import Decimal

import pytest
from django.core import mail
from django.db import Error, connection, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from settlement.banking import allocating, receivables, reminders, writeoffs
from settlement.banking.writeoffs import CannotWriteOff
from settlement.invariants import breaches
from settlement.ledger.balances import balance_of
from settlement.models import Allocation, BillingContact, Receipt, Receivable, Reminder, WriteOff
from tests.racing import at_once
from tests.settlement import factory, money
from tests.settlement.money import Booking

pytestmark = pytest.mark.django_db
D = Decimal
DUE = dt.date(2024, 4, 20)  # the documents are of 6 April, and eMSPs have 14 days
MAY = dt.date(2024, 4, 1)


def two_months() -> list[Receivable]:
    """Have DE-EMP owe 100.00 of one month and 50.00 of the next."""
    seller, payer = money.party_of("FR-ABC", "CPO"), money.party_of("DE-EMP", "EMSP")
    factory.cdr(seller, payer, "100.0000")
    money.close()
    factory.cdr(seller, payer, "50.0000", month=MAY)
    money.close(MAY)
    return list(Receivable.objects.order_by("pk"))


def open_amounts() -> list[Decimal]:
    rows = Receivable.objects.select_related("settled").order_by("pk")
    return money.unpaid(rows)


# Payments


def test_a_payment_in_full_settles_the_invoice() -> None:
    money.closed()
    money.pay()
    assert (money.owed_by().state, money.owed_by().settled.open) == ("paid", D(0))
    assert breaches() == []


def test_a_part_payment_leaves_the_rest_open() -> None:
    money.closed()
    money.pay(amount="40.00")
    assert (money.owed_by().state, money.owed_by().settled.open) == ("open", D(60))
    money.pay(amount="60.00")
    assert money.owed_by().state == "paid"
    assert breaches() == []


def test_named_invoices_are_settled_first_and_what_is_left_stays_to_the_party() -> None:
    _old, new = two_months()
    money.received(Booking("80.00", f"for {new.document.number}"))
    assert open_amounts() == [D(100), D(0)]
    party = money.party_of("DE-EMP")
    assert allocating.credit_of(party, "EUR") == D(30)
    allocating.allocate_credit(party, "EUR")
    assert open_amounts() == [D(70), D(0)]
    assert breaches() == []


def test_unnamed_money_settles_the_oldest_first() -> None:
    two_months()
    (line,) = money.received(Booking("120.00", "thanks"))
    from settlement.banking import statements

    left = statements.match(line, money.party_of("DE-EMP"), [])
    assert left == 0
    assert open_amounts() == [D(0), D(30)]


def test_a_surplus_settles_the_next_invoice_when_it_is_issued() -> None:
    seller, payer = money.party_of("FR-ABC", "CPO"), money.party_of("DE-EMP", "EMSP")
    factory.cdr(seller, payer, "100.0000")
    money.close()
    money.pay(amount="130.00")
    assert allocating.credit_of(payer, "EUR") == D(30)
    factory.cdr(seller, payer, "50.0000", month=MAY)
    money.close(MAY)
    assert open_amounts() == [D(0), D(20)]
    assert balance_of("emsp_receivable", payer, "EUR") == D(20)
    assert breaches() == []


# I17


def _receipt(amount: str, code: str = "DE-EMP") -> Receipt:
    (line,) = money.received(Booking(amount, "no reference at all"))
    return Receipt.objects.create(
        cause="payment",
        party=money.party_of(code),
        currency="EUR",
        amount=D(amount),
        received_on=money.TODAY,
        bank_line=line,
    )


INSERT = """INSERT INTO settlement_allocation (receipt_id, receivable_id, amount, created_at)
    VALUES (%s, %s, %s, now())"""


def refused(*rows: tuple[object, ...]) -> str:
    with pytest.raises(Error) as caught, transaction.atomic():
        connection.cursor().executemany(INSERT, rows)
    return str(caught.value)


def test_no_more_is_allocated_than_was_received_or_is_owed() -> None:
    money.closed()
    money.party_of("BE-OTH", "EMSP")
    owed, small, big = money.owed_by(), _receipt("40.00"), _receipt("140.00")
    assert "than was received" in refused((small.pk, owed.pk, "40.01"))
    assert "than was received" in refused((small.pk, owed.pk, 30), (small.pk, owed.pk, 11))
    assert "than is owed" in refused((big.pk, owed.pk, "100.01"))
    assert "than is owed" in refused((small.pk, owed.pk, 40), (big.pk, owed.pk, 61))
    assert "allocation_positive" in refused((big.pk, owed.pk, -1))
    assert "own party" in refused((_receipt("5.00", "BE-OTH").pk, owed.pk, 5))
    assert not Allocation.objects.exists()


def test_allocations_and_receipts_stay_as_they_are() -> None:
    money.closed()
    money.pay()
    connection.check_constraints()
    for name in ("allocation", "receipt"):
        for statement in ("UPDATE {} SET amount = 1", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
            with pytest.raises(Error, match="append-only"), transaction.atomic():
                connection.cursor().execute(statement.format(f"settlement_{name}"))
    with pytest.raises(Error, match="stays as it is"), transaction.atomic():
        Receivable.objects.update(amount=1)


def test_eight_at_once_allocate_what_there_is_and_no_more(transactional_db: None) -> None:
    money.closed()
    receipts = [_receipt("30.00") for _ in range(8)]

    def allocate(receipt: Receipt) -> Decimal:
        return allocating.allocate(receipt)

    left = at_once(*[lambda receipt=receipt: allocate(receipt) for receipt in receipts])
    assert sum(left) == D(8 * 30 - 100)
    assert (money.owed_by().state, money.owed_by().settled.open) == ("paid", D(0))


def test_eight_at_once_are_refused_by_the_database_where_the_code_is_passed_by(
    transactional_db: None,
) -> None:
    money.closed()
    owed = money.owed_by()
    receipts = [_receipt("30.00") for _ in range(8)]

    def insert(receipt: Receipt) -> bool:
        try:
            with connection.cursor() as cursor:
                cursor.execute(INSERT, [receipt.pk, owed.pk, "30.00"])
        except Error as error:
            assert "than is owed" in str(error)  # noqa: PT017
            return False
        return True

    done = at_once(*[lambda receipt=receipt: insert(receipt) for receipt in receipts])
    assert sum(done) == 3
    assert money.owed_by().settled.open == D(10)


@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    phases=[Phase.generate],
)
@given(
    owed=st.lists(st.integers(1, 30_000), min_size=1, max_size=4),
    paid=st.lists(st.integers(1, 40_000), min_size=1, max_size=6),
    named=st.lists(st.integers(0, 3), max_size=3),
)
def test_whatever_is_paid_in_whatever_order_every_cent_is_somewhere(
    db: None, owed: list[int], paid: list[int], named: list[int]
) -> None:
    with transaction.atomic():
        _pay_all([D(n) / 100 for n in owed], [D(n) / 100 for n in paid], named)
        transaction.set_rollback(True)


def _pay_all(owed: list[Decimal], paid: list[Decimal], named: list[int]) -> None:
    seller, payer = money.party_of("FR-ABC", "CPO"), money.party_of("DE-EMP", "EMSP")
    for number, amount in enumerate(owed):
        month = dt.date(2024, 1 + number, 1)
        factory.cdr(seller, payer, str(amount), month=month)
        money.close(month)
    rows = list(Receivable.objects.order_by("pk"))
    names = " ".join(rows[place].document.number for place in named if place < len(rows))
    for number, amount in enumerate(paid):
        text = names if names and number == 0 else rows[0].document.number
        money.received(Booking(str(amount), text))
    allocating.allocate_credit(payer, "EUR")
    left, total = sum(open_amounts()), sum(owed) - sum(paid)
    assert left == max(total, D(0))
    assert allocating.credit_of(payer, "EUR") == max(-total, D(0))
    assert balance_of("emsp_receivable", payer, "EUR") == total
    assert breaches() == []


# Late


@pytest.mark.parametrize(
    ("days", "state"),
    [
        *((-1, "open"), (0, "due"), (1, "overdue_1"), (6, "overdue_1"), (7, "overdue_2")),
        *((14, "overdue_3"), (20, "overdue_3"), (21, "suspended"), (44, "suspended")),
        *((45, "collection"), (400, "collection")),
    ],
)
def test_a_late_invoice_climbs_the_ladder(days: int, state: str) -> None:
    money.closed()
    receivables.advance(DUE + dt.timedelta(days=days))
    assert money.owed_by().state == state
    assert receivables.advance(DUE + dt.timedelta(days=days)) == 0


def test_what_is_paid_climbs_no_more_and_never_back() -> None:
    money.closed()
    receivables.advance(DUE + dt.timedelta(days=8))
    assert receivables.advance(DUE + dt.timedelta(days=2)) == 0
    assert money.owed_by().state == "overdue_2"
    money.pay()
    assert receivables.advance(DUE + dt.timedelta(days=30)) == 0
    assert money.owed_by().state == "paid"


def test_each_reminder_is_sent_once() -> None:
    money.closed()
    for days in (1, 2, 7, 8, 14, 21, 45):
        receivables.advance(DUE + dt.timedelta(days=days))
        reminders.send_due()
        reminders.send_due()
    assert len(mail.outbox) == Reminder.objects.count() == 5
    first = mail.outbox[0]
    assert first.to == ["billing@de-emp.example"]
    assert first.subject == (
        "[Open Charge Network][DE-EMP] Payment of OCN-S-DEEMP-2024-000001 is late: 100.00 EUR"
    )
    assert "was due on 2024-04-20" in first.body
    assert "This message comes from a sandbox" in first.body
    assert "formal notice" in mail.outbox[2].body
    assert len({message.extra_headers["Message-ID"] for message in mail.outbox}) == 5


def test_what_is_paid_before_the_mail_goes_out_is_not_reminded() -> None:
    money.closed()
    receivables.advance(DUE + dt.timedelta(days=1))
    money.pay()
    assert reminders.send_due() == 0
    assert mail.outbox == []


def test_a_mail_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    money.closed()
    receivables.advance(DUE + dt.timedelta(days=1))

    def fail(*_args: object) -> None:
        raise OSError("no route")

    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.EmailMessage.send", fail)
        assert reminders.send_due() == 0
    assert reminders.send_due() == 1


def test_without_a_contact_the_reminder_waits() -> None:
    money.closed()
    BillingContact.objects.all().delete()
    receivables.advance(DUE + dt.timedelta(days=1))
    assert reminders.send_due() == 0
    BillingContact.objects.create(party=money.party_of("DE-EMP"), email="new@emp.example")
    assert reminders.send_due() == 1
    assert Reminder.objects.get().sent_to == "new@emp.example"


def test_eight_at_once_remind_once(transactional_db: None) -> None:
    money.closed()
    day = DUE + dt.timedelta(days=3)
    moved = at_once(*[lambda: receivables.advance(day)] * 8)
    assert sum(moved) == 1
    at_once(*[reminders.send_due] * 8)
    assert len(mail.outbox) == 1


def test_what_is_owed_is_told_by_age() -> None:
    two_months()
    with transaction.atomic():
        (age,) = receivables.by_age(DUE + dt.timedelta(days=10))
    assert age.amounts == [D(0), D(0), D(150), D(0), D(0), D(0)]
    assert (age.total, age.overdue) == (D(150), D(150))
    (age,) = receivables.by_age(DUE)
    assert age.amounts[0] == age.total == D(150)
    assert [receivables.bucket_of(n) for n in (0, 1, 7, 8, 14, 15, 21, 22, 45, 46, 999)] == [
        *(0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5)
    ]


# Given up


def proposal(amount: str = "40.00") -> WriteOff:
    return writeoffs.propose_receivable(
        money.owed_by(), D(amount), "insolvent", money.person("clerk")
    )


def test_a_write_off_is_proposed_by_one_and_approved_by_another() -> None:
    money.closed()
    proposed = proposal("100.00")
    assert money.owed_by().settled.open == D(100)
    with pytest.raises(CannotWriteOff, match="cannot decide"):
        writeoffs.approve(proposed, money.person("clerk"), writeoffs.digest(proposed))
    writeoffs.approve(proposed, money.person("approver"), writeoffs.digest(proposed))
    assert (money.owed_by().state, money.owed_by().settled.open) == ("written_off", D(0))
    assert balance_of("bad_debt", None, "EUR") == D(100)
    assert money.owed_by().settled.collected == D(0)
    assert breaches() == []


def test_a_write_off_is_refused_or_decided_once() -> None:
    money.closed()
    proposed = proposal()
    with pytest.raises(CannotWriteOff, match="proposed already"):
        proposal()
    seen = writeoffs.digest(proposed)
    writeoffs.refuse(proposed, money.person("approver"))
    with pytest.raises(CannotWriteOff, match="decided about already"):
        writeoffs.approve(proposed, money.person("approver"), seen)
    assert money.owed_by().settled.open == D(100)


@pytest.mark.parametrize(
    ("amount", "reason", "told"),
    [
        ("100.01", "x", "only 100 is open"),
        ("0", "x", "only 100 is open"),
        ("1.001", "x", "not an amount"),
        ("1.00", " ", "say why"),
    ],
)
def test_a_bad_proposal_is_refused(amount: str, reason: str, told: str) -> None:
    money.closed()
    with pytest.raises(CannotWriteOff, match=told):
        writeoffs.propose_receivable(money.owed_by(), D(amount), reason, money.person())
    assert not WriteOff.objects.exists()


def test_what_is_paid_in_between_cannot_be_written_off() -> None:
    money.closed()
    proposed = proposal("100.00")
    money.pay(amount="30.00")
    with pytest.raises(CannotWriteOff, match="only 70 is open by now"):
        writeoffs.approve(proposed, money.person("approver"), writeoffs.digest(proposed))
    proposed.refresh_from_db()
    assert proposed.state == "proposed"


def test_the_database_wants_two_people_and_what_they_saw() -> None:
    money.closed()
    proposed, clerk, approver = proposal(), money.person("clerk"), money.person("approver")
    connection.check_constraints()
    now, seen = money.NOW, writeoffs.digest(proposed)
    rows = WriteOff.objects.filter(pk=proposed.pk)
    for person, digest, told in (
        (clerk, seen, "second_person"),
        (approver, "0" * 64, "not what was approved"),
        (None, seen, "second_person"),
    ):
        with pytest.raises(Error, match=told), transaction.atomic():
            rows.update(
                state="approved", approved_by=person, approved_at=now, approved_sha256=digest
            )
    for change in ({"amount": 41}, {"reason": "another"}, {"created_by": approver}):
        with pytest.raises(Error, match="stays as it is"), transaction.atomic():
            rows.update(**change)
    with pytest.raises(Error, match="stays as it is"), transaction.atomic():
        connection.cursor().execute("DELETE FROM settlement_writeoff")
