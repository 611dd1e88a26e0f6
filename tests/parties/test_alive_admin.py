"""Staff see who is there and which lists were read, and may have both done now."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from parties import alive_admin
from parties.models import Platform, Pull, User
from tests.speaking import joined

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]
LIST = reverse("admin:parties_platform_changelist")


@pytest.fixture
def platform() -> Any:
    platform = joined("NL", "CPO", "CPO").platform
    rows = Platform.objects.filter(pk=platform.pk)
    rows.update(versions_url="http://x/versions", pull_at=timezone.now(), heard_at=timezone.now())
    return rows.get()


def run(client: Client, action: str, *platforms: Platform) -> str:
    chosen = [platform.pk for platform in platforms]
    page = client.post(LIST, {"action": action, "_selected_action": chosen}, follow=True)
    assert page.status_code == 200
    return page.content.decode()


def test_the_list_shows_the_state_since_when_and_when_it_was_heard_of(staff, platform):
    page = staff.get(LIST).content.decode()
    for column in ("column-state", "column-state_since", "column-heard_at"):
        assert column in page


def test_staff_may_have_platforms_probed(staff, platform):
    invited = Platform.objects.create(name="Invited", versions_url="http://x/versions")
    assert "1 platform is probed" in run(staff, "probe_now", platform, invited)
    platform.refresh_from_db()
    invited.refresh_from_db()
    assert platform.probe_at <= timezone.now()
    assert invited.probe_at is None


def test_staff_may_have_lists_read(staff, platform):
    offline = Platform.objects.create(name="Offline", state="offline")
    Platform.objects.filter(pk=platform.pk).update(pull_at=None)
    assert "1 platform is read" in run(staff, "read_now", platform, offline)
    platform.refresh_from_db()
    assert platform.pull_at <= timezone.now()


def test_who_may_only_look_may_not_ask(platform):
    user = User.objects.create_user("viewer@hub.example", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_platform"))
    client = Client()
    client.force_login(user)
    assert "probe_now" not in client.get(LIST).content.decode()
    run(client, "probe_now", platform)
    platform.refresh_from_db()
    assert platform.probe_at is None


def test_a_platform_shows_the_latest_readings_of_its_lists(staff, platform, monkeypatch):
    monkeypatch.setattr(alive_admin, "SHOWN", 2)
    party = platform.roles.get().party
    for number in range(3):
        Pull.objects.create(
            platform=platform, party=party, module="locations", error=f"fault {number}"
        )
    Pull.objects.create(
        platform=Platform.objects.create(name="Other"),
        party=party,
        module="tariffs",
        error="elsewhere",
    )
    url = reverse("admin:parties_platform_change", args=[platform.pk])
    page = staff.get(url).content.decode()
    assert ["fault 2" in page, "fault 1" in page, "fault 0" in page] == [True, True, False]
    assert "elsewhere" not in page
