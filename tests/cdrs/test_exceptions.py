"""The desk for held CDRs: by cause and CPO, decided about with a reason by those who may."""

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from cdrs.models import Cdr, Decision
from parties.models import User
from tests import objects
from tests.objects import D
from tests.settlement import factory
from tests.speaking import joined

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]
EXCEPTIONS = "admin:cdrs_exceptions"


@pytest.fixture
def desk():
    """Log somebody in who may operate, and no more."""
    call_command("add_user", "operations@hub.example", "--staff", "operations")
    return logged_in("operations@hub.example")


@pytest.fixture
def held():
    """Hold three CDRs: two of one CPO for one reason, one of another for a final one."""
    cpo, emsp = joined("NL", "CPO", "CPO"), joined("DE", "EMP", "EMSP", modules=["cdrs"])
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD1", objects.token(emsp.address))
    other = joined("FR", "ABC", "CPO")
    for number, speaker in enumerate([cpo, cpo, other]):
        body = objects.cdr(speaker.address, emsp.address)
        place = body["cdr_location"] | {"evse_uid": f"E{number}"}
        members = {"id": f"C{number}", "session_id": f"S{number}", "cdr_location": place}
        if speaker is other:
            members["cdr_token"] = objects.cdr_token(objects.Owner("AT", "NEW"))
        else:
            members["total_energy"] = D(21)
        speaker.post("2.2.1/receiver/cdrs", body | members)
    return cpo.party


def logged_in(email):
    client = Client()
    client.force_login(User.objects.get(email=email))
    return client


def group(owner, code="energy_sum_differs"):
    return f"?held_for={code}&owner__id__exact={owner.pk}&currency__exact=EUR"


def ids(*uids):
    return list(Cdr.objects.filter(uid__in=uids).values_list("pk", flat=True))


def states():
    return dict(Cdr.objects.values_list("uid", "state"))


def decide(desk, name, reason="agreed", **posted):
    data = {"confirmed": "1", "reason": reason, **posted}
    return desk.post(reverse("admin:cdrs_decide", args=[name]), data, follow=True).text


def test_held_cdrs_are_grouped_by_cause_and_cpo_with_count_and_amount(desk, held):
    page = desk.get(reverse(EXCEPTIONS)).text
    assert page.count("<code>energy_sum_differs</code>") == 1
    assert "20.0000 EUR" in page
    assert "30.0000 EUR" in page
    assert "<code>emsp_unknown</code>" in page


def test_the_groups_take_few_queries(desk, held, django_assert_max_num_queries):
    with django_assert_max_num_queries(10):
        desk.get(reverse(EXCEPTIONS))


def test_a_group_leads_to_its_cdrs(desk, held):
    page = desk.get(reverse("admin:cdrs_cdr_changelist") + group(held)).text
    assert "C0" in page
    assert "C1" in page
    assert ">C2<" not in page


def test_a_group_is_released_with_a_reason_that_is_kept(desk, held):
    page = desk.get(reverse("admin:cdrs_decide", args=["release"]) + group(held)).text
    assert "20.0000 EUR" in page
    assert [f'name="id" value="{pk}"' in page for pk in ids("C0", "C1", "C2")] == [1, 1, 0]
    page = decide(desk, "release", "meter <replaced>", id=ids("C0", "C1"))
    assert "2 CDRs were decided" in page
    assert states() == {"C0": "accepted", "C1": "accepted", "C2": "held"}
    kept = Decision.objects.values_list("action", "reason", "person__email")
    assert set(kept) == {("release", "meter <replaced>", "operations@hub.example")}
    url = reverse("admin:cdrs_cdr_change", args=ids("C0"))
    assert "meter &lt;replaced&gt;" in desk.get(url).text


def test_what_cannot_be_released_is_told_and_the_rest_done(desk, held):
    page = desk.get(
        reverse("admin:cdrs_decide", args=["release"])
        + group(Cdr.objects.get(uid="C2").owner, "emsp_unknown")
    ).text
    assert "nobody can set this aside" in page
    page = decide(desk, "release", id=ids("C0", "C2"))
    assert "1 CDR was decided" in page
    assert "emsp_unknown" in page
    assert states() == {"C0": "accepted", "C1": "held", "C2": "held"}


def test_without_a_reason_nothing_happens(desk, held):
    page = decide(desk, "discard", " ", id=ids("C0"))
    assert "a reason is needed" in page
    assert states()["C0"] == "held"


