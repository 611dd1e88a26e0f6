"""Bank statements: read without trust, taken in once, matched where it is sure."""

from decimal import Decimal

import pytest
from django.db import Error, connection, transaction

from settlement.banking import allocating, camt, matching, statements, writeoffs
from settlement.banking.camt import BadStatement
from settlement.banking.statements import CannotMatch
from settlement.invariants import breaches
from settlement.ledger.balances import balance_of
from settlement.models import BankLine, BankStatement, Entry, Receipt, Receivable
from tests.racing import at_once
from tests.settlement import money
from tests.settlement.money import Booking

pytestmark = pytest.mark.django_db
D = Decimal


def hub_ready() -> None:
    money.party_of("FR-ABC", "CPO")


def rows() -> tuple[int, ...]:
    models = (BankStatement, BankLine, Entry, Receipt)
    return tuple(model.objects.count() for model in models)


# Reading


@pytest.mark.parametrize("version", ["02", "04", "06", "08", "10", "13"])
def test_every_version_reads_alike(version: str) -> None:
    hub_ready()
    booking = Booking(
        "12.34", "OCN-S-1 and more", "R1", "E2E", "DE02120300000000202051", "Évi & Co"
    )
    (told,) = camt.read(money.camt(booking, version=version))
    (line,) = told.lines
    assert (told.ident, told.currency) == ("2024-05-02", "EUR")
    assert (told.opened_with, told.closed_with) == (D("1000.00"), D("1012.34"))
    assert (line.key, line.amount, line.end_to_end_id) == ("R1", D("12.34"), "E2E")
    assert (line.counterparty, line.remittance) == ("Évi & Co", "OCN-S-1 and more")
    assert line.counterparty_account == "DE02120300000000202051"
    assert (line.booked_on.day, line.value_on.day) == (2, 3)


def test_pending_entries_are_not_booked() -> None:
    hub_ready()
    (told,) = camt.read(money.camt(Booking("5.00"), Booking("7.00", status="PDNG")))
    assert [line.amount for line in told.lines] == [D("5.00")]


def detail(amount: str, end_to_end: str) -> str:
    return (
        f"<TxDtls><Refs><EndToEndId>{end_to_end}</EndToEndId></Refs>"
        f'<AmtDtls><TxAmt><Amt Ccy="EUR">{amount}</Amt></TxAmt></AmtDtls></TxDtls>'
    )


def test_an_entry_of_many_transactions_is_many_lines() -> None:
    hub_ready()
    more = detail("30.00", "A") + detail("12.00", "B")
    (told,) = camt.read(money.camt(Booking("-42.00", reference="R", more=more)))
    assert [(line.key, line.amount, line.end_to_end_id) for line in told.lines] == [
        ("R/1", D("-30.00"), "A"),
        ("R/2", D("-12.00"), "B"),
    ]


def test_references_that_the_bank_repeats_or_omits_stay_apart() -> None:
    hub_ready()
    bookings = [Booking("1.00", reference=name) for name in ("R", "R", None, None)]
    (told,) = camt.read(money.camt(*bookings))
    keys = [line.key for line in told.lines]
    assert keys == ["R", "R~2", "2024-05-02/3", "2024-05-02/4"]


def swapped(old: str, new: str) -> bytes:
    text = money.camt(Booking("5.00", reference="R")).decode()
    assert old in text
    return text.replace(old, new).encode()


ENTITY = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
FAULTS = [
    ("<Document", "<Dokument", "not XML"),
    ("camt.053.001.08", "camt.054.001.08", "not a camt.053"),
    ("<Document xmlns", f"{ENTITY}<Document xmlns", "document type"),
    ("BkToCstmrStmt", "Something", "no statement"),
    ("<Id>2024-05-02</Id>", "", "the statement has no Id"),
    ("OPBD", "XXXX", "no balance OPBD"),
    ("CLBD", "XXXX", "no balance CLBD"),
    (">1005.00<", ">1005.01<", "does not add up"),
    ('<Amt Ccy="EUR">5.00', '<Amt Ccy="USD">5.00', "is in USD, its account in EUR"),
    ('<Amt Ccy="EUR">5.00', '<Amt Ccy="EUR">5.001', "not an amount of a currency"),
    ('<Amt Ccy="EUR">5.00', '<Amt Ccy="EUR">five', "not an amount"),
    ('<Amt Ccy="EUR">5.00', '<Amt Ccy="EUR">-5.00', "not an amount"),
    ('<Amt Ccy="EUR">5.00', '<Amt Ccy="EUR">NaN', "not an amount"),
    ('<Amt Ccy="EUR">5.00', '<Amt Ccy="">5.00', "not an amount of a currency"),
    ("<CdtDbtInd>CRDT</CdtDbtInd>\n<Sts>", "<Sts>", "has no CdtDbtInd"),
    ("<CdtDbtInd>CRDT</CdtDbtInd>\n<Sts>", "<CdtDbtInd>X</CdtDbtInd><Sts>", "CdtDbtInd is 'X'"),
    ("<Sts><Cd>BOOK</Cd></Sts>", "", "has no Sts"),
    ("<BookgDt><Dt>2024-05-02", "<BookgDt><Dt>2024-13-02", "not a day"),
    ("<Ccy>EUR</Ccy>", "<Ccy>USD</Ccy>", "the account in USD"),
]


