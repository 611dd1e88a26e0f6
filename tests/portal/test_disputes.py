"""The resolution centre: its pages for both sides, and nothing of it for anybody else."""

import datetime as dt
import re
from decimal import Decimal as D

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cdrs.models import Cdr
from parties.models import Access, TrailEntry
from parties.people.access import Area, May, level
from settlement.disputes import answering, drafting, evidence
from settlement.disputes.evidence import Upload
from settlement.models import Dispute, Draft, DraftFile, Evidence
from tests.portal.cast import PASSWORD, person, visitor
from tests.settlement import factory
from tests.settlement.claims import claim, sent

pytestmark = pytest.mark.django_db
BUYER, SELLER = "/app/DE-EMP/disputes/", "/app/NL-CPO/disputes/"
TEXT = b"The meter says 18 kWh."
WHY = "The tariff says 0.50, they have charged 0.55."


@pytest.fixture
def payer(buyer):
    return visitor(person("finance@emp.example", buyer, "finance"), PASSWORD)


@pytest.fixture
def supplier(seller):
    return visitor(person("finance@cpo.example", seller, "finance"), PASSWORD)


@pytest.fixture
def cdr(seller, buyer):
    return factory.cdr(seller, buyer, "12.0000")


@pytest.fixture
def dispute(cdr):
    return claim(cdr, now=timezone.now())


def file(name="meter.txt", content=TEXT):
    return SimpleUploadedFile(name, content)


def again(dispute):
    return Dispute.objects.get(pk=dispute.pk)


# Opening


def begun(client, *cdrs):
    """Choose CDRs and go on; return the address of the draft."""
    answer = client.post(f"{BUYER}new/", {"cdr": [cdr.pk for cdr in cdrs]})
    assert answer.status_code == 302, answer.text
    return answer.url.removesuffix("reason/")


def test_from_the_cdr_to_the_reference(payer, seller, buyer):
    cdr = sent(seller, buyer, "12.0000")
    page = payer.get(f"/app/DE-EMP/cdrs/{cdr.pk}/").text
    assert "Dispute this CDR" in page
    assert 'name="cdr"' in payer.get("/app/DE-EMP/cdrs/").text
    new = payer.get(f"{BUYER}new/?cdr={cdr.pk}").text
    assert cdr.uid in new
    draft = begun(payer, cdr)
    reasons = payer.get(f"{draft}reason/").text
    assert re.search(r'value="wrong_price" required checked', reasons)  # by what the hub has found
    answer = payer.post(f"{draft}reason/", {"reason": "wrong_price"})
    asks = payer.get(answer.url).text
    assert 'name="amount" value="2"' in asks
    told = {"ask": "corrected", "amount": "2", "message": WHY, "evidence": [file()]}
    answer = payer.post(answer.url, told)
    check = payer.get(answer.url).text
    assert WHY in check
    assert "meter.txt" in check
    assert "held out of the month" in check
    assert not Dispute.objects.exists()
    answer = payer.post(answer.url)
    dispute = Dispute.objects.get()
    assert answer.url == f"{BUYER}{dispute.reference}/opened/"
    done = payer.get(answer.url).text
    assert dispute.reference in done
    assert "If NL-CPO Power does not answer by" in done
    assert (dispute.asked, dispute.opened_by.email) == (D(2), "finance@emp.example")
    assert [item.name for item in Evidence.objects.all()] == ["meter.txt", f"price-{cdr.uid}.json"]
    assert payer.post(f"{draft}check/").url == f"{BUYER}{dispute.reference}/opened/"  # sent twice
    assert Dispute.objects.count() == 1
    assert not DraftFile.objects.exists()
    assert dispute.reference in payer.get(f"/app/DE-EMP/cdrs/{cdr.pk}/").text
    assert dispute.reference in payer.get("/app/DE-EMP/cdrs/").text