def test_cdrs_are_discarded_from_the_list(desk, held):
    url = reverse("admin:cdrs_cdr_changelist")
    page = desk.post(url, {"action": "discard", "_selected_action": ids("C0", "C1")}).text
    assert "cannot be undone" in page
    decide(desk, "discard", id=ids("C0", "C1"))
    assert states() == {"C0": "discarded", "C1": "discarded", "C2": "held"}
    assert "1 CDR was left" in decide(desk, "release", id=ids("C0"))


def test_cdrs_are_judged_again_once_the_cause_is_mended(desk, held):
    payer = joined("AT", "NEW", "EMSP", modules=["cdrs"])
    payer.put(f"2.2.1/receiver/tokens/{payer.path}/CARD1", objects.token(payer.address))
    assert "1 released" in decide(desk, "judge", id=ids("C2"))
    assert states()["C2"] == "accepted"
    url = reverse("admin:cdrs_cdr_changelist")
    data = {"action": "judge_again", "_selected_action": ids("C0")}
    assert "1 unchanged" in desk.post(url, data, follow=True).text


@pytest.mark.parametrize("access", ["support", "clerk", "approver"])
@pytest.mark.parametrize("name", ["release", "discard", "judge"])
def test_who_may_not_decide_sees_and_decides_nothing(held, access, name):
    call_command("add_user", "other@hub.example", "--staff", access)
    desk = logged_in("other@hub.example")
    assert desk.get(reverse(EXCEPTIONS)).status_code == 200
    assert "cdrs/cdr/decide" not in desk.get(reverse(EXCEPTIONS)).text
    url = reverse("admin:cdrs_decide", args=[name])
    assert desk.get(url + group(held)).status_code == 403
    assert desk.post(url, {"confirmed": "1", "reason": "x", "id": ids("C0")}).status_code == 403
    assert states()["C0"] == "held"


def test_an_unknown_deed_is_refused(desk, held):
    assert desk.get(reverse("admin:cdrs_decide", args=["pay"])).status_code == 403


def test_nobody_else_gets_in(held):
    assert Client().get(reverse(EXCEPTIONS)).status_code == 302


def test_the_page_of_a_cdr_shows_claims_beside_the_hubs_figures_and_why(desk):
    cpo, emsp = joined("NL", "CPO", "CPO"), joined("DE", "EMP", "EMSP", modules=["cdrs"])
    tariff = objects.tariff(cpo.address)
    total = {"excl_vat": D("10.5")}
    body = objects.cdr(cpo.address, emsp.address, tariffs=[tariff], total_cost=total)
    cpo.post("2.2.1/receiver/cdrs", body)
    page = desk.get(reverse("admin:cdrs_cdr_change", args=ids("C1"))).text
    assert 'class="verdict-mismatch"' in page
    assert "0.5000" in page
    assert 'class="price-explanation"' in page
    assert "total_cost_differs" in page
    verdict = Cdr.objects.get().verdicts.get()
    page = desk.get(reverse("admin:cdrs_verdict_change", args=[verdict.pk])).text
    assert "tariff_required" in page


def test_the_page_of_a_cdr_without_a_tariff_says_so(desk, held):
    page = desk.get(reverse("admin:cdrs_cdr_change", args=ids("C0"))).text
    assert "The hub cannot price it" in page


def test_an_old_cdr_without_a_verdict_has_a_page(desk):
    cdr = factory.cdr(factory.cpo(), factory.emsp(), body={"currency": "EUR"})
    assert "cannot price" in desk.get(reverse("admin:cdrs_cdr_change", args=[cdr.pk])).text


def test_parameters_are_entered_and_checked():
    call_command("add_user", "admin@hub.example", "--staff", "admin")
    desk = logged_in("admin@hub.example")
    url = reverse("admin:cdrs_ruleparameters_add")
    told = {"valid_from": "2026-01-01", "values": '{"lat_days": 3}'}
    assert "lat_days is not a parameter" in desk.post(url, told).text
    desk.post(url, told | {"values": '{"late_days": 3}'})
    assert "late_days" in desk.get(reverse("admin:cdrs_ruleparameters_changelist")).text
    again = desk.post(url, told | {"values": '{"late_days": 4}'}).text
    assert "one_set_of_parameters_at_a_time" in again
