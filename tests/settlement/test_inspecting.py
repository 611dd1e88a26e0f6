"""The nightly look at all invariants."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from hub.celery import app
from parties.models import Delivery, Inspection
from settlement import tasks
from settlement.inspecting import KEPT
from tests.settlement import factory

pytestmark = pytest.mark.django_db


def test_what_is_well_is_kept_as_well() -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    tasks.inspect()
    kept = Inspection.objects.get()
    assert (kept.failures, kept.breaches) == (0, [])


def test_a_breach_is_kept_and_told(caplog: pytest.LogCaptureFixture) -> None:
    receiver = factory.emsp().roles.get()
    Delivery.objects.create(receiver=receiver, module="cdrs", object_id=4711, wanted=1)
    tasks.inspect()
    kept = Inspection.objects.get()
    assert kept.failures == 1
    assert kept.breaches[0]["check"] == "debts_are_of_objects"
    assert "an invariant is broken" in caplog.text


def test_what_is_old_is_forgotten() -> None:
    old = timezone.now() - KEPT - timedelta(days=1)
    Inspection.objects.create(at=old, seconds=1.0, failures=3)
    tasks.inspect()
    assert [kept.failures for kept in Inspection.objects.all()] == [0]


def test_it_is_on_the_schedule() -> None:
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks.inspect.name in scheduled
    app.loader.import_default_modules()
    assert scheduled <= set(app.tasks)
