"""The resolution centre under hostile, hasty and stale hands."""

import datetime as dt
import re
from decimal import Decimal as D

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from hub.rsgi import UPLOAD
from parties.models import Letter
from settlement.disputes import answering, evidence, opening, proposing, sealing
from settlement.disputes.moving import CannotDispute
from settlement.models import Dispute, Draft, DraftFile, Evidence
from tests.portal.cast import PASSWORD, person, visitor
from tests.settlement import factory
from tests.settlement.claims import claim

pytestmark = pytest.mark.django_db
BUYER, SELLER = "/app/DE-EMP/disputes/", "/app/NL-CPO/disputes/"


@pytest.fixture
def payer(buyer):
    return visitor(person("finance@emp.example", buyer, "finance"))


@pytest.fixture
def supplier(seller):
    return visitor(person("finance@cpo.example", seller, "finance"))


@pytest.fixture
def cdr(seller, buyer):
    return factory.cdr(seller, buyer, "100.0000")


@pytest.fixture
def dispute(cdr):
    return claim(cdr, now=timezone.now())


def file(name="meter.txt", content=b"The meter says 18 kWh."):
    return SimpleUploadedFile(name, content)


@pytest.mark.parametrize("number", ["²", "9" * 5000])
def test_what_only_looks_like_a_number_names_nothing(number, payer, dispute):
    case = f"{BUYER}{dispute.reference}/"
    assert payer.post(f"{BUYER}new/", {"draft": number}).status_code == 422
    assert payer.post(f"{case}seal/", {"cdr": number, "about": "findings"}).status_code == 404
    assert payer.post(f"{case}say/", {"message": "Hello", "drop": number}).status_code == 302


def test_an_address_that_no_reference_has_is_not_there(payer, dispute):
    for name in ("%00", "D-2024-%00", "x" * 300):
        assert payer.get(f"{BUYER}{name}/").status_code == 404


def test_a_list_with_a_nul_is_no_list(payer, buyer):
    told = {"add": "1", "csv": file("l.csv", b"cdr_id\nA\x00B\n")}
    answer = payer.post(f"{BUYER}new/", told)
    assert answer.status_code == 422
    assert "This is not a CSV of CDR ids." in answer.text


def test_where_nothing_is_ticked_any_more_nothing_goes_on(payer, cdr):
    answer = payer.post(f"{BUYER}new/", {"cdr": cdr.pk})
    draft = answer.url.split("/")[-3]
    answer = payer.post(f"{BUYER}new/", {"draft": draft})
    assert answer.status_code == 422
    assert "Choose at least one CDR" in answer.text


def test_an_offer_of_all_or_more_is_told_why_not(supplier, dispute):
    for amount in ("100", "100.0001"):
        told = {"amount": amount, "message": "Take it."}
        answer = supplier.post(f"{SELLER}{dispute.reference}/offer/", told)
        assert answer.status_code == 422
        assert "An offer lies between nothing and the 100.00 EUR asked for" in answer.text


def test_the_same_words_with_another_file_lose_no_file(payer, dispute):
    path = f"{BUYER}{dispute.reference}/say/"
    for name, content in (("a.txt", b"a"), ("a.txt", b"a"), ("b.txt", b"b")):
        told = {"message": "See the file.", "evidence": [file(name, content)]}
        assert payer.post(path, told).status_code == 302
    assert [item.name for item in Evidence.objects.all()] == ["a.txt", "b.txt"]
    assert dispute.events.filter(kind="message").count() == 1


def test_an_answer_sent_twice_leaves_no_file_behind(supplier, dispute):
    for _ in range(2):
        told = {"message": "No.", "evidence": [file()]}
        answer = supplier.post(f"{SELLER}{dispute.reference}/reject/", told)
        assert answer.status_code == 302
    assert Evidence.objects.count() == 1
    assert not DraftFile.objects.exists()


def test_what_is_said_too_late_is_told_so_and_kept(supplier, buyer, dispute):
    answering.withdraw(dispute, buyer, None, timezone.now())
    answer = supplier.post(f"{SELLER}{dispute.reference}/say/", {"message": "One more thing."})
    assert answer.status_code == 422
    assert "it is now “withdrawn”" in answer.text
    assert "One more thing." in answer.text


def test_a_file_that_is_all_ending_can_be_sent(payer, dispute):
    path = f"{BUYER}{dispute.reference}/say/"
    assert payer.post(path, {"evidence": [file("___.txt")]}).status_code == 302
    assert Evidence.objects.get().name == "file.txt"


def test_files_that_are_not_sent_yet_have_their_limit_too(payer, buyer, cdr, monkeypatch):
    monkeypatch.setattr(evidence, "A_DAY", 10)
    answer = payer.post(f"{BUYER}new/", {"cdr": cdr.pk})
    draft = answer.url.removesuffix("reason/")
    payer.post(f"{draft}reason/", {"reason": "other"})
    told = {"ask": "explanation", "message": "Why?", "add": "1"}
    payer.post(f"{draft}ask/", {**told, "evidence": [file("a.txt", b"12345678")]})
    answer = payer.post(f"{draft}ask/", {**told, "evidence": [file("b.txt", b"123")]})
    assert answer.status_code == 422
    assert DraftFile.objects.count() == 1


