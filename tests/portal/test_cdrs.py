"""The CDR explorer: each side sees its own, filtered, summed to the last digit, page by page."""

import csv
import datetime as dt
import io
import re
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cdrs import explorer, judging, telling
from cdrs.explorer import Cursor, Filters, Side
from cdrs.models import Cdr, Finding
from cdrs.rules import by_code
from parties.models import Role, TrailEntry, User
from parties.people import inviting
from settlement import holding
from tests.portal.cast import person, visitor
from tests.portal.trading import WRONG, traded
from tests.settlement import factory
from tests.settlement.conftest import tampering

FEBRUARY, MARCH = dt.date(2024, 2, 1), dt.date(2024, 3, 1)
LIST = "/app/NL-CPO/cdrs/"


def hold(cdr, code="total_cost_differs", text="by the tariff it is less"):
    Finding.objects.create(cdr=cdr, code=code, severity="hold", text=text)
    return cdr


@pytest.fixture
def market(seller, buyer):
    """Three months of CDRs of two CPOs and two eMSPs."""
    other_buyer, other_seller = factory.emsp("FR-MSP"), factory.cpo("BE-CPO")
    found = {
        "plain": factory.cdr(seller, buyer, "10.0000", uid="PLAIN", evse_uid="E-1"),
        "flagged": factory.cdr(seller, buyer, "0.3333", uid="FLAGGED"),
        "held": hold(factory.cdr(seller, buyer, "7.7777", uid="HELD", state="held")),
        "early": factory.cdr(seller, other_buyer, "20.0000", uid="EARLY", month=FEBRUARY),
        "foreign": factory.cdr(seller, other_buyer, "5.0000", uid="CHF", currency="CHF"),
        "stranger": factory.cdr(other_seller, other_buyer, "99.0000", uid="STRANGER"),
        "nobodys": hold(factory.cdr(seller, None, "3.0000", uid="NOBODY", state="held")),
    }
    Finding.objects.create(cdr=found["flagged"], code="unusual", severity="flag", text="much")
    found["credit"] = factory.credit(found["plain"], uid="CREDIT")
    return found


@pytest.fixture
def clerk(seller, market):
    return visitor(person("finance@cpo.example", seller, "finance"))


@pytest.fixture
def payer(buyer, market):
    return visitor(person("finance@emp.example", buyer, "finance"))


def uids(answer):
    assert answer.status_code == 200, answer.text
    return set(re.findall(r'/cdrs/\d+/"><code>([^<]+)</code>', answer.text))


def test_a_cpo_sees_all_that_it_sent_and_nothing_else(clerk):
    seen = uids(clerk.get(LIST))
    assert seen == {"PLAIN", "FLAGGED", "HELD", "EARLY", "CHF", "NOBODY", "CREDIT"}


def test_an_emsp_sees_what_is_billed_to_it_and_nothing_else(payer):
    assert uids(payer.get("/app/DE-EMP/cdrs/")) == {"PLAIN", "FLAGGED", "HELD", "CREDIT"}


def test_what_an_emsp_cannot_be_sent_is_seen_once_it_is_billed(payer, seller, buyer):
    factory.cdr(seller, buyer, uid="BILLED", complete=False)
    hold(factory.cdr(seller, buyer, uid="LACKING", complete=False, state="held"))
    seen = uids(payer.get("/app/DE-EMP/cdrs/"))
    assert "BILLED" in seen
    assert "LACKING" not in seen


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("month=2024-02", {"EARLY"}),
        ("month=2024-03", {"PLAIN", "FLAGGED", "HELD", "CHF", "NOBODY", "CREDIT"}),
        ("settled=2024-02", {"EARLY"}),
        ("settled=1999-01", set()),
        ("state=held", {"HELD", "NOBODY"}),
        ("verdict=clean", {"PLAIN", "EARLY", "CHF", "CREDIT"}),
        ("verdict=flagged", {"FLAGGED"}),
        ("verdict=credited", {"PLAIN"}),
        ("kind=credit", {"CREDIT"}),
        ("kind=supply&state=accepted&currency=EUR", {"PLAIN", "FLAGGED", "EARLY"}),
        ("finding=unusual", {"FLAGGED"}),
        ("finding=total_cost_differs&partner=DE-EMP", {"HELD"}),
        ("partner=FR-MSP", {"EARLY", "CHF"}),
        ("currency=CHF", {"CHF"}),
        ("country=NL&currency=CHF", {"CHF"}),
        ("least=7.7777&most=10", {"PLAIN", "HELD"}),
        ("most=-1", {"CREDIT"}),
        ("q=plain", {"PLAIN"}),
        ("q=e-1", {"PLAIN"}),
        ("q=S-1&partner=FR-MSP", {"EARLY", "CHF"}),
        ("q=stranger", set()),
    ],
)
def test_each_filter(clerk, query, expected):
    assert uids(clerk.get(f"{LIST}?{query}")) == expected