@pytest.mark.parametrize(("old", "new", "told"), FAULTS)
def test_a_fault_is_told_and_nothing_is_changed(old: str, new: str, told: str) -> None:
    hub_ready()
    content, before = swapped(old, new), rows()
    with pytest.raises(BadStatement, match=told):
        statements.import_file(content)
    assert rows() == before


def test_a_statement_of_a_strange_account_is_refused() -> None:
    hub_ready()
    with pytest.raises(BadStatement, match="no verified account of the hub"):
        statements.import_file(money.camt(Booking("5.00"), iban="DE02120300000000202051"))
    assert rows() == (0, 0, 0, 0)


def test_transactions_that_do_not_make_up_their_entry_are_refused() -> None:
    hub_ready()
    more = detail("30.00", "A") + detail("11.99", "B")
    with pytest.raises(BadStatement, match=r"of 42.00, its transactions of 41.99"):
        statements.import_file(money.camt(Booking("-42.00", more=more)))


def test_one_bad_entry_refuses_the_whole_file() -> None:
    hub_ready()
    good, bad = Booking("5.00"), Booking("6.00", currency="USD")
    with pytest.raises(BadStatement, match="entry 2 is in USD"):
        statements.import_file(money.camt(good, bad))
    assert rows() == (0, 0, 0, 0)


# I19: once


def test_a_file_is_taken_in_once() -> None:
    money.closed()
    content = money.camt(Booking("40.00", money.owed_by().document.number), Booking("5.00"))
    first, again = statements.import_file(content), statements.import_file(content)
    assert [(item.new, item.known, item.matched) for item in first] == [(2, 0, 1)]
    assert [(item.new, item.known, item.matched) for item in again] == [(0, 2, 0)]
    assert rows() == (1, 2, 4, 1)
    assert money.owed_by().settled.open == D(60)
    assert breaches() == []


def test_statements_that_overlap_book_each_line_once() -> None:
    hub_ready()
    early, late = Booking("5.00", reference="A"), Booking("6.00", reference="B")
    statements.import_file(money.camt(early, ident="1"))
    (done,) = statements.import_file(money.camt(early, late, ident="2"))
    assert (done.new, done.known) == (1, 1)
    assert balance_of("bank", None, "EUR") == D("11.00")


def test_a_line_that_has_changed_since_is_refused() -> None:
    hub_ready()
    statements.import_file(money.camt(Booking("5.00", reference="A"), ident="1"))
    before = rows()
    with pytest.raises(BadStatement, match=r"A was 5 before and is 6.00 now"):
        statements.import_file(money.camt(Booking("6.00", reference="A"), ident="2"))
    assert rows() == before


def test_eight_at_once_take_a_file_in_once(transactional_db: None) -> None:
    money.closed()
    content = money.camt(Booking("40.00", money.owed_by().document.number), Booking("5.00"))
    done = at_once(*[lambda: statements.import_file(content)] * 8)
    assert sum(item.new for (item,) in done) == 2
    assert money.owed_by().settled.open == D(60)
    assert breaches() == []


def test_the_database_books_a_line_once_and_keeps_it() -> None:
    hub_ready()
    (line,) = money.received(Booking("5.00"))
    connection.check_constraints()
    for change in ({"amount": 6}, {"remittance": "x"}, {"key": "x"}):
        with pytest.raises(Error, match="stays as it is"), transaction.atomic():
            BankLine.objects.update(**change)
    with pytest.raises(Error, match="stays as it is"), transaction.atomic():
        connection.cursor().execute("DELETE FROM settlement_bankline")
    line.pk = None
    with pytest.raises(Error, match="bank_line_booked_once"), transaction.atomic():
        line.save(force_insert=True)


def test_a_missing_statement_is_told() -> None:
    hub_ready()
    statements.import_file(money.camt(Booking("5.00"), ident="1"))
    (done,) = statements.import_file(money.camt(Booking("5.00"), opening="1010.00", ident="2"))
    assert done.gap == "1 closed with 1005.00, this one opens with 1010.00"


# Matching


def test_money_that_says_nothing_waits_for_a_person() -> None:
    money.closed()
    (line,) = money.received(Booking("99.00", "hello"))
    assert line.state == "open"
    assert matching.suggestions(line) == []
    assert balance_of("unidentified", None, "EUR") == D(-99)
    assert breaches() == []


