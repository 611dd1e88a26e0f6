"""CDRs come in once, are judged, get a month, and are owed to who pays."""

import threading
from functools import partial

import pytest
from django.db import DatabaseError, connection, connections, transaction

from cdrs.models import Cdr, Finding, Period
from parties.models import Delivery
from tests import objects
from tests.objects import D
from tests.speaking import Speaker, joined

pytestmark = pytest.mark.django_db
PATH = "2.2.1/receiver/cdrs"


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO", modules=["tokens"])


@pytest.fixture
def emsp():
    speaker = joined("DE", "EMP", "EMSP", modules=["cdrs", "sessions"])
    body = objects.token(speaker.address)
    speaker.put(f"2.2.1/receiver/tokens/{speaker.path}/{body['uid']}", body)
    return speaker


def codes(cdr, severity="hold"):
    return set(cdr.findings.filter(severity=severity).values_list("code", flat=True))


@pytest.mark.ocpi("D-01", "D-09", "D-16", "T-31")
def test_a_cdr_is_accepted_located_and_owed_to_the_owner_of_the_token(cpo, emsp):
    body = objects.cdr(cpo.address, emsp.address, note="kept")
    reply = cpo.post(PATH, body)
    assert (reply.http, reply.code) == (201, 1000)
    location = reply.headers["Location"]
    assert cpo.get(location.split("/ocpi/")[1]).data == body
    cdr = Cdr.objects.get()
    assert (cdr.state, str(cdr.period), cdr.emsp) == ("accepted", "2026-11", emsp.party)
    assert (cdr.energy_kwh, cdr.total_excl_vat, cdr.country) == (D(20), D(10), "NL")
    row = Delivery.objects.get(module="cdrs")
    assert row.receiver.party == emsp.party
    assert emsp.get("2.2.1/sender/cdrs").data == [body]


def test_a_cdr_takes_as_many_statements_as_ever(cpo, emsp, django_assert_num_queries):
    send = partial(objects.cdr, cpo.address, emsp.address)
    cpo.post(PATH, send())  # opens the month
    for number in range(2, 5):
        body = send(id=f"C{number}", session_id=f"S{number}", tariffs=[objects.tariff(cpo.address)])
        with django_assert_num_queries(7):
            assert cpo.post(PATH, body).code == 1000


@pytest.mark.ocpi("D-05")
def test_the_same_cdr_again_is_answered_the_same_and_changes_nothing(cpo, emsp):
    body = objects.cdr(cpo.address, emsp.address)
    first, again = cpo.post(PATH, body), cpo.post(PATH, body)
    assert (again.http, again.code) == (200, 1000)
    assert again.headers["Location"] == first.headers["Location"]
    assert Cdr.objects.count() == 1


@pytest.mark.ocpi("D-04", "D-05")
def test_another_cdr_under_the_same_id_is_a_conflict(cpo, emsp):
    body = objects.cdr(cpo.address, emsp.address)
    cpo.post(PATH, body)
    for other in ({**body, "total_cost": {"excl_vat": D(11)}}, {**body, "id": "c1"}):
        reply = cpo.post(PATH, other)
        assert (reply.http, reply.code) == (200, 2001)
        assert "cannot be changed" in reply.message
    assert Cdr.objects.get().total_excl_vat == D(10)


def test_a_held_cdr_is_delivered_but_has_no_month(cpo, emsp):
    cpo.post(PATH, objects.cdr(cpo.address, emsp.address, total_energy=D(21)))
    cdr = Cdr.objects.get()
    assert (cdr.state, cdr.period) == ("held", None)
    assert codes(cdr) == {"energy_sum_differs"}
    assert Delivery.objects.filter(module="cdrs").count() == 1


def test_a_token_that_nobody_told_or_nobody_owns_holds_the_cdr(cpo, emsp):
    unknown = objects.cdr_token(emsp.address, uid="OTHER")
    cpo.post(PATH, objects.cdr(cpo.address, emsp.address, cdr_token=unknown))
    assert codes(Cdr.objects.get()) == {"token_unknown"}
    foreign = objects.cdr_token(cpo.address)
    cpo.post(
        PATH, objects.cdr(cpo.address, emsp.address, id="C2", session_id="S2", cdr_token=foreign)
    )
    assert "emsp_unknown" in codes(Cdr.objects.get(uid="C2"))
    assert Delivery.objects.filter(module="cdrs").count() == 1


def test_a_second_cdr_of_a_session_is_held_and_names_the_first(cpo, emsp):
    cpo.post(PATH, objects.cdr(cpo.address, emsp.address))
    cpo.post(PATH, objects.cdr(cpo.address, emsp.address, id="C2"))
    second = Cdr.objects.get(uid="C2")
    assert codes(second) == {"session_billed_twice", "same_start"}
    assert "C1" in Finding.objects.get(cdr=second, code="session_billed_twice").text