def test_an_emsp_finds_by_id_too(payer):
    assert uids(payer.get("/app/DE-EMP/cdrs/?q=flagged")) == {"FLAGGED"}
    assert uids(payer.get("/app/DE-EMP/cdrs/?q=early")) == set()


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("month=March", "A month is written YYYY-MM"),
        ("month=2024-13", "A month is written YYYY-MM"),
        ("state=lost", "not one of the available choices"),
        ("least=much", "Enter a number"),
        ("partner=BE-CPO", "not one of the available choices"),
        ("currency=euro", "Enter a valid value"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(clerk, query, problem):
    answer = clerk.get(f"{LIST}?{query}")
    assert answer.status_code == 422
    assert problem in answer.text
    assert "PLAIN" not in answer.text


def test_cursors_that_make_no_sense_begin_anew(clerk):
    for query in ("after=x", "before=-1", "after=20240310T120000.000000-99999999999999999999"):
        assert clerk.get(f"{LIST}?{query}").status_code == 200


def test_totals_are_exact_for_each_currency(seller, market):
    found = explorer.of_party(seller, Side.SOLD)
    francs, euros = explorer.totals(found)
    assert (francs.currency, francs.cdrs, francs.total) == ("CHF", 1, D("5.0000"))
    assert (euros.currency, euros.cdrs) == ("EUR", 6)
    assert euros.total == D("31.1110")  # 10 + 0.3333 + 7.7777 + 20 + 3 - 10
    assert (euros.held, euros.held_total) == (2, D("10.7777"))
    assert euros.energy_kwh == D("82.0000")  # five times 20.5, and one of them taken back
    only = explorer.matching(found, Side.SOLD, Filters(finding="unusual"))
    assert [item.total for item in explorer.totals(only)] == [D("0.3333")]


def test_totals_are_shown_of_what_is_filtered(clerk):
    text = clerk.get(f"{LIST}?currency=EUR").text
    assert "31.111 " in text
    assert "Total of the filtered CDRs" in text


def test_pages_show_each_cdr_once_both_ways(seller, buyer, clerk):
    factory.cdrs(120, seller, buyer, "1.0000")
    everything = set(Cdr.objects.filter(owner=seller).values_list("uid", flat=True))
    seen, url, pages = [], LIST, 0
    while url:
        answer = clerk.get(url)
        seen += re.findall(r'/cdrs/\d+/"><code>([^<]+)</code>', answer.text)
        found = re.search(r'rel="next" href="([^"]+)"', answer.text)
        last, url = url, found and LIST + found[1].replace("&amp;", "&")
        pages += 1
    assert (pages, len(seen)) == (3, len(everything))
    assert set(seen) == everything
    back, url = [], last
    while url:
        answer = clerk.get(url)
        back = re.findall(r'/cdrs/\d+/"><code>([^<]+)</code>', answer.text) + back
        found = re.search(r'rel="prev" href="([^"]+)"', answer.text)
        url = found and LIST + found[1].replace("&amp;", "&")
    assert back == seen


def test_a_page_stays_while_newer_cdrs_come(seller, buyer, clerk):
    factory.cdrs(60, seller, buyer)
    page = explorer.page_of(explorer.of_party(seller, Side.SOLD), None)
    second = [
        row.pk for row in explorer.page_of(explorer.of_party(seller, Side.SOLD), page.older).rows
    ]
    factory.cdrs(5, seller, buyer, month=dt.date(2024, 4, 1))
    again = explorer.page_of(explorer.of_party(seller, Side.SOLD), page.older)
    assert [row.pk for row in again.rows] == second


def test_a_cursor_is_read_as_it_is_written():
    cursor = Cursor(dt.datetime(2024, 3, 1, 12, 30, 1, 5, dt.UTC), 17)
    assert Cursor.read(cursor.spelled()) == cursor


def test_the_list_takes_as_many_queries_for_many_as_for_few(seller, buyer, clerk):
    with CaptureQueriesContext(connection) as few:
        clerk.get(LIST)
    for cdr in factory.cdrs(40, seller, buyer, state="held"):
        hold(cdr)
    with CaptureQueriesContext(connection) as many:
        clerk.get(LIST)
    assert len(few) == len(many) <= 14


def rows_of(answer):
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def test_what_is_filtered_is_exported_and_the_export_is_noted(clerk):
    answer = clerk.get(f"{LIST}export.csv?currency=EUR")
    assert answer["Content-Disposition"] == 'attachment; filename="cdrs-NL-CPO-sold.csv"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    rows = rows_of(answer)
    assert sum(D(row["total_excl_vat"]) for row in rows) == D("31.1110")
    by_id = {row["cdr_id"]: row for row in rows}
    assert by_id["CREDIT"]["total_excl_vat"] == "-10.0000"
    assert by_id["HELD"]["findings"] == "total_cost_differs"
    assert by_id["NOBODY"]["emsp"] == ""
    assert by_id["EARLY"]["settled_in"] == "2024-02"
    entry = TrailEntry.objects.get(deed="exported")
    assert entry.told == {"filters": {"currency": "EUR"}, "rows": 6}


def test_a_formula_in_an_export_is_made_safe(seller, buyer, clerk):
    factory.cdr(seller, buyer, uid="=cmd|'/C calc'!A0")
    [row] = rows_of(clerk.get(f"{LIST}export.csv?q==cmd|'/C calc'!A0"))
    assert row["cdr_id"].startswith("'=cmd")


def test_too_many_are_not_exported_but_explained(clerk, settings):
    settings.EXPORT_ROWS = 3
    answer = clerk.get(f"{LIST}export.csv?currency=EUR", follow=True)
    assert "more than 3 CDRs" in answer.text
    assert not TrailEntry.objects.filter(deed="exported").exists()


def test_a_party_on_both_sides_sees_both_apart(seller, buyer, market):
    Role.objects.create(party=seller, platform=seller.roles.get().platform, role="EMSP")
    factory.cdr(factory.cpo("AT-CPO"), seller, "4.0000", uid="BOUGHT")
    client = visitor(person("both@cpo.example", seller, "viewer"))
    text = client.get(LIST).text
    assert "side=bought" in text
    assert "BOUGHT" not in text
    assert uids(client.get(f"{LIST}?side=bought")) == {"BOUGHT"}


# What is held


def test_what_is_held_is_grouped_by_cause_with_what_to_do(clerk, market):
    hold(market["held"], "token_unknown", "the eMSP has not told the hub this token")
    text = clerk.get(f"{LIST}held/").text
    assert "10.7777" in text
    assert "total_cost_differs" in text
    assert "send a corrected one" in text
    assert "judged again when the eMSP has told" in text
    assert "finding=token_unknown" in text


def test_each_group_leads_to_its_cdrs(clerk):
    text = clerk.get(f"{LIST}held/").text
    [query] = re.findall(r'href="/app/NL-CPO/cdrs/(\?[^"]+finding=[^"]+)"', text)
    assert uids(clerk.get(LIST + query.replace("&amp;", "&"))) == {"HELD", "NOBODY"}


def test_nothing_is_held(payer, market):
    Finding.objects.all().update(cleared_at=market["held"].received_at)
    factory.discard(Cdr.objects.filter(state="held"))
    assert "Nothing is held" in payer.get("/app/DE-EMP/cdrs/held/").text


def test_every_reason_has_words_for_both_sides():
    codes = {code for code, rule in by_code().items() if rule.severity == "hold"}
    codes |= {holding.CONTESTED}
    for code in codes | set(holding.CODES):
        assert telling.rule_in_words(code) != code
        for side in Side:
            assert str(telling.remedy(code, side))
    assert set(telling.REMEDIES) <= codes | set(holding.CODES)
    assert set(telling.BY_THE_CLOSE) == set(holding.CODES)


# One CDR


@pytest.fixture
def told(fresh):
    """A CDR that claims too much, with its two sides."""
    return traded(**WRONG, remark="<script>alert(1)</script>")


def clients(cpo, emsp):
    return {
        "NL-CPO": visitor(person("o@cpo.example", cpo.party, "operations")),
        "DE-EMP": visitor(person("o@emp.example", emsp.party, "operations")),
    }


def test_both_sides_see_the_claim_beside_the_price_and_why(told):
    cpo, emsp, cdr = told
    for code, client in clients(cpo, emsp).items():
        text = client.get(f"/app/{code}/cdrs/{cdr.pk}/").text
        assert "10.50" in text
        assert re.search(r"Computed by the hub</dt>\s*<dd>.*10\.00", text)
        assert "price-explanation" in text
        assert "element 1" in text
        assert "by the tariff 10.0000" in text
        assert "What to do:" in text
        assert "&lt;script&gt;alert(1)" in text
        assert "<script>alert" not in text


def test_what_was_sent_is_shown_to_who_sent_it(told):
    cpo, emsp, cdr = told
    found = clients(cpo, emsp)
    assert "As you sent it" not in found["NL-CPO"].get(f"/app/NL-CPO/cdrs/{cdr.pk}/").text
    with tampering():
        Cdr.objects.filter(pk=cdr.pk).update(raw={"secret_of": "the CPO"})
    assert "secret_of" in found["NL-CPO"].get(f"/app/NL-CPO/cdrs/{cdr.pk}/").text
    assert "secret_of" not in found["DE-EMP"].get(f"/app/DE-EMP/cdrs/{cdr.pk}/").text


def test_a_stranger_does_not_see_it(told):
    cpo, emsp, cdr = told
    stranger = visitor(person("s@x.example", factory.cpo("SE-STR"), "owner"))
    assert stranger.get(f"/app/SE-STR/cdrs/{cdr.pk}/").status_code == 404
    assert stranger.get(f"/app/NL-CPO/cdrs/{cdr.pk}/").status_code == 404
    found = clients(cpo, emsp)
    assert found["NL-CPO"].get("/app/NL-CPO/cdrs/999999/").status_code == 404


def test_what_concerns_others_is_not_told(told):
    cpo, emsp, cdr = told
    for code in ("billed_by_another_cpo", "token_at_two_places", "unusual"):
        Finding.objects.create(cdr=cdr, code=code, severity="flag", text=f"SECRET-{code}")
    found = clients(cpo, emsp)
    seller = found["NL-CPO"].get(f"/app/NL-CPO/cdrs/{cdr.pk}/").text
    buyer = found["DE-EMP"].get(f"/app/DE-EMP/cdrs/{cdr.pk}/").text
    assert set(re.findall(r"SECRET-(\w+)", seller)) == {"unusual"}
    assert set(re.findall(r"SECRET-(\w+)", buyer)) == {"token_at_two_places"}


def test_what_staff_note_is_not_told(told):
    cpo, emsp, cdr = told
    boss = User.objects.create_superuser("boss@hub.example", "x")
    judging.release(cdr.pk, boss, "an internal remark", timezone.now())
    for code, client in clients(cpo, emsp).items():
        text = client.get(f"/app/{code}/cdrs/{cdr.pk}/").text
        assert "Released by the hub&#x27;s staff" in text
        assert "an internal remark" not in text
        assert "boss@hub.example" not in text


def test_a_cdr_without_a_price_says_why(clerk, market):
    text = clerk.get(f"{LIST}{market['credit'].pk}/").text
    assert "A credit is not priced" in text
    assert f"/cdrs/{market['plain'].pk}/" in text


def test_the_first_page_counts_this_month(seller, buyer):
    month = dt.datetime.now(dt.UTC).date().replace(day=1)
    factory.cdrs(3, seller, buyer, "2.5000", month=month)
    inviting.place(person("v@cpo.example"), seller, "viewer")
    text = visitor(seller.memberships.get().person).get("/app/NL-CPO/").text
    assert "7.50 EUR" in text
    assert "CDRs sent this month" in text