def test_a_day_has_so_many_disputes_of_a_party(seller, buyer, monkeypatch):
    monkeypatch.setattr(opening, "A_DAY", 2, raising=False)
    cdrs = factory.cdrs(4, seller, buyer)
    now = timezone.now()
    for cdr in cdrs[:2]:
        claim(cdr, ask="explanation", now=now)
    with pytest.raises(CannotDispute, match="in a day"):
        claim(cdrs[2], now=now)
    claim(cdrs[2], amount="1", by=seller, now=now)  # the other side has its own
    claim(cdrs[3], now=now + dt.timedelta(days=1, minutes=1))


def test_the_hub_seals_no_heap(buyer, seller, dispute, monkeypatch):
    monkeypatch.setattr(sealing, "MOST", 1, raising=False)
    cdrs = factory.cdrs(2, seller, buyer)
    heap = claim(cdrs, now=timezone.now())
    first = sealing.seal(heap, "findings", cdrs[0], timezone.now(), party=buyer)
    with pytest.raises(CannotDispute):
        sealing.seal(heap, "findings", cdrs[1], timezone.now(), party=buyer)
    assert sealing.seal(heap, "findings", cdrs[0], timezone.now()) == first


def test_other_cdrs_that_their_payer_may_not_see_are_not_told(buyer, seller, dispute, cdr):
    factory.cdr(seller, buyer, state="held", uid="SECRET", complete=False)
    told = factory.cdr(seller, buyer, uid="KNOWN")
    made = sealing.seal(dispute, "duplicate", cdr, timezone.now(), party=buyer)
    assert told.uid in bytes(made.content).decode()
    assert "SECRET" not in bytes(made.content).decode()


def test_what_is_not_there_any_more_is_not_left_out_in_silence(payer, seller, buyer, cdr):
    other = factory.cdr(seller, factory.emsp("FR-MSP"))
    answer = payer.post(f"{BUYER}new/", {"cdr": cdr.pk})
    told = {"reason": "other", "ask": "explanation", "message": "Why?"}
    Draft.objects.update(cdrs=[cdr.pk, other.pk], **told)
    draft = answer.url.removesuffix("reason/")
    assert payer.post(f"{draft}check/").status_code == 422
    assert not Dispute.objects.exists()


def test_no_id_is_so_taken_that_nothing_can_be_filed(seller, buyer, cdr):
    names = ["-C", *(f"-C{number}" for number in range(2, 100))]
    for name in names:
        factory.cdr(seller, buyer, uid=cdr.uid + name)
    made = proposing.proposal(cdr, D(0), "D-2024-000001", timezone.now())
    assert len(made.credit["id"]) <= 39


def test_the_confirmation_is_for_who_has_opened(payer, supplier, dispute):
    assert payer.get(f"{BUYER}{dispute.reference}/opened/").status_code == 200
    assert supplier.get(f"{SELLER}{dispute.reference}/opened/").status_code == 404


def test_one_letter_is_not_plural(dispute):
    assert "1 CDRs" not in Letter.objects.first().text


def test_what_is_final_wants_the_password_again(payer, supplier, dispute):
    accept, withdraw = (
        f"{SELLER}{dispute.reference}/accept/",
        f"{BUYER}{dispute.reference}/withdraw/",
    )
    for client, path in ((payer, withdraw), (supplier, accept)):
        assert "reauthenticate" in client.post(path, {"message": ""}).url
        dispute.refresh_from_db()
        assert dispute.state == "open"
    again = {"password": PASSWORD}
    supplier.post(supplier.post(accept, {"message": "Right."}).url, again)
    dispute.refresh_from_db()
    assert (dispute.state, dispute.events.get(kind="accepted").text) == ("accepted", "Right.")


def test_the_form_promises_no_more_than_the_door_lets_through(payer, dispute):
    page = payer.get(f"{BUYER}{dispute.reference}/").text
    assert UPLOAD > 20 * 2**20
    assert "20 MiB at a time" in page


def test_what_is_for_the_hub_only_is_so_although_it_was_sent_before(supplier, dispute):
    path = f"{SELLER}{dispute.reference}/reject/"
    assert (
        supplier.post(path, {"message": "", "evidence": [file("a.txt", b"a")]}).status_code == 422
    )
    told = {"message": "", "hub_only": "on"}
    assert "only for the hub" in supplier.post(path, told).text
    more = {"message": "", "evidence": [file("b.txt", b"b")], "hub_only": "on"}
    page = supplier.post(path, more).text
    assert not re.search(r'name="hub_only"[^>]*checked', page)  # it was for those files
    supplier.post(path, {"message": "", "evidence": [file("c.txt", b"c")]})
    supplier.post(path, {"message": "No."})
    seen = {item.name: str(item.visible_to) for item in Evidence.objects.all()}
    assert seen == {"a.txt": "hub", "b.txt": "hub", "c.txt": "parties"}
