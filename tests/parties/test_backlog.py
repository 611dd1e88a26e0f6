"""The backlog page: who is owed what since when, with links to it, for who may see it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from hub.sandbox.partner import Partner
from parties import backlog
from parties.models import Delivery, Errand, Platform, User
from tests import objects
from tests.commanding import FAILED, callback_of, post, start
from tests.speaking import joined

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]
PAGE = reverse("admin:parties_backlog")
HOUR = timedelta(hours=1)


def client_of(*permissions: str, staff: bool = True) -> Client:
    user = User.objects.create_user(f"{len(permissions)}@hub.example", is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def traded(cpo: Partner, emsp: Partner) -> Platform:
    """Owe the eMSP a location, a CDR, and a result."""
    cpo.publish_location(objects.location(cpo.address))
    emsp.push_token(objects.token(emsp.address))
    cpo.send_cdr(objects.cdr(cpo.address, emsp.address))
    start(emsp)
    post(callback_of(cpo), FAILED)
    return Platform.objects.get(roles__party__party_id="MSP")


def owed(platform: Platform) -> dict[str, int]:
    [found] = [item for item in backlog.backlogs() if item.platform == platform]
    return {kind: item.count for kind, item in found.owed.items()}


def shown(client: Client, url: str) -> list[Any]:
    page = client.get(url)
    assert page.status_code == 200
    return list(page.context["cl"].result_list)


def test_what_a_partner_is_owed_is_counted_by_kind_and_each_number_leads_there(
    traded: Platform,
) -> None:
    money = Delivery.objects.filter(receiver__platform=traded, module="cdrs")
    money.update(owed_since=timezone.now() - HOUR)
    found = backlog.backlogs()
    first = found[0]
    assert (first.platform, first.parties) == (traded, "DE*MSP (EMSP)")
    listed = Delivery.objects.filter(receiver__platform=traded)
    state = listed.exclude(module="cdrs").count()
    assert {kind: item.count for kind, item in first.owed.items()} == {
        "cdrs": 1,
        "state": state,
        "results": 1,
    }
    assert first.since == money.get().owed_since
    assert first.total == state + 2
    client = client_of("view_delivery", "view_errand")
    assert shown(client, first.owed["cdrs"].url) == list(money)
    assert {item.module for item in shown(client, first.owed["state"].url)} >= {"locations"}
    assert shown(client, first.owed["results"].url) == list(Errand.objects.all())
    assert len(shown(client, first.owed["state"].url)) == state


def test_what_has_arrived_or_was_given_up_is_not_owed_any_more(traded: Platform) -> None:
    rows = Delivery.objects.filter(receiver__platform=traded)
    rows.exclude(module="cdrs").update(state=Delivery.State.REJECTED)
    rows.filter(module="cdrs").update(state=Delivery.State.PARKED)
    Errand.objects.update(result_state="brought", delivered_at=timezone.now(), content=None)
    assert owed(traded) == {"cdrs": 0, "state": 0, "results": 0}
    [found] = [item for item in backlog.backlogs() if item.platform == traded]
    assert (found.parked.count, found.refused.count) == (1, rows.count() - 1)
    assert found.since is None
    client = client_of("view_delivery")
    assert shown(client, found.parked.url) == list(rows.filter(module="cdrs"))
    assert len(shown(client, found.refused.url)) == rows.count() - 1


def test_the_page_shows_it_with_a_chart(traded: Platform) -> None:
    soon = timezone.now() + HOUR
    Platform.objects.filter(pk=traded.pk).update(failures=7, paused_until=soon)
    page = client_of("view_delivery").get(PAGE)
    assert page.status_code == 200
    text = page.content.decode()
    assert '<svg class="chart"' in text
    assert re.search(r"\d objects are owed to 2 partners", text)
    assert "less than a minute" in text
    assert f"{soon:%H:%M:%S}" in text
    assert ">7<" in text
    assert "style=" not in text
    assert (
        reverse("admin:parties_backlog")
        in client_of("view_delivery", "view_party")
        .get(reverse("admin:parties_delivery_changelist"))
        .content.decode()
    )


def test_with_nothing_owed_the_page_says_so(db: None) -> None:
    page = client_of("view_delivery").get(PAGE).content.decode()
    assert "Nobody is owed anything" in page
    assert "There is no partner yet" in page


@pytest.mark.parametrize(
    ("permissions", "staff", "status"),
    [((), True, 403), (("view_delivery",), False, 302), (("view_errand",), True, 403)],
)
def test_it_is_for_staff_who_may_see_deliveries(
    db: None, permissions: tuple[str, ...], staff: bool, status: int
) -> None:
    assert client_of(*permissions, staff=staff).get(PAGE).status_code == status
    assert Client().get(PAGE).status_code == 302


def test_the_page_of_many_costs_what_that_of_few_does(traded: Platform) -> None:
    client = client_of("view_delivery")

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            client.get(PAGE)
        return len(found)

    queries()
    few = queries()
    for code in ("AAA", "BBB", "CCC"):
        joined("NL", code, "EMSP", modules=["locations"])
    assert queries() == few
