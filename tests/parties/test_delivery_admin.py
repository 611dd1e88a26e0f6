"""Staff see what is owed and what waits for them, have it sent again, and set limits."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from parties.models import Delivery, Platform, User
from tests.speaking import joined

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]
DELIVERIES = reverse("admin:parties_delivery_changelist")
PLATFORMS = reverse("admin:parties_platform_changelist")


@pytest.fixture
def reader() -> Client:
    """Have staff that may only look."""
    user = User.objects.create_user("clerk@hub.example", is_staff=True)
    names = ["view_delivery", "view_platform"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def row() -> Any:
    """Have a CDR that a receiver has refused three times."""
    receiver = joined("DE", "EMP", "EMSP").party.roles.get()
    return Delivery.objects.create(
        receiver=receiver,
        module="cdrs",
        object_id=7,
        wanted=1,
        state="parked",
        attempts=3,
        refusals=3,
        owed_since=timezone.now() - timedelta(days=2),
        last_answer="HTTP 200, OCPI 2001: no such session",
    )


def run(client: Client, url: str, action: str, item: Any) -> str:
    page = client.post(url, {"action": action, "_selected_action": [item.pk]}, follow=True)
    return page.content.decode()


def test_parked_work_is_found_with_its_age_and_reason(staff, row):
    Delivery.objects.create(receiver=row.receiver, module="tokens", object_id=8, wanted=1)
    page = staff.get(DELIVERIES, {"state__exact": "parked"}).content.decode()
    assert "1 delivery" in page
    assert "no such session" in page
    assert "2\xa0days" in page


def test_it_is_sent_again_as_if_for_the_first_time(staff, row):
    assert "1 delivery is sent again" in run(staff, DELIVERIES, "try_again", row)
    row.refresh_from_db()
    assert (row.state, row.attempts, row.refusals) == ("live", 0, 0)
    assert row.next_attempt_at <= timezone.now()


def test_everything_is_owed_again(staff, row):
    done = {"acknowledged": 1, "acknowledged_at": timezone.now(), "state": "live"}
    Delivery.objects.filter(pk=row.pk).update(**done)
    text = run(staff, PLATFORMS, "owe_again", row.receiver.platform)
    assert "1 object is owed again" in text
    row.refresh_from_db()
    assert (row.acknowledged, row.doubtful) == (0, True)


def test_who_may_only_look_changes_nothing(reader, row):
    run(reader, DELIVERIES, "try_again", row)
    run(reader, PLATFORMS, "owe_again", row.receiver.platform)
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("parked", 3)
    url = reverse("admin:parties_platform_change", args=[row.receiver.platform_id])
    assert reader.get(url).status_code == 200
    limits = {"rate": 5, "states_at_once": 1, "cdrs_at_once": 1}
    assert reader.post(url, limits).status_code == 403
    assert Platform.objects.get(pk=row.receiver.platform_id).rate == 50


def test_the_limits_of_a_platform_are_set_and_nothing_else(staff, row):
    platform = row.receiver.platform
    url = reverse("admin:parties_platform_change", args=[platform.pk])
    Platform.objects.filter(pk=platform.pk).update(hosts=["partner.example"])
    forms = {}
    for item in staff.get(url).context["inline_admin_formsets"]:
        prefix = item.formset.prefix
        forms |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    limits = {
        "rate": 5,
        "states_at_once": 1,
        "cdrs_at_once": 1,
        "name": "Other",
        "state": "offline",
    }
    assert staff.post(url, {**limits, **forms}).status_code == 302
    found = Platform.objects.get(pk=platform.pk)
    assert (found.rate, found.states_at_once, found.cdrs_at_once) == (5, 1, 1)
    assert (found.name, found.state) == (platform.name, platform.state)
    assert staff.post(url, {**limits, "states_at_once": 0, **forms}).status_code == 200
    assert Platform.objects.get(pk=platform.pk).states_at_once == 1
