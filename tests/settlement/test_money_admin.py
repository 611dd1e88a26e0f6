"""The money desk: what clerks and approvers see and do, and what they may not."""

import csv
import datetime as dt
import io
import zipfile
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from parties.models import User
from settlement import exports, staff
from settlement.banking import batches
from settlement.invariants import breaches
from settlement.models import (
    Account,
    BankAccount,
    BankLine,
    BankStatement,
    FxRate,
    Payout,
    PayoutBatch,
    WriteOff,
)
from tests.settlement import money
from tests.settlement.money import Booking

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]
D = Decimal
PASSWORD = "a long password of mine"


def as_(access: str) -> Client:
    """Log somebody in who has an access."""
    user, _ = staff.grant(f"{access}@hub.example", access, PASSWORD)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def clerk() -> Client:
    return as_("clerk")


@pytest.fixture
def approver() -> Client:
    return as_("approver")


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:settlement_{name}", args=args)


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.status_code
    page: str = answer.content.decode()
    assert "<script>" not in page
    assert " style=" not in page
    return page


def do(client: Client, model: str, row: Any, name: str, **values: Any) -> str:
    """Press a button and return the page that comes then."""
    answer = client.post(url(f"{model}_do", row.pk, name), values)
    assert answer.status_code == 302, answer.status_code
    return text(client.get(answer["Location"]))


@pytest.fixture
def busy() -> None:
    """Have something of everything."""
    money.traded("60.0000", "ES-XYZ", "BE-OTH")
    money.closed("100.0000", "FR-ABC", "DE-EMP")
    money.pay("DE-EMP")
    money.plan()
    money.received(Booking("60.00", "who are you"))


LISTS = (
    *("receivable", "writeoff", "reminder", "setoff", "billingcontact", "bankaccount"),
    *("bankstatement", "bankline", "payout", "payoutbatch", "account", "entry", "fxrate"),
)
PAGES = (
    *(f"{name}_changelist" for name in LISTS),
    *("receivable_ageing", "bankstatement_import", "payout_waiting"),
    *("account_trial", "account_statement"),
)


@pytest.mark.parametrize("name", PAGES)
def test_a_clerk_opens_every_page(busy: None, clerk: Client, name: str) -> None:
    text(clerk.get(url(name)))


@pytest.mark.parametrize("name", PAGES)
def test_a_stranger_opens_none(busy: None, client: Client, name: str) -> None:
    assert client.get(url(name)).status_code == 302
    user = User.objects.create_user("nobody@hub.example", is_staff=True)
    client.force_login(user)
    assert client.get(url(name)).status_code == 403


OBJECTS = ("receivable", "bankaccount", "bankstatement", "bankline", "payout", "account", "entry")


@pytest.mark.parametrize("name", OBJECTS)
def test_the_page_of_each_object_opens(busy: None, clerk: Client, name: str) -> None:
    listing = clerk.get(url(f"{name}_changelist"))
    for row in listing.context["cl"].queryset[:3]:
        text(clerk.get(url(f"{name}_change", row.pk)))


@pytest.mark.parametrize("name", LISTS[:-1])
def test_a_list_costs_the_same_however_long(busy: None, clerk: Client, name: str) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            text(clerk.get(url(f"{name}_changelist")))
        return len(queries)

    cost()
    before = cost()
    more = dt.date(2024, 4, 1)
    for number in range(6):
        seller = money.party_of(f"FR-A{number:02}", "CPO")
        money.factory.cdr(seller, money.party_of(f"DE-E{number:02}", "EMSP"), month=more)
    money.close(more)
    money.received(*[Booking("3.00", "?") for _ in range(6)])
    assert cost() <= before


def test_what_is_owed_is_drawn_and_told_by_age(busy: None, clerk: Client) -> None:
    page = text(clerk.get(url("receivable_ageing")))
    assert '<svg class="chart"' in page
    assert "BE*OTH" in page
    assert "60.00" in page
    assert "To be suspended" not in page  # nobody has looked at the calendar yet


def rows_of(answer: Any) -> list[list[str]]:
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(answer.content.decode())))


