"""What the bank says of a payment file: taken on, or rejected and planned again; told once."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import Error, connection, transaction
from django.test import Client
from django.urls import reverse

from settlement import staff
from settlement.banking import pain002, statuses
from settlement.banking.pain002 import BadReport, Status
from settlement.invariants import breaches
from settlement.models import PaymentStatus, Payout, PayoutBatch
from tests.settlement import money
from tests.settlement.money import Booking

pytestmark = pytest.mark.django_db


def report(
    *payments: str, ident: str = "R-1", of: str = "", group: str = "PART", version: str = "10"
) -> bytes:
    """Write what a bank says of our one file, or of another one."""
    of = of or PayoutBatch.objects.get().message_id
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.{version}"><CstmrPmtStsRpt>
<GrpHdr><MsgId>{ident}</MsgId><CreDtTm>2024-05-02T20:00:00</CreDtTm></GrpHdr>
<OrgnlGrpInfAndSts><OrgnlMsgId>{of}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>
<GrpSts>{group}</GrpSts>{REASON if group == "RJCT" else ""}</OrgnlGrpInfAndSts>
<OrgnlPmtInfAndSts><OrgnlPmtInfId>{of}-1</OrgnlPmtInfId>{"".join(payments)}</OrgnlPmtInfAndSts>
</CstmrPmtStsRpt></Document>""".encode()


REASON = "<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>account closed</AddtlInf></StsRsnInf>"


def payment(payout: object, code: str) -> str:
    why = REASON if code == "RJCT" else ""
    return (
        f"<TxInfAndSts><OrgnlEndToEndId>{payout}</OrgnlEndToEndId><TxSts>{code}</TxSts>{why}"
        "</TxInfAndSts>"
    )


@pytest.fixture
def paid() -> list[Payout]:
    """Have a file with two payouts at the bank."""
    money.traded("60.0000", "ES-XYZ", "BE-OTH")
    money.closed("100.0000")
    money.pay("DE-EMP")
    money.pay("BE-OTH")
    money.plan()
    money.submitted()
    return list(Payout.objects.order_by("pk"))


def test_what_is_rejected_is_planned_again_and_the_rest_goes_on(paid: list[Payout]) -> None:
    bad, good = paid
    told = statuses.import_file(report(payment(bad, "RJCT"), payment(good, "ACSC")))
    assert (told.taken, told.rejected, told.known, told.late) == (1, 1, 0, 0)
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.state, bad.failed_because) == ("rejected", "AC04; account closed")
    assert good.state == "submitted"
    again = Payout.objects.get(retry_of=bad)
    assert (again.state, again.amount) == ("planned", bad.amount)
    assert str(bad.statuses.get()) == "RJCT AC04; account closed"
    assert breaches() == []


def test_a_file_is_taken_in_once(paid: list[Payout]) -> None:
    content = report(*(payment(payout, "RJCT") for payout in paid))
    assert statuses.import_file(content).rejected == 2
    told = statuses.import_file(content)
    assert (told.rejected, told.known) == (0, 2)
    assert Payout.objects.filter(state="planned").count() == 2
    later = statuses.import_file(report(payment(paid[0], "RJCT"), ident="R-2"))
    assert (later.rejected, later.late) == (0, 1)


def test_what_is_said_of_the_file_holds_for_all_that_is_not_named(paid: list[Payout]) -> None:
    told = statuses.import_file(report(payment(paid[1], "ACSP"), group="RJCT"))
    assert (told.taken, told.rejected) == (1, 1)
    paid[0].refresh_from_db()
    assert paid[0].state == "rejected"


def test_what_the_bank_has_booked_is_not_rejected_any_more(paid: list[Payout]) -> None:
    first = paid[0]
    money.received(Booking(f"-{first.amount:.2f}", end_to_end=str(first)))
    told = statuses.import_file(report(payment(first, "RJCT")))
    assert (told.rejected, told.late) == (0, 1)
    first.refresh_from_db()
    assert first.state == "booked"
    assert breaches() == []


def test_what_does_not_fit_is_refused_with_everything_as_it_was(paid: list[Payout]) -> None:
    for content, why in (
        (report(payment("OCN-PAYOUT-00000000", "RJCT"), payment(paid[0], "RJCT")), "no payment"),
        (report(payment(paid[0], "RJCT"), of="OCN-BATCH-00000000"), "no file that the bank has"),
        (report(payment(paid[0], "RJCT"), of="SOMEBODY-1"), "no file that the bank has"),
        (report(payment(paid[0], "WHAT")), "not known"),
        (report(group="ACCP").replace(b"OrgnlMsgId>", b"Other>"), "OrgnlMsgId"),
        (report(group="ACCP").replace(b"pain.002", b"pain.008"), "not a pain.002"),
        (b"<!DOCTYPE x [<!ENTITY e 'x'>]><x>&e;</x>", "document type"),
    ):
        with pytest.raises(BadReport, match=why):
            statuses.import_file(content)
    assert not PaymentStatus.objects.exists()
    assert {payout.state for payout in Payout.objects.all()} == {"submitted"}


@pytest.mark.parametrize("version", ["03", "10", "14"])
def test_every_version_reads_alike(version: str) -> None:
    content = report(payment("P-1", "RJCT"), of="M-1", group="ACCP", version=version)
    told = pain002.read(content)
    assert (told.ident, told.message_id, told.whole) == ("R-1", "M-1", Status("ACCP", ""))
    assert told.payments == {"P-1": Status("RJCT", "AC04; account closed")}


def test_what_was_said_stays(paid: list[Payout]) -> None:
    statuses.import_file(report(group="ACCP"))
    for change in (PaymentStatus.objects.all().delete, _renamed):
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            change()
    assert PaymentStatus.objects.count() == len(paid)


def _renamed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE settlement_paymentstatus SET code = 'RJCT'")


@pytest.mark.usefixtures("plain_static")
def test_a_clerk_uploads_it_where_statements_are_uploaded(paid: list[Payout]) -> None:
    clerk, _ = staff.grant("clerk@hub.example", "clerk", "a long password of mine")
    client = Client()
    client.force_login(clerk)
    file = SimpleUploadedFile("report.xml", report(payment(paid[0], "RJCT")))
    url = reverse("admin:settlement_bankstatement_import")
    shown = client.post(url, {"file": file}, follow=True).text
    assert "0 payments taken on, 1 rejected and planned again" in shown
    page = client.get(reverse("admin:settlement_payout_change", args=[paid[0].pk])).text
    assert "AC04; account closed" in page
    assert "clerk@hub.example" in page


def test_the_command_takes_it_too(paid: list[Payout], tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    file.write_bytes(report(payment(paid[0], "RJCT")))
    call_command("import_statement", str(file))
    paid[0].refresh_from_db()
    assert paid[0].state == "rejected"