def test_a_mistake_costs_neither_words_nor_files(payer, cdr):
    draft = begun(payer, cdr)
    payer.post(f"{draft}reason/", {"reason": "other"})
    told = {"ask": "corrected", "amount": "", "message": WHY}
    bad = [
        file("run.pdf", b"MZ\x90\x00 not a PDF"),
        file(),
        file("big.csv", b"a," * 6 * 1024 * 1024),
    ]
    answer = payer.post(f"{draft}ask/", {**told, "evidence": bad})
    assert answer.status_code == 422
    assert "run.pdf: the content is not what the name says" in answer.text
    assert "big.csv: it is larger than 10 MiB" in answer.text
    assert "Say by how much" in answer.text
    assert WHY in answer.text
    assert [kept.name for kept in DraftFile.objects.all()] == ["meter.txt"]
    assert WHY in payer.get(f"{draft}ask/").text
    assert "have begun a dispute about 1 CDR" in payer.get(BUYER).text
    told["amount"] = "99"
    answer = payer.post(f"{draft}ask/", told)
    answer = payer.get(answer.url)
    assert answer.status_code == 422
    assert "No more than 12.0000 can be asked for" in answer.text
    kept = DraftFile.objects.get()
    payer.post(f"{draft}ask/", {**told, "amount": "3", "drop": [kept.pk]})
    assert not DraftFile.objects.exists()
    assert payer.post(f"{draft}check/").status_code == 302
    assert Dispute.objects.get().asked == 3


def test_many_by_a_list_with_what_is_wrong_in_each_row(payer, seller, buyer, cdr):
    others = factory.cdrs(2, seller, buyer, "3.0000")
    factory.cdr(factory.cpo("SE-STR"), factory.emsp("FR-MSP"), uid="FOREIGN")
    twice = factory.cdr(factory.cpo("BE-CPO"), buyer, uid=others[1].uid)
    named = (f"{others[0].uid.lower()};NL-CPO", "NOPE;", "FOREIGN;", f"{others[1].uid};")
    lines = ["cdr_id;cpo", f"{cdr.uid};", *named, f"{cdr.uid};", f"{twice.uid};BE-CPO"]
    answer = payer.post(
        f"{BUYER}new/", {"add": "1", "csv": file("l.csv", "\n".join(lines).encode())}
    )
    assert answer.status_code == 422
    for text in (
        "Line 4: there is no CDR NOPE.",
        "Line 5: there is no CDR FOREIGN.",
        f"Line 6: several CPOs have a CDR {others[1].uid}",
        f"Line 7: CDR {cdr.uid} is in the list twice.",
        "of another partner than the first",
    ):
        assert text in answer.text
    chosen = re.findall(r'name="cdr" value="(\d+)"[^>]*? checked', answer.text)
    assert {int(key) for key in chosen} == {cdr.pk, others[0].pk}
    assert begun(payer, cdr, others[0])
    answer = payer.post(f"{BUYER}new/", {"add": "1", "csv": file("l.csv", b"\xff\xfe\x00")})
    assert answer.status_code == 422
    answer = payer.post(f"{BUYER}new/", {"cdr": [cdr.pk, twice.pk]})
    assert answer.status_code == 422


def test_many_take_as_many_queries_as_few(payer, seller, buyer):
    few, many = factory.cdrs(2, seller, buyer), factory.cdrs(40, seller, buyer)
    counted = []
    for cdrs in (few, many):
        with CaptureQueriesContext(connection) as told:
            payer.get(f"{BUYER}new/", {"cdr": [cdr.pk for cdr in cdrs]})
        counted.append(len(told))
    assert counted[0] == counted[1]


def test_what_is_not_ones_own_is_not_chosen(payer, buyer):
    foreign = factory.cdr(factory.cpo("SE-STR"), factory.emsp("FR-MSP"), uid="FOREIGN")
    answer = payer.get(f"{BUYER}new/?cdr={foreign.pk}&cdr=x&cdr={'9' * 30}")
    assert "FOREIGN" not in answer.text
    assert payer.post(f"{BUYER}new/", {"cdr": foreign.pk}).status_code == 422
    draft = Draft.objects.create(party=buyer, person=person("other@emp.example", buyer, "owner"))
    for step in ("reason", "ask", "check"):
        assert payer.get(f"{BUYER}drafts/{draft.pk}/{step}/").status_code == 404
    assert payer.get(f"{BUYER}new/?draft={draft.pk}").status_code == 404


def test_a_draft_leads_to_the_step_that_is_missing(payer, cdr):
    draft = begun(payer, cdr)
    assert payer.get(f"{draft}check/").url == f"{draft}reason/"
    payer.post(f"{draft}reason/", {"reason": "other"})
    assert payer.get(f"{draft}check/").url == f"{draft}ask/"
    assert payer.post(f"{draft}check/").status_code == 422
    assert not Dispute.objects.exists()


