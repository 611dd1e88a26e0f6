"""The ledger: every document once, balanced, and never changed."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import Error, connection, transaction

from parties.models import Party
from settlement import booking
from settlement.banking.accounts import seed
from settlement.banking.exchange import convert
from settlement.invariants import breaches
from settlement.ledger import balances, posting
from settlement.ledger.posting import NotPosted, Side
from settlement.models import Account, Document, Entry, FxRate, Leg, Receivable
from tests.racing import at_once
from tests.settlement import factory, money
from tests.settlement.conftest import tampering

pytestmark = pytest.mark.django_db
D = Decimal
DAY = dt.date(2024, 4, 6)


def legs(key: str) -> list[tuple[str, str | None, Decimal]]:
    rows = Leg.objects.filter(entry__idem_key=key).select_related("account__party").order_by("no")
    return [
        (row.account.kind, str(row.account.party) if row.account.party else None, row.amount)
        for row in rows
    ]


def test_a_closed_month_is_booked_as_it_was_issued() -> None:
    money.closed("100.0000", "NL-AAA", "DE-EMP")
    bought = money.bill_of("NL-AAA")
    assert legs(f"document:{bought.pk}") == [
        ("purchases", None, D("100")),
        ("input_vat", None, D("21")),
        ("cpo_payable", "NL*AAA", D("-121")),
    ]
    sold = money.bill_of("DE-EMP", "emsp_invoice")
    assert legs(f"document:{sold.pk}") == [
        ("emsp_receivable", "DE*EMP", D("100")),
        ("sales", None, D("-100")),
    ]
    assert money.owed_by().settled.open == D("100")
    assert breaches() == []


PAYABLE, RECEIVABLE = ("cpo_payable", True), ("emsp_receivable", True)
TABLE = [
    ("self_billing_invoice", "CPO", {"purchases": 100, "input_vat": 21, "cpo_payable": -121}),
    ("self_billing_credit_note", "CPO", {"purchases": -100, "input_vat": -21, "cpo_payable": 121}),
    ("emsp_invoice", "EMSP", {"emsp_receivable": 121, "sales": -100, "output_vat": -21}),
    ("emsp_credit_note", "EMSP", {"emsp_receivable": -121, "sales": 100, "output_vat": 21}),
    ("fee_invoice", "CPO", {"cpo_payable": 121, "fee_revenue": -100, "output_vat": -21}),
    ("fee_invoice", "EMSP", {"emsp_receivable": 121, "fee_revenue": -100, "output_vat": -21}),
]


@pytest.mark.parametrize(("kind", "role", "expected"), TABLE)
def test_each_kind_of_document_has_its_posting(
    kind: str, role: str, expected: dict[str, int]
) -> None:
    party = factory.party("NL-AAA", role)
    document = Document(kind=kind, party=party, net=D(100), tax=D(21), gross=D(121))
    sides = posting.sides_of(document)
    assert {side.kind: side.amount for side in sides} == expected
    assert sum(side.amount for side in sides) == 0
    for side in sides:
        assert (side.party == party) == (side.kind in {"cpo_payable", "emsp_receivable"})


def test_a_kind_without_a_posting_is_not_booked_by_guess() -> None:
    with pytest.raises(NotPosted, match="no posting"):
        posting.sides_of(Document(kind="pro_forma"))


def test_every_kind_of_document_that_can_be_issued_has_a_posting() -> None:
    from settlement.models.documents import Kind

    assert set(Kind.values) <= posting.POSTINGS.keys()


def test_booking_again_changes_nothing() -> None:
    money.closed()
    before = Entry.objects.count(), Leg.objects.count(), Receivable.objects.count()
    assert [booking.post_document(document) for document in Document.objects.all()] == [False] * 2
    assert booking.post_missing() == 0
    assert (Entry.objects.count(), Leg.objects.count(), Receivable.objects.count()) == before


def test_what_an_older_version_issued_is_booked_later() -> None:
    money.closed()
    with tampering():
        for model in (Leg, Entry, Receivable):
            model.objects.all().delete()
    assert {breach.check for breach in breaches()} == {"documents_are_in_the_ledger"}
    assert booking.post_missing() == 2
    assert breaches() == []
    assert Receivable.objects.get().due_on == money.bill_of("DE-EMP", "emsp_invoice").due_on


# I10: balanced, at least two legs, one currency


def account(kind: str = "bank", currency: str = "EUR", party: Party | None = None) -> Account:
    return Account.objects.get_or_create(kind=kind, currency=currency, party=party)[0]


def entry(key: str = "test", currency: str = "EUR") -> Entry:
    return Entry.objects.create(idem_key=key, cause="fx", currency=currency, booked_on=DAY)


def commit(*amounts: str, currencies: tuple[str, ...] = ("EUR", "EUR", "EUR")) -> None:
    with transaction.atomic():
        made = entry()
        for no, (amount, currency) in enumerate(zip(amounts, currencies, strict=False), start=1):
            Leg.objects.create(entry=made, no=no, account=account("sales", currency), amount=amount)
        connection.check_constraints()


@pytest.mark.parametrize("amounts", [("10", "-9.99"), ("10",), (), ("10", "-5", "-5.0001")])
def test_an_entry_that_does_not_balance_is_refused(amounts: tuple[str, ...]) -> None:
    with pytest.raises(Error, match="does not balance"):
        commit(*amounts)
    assert not Entry.objects.exists()


def test_two_currencies_do_not_balance_each_other() -> None:
    with pytest.raises(Error, match="one currency"):
        commit("10", "-10", currencies=("EUR", "USD"))


def test_a_leg_of_nothing_is_refused() -> None:
    with pytest.raises(Error, match="leg_is_not_zero"):
        commit("10", "-10", "0")


# I11: legs only with their entry


def test_legs_may_come_in_savepoints_of_the_transaction_of_their_entry() -> None:
    with transaction.atomic():
        made = entry()
        for no, amount in enumerate(("10", "-10")):
            with transaction.atomic():
                Leg.objects.create(entry=made, no=no, account=account(), amount=amount)
        connection.check_constraints()
    assert Leg.objects.count() == 2


def test_no_leg_joins_an_entry_later(transactional_db: None) -> None:
    with transaction.atomic():
        posting.post("k", "fx", "EUR", DAY, [Side("bank", D(1)), Side("sales", D(-1))])
    made = Entry.objects.get()
    with pytest.raises(Error, match="never later"), transaction.atomic():
        Leg.objects.create(entry=made, no=3, account=account(), amount=D(5))
    insert = "INSERT INTO settlement_leg (entry_id, no, account_id, amount) VALUES (%s, %s, %s, %s)"
    rows = [(made.pk, no, account().pk, amount) for no, amount in ((3, 5), (4, -5))]
    with pytest.raises(Error, match="never later"), transaction.atomic():
        connection.cursor().executemany(insert, rows)


def test_nobody_chooses_the_transaction_of_an_entry(transactional_db: None) -> None:
    with transaction.atomic():
        posting.post("k", "fx", "EUR", DAY, [Side("bank", D(1)), Side("sales", D(-1))])
    with connection.cursor() as cursor:
        cursor.execute("SELECT txid::text FROM settlement_entry")
        (first,) = cursor.fetchone()
    forged = """INSERT INTO settlement_entry
        (idem_key, cause, currency, booked_on, text, created_at, txid)
        SELECT 'forged', cause, currency, booked_on, text, created_at, txid
        FROM settlement_entry RETURNING txid::text"""
    with pytest.raises(Error, match="does not balance"), transaction.atomic():  # noqa: PT012
        with connection.cursor() as cursor:
            cursor.execute(forged)
            assert cursor.fetchone()[0] != first
        connection.check_constraints()


# I12: nothing changes


@pytest.mark.parametrize("name", ["entry", "leg", "account"])
def test_the_ledger_is_neither_changed_nor_deleted_nor_truncated(name: str) -> None:
    money.closed()
    connection.check_constraints()
    for statement in ("UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            connection.cursor().execute(statement.format(f"settlement_{name}"))


def test_a_key_is_booked_once_whoever_tries() -> None:
    sides = [Side("bank", D(1)), Side("sales", D(-1))]
    assert posting.post("k", "fx", "EUR", DAY, sides)
    assert posting.post("k", "fx", "EUR", DAY, sides) is None
    with pytest.raises(Error, match="idem_key"), transaction.atomic():
        entry("k")


def test_eight_at_once_book_each_document_once(transactional_db: None) -> None:
    for number in range(4):
        money.traded("10.0000", f"FR-A{number:02}", "DE-EMP")
    money.close()
    with tampering():
        for model in (Leg, Entry, Receivable, Account):
            model.objects.all().delete()

    def book() -> int:
        done = 0
        for document in Document.objects.order_by("pk"):
            try:
                done += booking.post_document(document)
            except Error:  # somebody else books it at this moment
                continue
        return done

    assert sum(at_once(*[book] * 8)) == 5
    booking.post_missing()
    assert Entry.objects.count() == Document.objects.count() == 5
    assert breaches() == []


# What it says


def test_the_trial_balance_adds_up_and_names_every_account() -> None:
    money.closed("100.0000", "NL-AAA", "DE-EMP")
    rows = balances.trial_balance(DAY)
    assert {row.kind: row.balance for row in rows} == {
        "emsp_receivable": D(100),
        "cpo_payable": D(-121),
        "input_vat": D(21),
        "purchases": D(100),
        "sales": D(-100),
    }
    assert balances.currency_sums(rows) == [("EUR", D(221), D(221), D(0))]
    assert balances.trial_balance(DAY - dt.timedelta(days=1)) == []
    parties = {row.party for row in balances.trial_balance(DAY, by_party=True)}
    assert parties == {"", "DE-EMP", "NL-AAA"}


def test_a_party_s_account_goes_from_opening_to_closing() -> None:
    money.closed("100.0000", "FR-ABC", "DE-EMP")
    money.pay("DE-EMP", "30.00")
    party = money.party_of("DE-EMP")
    before = balances.party_statement(party, "EUR", DAY, DAY)
    assert (before.opening, before.closing) == (D(0), D(-100))
    after = balances.party_statement(party, "EUR", dt.date(2024, 5, 1), dt.date(2024, 5, 31))
    assert (after.opening, after.closing) == (D(-100), D(-70))
    assert after.opening + sum(amount for _cause, amount in after.totals) == after.closing
    assert [row.amount for row in after.movements] == [D(30)]


# Currencies


def test_money_changes_its_currency_through_the_clearing_account() -> None:
    money.closed("100.0000", "FR-ABC", "DE-EMP")
    money.pay()
    party = money.party_of("FR-ABC")
    seed(party, "USD")
    FxRate.objects.create(on=DAY, base="EUR", quote="USD", rate=D("1.0867"))
    bought = convert(party, D("33.33"), base="EUR", quote="USD", on=DAY, key="1")
    assert bought == D("36.22")
    assert balances.owed_to(party, "EUR") == D("66.67")
    assert balances.owed_to(party, "USD") == D("36.22")
    assert balances.balance_of("fx_clearing", None, "EUR") == D("-33.33")
    assert balances.balance_of("fx_clearing", None, "USD") == D("36.22")
    assert all(row[3] == 0 for row in balances.currency_sums(balances.trial_balance(DAY)))
    assert "1.0867" in Entry.objects.filter(cause="fx").first().text


def test_an_exchange_needs_a_rate_and_a_balance_and_is_made_once() -> None:
    money.closed("100.0000", "FR-ABC", "DE-EMP")
    money.pay()
    party = money.party_of("FR-ABC")
    change = {"base": "EUR", "quote": "USD", "on": DAY, "key": "1"}
    with pytest.raises(NotPosted, match="no rate"):
        convert(party, D("33.33"), **change)
    FxRate.objects.create(on=DAY, base="EUR", quote="USD", rate=D("1.0867"))
    for amount, told in (
        ("100.01", "cannot be paid"),
        ("0.00", "cannot be paid"),
        ("1.001", "not an amount"),
    ):
        with pytest.raises(NotPosted, match=told):
            convert(party, D(amount), **change)
    convert(party, D("33.33"), **change)
    with pytest.raises(NotPosted, match="booked already"):
        convert(party, D("33.33"), **change)
