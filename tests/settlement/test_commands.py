"""The commands: one JSON document on standard output, and an exit status to rely on."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pypdf import PdfReader

from cdrs.models import Period
from cdrs.periods import month_of
from hub.commands import written
from parties.models import Delivery
from settlement.models import Document, DocumentTax, Leg
from tests.settlement import factory, money
from tests.settlement.conftest import tampering
from tests.settlement.money import Booking

pytestmark = pytest.mark.django_db


def run(*args: str) -> Any:
    out = StringIO()
    call_command(*args, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_close_period_tells_what_it_did() -> None:
    factory.cdrs(1000, factory.cpo("NL-AAA"), factory.emsp(), "0.3350")
    factory.cdr(factory.cpo("ES-CAR", equipped=False), factory.emsp("US-EMP"))
    assert run("close_period", "2024-03") == {
        "period": "2024-03",
        "status": "closed",
        "cdrs": 1000,
        "documents": [
            {
                "number": f"OCN-NLAAA-{timezone.localdate().year}-000001",
                "kind": "self_billing_invoice",
                "party": "NL-AAA",
                "currency": "EUR",
                "net": "335.00",
                "tax": "70.35",
                "gross": "405.35",
            },
            {
                "number": f"OCN-S-DEEMP-{timezone.localdate().year}-000001",
                "kind": "emsp_invoice",
                "party": "DE-EMP",
                "currency": "EUR",
                "net": "335.00",
                "tax": "0.00",
                "gross": "335.00",
            },
        ],
        "held": 1,
        "rolled": 1,
        "state": "settling",
        "statements": {"published": 0, "approved": 0, "silent": 2, "objected": 0},
    }


def test_a_dry_run_changes_nothing() -> None:
    factory.cdrs(5, factory.cpo(), factory.emsp())
    shown = run("close_period", "2024-03", "--dry-run")
    assert [paper["number"] for paper in shown["documents"]] == [None, None]
    assert Document.objects.count() == 0
    assert Period.objects.get().state == "open"


def test_a_sample_is_drafts_of_chosen_parties_and_nothing_else(
    tmp_path: Path, real_paper: None
) -> None:
    payer = factory.emsp()
    for code in ("FR-ABC", "NL-AAA"):
        factory.cdrs(2, factory.cpo(code), payer)
    told = run("close_period", "2024-03", "--sample", "fr-abc, DE-EMP", "--to", str(tmp_path))
    names = [Path(file).name for file in told["files"]]
    assert names == ["DRAFT-1-FR-ABC.pdf", "DRAFT-2-DE-EMP.pdf"]
    assert all(Path(file).read_bytes().startswith(b"%PDF-") for file in told["files"])
    text = PdfReader(told["files"][0]).pages[0].extract_text()
    assert "DRAFT" in text
    assert Document.objects.count() == 0
    assert Period.objects.get().state == "open"


def test_the_running_month_needs_force() -> None:
    month = f"{month_of(timezone.now()):%Y-%m}"
    with pytest.raises(CommandError, match="may be closed from"):
        run("close_period", month)
    assert run("close_period", month, "--force")["status"] == "closed"


@pytest.mark.parametrize("command", ["close_period", "verify_period"])
def test_a_month_is_written_as_a_month(command: str) -> None:
    for text in ("2024", "2024-13", "march"):
        with pytest.raises(CommandError, match="YYYY-MM"):
            run(command, text)


def test_verify_period_fails_on_a_cent_and_lists_it() -> None:
    factory.cdrs(3, factory.cpo("NL-AAA"), factory.emsp(), "0.3350")
    run("close_period", "2024-03")
    assert run("verify_period", "2024-03") == {
        "period": "2024-03",
        "status": "settling",
        "cdrs": 3,
        "documents": 2,
        "differences": [],
    }
    with tampering():
        DocumentTax.objects.filter(category="S").update(tax="0.20")
    out = StringIO()
    with pytest.raises(CommandError, match="1 differences"):
        call_command("verify_period", "2024-03", "--json", stdout=out)
    (difference,) = json.loads(out.getvalue())["differences"]
    assert difference["what"].startswith("stored VAT")
    assert "0.21" in difference["expected"]
    assert "0.20" in difference["found"]


def test_verify_period_refuses_a_month_that_was_never_settled() -> None:
    with pytest.raises(CommandError, match="nothing was ever settled"):
        run("verify_period", "2024-03")


def test_check_invariants_fails_on_a_debt_without_its_object() -> None:
    payer = factory.emsp()
    assert run("check_invariants")["breaches"] == []
    Delivery.objects.create(receiver=payer.roles.get(), module="cdrs", object_id=4711, wanted=1)
    out = StringIO()
    with pytest.raises(CommandError, match="1 breaches"):
        call_command("check_invariants", "--json", stdout=out)
    (breach,) = json.loads(out.getvalue())["breaches"]
    assert breach["check"] == "debts_are_of_objects"


@pytest.mark.parametrize("command", ["close_period", "verify_period", "check_invariants"])
def test_without_json_the_commands_speak_to_people(command: str) -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    call_command("close_period", "2024-03", stdout=StringIO())
    out = StringIO()
    call_command(command, *(["2024-03"] if command != "check_invariants" else []), stdout=out)
    assert not out.getvalue().startswith("{")
    assert out.getvalue().strip()


def test_decimals_are_written_digit_for_digit() -> None:
    from decimal import Decimal

    assert written({"a": Decimal("10.00"), "b": Decimal("0.3350")}) == '{"a":"10.00","b":"0.3350"}'


# Money


def test_the_commands_of_money_tell_what_they_did(tmp_path: Path) -> None:
    money.closed("100.0000")
    file = tmp_path / "statement.xml"
    file.write_bytes(money.camt(Booking("100.00", money.owed_by().document.number), ident="1"))
    (told,) = run("import_statement", str(file))["statements"]
    assert (told["new"], told["matched"], told["known"], told["gap"]) == (1, 1, 0, "")
    planned = run("plan_payouts")["planned"]
    assert [(row["party"], row["amount"]) for row in planned] == [("FR-ABC", "100.00")]
    assert run("plan_payouts")["planned"] == planned
    balance = run("trial_balance")
    assert balance["totals"] == [
        {"currency": "EUR", "debit": "300.00", "credit": "300.00", "difference": "0.00"}
    ]
    assert run("post_documents") == {"posted": 0}
    for command in ("plan_payouts", "trial_balance", "post_documents"):
        out = StringIO()
        call_command(command, stdout=out)
        assert out.getvalue().strip()


def test_a_file_that_is_no_statement_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "x.xml"
    file.write_text("hello")
    with pytest.raises(CommandError, match="not XML"):
        run("import_statement", str(file))
    with pytest.raises(CommandError, match="No such file"):
        run("import_statement", str(tmp_path / "none.xml"))


def test_a_trial_balance_that_is_off_fails() -> None:
    money.closed()
    with tampering():
        Leg.objects.filter(account__kind="sales").update(amount=-1)
    with pytest.raises(CommandError, match="differ in EUR"):
        run("trial_balance")
    with pytest.raises(CommandError, match="YYYY-MM-DD"):
        run("trial_balance", "--on", "today")