def test_drafts_can_be_thrown_away_and_go_by_themselves(payer, cdr):
    draft = begun(payer, cdr)
    payer.post(f"{draft}drop/")
    assert not Draft.objects.exists()
    begun(payer, cdr)
    Draft.objects.update(updated_at=timezone.now() - drafting.KEPT - dt.timedelta(hours=1))
    begun(payer, cdr)
    assert Draft.objects.count() == 1


def test_the_cpo_asks_for_more(supplier, cdr):
    answer = supplier.post(f"{SELLER}new/", {"cdr": cdr.pk})
    draft = answer.url.removesuffix("reason/")
    supplier.post(f"{draft}reason/", {"reason": "other"})
    page = supplier.get(f"{draft}ask/").text
    assert 'value="full"' not in page
    assert "by how much more" in page
    supplier.post(f"{draft}ask/", {"ask": "corrected", "amount": "1.5", "message": WHY})
    supplier.post(f"{draft}check/")
    assert Dispute.objects.get().by_cpo


# The list and the case


def test_the_tabs_say_whose_turn_it_is(payer, supplier, dispute, cdr, seller, buyer):
    late = claim(factory.cdr(seller, buyer), now=timezone.now())
    answering.reject(late, seller, "No.", None, timezone.now())
    text = supplier.get(SELLER).text
    assert "Your turn: answer" in text
    assert dispute.reference in text
    assert late.reference not in text
    assert late.reference in supplier.get(f"{SELLER}?tab=waiting").text
    text = payer.get(f"{BUYER}?tab=answer").text
    assert late.reference in text
    assert "Your turn: rejected" in text
    assert dispute.reference not in text
    assert dispute.reference in payer.get(f"{BUYER}?tab=waiting&q={cdr.uid}").text
    assert dispute.reference not in payer.get(f"{BUYER}?tab=waiting&q=other").text
    assert dispute.reference not in payer.get(f"{BUYER}?tab=waiting&role=respondent").text
    assert dispute.reference in payer.get(f"{BUYER}?tab=waiting&partner=NL-CPO").text
    claim(factory.cdr(seller, buyer), now=timezone.now() - dt.timedelta(days=2))
    first, second = re.findall("D-20[0-9]{2}-[0-9]{6}</code>", supplier.get(SELLER).text)
    assert first > second  # the older one was opened last: its deadline is nearer
    rows = payer.get(f"{BUYER}export.csv").text.splitlines()
    assert rows[0].startswith("reference,role,partner,cdrs")
    assert len(rows) == 4
    assert TrailEntry.objects.get(deed="exported").subject == "disputes-DE-EMP.csv"


def test_a_list_of_many_takes_as_many_queries_as_one_of_few(payer, dispute, seller, buyer):
    with CaptureQueriesContext(connection) as few:
        payer.get(f"{BUYER}?tab=waiting")
    for _ in range(4):
        claim(factory.cdr(seller, buyer), now=timezone.now())
    with CaptureQueriesContext(connection) as many:
        assert payer.get(f"{BUYER}?tab=waiting").text.count("D-20") >= 5
    assert len(few) == len(many)


def test_the_case_says_who_must_act_until_when_and_what_then(payer, supplier, dispute):
    theirs = supplier.get(f"{SELLER}{dispute.reference}/").text
    assert "It is your turn" in theirs
    assert "If NL-CPO Power does not answer by" in theirs
    assert "12.00 EUR is held out of the month" in theirs
    for deed in ("accept", "offer", "reject"):
        assert f'href="{SELLER}{dispute.reference}/{deed}/"' in theirs
    ours = payer.get(f"{BUYER}{dispute.reference}/").text
    assert "Who has to act:" in ours
    assert f'href="{BUYER}{dispute.reference}/withdraw/"' in ours
    assert f'href="{BUYER}{dispute.reference}/reject/"' not in ours


# Answers


