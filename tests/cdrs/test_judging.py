"""CDRs are judged and priced when they come in, again when more is known, and by people."""

import datetime as dt
import io
import json

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cdrs import evidence, judging, norms, overlaps, rules, tasks, waiting
from cdrs.models import Cdr, Decision, Finding, Norm, Period, RuleParameters, Verdict
from parties.models import Delivery, User
from tests import objects
from tests.objects import D
from tests.settlement import factory
from tests.speaking import joined

pytestmark = pytest.mark.django_db
PATH = "2.2.1/receiver/cdrs"
NEVER_MIND = {"delivered_late", "tariff_published_late"}  # the calendar, and the order of a test


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO", modules=["tokens"])


@pytest.fixture
def emsp():
    speaker = joined("DE", "EMP", "EMSP", modules=["cdrs"])
    speaker.put(f"2.2.1/receiver/tokens/{speaker.path}/CARD1", objects.token(speaker.address))
    return speaker


@pytest.fixture
def person():
    return User.objects.create_user("operations@hub.example", is_staff=True)


@pytest.fixture
def send(cpo, emsp):
    """Post a CDR whose tariff makes 20 kWh cost 10.00 and 12.10 with tax; return it as stored."""
    cpo.put(f"2.2.1/receiver/locations/{cpo.path}/L1", objects.location(cpo.address))

    def post(uid="C1", **members):
        told = {"id": uid, "tariffs": [tariff(cpo)], **members}
        reply = cpo.post(PATH, objects.cdr(cpo.address, emsp.address, **told))
        assert (reply.http, reply.code) == (201, 1000), reply.message
        return Cdr.objects.get(uid=uid)

    return post


def tariff(cpo, price="0.50", **members):
    component = {"type": "ENERGY", "price": D(price), "vat": D(21), "step_size": 1}
    elements = [{"price_components": [component]}]
    return objects.tariff(cpo.address, elements=elements, **members)


def elsewhere(cpo, emsp, number):
    """Return what makes a CDR another session, at another EVSE."""
    place = objects.cdr(cpo.address, emsp.address)["cdr_location"]
    return {"session_id": f"S{number}", "cdr_location": place | {"evse_uid": f"E{number}"}}


def codes(cdr, **which):
    rows = cdr.findings.filter(cleared_at=None, **which)
    return set(rows.values_list("code", flat=True)) - NEVER_MIND


def again(cdr, cause=Verdict.Cause.AGAIN):
    outcome = list(judging.rejudge([cdr.pk], cause, timezone.now()))
    cdr.refresh_from_db()
    return outcome


# Priced


def test_a_cdr_is_priced_and_its_verdict_kept_with_what_it_was_based_on(send):
    cdr = send()
    verdict = Verdict.objects.get()
    assert (cdr.state, codes(cdr)) == ("accepted", set())
    assert (verdict.cost_verdict, verdict.difference, verdict.held) == ("match", 0, False)
    assert (verdict.computed_excl_vat, verdict.computed_incl_vat) == (D("10"), D("12.1"))
    assert (verdict.rules, verdict.engine) == (rules.VERSION, "2026-11")
    assert verdict.context["place"]["time_zone"] == "Europe/Amsterdam"


def test_a_wrong_cost_holds_the_cdr_and_says_by_how_much_and_the_payer_gets_it_all_the_same(send):
    cdr = send(total_cost={"excl_vat": D("11"), "incl_vat": D("13.31")})
    assert (cdr.state, codes(cdr)) == ("held", {"total_cost_differs", "tax_differs"})
    text = cdr.findings.get(code="total_cost_differs").text
    assert "11.0000, by the tariff 10.0000 (+1.0000)" in text
    assert Verdict.objects.get().difference == 1
    assert Delivery.objects.filter(module="cdrs", object_id=cdr.pk).count() == 1


