"""Commands in the admin site: found by what became of them, timed, and without drivers' data."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from cdrs.models import Authorization
from cdrs.tasks import forget_authorizations
from hub import batches
from hub.sandbox.partner import Partner
from parties import relay, tasks
from parties.models import Errand
from tests import objects
from tests.commanding import another, callback_of, copied, post, start

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]
LIST = reverse("admin:parties_errand_changelist")


@pytest.fixture
def cpo(cpo: Partner) -> Partner:
    """Have a charger that the hub knows."""
    cpo.publish_location(objects.location(cpo.address))
    return cpo


@pytest.fixture
def errand(cpo: Partner, emsp: Partner) -> Errand:
    start(emsp)
    return Errand.objects.get()


def shown(client: Client, **query: object) -> list[Errand]:
    page = client.get(LIST, query)
    assert page.status_code == 200
    return list(page.context["cl"].result_list)


def test_errands_are_found_by_what_became_of_them(staff: Client, errand: Errand) -> None:
    refused = another(errand, state="refused", action="STOP_SESSION", digest=b"2", fingerprint=None)
    assert shown(staff) == [refused, errand]
    assert shown(staff, state__exact="accepted") == [errand]
    assert shown(staff, action="STOP_SESSION") == [refused]
    assert shown(staff, sender=errand.sender_id, receiver=errand.receiver_id) == [refused, errand]
    assert shown(staff, sender=errand.receiver_id) == []
    assert shown(staff, sender="x") == [refused, errand]
    assert shown(staff, result_state__exact="owed") == []
    assert shown(staff, q="l1") == [refused, errand]
    assert shown(staff, q=errand.correlation_id) == [refused, errand]
    assert shown(staff, q="L9") == []


def test_an_errand_shows_its_timings_and_what_was_said_without_a_drivers_data(
    staff: Client, cpo: Partner, errand: Errand
) -> None:
    secret = "NL-SECRET-1"
    post(callback_of(cpo), {"result": "ACCEPTED", "x": {"contract_id": secret, "token": secret}})
    page = staff.get(reverse("admin:parties_errand_change", args=[errand.pk])).content.decode()
    assert "&quot;timeout&quot;: 30" in page
    assert "&quot;result&quot;: &quot;ACCEPTED&quot;" in page
    assert secret not in page
    assert "(masked)" in page
    assert errand.response_url not in page
    for step in ("received", "passed on", "answered", "result"):
        assert f"<th scope=row>{step}</th>" in page
    errand.refresh_from_db()
    assert errand.created_at <= errand.forwarded_at <= errand.answered_at <= errand.result_at
    assert f"/exchange/?q={errand.correlation_id}" in page


def test_errands_are_forgotten_after_a_month_and_reservations_a_month_after_their_end(
    errand: Errand, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    settings.ERRAND_DAYS = 30
    old, kept = timezone.now() - timedelta(days=30, minutes=1), timezone.now() - timedelta(days=29)
    for number in range(5):
        another(errand, digest=bytes([number]), fingerprint=None, expires_at=old + relay.LIFE)
    reserved = another(
        errand, digest=b"r", fingerprint=None, created_at=old, expires_at=kept + relay.LIFE
    )
    tasks.forget_errands()
    assert set(Errand.objects.all()) == {errand, reserved}
    assert relay.forget(30) == 0


def test_authorisations_are_forgotten_after_a_month(
    errand: Errand, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    settings.AUTHORIZATION_DAYS = 30
    said = {"cpo": errand.receiver.party, "emsp": errand.sender.party, "status_code": 1000}
    for days in (30, 30, 31, 40, 29, 1):
        at = timezone.now() - timedelta(days=days, minutes=1)
        Authorization.objects.create(token_uid="T", token_type="RFID", at=at, **said)
    forget_authorizations()
    assert Authorization.objects.count() == 2


def test_a_state_is_shown_after_a_crash(staff: Client, errand: Errand) -> None:
    lost = copied(errand, state="received", answer=None, answered_at=None, forwarded_at=None)
    assert shown(staff, state__exact="received") == [lost]
    page = staff.get(reverse("admin:parties_errand_change", args=[lost.pk]))
    assert page.status_code == 200
