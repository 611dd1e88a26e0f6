"""The message journal in the admin site: found, read, never counted to the end."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from hub.ocpi.messages import Ids
from parties import journal, keys, quirks
from parties.models import Exchange, Quirk
from tests.speaking import joined

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.ocpi("X-02"),
    pytest.mark.usefixtures("plain_static"),
]
LIST = reverse("admin:parties_exchange_changelist")


@pytest.fixture
def cpo() -> Any:
    return joined("NL", "CPO", "CPO")


def note(**members: Any) -> None:
    known = {"direction": Exchange.Direction.IN, "method": "GET", "url": "/ocpi/x", "ids": Ids()}
    journal.record(journal.Draft(**{**known, **members}))
    journal.flush()


def shown(client: Client, **query: str) -> list[str]:
    """Return the paths of the list."""
    page = client.get(LIST, query)
    assert page.status_code == 200
    return [item.path for item in page.context["cl"].result_list]


def test_a_list_of_many_costs_what_a_list_of_few_does(staff: Client, cpo: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            shown(staff)
        return len(found)

    note(platform=cpo.platform.pk)
    few = queries()
    for _ in range(30):
        note(platform=cpo.platform.pk)
    joined("DE", "EMP", "EMSP")
    assert queries() == few


def test_nobody_counts_millions(staff: Client, cpo: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("parties.journal_admin.COUNTED", 3)
    for number in range(5):
        note(platform=cpo.platform.pk, url=f"/ocpi/{number}")
    page = staff.get(LIST)
    assert page.context["cl"].result_count == 3
    assert page.context["cl"].result_list[0].path == "/ocpi/4"


def test_it_is_found_by_ids_path_party_and_driver(staff: Client, cpo: Any) -> None:
    note(url="/ocpi/a", ids=Ids("req-1", "cor-1"))
    note(url="/ocpi/b/LOC_9", ids=Ids("req-2", "cor-1"))
    note(url="/ocpi/2.2.1/tokens/DE/EMP/CARD77", platform=cpo.platform.pk, module="tokens")
    card = f"/ocpi/2.2.1/tokens/DE/EMP/~{keys.pseudonym('CARD77')}"
    assert shown(staff, q="req-1") == ["/ocpi/a"]
    assert shown(staff, q="cor-1") == ["/ocpi/b/LOC_9", "/ocpi/a"]
    assert shown(staff, q="LOC_9") == ["/ocpi/b/LOC_9"]
    assert shown(staff, q="nl*cpo") == shown(staff, q="NL-CPO") == [card]
    assert shown(staff, q=" card77") == shown(staff, q=f"~{keys.pseudonym('card77')}") == [card]
    assert shown(staff, q="nothing") == []
    assert len(shown(staff, q="")) == 3


def test_it_is_filtered(staff: Client, cpo: Any) -> None:
    note(url="/in", http=200, code=1000, module="locations", platform=cpo.platform.pk)
    note(url="/out", direction=Exchange.Direction.OUT, http=None)
    note(url="/refused", http=200, code=2001)
    note(url="/gone", http=404, code=None)
    assert shown(staff, result="failed") == ["/gone", "/refused", "/out"]
    assert shown(staff, result="succeeded") == ["/in"]
    assert shown(staff, direction__exact="out") == ["/out"]
    assert shown(staff, module="locations") == ["/in"]
    assert shown(staff, platform__id__exact=str(cpo.platform.pk)) == ["/in"]
    Exchange.objects.filter(path="/in").update(at="2020-01-01T00:00Z")
    assert "/in" not in shown(staff, hours="24")


def test_searches_use_indexes() -> None:
    """Each part of a search has one: no search reads the whole table."""
    from parties.journal_admin import found_by

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        rows = Exchange.objects.order_by().filter(found_by("LOC_9"))
        plan = rows.explain()
    names = ("by_request", "by_correlation", "by_path", "by_driver")
    assert all(f"exchange_{name}" in plan for name in names)


def test_an_exchange_is_shown_whole_and_the_reader_is_logged(
    staff: Client, cpo: Any, caplog: Any
) -> None:
    caplog.set_level("INFO")
    cpo.put("2.2.1/receiver/locations/NL/CPO/L1", {"id": "<b>L1</b>"}, X_Correlation_ID="cor-7")
    journal.flush()
    item = Exchange.objects.get()
    page = staff.get(reverse("admin:parties_exchange_change", args=[item.pk])).content.decode()
    assert "&quot;id&quot;: &quot;&lt;b&gt;L1" in page
    assert f"{LIST}?q=cor-7" in page
    assert "is required" in page
    assert [item.message for item in caplog.records].count("exchange read") == 1


def test_it_is_for_reading_only(staff: Client) -> None:
    note()
    item = Exchange.objects.get()
    assert staff.get(reverse("admin:parties_exchange_add")).status_code == 403
    assert staff.post(reverse("admin:parties_exchange_delete", args=[item.pk])).status_code == 403
    assert staff.post(reverse("admin:parties_exchange_change", args=[item.pk])).status_code == 403


@pytest.mark.ocpi("X-04")
def test_a_platform_shows_its_quirks_and_leads_to_its_messages(
    staff: Client, cpo: Any, django_assert_max_num_queries: Any
) -> None:
    Quirk.objects.create(platform=cpo.platform, name=quirks.Habit.TOKEN_PLAIN, count=7)
    Quirk.objects.create(platform=cpo.platform, name=quirks.slash("tokens"))
    Quirk.objects.create(platform=cpo.platform, name="repair: date", example="$.last_updated")
    url = reverse("admin:parties_platform_change", args=[cpo.platform.pk])
    with django_assert_max_num_queries(12):
        page = staff.get(url).content.decode()
    assert "sends its token plain, not in Base64" in page
    assert "wants URLs to end in a slash" in page
    assert "repair: date" in page
    assert f"{LIST}?platform__id__exact={cpo.platform.pk}" in page