def test_a_part_is_offered_after_its_effect_was_seen(payer, supplier, seller, buyer):
    dispute = claim(sent(seller, buyer, "12.0000"), now=timezone.now())
    path = f"{SELLER}{dispute.reference}/offer/"
    told = {"amount": "1.5", "message": "A part of it."}
    seen = supplier.post(path, told)
    assert "-R</code>" in seen.text  # the CDR that would replace it
    assert re.search(r'name="seen" value="1.5"', seen.text)
    assert again(dispute).state == "open"
    other = supplier.post(path, {**told, "amount": "2", "seen": "1.5"})
    assert re.search(r'name="seen" value="2"', other.text)
    answer = supplier.post(path, {**told, "seen": "1.5"})
    assert answer.url == f"{SELLER}{dispute.reference}/"
    assert again(dispute).offered == D("1.5")
    assert supplier.post(path, {**told, "seen": "1.5"}).status_code == 302  # sent twice
    assert dispute.events.filter(kind="countered").count() == 1
    page = payer.get(f"{BUYER}{dispute.reference}/accept-offer/").text
    assert "1.50 <abbr>EUR" in page
    payer.post(f"{BUYER}{dispute.reference}/accept-offer/")
    assert again(dispute).granted == D("1.5")


def test_rejected_with_files_and_escalated(payer, supplier, dispute):
    path = f"{SELLER}{dispute.reference}/reject/"
    answer = supplier.post(path, {"message": "", "evidence": [file()]})
    assert answer.status_code == 422
    assert "meter.txt" in answer.text
    supplier.post(path, {"message": "It was charged."})
    assert again(dispute).state == "rejected"
    assert Evidence.objects.get().name == "meter.txt"
    assert not Draft.objects.exists()
    answer = payer.post(f"{BUYER}{dispute.reference}/escalate/", {"message": "It was not."})
    assert again(dispute).state == "escalated"
    assert "The hub rules by" in payer.get(answer.url).text


def test_what_comes_too_late_is_refused_and_kept(supplier, payer, dispute):
    payer.post(f"{BUYER}{dispute.reference}/withdraw/", {"message": ""})
    answer = supplier.post(f"{SELLER}{dispute.reference}/reject/", {"message": "Long reasons."})
    assert answer.status_code == 422
    assert "Long reasons." in answer.text
    assert "withdrawn" in answer.text
    assert supplier.get(f"{SELLER}{dispute.reference}/reject/").status_code == 302
    assert supplier.get(f"{SELLER}{dispute.reference}/marry/").status_code == 404


def test_an_explanation_is_given(supplier, cdr):
    dispute = claim(cdr, ask="explanation", now=timezone.now())
    page = supplier.get(f"{SELLER}{dispute.reference}/").text
    assert "Give the explanation" in page
    assert "Offer a part" not in page
    path = f"{SELLER}{dispute.reference}/explain/"
    assert supplier.post(path, {"message": ""}).status_code == 422
    supplier.post(path, {"message": "A blocking fee."})
    assert again(dispute).state == "settled"


def test_messages_are_said_once_and_shown_as_plain_text(payer, supplier, dispute):
    path = f"{BUYER}{dispute.reference}/say/"
    for _ in range(2):
        answer = payer.post(path, {"message": "<b>Why?</b>", "question": "on"})
        assert answer.status_code == 302
    assert dispute.events.filter(kind="question").count() == 1
    text = supplier.get(f"{SELLER}{dispute.reference}/").text
    assert "&lt;b&gt;Why?&lt;/b&gt;" in text
    assert "finance@emp.example" not in text
    assert "finance@emp.example" in payer.get(f"{BUYER}{dispute.reference}/").text
    assert payer.post(path, {}).status_code == 422


def test_files_come_as_they_are_and_only_to_whom_they_are_for(payer, supplier, dispute, buyer):
    path = f"{BUYER}{dispute.reference}/say/"
    payer.post(path, {"evidence": [file()]})
    payer.post(path, {"evidence": [file("secret.csv", b"a,b\n")], "hub_only": "on"})
    shared, secret = Evidence.objects.order_by("pk")
    theirs = supplier.get(f"{SELLER}{dispute.reference}/").text
    assert "meter.txt" in theirs
    assert "secret.csv" not in theirs
    answer = supplier.get(f"{SELLER}{dispute.reference}/evidence/{shared.pk}/")
    assert answer.content == TEXT
    assert answer["Content-Disposition"] == 'attachment; filename="meter.txt"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert TrailEntry.objects.get(deed="downloaded").told == {"sha256": shared.sha256}
    assert supplier.get(f"{SELLER}{dispute.reference}/evidence/{secret.pk}/").status_code == 404
    assert payer.get(f"{BUYER}{dispute.reference}/evidence/{secret.pk}/").status_code == 200


