"""The freeze against CDRs that come in by HTTP: each is settled in exactly one month."""

import datetime as dt
import itertools
import threading
from decimal import Decimal

from django.db import transaction
from django.db.models import Count, Sum

from cdrs import judging
from cdrs.models import Cdr, Finding, Period, Verdict
from parties.models import User
from settlement import clearing, freezing, onboarding
from settlement.invariants import breaches
from settlement.models import Cell, CloseRun
from settlement.verify import differences
from tests import objects
from tests.racing import at_once
from tests.speaking import Speaker, joined

PATH = "2.2.1/receiver/cdrs"
NOVEMBER = dt.date(2026, 11, 1)
FREEZE = dt.datetime(2026, 12, 6, 0, 0, tzinfo=dt.UTC)
_count = itertools.count(1)


def ready(country: str, party: str, role: str) -> Speaker:
    speaker = joined(country, party, role, modules=["tokens", "cdrs"])
    onboarding.equip(speaker.party)
    return speaker


def body(cpo: Speaker, emsp: Speaker) -> dict[str, object]:
    number = next(_count)
    made = objects.cdr(cpo.address, emsp.address, id=f"C{number}", session_id=f"S{number}")
    place = made["cdr_location"] | {"evse_uid": f"E{number}"}
    return made | {"cdr_location": place}


def test_of_cdrs_that_are_posted_while_the_month_freezes_each_is_billed_once(
    transactional_db: None,
) -> None:
    cpo, emsp = ready("NL", "CPO", "CPO"), ready("DE", "EMP", "EMSP")
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD1", objects.token(emsp.address))
    posted: list[str] = []
    frozen = threading.Event()

    def post() -> None:
        speaker = Speaker(cpo.address, cpo.token)
        after = itertools.count()
        while not frozen.is_set() or next(after) < 5:
            sent = body(cpo, emsp)
            assert speaker.post(PATH, sent).http == 201
            posted.append(str(sent["id"]))

    def close() -> None:
        while len(posted) < 12:
            threading.Event().wait(0.005)
        clearing.close(NOVEMBER, now=FREEZE)
        frozen.set()

    at_once(post, post, post, close)
    later = clearing.close(dt.date(2026, 12, 1), now=dt.datetime(2027, 1, 6, tzinfo=dt.UTC))
    november = Period.objects.get(month=NOVEMBER)
    assert Cdr.objects.count() == len(posted) == len(set(posted))
    billed = Cdr.objects.filter(state="accepted")
    assert billed.count() == len(posted), Finding.objects.values("code").distinct()
    assert min(november.cdrs.count(), later.cdrs.count()) >= 5
    cells = Cell.objects.aggregate(n=Sum("cdr_count"), sum=Sum("total"))
    assert cells == billed.aggregate(n=Count("pk"), sum=Sum("total_excl_vat"))
    assert CloseRun.objects.get(period=november).sums["EUR"][0] == november.cdrs.count()
    assert differences(november) == differences(later) == []
    assert [found for found in breaches() if found.check != "no_object_is_from_the_future"] == []


def test_a_cdr_that_is_being_written_is_waited_for(transactional_db: None) -> None:
    cpo, emsp = ready("NL", "CPO", "CPO"), ready("DE", "EMP", "EMSP")
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD1", objects.token(emsp.address))
    cpo.post(PATH, body(cpo, emsp))
    inside, done = threading.Event(), []

    def write_slowly() -> None:
        with transaction.atomic():
            assert Speaker(cpo.address, cpo.token).post(PATH, body(cpo, emsp)).http == 201
            inside.set()
            threading.Event().wait(0.3)
            assert done == []

    def freeze() -> None:
        inside.wait(10)
        freezing.freeze(Period.objects.get(), FREEZE, issue_on=FREEZE.date())
        done.append(True)

    at_once(write_slowly, freeze)
    assert Period.objects.get().cdrs.count() == 2
    assert CloseRun.objects.get().sums == {"EUR": [2, "20.0000"]}


def test_people_and_rules_against_the_freeze(transactional_db: None) -> None:
    cpo, emsp = ready("NL", "CPO", "CPO"), ready("DE", "EMP", "EMSP")
    for _ in range(8):  # nobody has told the token: all are held
        cpo.post(PATH, body(cpo, emsp))
    assert Cdr.objects.filter(state="held").count() == 8
    person = User.objects.create_user("clerk@hub.example")
    now, keys = FREEZE, list(Cdr.objects.values_list("pk", flat=True))
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD1", objects.token(emsp.address))

    def release() -> None:
        for key in keys[:4]:
            judging.release(key, person, "it is ours", now)

    def judge() -> None:
        assert list(judging.rejudge(keys[4:], Verdict.Cause.RETRY, now)) == ["released"] * 4

    def freeze() -> None:
        freezing.freeze(
            Period.objects.get_or_create(month=NOVEMBER)[0], FREEZE, issue_on=FREEZE.date()
        )

    at_once(release, judge, freeze)
    november = Period.objects.get(month=NOVEMBER)
    frozen = CloseRun.objects.get().sums.get("EUR", [0, "0"])
    assert [november.cdrs.count(), november.cdrs.count() * Decimal(10)] == [
        frozen[0],
        Decimal(frozen[1]),
    ]
    assert Cdr.objects.filter(state="accepted").count() == 8
