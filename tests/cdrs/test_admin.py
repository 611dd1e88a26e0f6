"""What staff see of tariffs that ended and of sessions that do not end."""

import datetime as dt

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cdrs.models import Session
from parties.models import User
from tests import objects
from tests.speaking import joined

pytestmark = pytest.mark.django_db


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def desk(plain_static):
    client = Client()
    client.force_login(User.objects.create_superuser("operations@hub.example"))
    return client


@pytest.mark.ocpi("F-02")
def test_deleted_tariffs_are_shown_with_when(cpo, desk):
    for uid in ("KEPT", "GONE"):
        path = f"2.2.1/receiver/tariffs/{cpo.path}/{uid}"
        cpo.put(path, objects.tariff(cpo.address, id=uid))
    cpo.call("DELETE", path)
    url = reverse("admin:locations_tariff_changelist")
    page = desk.get(url).text
    assert "KEPT" in page
    assert "GONE" in page
    deleted = desk.get(f"{url}?deleted_at__isempty=0").text
    assert "GONE" in deleted
    assert "KEPT" not in deleted


def test_what_is_odd_about_a_tariff_is_shown(cpo, desk):
    free = [{"price_components": [{"type": "ENERGY", "price": 0, "step_size": 0}]}]
    cpo.put(f"2.2.1/receiver/tariffs/{cpo.path}/T1", objects.tariff(cpo.address, elements=free))
    tariff = apps.get_model("locations.Tariff").objects.get()
    page = desk.get(reverse("admin:locations_tariff_change", args=[tariff.pk])).text
    assert "<code>step_size_zero</code>" in page


@pytest.mark.ocpi("S-09")
def test_a_session_that_does_not_end_is_found_and_left_as_it_is(cpo, desk):
    emsp = joined("DE", "EMP", "EMSP")
    for uid, status in [("LOST", "ACTIVE"), ("OVER", "COMPLETED"), ("FRESH", "ACTIVE")]:
        body = objects.session(cpo.address, emsp.address, id=uid, status=status)
        cpo.put(f"2.2.1/receiver/sessions/{cpo.path}/{uid}", body)
    old = timezone.now() - dt.timedelta(days=4)
    Session.objects.exclude(uid="FRESH").update(received_at=old)
    page = desk.get(reverse("admin:cdrs_session_changelist") + "?stuck=1").text
    assert "LOST" in page
    assert "OVER" not in page
    assert "FRESH" not in page
    assert Session.objects.get(uid="LOST").body["status"] == "ACTIVE"


def test_a_completed_session_without_a_cdr_is_found(cpo, desk):
    emsp = joined("DE", "EMP", "EMSP")
    ends = {"status": "COMPLETED", "end_date_time": "2026-11-10T10:00:00Z"}
    for uid in ("BILLED", "FORGOTTEN", "NEW"):
        body = objects.session(cpo.address, emsp.address, id=uid, **ends)
        cpo.put(f"2.2.1/receiver/sessions/{cpo.path}/{uid}", body)
    cpo.post("2.2.1/receiver/cdrs", objects.cdr(cpo.address, emsp.address, session_id="billed"))
    old = timezone.now() - dt.timedelta(days=8)
    Session.objects.exclude(uid="NEW").update(received_at=old)
    page = desk.get(reverse("admin:cdrs_session_changelist") + "?stuck=unbilled").text
    assert "FORGOTTEN" in page
    assert "BILLED" not in page
    assert ">NEW<" not in page