def test_a_tariff_that_is_only_named_is_the_one_published_when_the_session_started(cpo, send):
    put = f"2.2.1/receiver/tariffs/{cpo.path}/T1"
    cpo.put(put, tariff(cpo))
    starts = {"start_date_time": "2026-11-10T08:00:00Z", "tariff_id": "t1"}
    periods = [{**starts, "dimensions": [{"type": "ENERGY", "volume": D(20)}]}]
    cpo.put(put, tariff(cpo, "0.90", last_updated="2026-11-10T11:00:00Z"))
    cdr = send(tariffs=None, charging_periods=periods)
    assert codes(cdr) == set()
    verdict = Verdict.objects.get()
    assert verdict.cost_verdict == "match"
    assert verdict.tariffs[0]["elements"][0]["price_components"][0]["price"] == D("0.50")


def test_the_tariffs_of_the_connector_count_where_they_make_the_cost(cpo, send):
    cpo.put(f"2.2.1/receiver/tariffs/{cpo.path}/T1", tariff(cpo))
    plug = objects.connector(tariff_ids=["T1"])
    body = objects.location(cpo.address, evses=[objects.evse(connectors=[plug])])
    cpo.put(
        f"2.2.1/receiver/locations/{cpo.path}/L1", body | {"last_updated": "2026-11-11T00:00:00Z"}
    )
    assert codes(send(tariffs=None)) == set()
    assert Verdict.objects.get().cost_verdict == "match"


def test_what_nothing_prices_is_marked_and_held_where_a_tariff_is_required(cpo, send):
    assert codes(send(tariffs=None)) == {"not_priced"}
    RuleParameters.objects.create(
        cpo=cpo.party, valid_from="2026-11-01", values={"tariff_required": True}
    )
    cdr = send("C2", tariffs=None, session_id="S2", start_date_time="2026-11-10T08:00:01Z")
    assert {"tariff_missing"} < codes(cdr)


def test_a_tariff_in_the_cdr_is_compared_with_the_one_published(cpo, send):
    cpo.put(f"2.2.1/receiver/tariffs/{cpo.path}/T1", tariff(cpo, "0.40"))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO locations_tariffversion (tariff_id, known_from, body)"
            " SELECT tariff_id, '2026-11-01', body FROM locations_tariffversion"
        )
    assert codes(send()) == {"tariff_differs_from_published"}


def test_a_cdr_that_takes_long_to_price_is_priced_after_the_commit(
    cpo, emsp, send, django_capture_on_commit_callbacks, monkeypatch
):
    monkeypatch.setattr("cdrs.repricing.LATER", 0)
    told = []
    monkeypatch.setattr("parties.waking.start", lambda *message: told.append(message))
    with django_capture_on_commit_callbacks(execute=True):
        cdr = send()
    assert (cdr.state, codes(cdr)) == ("held", {"priced_later"})
    assert ("cdrs.judge", cdr.pk) in told
    assert list(waiting.unpriced()) == [cdr.pk]
    tasks.judge_waiting()
    cdr.refresh_from_db()
    assert (cdr.state, str(cdr.period), codes(cdr)) == ("accepted", "2026-11", set())
    assert [item.cause for item in cdr.verdicts.all()] == ["intake", "later"]


def test_a_credit_without_a_reference_is_refused_and_not_kept(cpo, emsp):
    body = objects.cdr(cpo.address, emsp.address, credit=True, total_cost={"excl_vat": D(-10)})
    reply = cpo.post(PATH, body)
    assert (reply.http, reply.code) == (200, 2001)
    assert "credit_reference_id" in reply.message
    assert not Cdr.objects.exists()


def test_what_was_held_can_be_taken_back_and_replaced(send):
    wrong = {"total_energy": D(900), "charging_periods": span(8, 10)["charging_periods"]}
    first = send(**wrong)
    assert "energy_implausible" in codes(first)
    total = {"excl_vat": D(-10), "incl_vat": D("-12.1")}
    told = {"credit": True, "credit_reference_id": "C1", "total_cost": total, **wrong}
    credit = send("C1-credit", **told)
    assert (codes(credit), credit.credit_of) == ({"credit_of_held"}, first)
    assert send("C1-new").state == "accepted"
    assert again(first) == ["unchanged"]