@pytest.mark.parametrize(
    "spelled",
    ["{0}", "Invoice {0}, thanks", "{1}", "payment {2}", "OCN S DEEMP 2024 000001"],
)
def test_a_number_is_found_however_a_bank_has_mangled_it(spelled: str) -> None:
    money.closed()
    number = money.owed_by().document.number
    text = spelled.format(number, number.replace("-", ""), number.lower())
    (line,) = money.received(Booking("40.00", text))
    assert line.state == "matched"
    assert money.owed_by().settled.open == D(60)


@pytest.mark.parametrize("text", ["OCN-S-DEEMP-2024-0000012", "XOCN-S-DEEMP-2024-00000", "000001"])
def test_another_number_is_not_taken_for_it(text: str) -> None:
    money.closed()
    (line,) = money.received(Booking("40.00", text))
    assert line.state == "open"


def test_the_end_to_end_id_may_name_the_invoice() -> None:
    money.closed()
    number = money.owed_by().document.number
    (line,) = money.received(Booking("100.00", "", end_to_end=number))
    assert line.state == "matched"


def iban_of(code: str) -> str:
    return money.party_of(code).bank_accounts.get().iban


def test_the_account_and_the_exact_amount_are_enough() -> None:
    money.closed()
    exact, other = money.received(
        Booking("99.00", iban=iban_of("DE-EMP")), Booking("100.00", iban=iban_of("DE-EMP"))
    )
    assert (exact.state, other.state) == ("open", "matched")
    assert money.owed_by().state == "paid"


def test_the_amount_alone_is_a_suggestion() -> None:
    money.closed()
    (line,) = money.received(Booking("100.00", "hello"))
    (suggestion,) = matching.suggestions(line)
    assert (suggestion.party, suggestion.sure) == (money.party_of("DE-EMP"), False)
    assert suggestion.open == D(100)


def test_invoices_of_two_parties_in_one_line_are_for_a_person() -> None:
    money.traded("100.0000", "FR-ABC", "DE-EMP")
    money.closed("50.0000", "FR-ABC", "BE-OTH")
    numbers = " ".join(row.document.number for row in Receivable.objects.all())
    (line,) = money.received(Booking("150.00", numbers))
    assert line.state == "open"
    assert {item.party for item in matching.suggestions(line)} == {
        money.party_of("DE-EMP"),
        money.party_of("BE-OTH"),
    }


def test_a_person_matches_what_was_open() -> None:
    money.closed()
    (line,) = money.received(Booking("130.00", "hello"))
    left = statements.match(line, money.party_of("DE-EMP"), [money.owed_by()])
    assert left == D(30)
    assert balance_of("unidentified", None, "EUR") == D(0)
    assert breaches() == []
    with pytest.raises(CannotMatch, match="already"):
        statements.match(line, money.party_of("DE-EMP"), [])


def test_a_person_cannot_match_what_does_not_fit() -> None:
    money.closed()
    money.party_of("BE-OTH", "EMSP")
    came, went = money.received(Booking("130.00", "hello"), Booking("-5.00", "fee"))
    with pytest.raises(CannotMatch, match="not all of these"):
        statements.match(came, money.party_of("BE-OTH"), [money.owed_by()])
    with pytest.raises(CannotMatch, match="only money that came in"):
        statements.match(went, money.party_of("DE-EMP"), [])
    assert Receipt.objects.count() == 0


def test_eight_at_once_match_a_line_once(transactional_db: None) -> None:
    money.closed()
    (line,) = money.received(Booking("60.00", "hello"))
    party = money.party_of("DE-EMP")

    def match() -> bool:
        try:
            statements.match(line, party, [])
        except CannotMatch:
            return False
        return True

    assert sum(at_once(*[match] * 8)) == 1
    assert money.owed_by().settled.open == D(40)
    assert breaches() == []


def test_bank_charges_are_booked_by_two_people() -> None:
    hub_ready()
    (line,) = money.received(Booking("-4.50", "monthly fee"))
    proposed = writeoffs.propose_line(line, "bank charges of May", money.person("clerk"))
    writeoffs.approve(proposed, money.person("approver"), writeoffs.digest(proposed))
    line.refresh_from_db()
    assert line.state == "matched"
    assert balance_of("bank_charges", None, "EUR") == D("4.50")
    assert breaches() == []


def test_a_line_that_is_proposed_to_be_given_up_is_not_matched() -> None:
    money.closed()
    (line,) = money.received(Booking("2.00", "nobody's"))
    writeoffs.propose_line(line, "nobody claims it", money.person("clerk"))
    with pytest.raises(CannotMatch, match="decide about that first"):
        statements.match(line, money.party_of("DE-EMP"), [])


def test_what_is_paid_twice_stays_to_the_party_s_credit() -> None:
    money.closed()
    number = money.owed_by().document.number
    money.received(Booking("100.00", number))
    (line,) = money.received(Booking("100.00", number))
    assert line.state == "matched"
    assert allocating.credit_of(money.party_of("DE-EMP"), "EUR") == D(100)
    assert breaches() == []