@pytest.mark.ocpi("D-07", "D-08")
def test_a_credit_and_its_replacement_net_in_an_open_month(cpo, emsp):
    first = objects.cdr(cpo.address, emsp.address)
    cpo.post(PATH, first)
    credit = {"credit": True, "credit_reference_id": "C1", "total_cost": {"excl_vat": D("-10.00")}}
    cpo.post(PATH, {**first, "id": "C1-credit", **credit})
    cpo.post(PATH, {**first, "id": "C1-new", "total_cost": {"excl_vat": D(9)}})
    states = dict(Cdr.objects.values_list("uid", "state"))
    assert states == {"C1": "accepted", "C1-credit": "accepted", "C1-new": "accepted"}
    taken_back = Cdr.objects.get(uid="C1-credit")
    assert taken_back.credit_of.uid == "C1"
    assert (taken_back.total_excl_vat, taken_back.energy_kwh) == (D(-10), D(20))
    again = cpo.post(PATH, {**first, "id": "C1-again", **credit})
    assert again.http == 201
    assert codes(Cdr.objects.get(uid="C1-again")) == {"credited_twice"}


def test_a_credit_of_what_is_settled_goes_to_the_next_month_that_takes_it(cpo, emsp):
    first = objects.cdr(cpo.address, emsp.address)
    cpo.post(PATH, first)
    Period.objects.get().move_to("frozen")
    credit = {"credit": True, "credit_reference_id": "C1", "total_cost": {"excl_vat": D("-10.00")}}
    cpo.post(PATH, {**first, "id": "C2", **credit})
    taken_back, original = Cdr.objects.get(uid="C2"), Cdr.objects.get(uid="C1")
    assert (taken_back.state, codes(taken_back)) == ("accepted", set())
    assert taken_back.period.month > original.period.month == taken_back.month


def test_after_the_freeze_a_cdr_goes_to_the_present_month(cpo, emsp):
    old = {
        "start_date_time": "2026-03-10T08:00:00Z",
        "end_date_time": "2026-03-10T10:00:00Z",
        "charging_periods": [
            {
                "start_date_time": "2026-03-10T08:00:00Z",
                "dimensions": [{"type": "ENERGY", "volume": D(20)}],
            }
        ],
    }
    cpo.post(PATH, objects.cdr(cpo.address, emsp.address, **old))
    march = Cdr.objects.get().period
    assert str(march) == "2026-03"
    march.move_to("frozen")
    cpo.post(
        PATH,
        objects.cdr(
            cpo.address,
            emsp.address,
            id="C2",
            session_id="S2",
            **old
            | {
                "cdr_location": objects.cdr(cpo.address, emsp.address)["cdr_location"]
                | {"evse_uid": "E2"}
            },
        ),
    )
    late = Cdr.objects.get(uid="C2")
    assert late.state == "accepted"
    assert late.period.month > march.month
    assert f"{late.month:%Y-%m}" == "2026-03"


@pytest.mark.parametrize(
    "members",
    [
        {"total_cost": {"excl_vat": "10"}},
        {"charging_periods": []},
        {"currency": "euro"},
        {"id": "x" * 40},
        {"end_date_time": "2026-02-30T00:00:00Z"},
        {"cdr_token": None},
        {"total_cost": {"excl_vat": D("1e17")}},
        {"total_energy": D("1e15")},
        {"start_date_time": "0001-01-01T00:00:00Z"},
        {"end_date_time": "9999-12-31T23:59:59Z"},
        {"end_date_time": "2026-11-10T23:59:60Z"},
    ],
)
@pytest.mark.ocpi("D-12", "T-10")
def test_what_is_malformed_is_refused_and_not_kept(cpo, emsp, members):
    reply = cpo.post(PATH, objects.cdr(cpo.address, emsp.address, **members))
    assert (reply.http, reply.code) == (200, 2001)
    assert not Cdr.objects.exists()


@pytest.mark.ocpi("D-16", "G-03", "A-12")
def test_only_the_owner_sends_and_reads_and_only_the_payer_lists(cpo, emsp):
    other = joined("FR", "STR", "CPO")
    stranger = joined("AT", "STR", "EMSP")
    body = objects.cdr(cpo.address, emsp.address)
    assert (other.post(PATH, body).http, other.post(PATH, body).code) == (200, 2001)
    location = cpo.post(PATH, body).headers["Location"].split("/ocpi/")[1]
    assert other.get(location).http == 404
    assert emsp.post(PATH, body).code != 1000
    assert stranger.get("2.2.1/sender/cdrs").data == []
    assert stranger.get("2.2.1/sender/cdrs/C1").http == 404
    assert stranger.get("2.2.1/sender/cdrs").headers["X-Total-Count"] == "0"