def test_a_credit_is_settled_once_its_original_is(send, person):
    first = send(total_energy=D(900))
    total = {"excl_vat": D(-10), "incl_vat": D("-12.1")}
    told = {"credit": True, "credit_reference_id": "C1", "total_cost": total}
    credit = send("C1-credit", total_energy=D(900), **told)
    judging.release(first.pk, person, "a lorry", timezone.now())
    tasks.retry_held()
    credit.refresh_from_db()
    assert (credit.state, credit.credit_of) == ("accepted", first)


def test_all_that_is_known_of_a_cdr_comes_in_one_query(send):
    cdr = send()
    candidate = judging.candidate_of(cdr)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        evidence.gather([candidate] * 3)
    assert len(queries) == 1


# Others


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"start_date_time": "2026-11-10T08:01:30Z"}, "nearly_the_same"),
        ({"start_date_time": "2026-11-10T09:00:00Z", "total_energy": D(19)}, "overlapping"),
    ],
)
def test_of_sessions_that_exclude_each_other_the_first_one_stands(send, members, code):
    first = send()
    second = send("C2", session_id="S2", **members)
    assert code in codes(second, severity="hold")
    assert "CDR C1" in second.findings.get(code=code).text
    assert again(first) == ["unchanged"]
    assert again(second) == ["unchanged"]


def span(start, end):
    """Return what makes a CDR last from an hour to another."""
    begins, ends = (f"2026-11-10T{hour:02}:00:00Z" for hour in (start, end))
    dimensions = [{"type": "ENERGY", "volume": D(20)}]
    return {
        "start_date_time": begins,
        "end_date_time": ends,
        "last_updated": ends,
        "total_time": D(end - start),
        "charging_periods": [{"start_date_time": begins, "dimensions": dimensions}],
    }


def test_one_session_after_the_other_is_no_overlap(send):
    send()
    assert codes(send("C2", session_id="S2", **span(10, 12))) == set()
    assert overlaps.find() == []


def test_overlaps_are_found_over_all_cdrs(send):
    for uid, (start, end) in {"A": (0, 4), "B": (1, 2), "C": (3, 5), "D": (5, 6)}.items():
        send(uid, session_id=uid, **span(start, end))
    found = {(item.uid, item.before) for item in overlaps.find()}
    assert found == {("B", "A"), ("C", "B")}


def test_a_token_is_seen_elsewhere_and_a_replacement_known(cpo, emsp, send):
    first = send()
    other = send("C2", **elsewhere(cpo, emsp, 2))
    assert codes(other, severity="flag") == {"token_at_two_places", "evse_unknown"}
    credit = {"credit": True, "credit_reference_id": "C1"}
    send("C1-credit", total_cost={"excl_vat": D(-10), "incl_vat": D("-12.10")}, **credit)
    replacement = send("C1-new")
    assert codes(replacement) == {"replaces_credited", "token_at_two_places"}
    assert Cdr.objects.get(uid="C1-credit").credit_of == first


def test_the_session_is_compared(cpo, emsp, send):
    body = objects.session(
        cpo.address,
        emsp.address,
        status="COMPLETED",
        kwh=D(15),
        end_date_time="2026-11-10T10:00:00Z",
    )
    cpo.put(f"2.2.1/receiver/sessions/{cpo.path}/S1", body)
    assert codes(send(), severity="hold") == {"session_energy_differs"}


def test_the_connector_limits_the_power(send):
    periods = [
        {
            "start_date_time": "2026-11-10T08:00:00Z",
            "dimensions": [{"type": "ENERGY", "volume": D(60)}],
        }
    ]
    cost = {"total_cost": {"excl_vat": D(30), "incl_vat": D("36.3")}}
    cdr = send(total_energy=D(60), charging_periods=periods, **cost)
    assert codes(cdr, severity="hold") == {"power_impossible"}


# Parameters