def test_nobody_opens_what_was_not_scanned(payer, dispute, buyer, settings):
    settings.EVIDENCE_SCANNER = "tests.portal.test_disputes.later"
    evidence.add(dispute, buyer, None, [Upload("a.txt", TEXT)], timezone.now())
    waiting = Evidence.objects.get()
    page = payer.get(f"{BUYER}{dispute.reference}/").text
    assert "being scanned" in page
    assert payer.get(f"{BUYER}{dispute.reference}/evidence/{waiting.pk}/").status_code == 404


def later(content, kind):
    """Scan nothing yet."""
    raise TimeoutError


def test_the_hub_adds_what_it_knows_sealed(payer, supplier, dispute, cdr):
    path = f"{BUYER}{dispute.reference}/seal/"
    payer.post(path, {"cdr": cdr.pk, "about": "findings"})
    sealed = Evidence.objects.get()
    text = supplier.get(f"{SELLER}{dispute.reference}/").text
    assert sealed.sha256 in text
    assert "Sealed by the hub" in text
    payer.post(path, {"cdr": cdr.pk, "about": "price"})  # it has none
    assert Evidence.objects.count() == 1
    other = factory.cdr(cdr.owner, cdr.emsp)
    assert payer.post(path, {"cdr": other.pk, "about": "findings"}).status_code == 404


# Who may what


@pytest.mark.parametrize("access", Access.values)
def test_who_may_not_act_sees_no_deed_and_does_none(access, buyer, dispute):
    client = visitor(person(f"{access}@emp.example", buyer, access), PASSWORD)
    may = level(access, Area.DISPUTES)
    case = f"{BUYER}{dispute.reference}/"
    assert client.get(case).status_code == (200 if may else 404)
    acts = may == May.ACT
    for path in ("withdraw/", "opened/"):
        assert client.get(case + path).status_code == (200 if acts else 404)
    assert client.get(f"{BUYER}new/").status_code == (200 if acts else 404)
    posted = client.post(f"{case}say/", {"message": "Hello"})
    assert posted.status_code == (302 if acts else 404)
    assert client.post(f"{case}withdraw/").status_code == (302 if acts else 404)
    assert again(dispute).state == ("withdrawn" if acts else "open")
    page = client.get(f"/app/DE-EMP/cdrs/{Cdr.objects.get().pk}/").text
    assert (dispute.reference in page) is bool(may)
    assert "Dispute the ticked" in client.get("/app/DE-EMP/cdrs/").text or not acts


def test_of_a_dispute_between_others_there_is_nothing(dispute):
    stranger = factory.cpo("SE-STR")
    client = visitor(person("s@str.example", stranger, "owner"))
    for code in ("SE-STR", "DE-EMP"):
        for path in ("", "accept/", "withdraw/", "opened/", "say/", "seal/", "evidence/1/"):
            url = f"/app/{code}/disputes/{dispute.reference}/{path}"
            for answer in (client.get(url), client.post(url)):
                assert answer.status_code in (404, 405)
                assert "EMP" not in answer.text.replace("/app/DE-EMP/", "")
    assert dispute.reference not in client.get("/app/SE-STR/disputes/?tab=closed").text


def test_the_first_page_and_the_preview_tell_of_it(payer, supplier, dispute, seller, buyer):
    factory.cdr(seller, buyer, "5.0000")
    home = supplier.get("/app/NL-CPO/").text
    assert f"Answer dispute {dispute.reference}" in home
    assert "DE-EMP Power claims 12.00 EUR" in home
    assert "1 needs your answer." in home
    assert "Answer dispute" not in payer.get("/app/DE-EMP/").text
    preview = supplier.get("/app/NL-CPO/preview/?month=2024-03").text
    assert "Of these in dispute:" in preview
    assert f'href="{SELLER}"' in preview
    for _ in range(6):
        claim(factory.cdr(seller, buyer), now=timezone.now())
    assert "2 more disputes need an answer" in supplier.get("/app/NL-CPO/").text
    viewer = visitor(person("viewer@cpo.example", seller, "viewer"))
    assert "Answer dispute" not in viewer.get("/app/NL-CPO/").text
