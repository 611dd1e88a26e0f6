"""The dispute desk: what staff sees and does, and what never leaves it."""

import re
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from cdrs.models import Period
from parties.models import User
from settlement import staff
from settlement.disputes import answering, evidence, ruling
from settlement.disputes.evidence import Upload
from settlement.models import Dispute, InternalNote, Ruling
from tests.portal.cast import person, visitor
from tests.settlement import factory
from tests.settlement.claims import claim, sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]
PASSWORD = "a long password of mine"


def as_(access: str, name: str = "") -> Client:
    """Log somebody in who has an access."""
    user, _ = staff.grant(f"{name or access}@hub.example", access, PASSWORD)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:settlement_dispute_{name}", args=args)


def escalated(total: str = "12.0000", amount: str = "") -> Dispute:
    """Have a dispute that the hub has to rule about, in which both sides have said something."""
    cpo, emsp = factory.cpo("NL-CPO"), factory.emsp("DE-EMP")
    now = timezone.now()
    dispute = claim(sent(cpo, emsp, total), amount=amount, now=now)
    evidence.add(dispute, emsp, None, [Upload("secret.txt", b"for the hub", "hub")], now)
    answering.reject(dispute, cpo, "The night rate had ended.", None, now)
    return answering.escalate(dispute, emsp, "It had not been published.", None, now)


@pytest.fixture
def case() -> Dispute:
    return escalated()


def test_the_queue_has_what_is_to_rule_about_with_what_the_price_says(case: Dispute) -> None:
    other = claim(factory.cdr(case.cpo, case.emsp), now=timezone.now())
    client = as_("operations")
    text = client.get(url("changelist")).text
    assert case.reference in text
    assert other.reference not in text
    assert "supports it by 2.00 EUR" in text
    assert other.reference in client.get(url("changelist") + "?queue=live").text
    assert case.reference not in client.get(url("changelist") + "?queue=mine").text
    told = {"action": "take", "_selected_action": [case.pk]}
    client.post(url("changelist"), told)
    assert case.reference in client.get(url("changelist") + "?queue=mine").text
    assert case.reference not in client.get(url("changelist") + "?queue=nobodys").text
    assert case.reference in client.get(url("export", "csv")).text
    assert "Disputes" in client.get("/admin/").text


def test_the_queue_takes_as_many_queries_for_many_as_for_few(case: Dispute) -> None:
    client = as_("operations")
    address = url("changelist") + "?queue=all"
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    for _ in range(3):
        claim(factory.cdr(case.cpo, case.emsp), now=timezone.now())
    with CaptureQueriesContext(connection) as many:
        assert client.get(address).text.count("D-20") >= 4
    assert len(few) == len(many)


def test_a_case_has_both_sides_and_a_ruling_is_seen_before_it_is_made(case: Dispute) -> None:
    client = as_("operations")
    text = client.get(url("change", case.pk)).text
    for told in ("The night rate had ended.", "It had not been published.", "secret.txt"):
        assert told in text
    assert "It supports 2.00 EUR of the 12.00 EUR" in text
    told = {"outcome": "partial", "amount": "2", "reasons": "As the tariff says."}
    answer = client.post(url("rule", case.pk), told)
    assert "2.00 EUR is granted." in answer.text
    assert "NL-CPO Power gets that much less" in answer.text
    assert "C1-R" in answer.text
    assert not Ruling.objects.exists()
    seen = re.search(r'name="seen" value="([^"]+)"', answer.text)[1]  # type: ignore[index]
    other = client.post(url("rule", case.pk), {**told, "amount": "3", "seen": seen})
    assert "3.00 EUR is granted." in other.text
    assert client.post(url("rule", case.pk), {**told, "seen": seen}).status_code == 302
    case.refresh_from_db()
    assert (case.state, case.granted) == ("ruled", D(2))
    assert "As the tariff says." in client.get(url("change", case.pk)).text
    again = client.post(url("rule", case.pk), {**told, "seen": seen})
    assert "it is now" in again.text
    assert Ruling.objects.count() == 1


def test_what_is_missing_in_a_ruling_is_said_and_the_rest_kept(case: Dispute) -> None:
    client = as_("clerk")
    answer = client.post(url("rule", case.pk), {"outcome": "partial", "reasons": "Long reasons."})
    assert "Say how much." in answer.text
    assert "Long reasons." in answer.text
    told = {"outcome": "partial", "amount": "99", "reasons": "Long reasons.", "seen": "partial 99"}
    answer = client.post(url("rule", case.pk), told)
    assert "A part lies between nothing and what is asked for." in answer.text
    assert "Long reasons." in answer.text