def test_agreements_are_laid_over_each_other_and_hold_when_the_session_starts(cpo, emsp, send):
    told = [
        (None, None, "2020-01-01", {"high_energy_kwh": 10, "late_days": 400}),
        (cpo.party, None, "2020-01-01", {"high_energy_kwh": 15}),
        (None, emsp.party, "2020-01-01", {"high_energy_kwh": 16}),
        (cpo.party, emsp.party, "2026-11-11", {"high_energy_kwh": 30}),
    ]
    for cpo_, emsp_, day, values in told:
        RuleParameters.objects.create(cpo=cpo_, emsp=emsp_, valid_from=day, values=values)
    cdr = send()
    assert codes(cdr) == {"energy_high"}
    kept = Verdict.objects.get().context["parameters"]
    assert (kept["high_energy_kwh"], kept["late_days"]) == ("16", 400)


def test_parameters_that_are_none_are_refused_all_at_once():
    row = RuleParameters(
        valid_from=dt.date(2026, 1, 1), values={"lat_days": 3, "most_hours": "x", "late_days": 1}
    )
    with pytest.raises(ValidationError) as refused:
        row.full_clean()
    told = " ".join(refused.value.messages)
    assert "lat_days is not a parameter" in told
    assert "most_hours" in told
    assert "late_days:" not in told


# Again


def test_what_was_lacking_is_tried_again_and_settled(cpo, send, emsp):
    cdr = send(cdr_token=objects.cdr_token(emsp.address, uid="CARD2"))
    assert (cdr.state, codes(cdr)) == ("held", {"token_unknown"})
    tasks.retry_held()
    assert cdr.verdicts.count() == 1
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD2", objects.token(emsp.address, uid="CARD2"))
    tasks.retry_held()
    cdr.refresh_from_db()
    assert (cdr.state, str(cdr.period), codes(cdr)) == ("accepted", "2026-11", set())
    assert [item.cause for item in cdr.verdicts.all()] == ["intake", "retry"]


def test_who_joins_later_pays_and_gets_the_cdr(cpo, send):
    token = objects.cdr_token(objects.Owner("AT", "NEW"), uid="CARD9")
    cdr = send(cdr_token=token)
    assert "emsp_unknown" in codes(cdr)
    payer = joined("AT", "NEW", "EMSP", modules=["cdrs"])
    payer.put(
        f"2.2.1/receiver/tokens/{payer.path}/CARD9", objects.token(payer.address, uid="CARD9")
    )
    assert again(cdr) == ["released"]
    assert (cdr.state, cdr.emsp) == ("accepted", payer.party)
    assert Delivery.objects.get(module="cdrs").receiver.party == payer.party


def test_after_90_days_nothing_is_tried_again_and_nothing_is_dropped(send, emsp):
    cdr = send(cdr_token=objects.cdr_token(emsp.address, uid="CARD2"))
    then = cdr.received_at + dt.timedelta(days=90)
    assert list(waiting.retried(then - dt.timedelta(seconds=1))) == [cdr.pk]
    assert list(waiting.retried(then)) == []
    assert cdr.state == "held"


def test_what_is_found_wrong_later_is_held_and_what_is_frozen_stays(cpo, send):
    cdr = send()
    RuleParameters.objects.create(valid_from="2026-01-01", values={"trading": False})
    assert again(cdr) == ["held"]
    assert (cdr.state, cdr.period, codes(cdr)) == ("held", None, {"agreement_missing"})
    RuleParameters.objects.all().delete()
    assert again(cdr) == ["released"]
    cdr.period.move_to("frozen")
    RuleParameters.objects.create(valid_from="2026-01-01", values={"trading": False})
    assert again(cdr) == ["unchanged"]
    assert cdr.state == "accepted"


def test_what_the_close_of_a_month_holds_is_not_ours_to_clear(send):
    cdr = send()
    cdr.move_to("held", period=None)
    Finding.objects.create(cdr=cdr, code="vat_rule_missing", severity="hold", text="none")
    assert again(cdr) == ["unchanged"]
    assert codes(cdr) == {"vat_rule_missing"}


def test_every_verdict_can_be_reached_again(cpo, emsp, send):
    send()
    send("C2")
    send("C3", total_cost={"excl_vat": D(1)}, **elsewhere(cpo, emsp, 3))
    for verdict in Verdict.objects.all():
        found = [[item.code, item.severity, item.text] for item in judging.replay(verdict)]
        assert found == verdict.findings
    assert Verdict.objects.count() == 3