def test_an_addressee_that_does_not_pay_is_refused(cpo, emsp):
    joined("AT", "STR", "EMSP")
    body = objects.cdr(cpo.address, emsp.address)
    to = {"OCPI_to_country_code": "AT", "OCPI_to_party_id": "STR"}
    assert cpo.post(PATH, body, **to).code == 2001
    to = {"OCPI_to_country_code": "DE", "OCPI_to_party_id": "EMP"}
    assert cpo.post(PATH, body, **to).http == 201


@pytest.mark.ocpi("D-04")
def test_the_database_refuses_to_change_or_delete_a_cdr(cpo, emsp):
    cpo.post(PATH, objects.cdr(cpo.address, emsp.address))
    for statement in (
        "UPDATE cdrs_cdr SET total_excl_vat = 1",
        "UPDATE cdrs_cdr SET body = '{}'",
        "DELETE FROM cdrs_cdr",
        "UPDATE cdrs_cdr SET state = 'held'",
        "UPDATE cdrs_period SET month = '2020-01-01'",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_the_database_refuses_writes_into_a_frozen_month(cpo, emsp):
    cpo.post(PATH, objects.cdr(cpo.address, emsp.address))
    Period.objects.get().move_to("frozen")
    cdr = Cdr.objects.get()
    with pytest.raises(DatabaseError, match="frozen"), transaction.atomic():
        cdr.move_to("held", period=None)
    with pytest.raises(DatabaseError, match="only moves"), transaction.atomic():
        Period.objects.update(state="open")


@pytest.mark.django_db(transaction=True)
@pytest.mark.ocpi("D-05")
def test_fifty_posts_of_one_cdr_at_once_make_one(cpo, emsp):
    body, answers = objects.cdr(cpo.address, emsp.address), []

    def post():
        try:
            for _ in range(5):
                answers.append(Speaker(cpo.address, cpo.token).post(PATH, body))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.http for reply in answers) == [200] * 49 + [201]
    assert {reply.code for reply in answers} == {1000}
    assert Cdr.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_cdrs_of_one_session_at_once_one_is_held(cpo, emsp):
    def post(number):
        try:
            body = objects.cdr(cpo.address, emsp.address, id=f"C{number}")
            Speaker(cpo.address, cpo.token).post(PATH, body)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Cdr.objects.values_list("state", flat=True)) == ["accepted"] + ["held"] * 7


@pytest.mark.ocpi("T-25")
def test_spelling_does_not_hide_a_duplicate(cpo, emsp):
    first = objects.cdr(cpo.address, emsp.address, session_id=None)
    cpo.post(PATH, first)
    place = first["cdr_location"] | {"evse_uid": "e1"}
    token = objects.cdr_token(emsp.address, uid="card1")
    again = {"id": "C2", "start_date_time": "2026-11-10T08:00:00", "cdr_location": place}
    cpo.post(PATH, {**first, **again, "cdr_token": token})
    assert codes(Cdr.objects.get(uid="C2")) == {"same_start"}


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.ocpi("D-08")
def test_a_credit_is_of_the_same_trade_and_of_what_is_billed(cpo, emsp, held):
    joined("AT", "OTH", "EMSP")
    first = objects.cdr(cpo.address, emsp.address)
    cpo.post(PATH, first | ({"total_energy": D(900)} if held else {}))
    place = first["cdr_location"] | ({} if held else {"country": "DEU"})
    credit = {"credit": True, "credit_reference_id": "C1", "total_cost": {"excl_vat": D("-10.00")}}
    cpo.post(PATH, {**first, "id": "C2", "cdr_location": place, **credit})
    assert codes(Cdr.objects.get(uid="C2")) == {"credit_of_held" if held else "credit_not_exact"}


@pytest.mark.ocpi("D-01", "T-33")
def test_the_location_of_a_cdr_is_a_proper_url(cpo, emsp):
    reply = cpo.post(PATH, objects.cdr(cpo.address, emsp.address, id="A ?#1"))
    location = reply.headers["Location"]
    assert location.endswith("/NL/CPO/A%20%3F%231")
    assert cpo.get(location.split("/ocpi/")[1]).data["id"] == "A ?#1"


@pytest.mark.ocpi("D-01", "T-33")
def test_the_location_of_a_cdr_with_a_slash_in_its_id_leads_back_to_it(cpo, emsp):
    reply = cpo.post(PATH, objects.cdr(cpo.address, emsp.address, id="2026/0001"))
    assert cpo.get(reply.headers["Location"].split("/ocpi/")[1]).data["id"] == "2026/0001"