def test_tables_come_as_files(busy: None, clerk: Client) -> None:
    header, *rows = rows_of(clerk.get(url("receivable_export", "csv")))
    assert header == ["document", "party", "due on", "state", "currency", "amount", "open amount"]
    assert sorted(row[1] for row in rows) == ["BE*OTH", "DE*EMP"]
    listed = clerk.get(url("receivable_export", "csv"), {"state__exact": "paid"})
    assert [row[6] for row in rows_of(listed)[1:]] == ["0.0000"]
    trial = rows_of(clerk.get(url("account_trial"), {"as": "csv"}))
    assert sum(D(row[6]) for row in trial[1:]) == 0
    ageing = rows_of(clerk.get(url("receivable_ageing"), {"as": "csv"}))
    assert ageing[1][:2] == ["BE*OTH", "EUR"]
    party = money.party_of("DE-EMP")
    account = rows_of(clerk.get(url("account_statement"), {"party": party.pk, "as": "csv"}))
    assert account[1][1] == "opening balance"
    for name in ("receivable_export", "payout_export", "bankline_export", "entry_export"):
        answer = clerk.get(url(name, "xlsx"))
        assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None
        assert clerk.get(url(name, "pdf")).status_code == 404


def test_files_need_the_permission_of_their_page(busy: None, client: Client) -> None:
    user = User.objects.create_user("one@hub.example", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_payout"))
    client.force_login(user)
    assert client.get(url("payout_export", "csv")).status_code == 200
    for name in ("receivable_export", "bankline_export", "entry_export"):
        assert client.get(url(name, "csv")).status_code == 403


def test_no_text_of_a_stranger_becomes_a_formula() -> None:
    rows = [["=1+1", "@x", "-cmd", D("-1.50"), 3, None]]
    (line,) = list(csv.reader(io.StringIO(exports.as_csv(["a"], rows).decode())))[1:]
    assert line == ["'=1+1", "'@x", "'-cmd", "-1.50", "3", ""]
    with zipfile.ZipFile(io.BytesIO(exports.as_xlsx(["a"], rows))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "-1.5" in sheet


# The bank


def upload(client: Client, content: bytes) -> Any:
    file = SimpleUploadedFile("may.xml", content, "application/xml")
    return client.post(url("bankstatement_import"), {"file": file})


def test_a_statement_is_imported_on_a_page(clerk: Client) -> None:
    money.closed()
    content = money.camt(Booking("40.00", money.owed_by().document.number), Booking("5.00", "?"))
    answer = upload(clerk, content)
    page = text(clerk.get(answer["Location"]))
    assert "2 new lines, 1 matched, 0 known already" in page
    assert BankStatement.objects.get().imported_by.email == "clerk@hub.example"
    assert "0 new lines" in text(clerk.get(upload(clerk, content)["Location"]))


def test_a_bad_statement_is_told_at_the_field(clerk: Client) -> None:
    money.party_of("FR-ABC", "CPO")
    page = text(upload(clerk, b"<x/>"))
    assert "not a camt.053 statement" in page
    assert "Nothing was imported." in page
    assert not BankStatement.objects.exists()


def test_only_those_who_may_import(busy: None) -> None:
    support = as_("support")
    assert support.get(url("bankstatement_import")).status_code == 403
    assert upload(support, b"").status_code == 403


def test_a_suggestion_is_one_button_away(busy: None, clerk: Client) -> None:
    line = BankLine.objects.get(state="open")
    page = text(clerk.get(url("bankline_change", line.pk)))
    assert "the amount is that of the invoice" in page
    owed = money.owed_by("BE-OTH")
    page = do(clerk, "bankline", line, "match", party=owed.party_id, receivable=owed.pk)
    assert "Matched." in page
    assert money.owed_by("BE-OTH").state == "paid"
    assert breaches() == []


def test_a_line_is_matched_with_a_party(busy: None, clerk: Client) -> None:
    line = BankLine.objects.get(state="open")
    assert "Choose who has paid." in do(clerk, "bankline", line, "match", party="")
    page = do(clerk, "bankline", line, "match", party=money.party_of("DE-EMP").pk)
    assert "60.00 EUR stay to the credit of DE*EMP" in page


def test_support_looks_and_does_nothing(busy: None) -> None:
    support = as_("support")
    line = BankLine.objects.get(state="open")
    page = text(support.get(url("bankline_change", line.pk)))
    assert "Match with these invoices" not in page
    for name in ("match", "payouts", "charge", "nothing"):
        assert support.post(url("bankline_do", line.pk, name)).status_code == 403
    assert support.get(url("bankline_do", line.pk, "match")).status_code == 403


def test_an_account_is_entered_by_one_and_verified_by_another(
    clerk: Client, approver: Client
) -> None:
    party = money.party_of("FR-ABC", "CPO")
    facts = {"party": party.pk, "currency": "EUR", "holder": "New", "iban": "FR00 1234"}
    assert "not an IBAN" in clerk.post(url("bankaccount_add"), facts).content.decode()
    facts["iban"] = "FR14 2004 1010 0505 0001 3M02 606"
    assert clerk.post(url("bankaccount_add"), facts).status_code == 302
    account = BankAccount.objects.get(holder="New")
    assert (account.iban, account.verified_at) == ("FR1420041010050500013M02606", None)
    assert clerk.post(url("bankaccount_do", account.pk, "verify")).status_code == 403
    assert "Verified." in do(approver, "bankaccount", account, "verify")
    assert clerk.post(url("bankaccount_change", account.pk), {"holder": "X"}).status_code == 403
    account.refresh_from_db()
    assert account.verified_by.email == "approver@hub.example"


def test_who_enters_an_account_does_not_verify_it(approver: Client) -> None:
    party = money.party_of("FR-ABC", "CPO")
    facts = {"party": party.pk, "currency": "EUR", "holder": "New", "account_number": "123"}
    approver.post(url("bankaccount_add"), facts)
    account = BankAccount.objects.get(holder="New")
    assert "cannot verify it" in do(approver, "bankaccount", account, "verify")


# Payouts


def proposed(client: Client) -> PayoutBatch:
    day = max(Payout.objects.values_list("execute_on", flat=True))
    answer = client.post(url("payout_waiting"), {"currency": "EUR", "execute_on": day.isoformat()})
    assert answer.status_code == 302
    return PayoutBatch.objects.get()


def test_a_batch_goes_from_hand_to_hand(busy: None, clerk: Client, approver: Client) -> None:
    batch = proposed(clerk)
    page = text(approver.get(url("payoutbatch_change", batch.pk)))
    assert "the first payout to this party" in page
    assert "1 payout, 100.00 EUR" in page
    seen = {"seen": batches.digest(batch), "total": "100.00", "password": PASSWORD}
    assert seen["seen"] in page
    assert clerk.post(url("payoutbatch_do", batch.pk, "approve"), seen).status_code == 403
    wrong = [
        ({"total": "99.99"}, "not the total"),
        ({"total": "all"}, "Type the total"),
        ({"password": "guess"}, "not your password"),
        ({"seen": "0" * 64}, "changed since you looked"),
    ]
    for change, told in wrong:
        assert told in do(approver, "payoutbatch", batch, "approve", **seen | change)
    assert "Approved." in do(approver, "payoutbatch", batch, "approve", **seen)
    assert clerk.get(url("payoutbatch_file", batch.pk)).status_code == 404
    assert "file is made" in do(clerk, "payoutbatch", batch, "file")
    file = clerk.get(url("payoutbatch_file", batch.pk))
    batch.refresh_from_db()
    assert file.content == bytes(batch.file)
    assert file["Content-Disposition"] == f'attachment; filename="{batch}.xml"'
    assert as_("support").get(url("payoutbatch_file", batch.pk)).status_code == 403
    assert "the payouts are booked" in do(clerk, "payoutbatch", batch, "submit")
    assert Payout.objects.get().state == "submitted"
    assert breaches() == []


def test_an_approver_who_proposed_needs_another(busy: None, approver: Client) -> None:
    batch = proposed(approver)
    seen = {"seen": batches.digest(batch), "total": "100.00", "password": PASSWORD}
    assert "cannot approve it" in do(approver, "payoutbatch", batch, "approve", **seen)


def test_a_batch_is_dropped_with_a_reason(busy: None, clerk: Client) -> None:
    batch = proposed(clerk)
    assert "Say why." in do(clerk, "payoutbatch", batch, "drop", reason=" ")
    assert "planned anew" in do(clerk, "payoutbatch", batch, "drop", reason="too early")


def test_a_payout_is_taken_out_or_given_up(busy: None, clerk: Client) -> None:
    batch = proposed(clerk)
    payout = Payout.objects.get()
    assert "Taken out" in do(clerk, "payout", payout, "take-out")
    assert batch.payouts.count() == 0
    money.submitted()
    payout = Payout.objects.get(state="submitted")
    assert "planned again as" in do(clerk, "payout", payout, "reject", reason="AC01")


def test_payouts_are_planned_on_a_page(busy: None, clerk: Client) -> None:
    answer = clerk.post(url("payout_waiting"), {"plan": "1"})
    assert "1 payouts are planned" in text(clerk.get(answer["Location"]))
    assert as_("support").post(url("payout_waiting"), {"plan": "1"}).status_code == 403
    bad = clerk.post(url("payout_waiting"), {"currency": "EUR", "execute_on": "soon"})
    assert "soon" in text(clerk.get(bad["Location"]))


# Write-offs, ledger


def test_a_write_off_goes_from_hand_to_hand(busy: None, clerk: Client, approver: Client) -> None:
    owed = money.owed_by("BE-OTH")
    told = do(clerk, "receivable", owed, "write-off", amount="lots", reason="gone")
    assert "Enter an amount" in told
    told = do(clerk, "receivable", owed, "write-off", amount="60.00", reason="gone")
    assert "A second person has to approve it." in told
    proposal = WriteOff.objects.get()
    page = text(approver.get(url("writeoff_change", proposal.pk)))
    (seen,) = [part.split('"')[0] for part in page.split('name="seen" value="')[1:]]
    assert "Approved and booked." in do(approver, "writeoff", proposal, "approve", seen=seen)
    assert money.owed_by("BE-OTH").state == "written_off"


def test_the_trial_balance_adds_up_on_the_page(busy: None, clerk: Client) -> None:
    page = text(clerk.get(url("account_trial"), {"by": "party"}))
    assert "Payable to CPOs" in page
    assert 'class="off"' not in page
    assert clerk.get(url("account_trial"), {"on": "yesterday"}).status_code == 404
    assert "Nothing is booked" in text(clerk.get(url("account_trial"), {"on": "2020-01-01"}))


def test_a_party_s_account_is_told_from_opening_to_closing(busy: None, clerk: Client) -> None:
    party = money.party_of("DE-EMP")
    page = text(clerk.get(url("account_statement"), {"party": party.pk, "from": "2024-05-01"}))
    assert "-100.00" in page
    assert "Closing balance" in page
    assert clerk.get(url("account_statement"), {"party": "999999"}).status_code == 404


def test_a_balance_changes_its_currency_once(busy: None, clerk: Client) -> None:
    party = money.party_of("FR-ABC")
    account = Account.objects.get(kind="cpo_payable", party=party)
    page = text(clerk.get(url("account_change", account.pk)))
    (key,) = [part.split('"')[0] for part in page.split('name="key" value="')[1:]]
    asked = {"key": key, "amount": "50.00", "to": "usd"}
    assert "no rate from EUR to USD" in do(clerk, "account", account, "convert", **asked)
    FxRate.objects.create(on="2024-05-01", base="EUR", quote="USD", rate=D("1.1"))
    assert "Enter another" in do(clerk, "account", account, "convert", **asked | {"to": "EUR"})
    assert "Converted into 55.00 USD." in do(clerk, "account", account, "convert", **asked)
    again = do(clerk, "account", account, "convert", **asked | {"amount": "5.00"})
    assert "booked already" in again
    assert breaches() == []


def test_nobody_edits_money(busy: None) -> None:
    boss = as_("admin")
    for name in OBJECTS:
        row = boss.get(url(f"{name}_changelist")).context["cl"].queryset.first()
        assert boss.post(url(f"{name}_change", row.pk), {"amount": "1"}).status_code == 403
        assert boss.post(url(f"{name}_delete", row.pk), {"post": "yes"}).status_code == 403