# People


def test_a_person_releases_with_a_reason_and_it_is_not_held_again_for_that(send, person):
    cdr = send(total_cost={"excl_vat": D("11"), "incl_vat": D("13.31")})
    decision = judging.release(cdr.pk, person, " agreed by phone ", timezone.now())
    cdr.refresh_from_db()
    assert (cdr.state, str(cdr.period)) == ("accepted", "2026-11")
    assert (decision.reason, decision.person) == ("agreed by phone", person)
    assert cdr.findings.get(code="total_cost_differs").decision == decision
    assert again(cdr) == ["unchanged"]
    assert cdr.state == "accepted"


def test_a_person_discards_with_a_reason(send, person):
    cdr = send(total_energy=D(21))
    judging.discard(cdr.pk, person, "a test of the CPO's", timezone.now())
    cdr.refresh_from_db()
    assert (cdr.state, cdr.decisions.get().action) == ("discarded", "discard")
    assert again(cdr) == []


@pytest.mark.parametrize("reason", ["", "  "])
def test_nothing_is_decided_without_a_reason(send, person, reason):
    cdr = send(total_energy=D(21))
    with pytest.raises(judging.CannotDecide, match="reason"):
        judging.release(cdr.pk, person, reason, timezone.now())
    assert not Decision.objects.exists()


def test_nobody_releases_what_could_not_be_settled_or_is_not_held(send, person):
    lost = send(cdr_token=objects.cdr_token(objects.Owner("AT", "NEW")))
    with pytest.raises(judging.CannotDecide, match="emsp_unknown"):
        judging.release(lost.pk, person, "let it go", timezone.now())
    assert judging.discard(lost.pk, person, "let it go", timezone.now())
    with pytest.raises(judging.CannotDecide, match="not held"):
        judging.release(lost.pk, person, "after all", timezone.now())


# What is usual


def test_what_is_usual_is_learned_and_what_is_far_from_it_held(cpo, emsp, send):
    now = timezone.now()
    prices = [str(D(10) + D(number % 5)) for number in range(50)]
    for total in prices:
        factory.cdr(cpo.party, emsp.party, total, month=now.date().replace(day=1))
    recent = Cdr.objects.latest("pk").ended_at + dt.timedelta(days=1)
    assert norms.learn(recent) == 1
    assert norms.learn(recent) == 1
    norm = Norm.objects.get()
    assert (norm.cdrs, norm.per_kwh, norm.kwh, norm.hours) == (50, D("0.5854"), D("20.5"), 1)
    Norm.objects.update(per_kwh=D("0.1"))
    assert "dearer_than_usual" in codes(send(session_id="S2"))


# The command


def call(*arguments):
    out = io.StringIO()
    call_command("judge_cdrs", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_judges_a_month_of_a_party_and_tells_what_became_of_it(cpo, emsp, send):
    held = send(cdr_token=objects.cdr_token(emsp.address, uid="CARD2"))
    send("C2", **elsewhere(cpo, emsp, 2))
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD2", objects.token(emsp.address, uid="CARD2"))
    told = call("--period", "2026-11", "--party", "NL-CPO")
    counts = {"cdrs": 2, "released": 1, "held": 0, "changed": 0, "unchanged": 1}
    assert told == {"rules": rules.VERSION, "period": "2026-11", "party": "NL-CPO", **counts}
    held.refresh_from_db()
    assert held.state == "accepted"
    assert call("--period", "2026-10")["cdrs"] == 0
    assert call("--held")["cdrs"] == 0
    assert call("--replay") == {"rules": rules.VERSION, "verdicts": 3, "agree": 3, "differ": 0}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["--period", "2026-13"], "not a month"), (["--party", "XX-XXX"], "no party")],
)
def test_the_command_refuses_what_is_not_there(arguments, text):
    with pytest.raises(CommandError, match=text):
        call(*arguments)


def test_a_month_that_was_never_opened_gets_one(send):
    assert Period.objects.filter(month=send().month).exists()