def test_above_the_limit_a_second_person_approves(settings: Any) -> None:
    settings.RULING_LIMIT = D(5)
    case = escalated()
    clerk, approver = as_("clerk"), as_("approver")
    told = {"outcome": "full", "reasons": "So be it.", "seen": "full 12"}
    assert "second person" in clerk.post(url("rule", case.pk), {**told, "seen": ""}).text
    clerk.post(url("rule", case.pk), told)
    waiting = Ruling.objects.get()
    assert waiting.state == "proposed"
    assert "Approve the ruling" not in clerk.get(url("change", case.pk)).text
    assert clerk.post(url("do", case.pk, "approve"), {"ruling": waiting.pk}).status_code == 403
    assert case.reference in approver.get(url("changelist") + "?queue=second").text
    approver.post(url("do", case.pk, "refuse"), {"ruling": waiting.pk})
    own = {**told, "reasons": "My own."}
    approver.post(url("rule", case.pk), own)
    mine = Ruling.objects.get(reasons="My own.")
    answer = approver.post(url("do", case.pk, "approve"), {"ruling": mine.pk}, follow=True)
    assert "cannot approve or refuse that ruling" in answer.text
    as_("approver", "second").post(url("do", case.pk, "approve"), {"ruling": mine.pk})
    case.refresh_from_db()
    assert case.state == "ruled"


@pytest.mark.parametrize("access", ["support", "operations", "clerk", "approver"])
def test_who_of_the_staff_may_what(case: Dispute, access: str) -> None:
    client, rules = as_(access), access != "support"
    text = client.get(url("change", case.pk)).text
    assert case.reference in text
    assert ("Rule about it" in text) is rules
    told = {"outcome": "none", "reasons": "No.", "seen": "none 0"}
    assert client.post(url("note", case.pk), {"text": "Hm."}).status_code == (302 if rules else 403)
    assert client.post(url("do", case.pk, "take")).status_code == (302 if rules else 403)
    assert client.post(url("rule", case.pk), told).status_code == (302 if rules else 403)
    assert InternalNote.objects.exists() is rules


def test_who_is_not_staff_sees_nothing(case: Dispute) -> None:
    client = visitor(person("owner@emp.example", case.emsp, "owner"))
    for path in (url("changelist"), url("change", case.pk), url("rule", case.pk)):
        assert client.get(path).status_code == 302
        assert "login" in client.get(path).url  # type: ignore[attr-defined]


def test_a_note_stays_inside(case: Dispute) -> None:
    client = as_("operations")
    client.post(url("note", case.pk), {"text": "They do this every month."})
    assert "They do this every month." in client.get(url("change", case.pk)).text
    judge = User.objects.get(email="operations@hub.example")
    ruling.rule(case, "none", None, "No.", judge, timezone.now())
    for party, code in ((case.cpo, "NL-CPO"), (case.emsp, "DE-EMP")):
        side = visitor(person(f"owner@{code}.example".lower(), party, "owner"))
        for path in (f"disputes/{case.reference}/", "disputes/export.csv", "audit/", ""):
            text = side.get(f"/app/{code}/{path}").text
            assert "every month" not in text
            assert "operations@hub.example" not in text


def test_files_are_handed_out_and_that_is_noted(case: Dispute) -> None:
    client = as_("support")
    file = case.evidence.get(party=case.emsp)
    answer = client.get(url("file", case.pk, file.pk))
    assert answer.content == b"for the hub"
    assert answer["Content-Disposition"].startswith("attachment")
    history = client.get(url("history", case.pk)).text
    assert "Downloaded secret.txt" in history
    assert client.get(url("file", case.pk, 0)).status_code == 404


def test_the_cockpit_counts_what_disputes_hold(case: Dispute) -> None:
    factory.cdr(case.cpo, case.emsp)
    page = as_("clerk").get(reverse("admin:cdrs_period_change", args=[Period.objects.get().pk]))
    assert "Disputes (1)" in page.text


@pytest.mark.parametrize("amount", ["0", "-1", "12", "99999"])
def test_a_part_that_is_none_is_refused_before_it_is_looked_at(case: Dispute, amount: str) -> None:
    told = {"outcome": "partial", "amount": amount, "reasons": "Because."}
    text = as_("approver").post(url("rule", case.pk), told).text
    assert "A part lies between nothing and what is asked for." in text
    assert "What this ruling comes to" not in text


def test_a_ruling_that_has_no_number_is_not_there(case: Dispute) -> None:
    for number in ("x", "²"):
        told = {"ruling": number}
        answer = as_("approver").post(url("do", case.pk, "approve"), told)
        assert answer.status_code in (302, 404)
    assert as_("approver").get(url("change", "²")).status_code == 404


def test_a_case_takes_as_many_queries_however_much_was_said(case: Dispute) -> None:
    client, counted = as_("operations"), []
    for number in range(2):
        for party, name in ((case.claimant, "c"), (case.respondent, "r")):
            writer = person(f"{name}{number}@p.example", party, "finance")
            answering.say(case, party, f"More {number}.", writer, timezone.now())
        with CaptureQueriesContext(connection) as told:
            client.get(url("change", case.pk))
        counted.append(len(told))
    assert counted[0] == counted[1]
