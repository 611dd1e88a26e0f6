"""The way in: passwords, second factors, limits, and what ends a session."""

import json
import re
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client

from parties.models import Letter, TrailEntry, User
from parties.people import inviting, letters
from tests.portal.cast import PASSWORD, link_in, person, visitor


def code_of(secret):
    counter = next(iter(yield_hotp_counters_from_time()))
    return format_hotp_value(hotp_value(secret, counter))


def add_factor(client):
    page = client.get("/app/account/2fa/totp/activate/").text
    secret = re.search(r'value="([A-Z2-7]{32})"', page)[1]
    answer = client.post("/app/account/2fa/totp/activate/", {"code": code_of(secret)})
    assert answer.status_code == 302, answer.text
    return secret


def log_in(email, password=PASSWORD, client=None):
    client = client or Client()
    return client, client.post("/app/account/login/", {"login": email, "password": password})


def test_nobody_signs_up(fresh, client):
    assert "By invitation only" in client.get("/app/account/signup/").text
    told = {"email": "x@y.example", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/app/account/signup/", told)
    assert not User.objects.exists()


def test_a_wrong_password_says_no_more_than_a_wrong_address(people):
    answers = [log_in(email, "wrong")[1].text for email in ("owner@cpo.example", "x@cpo.example")]
    for answer in answers:
        assert "are not correct" in answer


def test_tries_are_limited(people):
    for _ in range(5):
        log_in("owner@cpo.example", "wrong")
    _, answer = log_in("owner@cpo.example")
    assert answer.status_code == 200
    assert "Too many failed login attempts" in answer.text
    assert log_in("viewer@cpo.example")[1].status_code == 302  # others come in
    assert TrailEntry.objects.filter(deed="login_failed").count() == 5


def test_a_second_factor_is_added_and_asked_for(people, django_capture_on_commit_callbacks):
    client, _ = log_in("owner@cpo.example")
    with django_capture_on_commit_callbacks(execute=True):
        secret = add_factor(client)
    kept = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in kept  # it is encrypted
    assert client.get("/app/account/2fa/recovery-codes/").text.count("<li><code>") == 10
    later, answer = log_in("owner@cpo.example")
    assert answer.url == "/app/account/2fa/authenticate/"
    assert later.get("/app/NL-CPO/").url.startswith("/app/account/login/")
    wrong = later.post("/app/account/2fa/authenticate/", {"code": "000000"})
    assert wrong.status_code == 200
    assert later.get("/app/NL-CPO/").status_code == 302
    recovery = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[0]
    answer = later.post("/app/account/2fa/authenticate/", {"code": recovery})
    assert answer.status_code == 302
    assert later.get("/app/NL-CPO/").status_code == 200
    again, _ = log_in("owner@cpo.example")
    again.post("/app/account/2fa/authenticate/", {"code": recovery})
    assert again.get("/app/NL-CPO/").status_code == 302  # a recovery code works once
    deeds = set(TrailEntry.objects.values_list("deed", flat=True))
    assert {"second_factor_added", "logged_in"} <= deeds


@pytest.mark.parametrize(
    ("access", "asked"),
    [("owner", True), ("finance", True), ("developer", False), ("viewer", False)],
)
def test_in_live_who_decides_about_money_needs_one(people, settings, access, asked):
    settings.MFA_REQUIRED = True
    client, _ = log_in(f"{access}@cpo.example")
    answer = client.get("/app/NL-CPO/")
    assert answer.status_code == (302 if asked else 200)
    if asked:
        assert answer.url == "/app/account/2fa/totp/activate/"
        add_factor(client)
        assert client.get("/app/NL-CPO/").status_code == 200


def test_a_new_password_ends_all_other_sessions(people):
    here, elsewhere = (log_in("owner@cpo.example")[0] for _ in range(2))
    new = "a very different password"
    told = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/app/account/password/", told).status_code == 302
    assert here.get("/app/NL-CPO/").status_code == 200
    assert elsewhere.get("/app/NL-CPO/").status_code == 302
    assert TrailEntry.objects.filter(deed="password_changed").count() == 1
    assert Letter.objects.filter(about="password_changed").exists()


def test_a_forgotten_password_is_reset_by_letter(people, client):
    client.post("/app/account/password/reset/", {"email": "owner@cpo.example"})
    letter = Letter.objects.get()
    assert letter.about == "password_reset_key"
    assert "http://127.0.0.1:8000/app/account/password/reset/" in letter.text
    answer = client.get(link_in(letter))
    new = {"password1": "a very different password", "password2": "a very different password"}
    assert client.post(answer.url, new).status_code == 302
    assert log_in("owner@cpo.example", new["password1"])[1].status_code == 302
    assert TrailEntry.objects.filter(deed="password_reset").count() == 1


def test_a_forged_host_does_not_get_into_letters(people, client):
    told = {"email": "owner@cpo.example"}
    client.post("/app/account/password/reset/", told, headers={"host": "evil.example"})
    assert "evil.example" not in Letter.objects.get().text


def test_strangers_get_no_letter(people, client):
    answer = client.post("/app/account/password/reset/", {"email": "stranger@x.example"})
    assert answer.status_code == 302
    assert not Letter.objects.exists()


def test_who_is_locked_out_stays_out(people):
    client, _ = log_in("owner@cpo.example")
    User.objects.filter(email="owner@cpo.example").update(is_active=False)
    assert client.get("/app/NL-CPO/").status_code == 302
    assert log_in("owner@cpo.example")[0].get("/app/NL-CPO/").status_code == 302


def test_logging_out_is_a_form(people):
    client, _ = log_in("owner@cpo.example")
    client.get("/app/account/logout/")
    assert client.get("/app/NL-CPO/").status_code == 200
    client.post("/app/account/logout/")
    assert client.get("/app/NL-CPO/").status_code == 302


def test_a_letter_is_sent_once_in_text_and_html_and_then_forgotten(people):
    log_in("owner@cpo.example")[0].post(
        "/app/NL-CPO/people/invite/", {"email": "new@cpo.example", "access": "viewer"}
    )
    assert letters.send_due() == 1
    assert letters.send_due() == 0
    [message] = mail.outbox
    assert message.to == ["new@cpo.example"]
    assert message.alternatives[0].mimetype == "text/html"
    assert "/app/invitation/" in message.body
    assert "/app/invitation/" in message.alternatives[0].content
    letter = Letter.objects.get()
    assert (letter.text, letter.html) == ("", "")
    assert letter.sent_at


def test_a_letter_that_cannot_be_sent_is_tried_again_and_then_left(people, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 1, 1
    letters.write("x@y.example", "test", letters.Content("Subject", ["Text"]))
    for attempt in range(1, len(letters.PAUSES) + 2):
        assert letters.send_due() == 0
        letter = Letter.objects.get()
        assert letter.attempts == attempt
        assert "refused" in letter.error.lower()
        assert (letter.due_at is None) == (attempt > len(letters.PAUSES))
        Letter.objects.filter(due_at__isnull=False).update(due_at=letter.created_at)
    assert letter.text


def test_a_hostile_name_stays_text_in_a_letter(seller):
    content = letters.Content("Sub\nject", ["<script>alert(1)</script>"])
    letter = letters.write("x@y.example", "test", content)
    assert "<script>" not in letter.html
    assert "<script>" in letter.text
    assert "\n" not in letter.subject


def test_staff_without_a_party_find_their_desk(fresh):
    User.objects.create_superuser("staff@hub.example", PASSWORD)
    answer = log_in("staff@hub.example")[1]
    assert answer.status_code == 302
    person_ = User.objects.get(email="staff@hub.example")
    assert visitor(person_).get("/app/").text.count("/admin/") >= 1
    assert person("x@y.example").is_staff is False


def test_in_live_staff_need_a_second_factor_for_their_desk(fresh, settings):
    staff = User.objects.create_superuser("staff@hub.example", PASSWORD)
    assert visitor(staff).get("/admin/").status_code == 200
    settings.MFA_REQUIRED = True
    client = Client()
    assert client.get("/admin/").url == "/admin/login/?next=/admin/"
    assert client.get("/admin/login/?next=/admin/").url == "/app/account/login/?next=/admin/"
    told = {"username": staff.email, "password": PASSWORD, "next": "/admin/"}
    assert client.post("/admin/login/", told).status_code == 302
    assert client.get("/admin/").status_code == 302  # that form let nobody in
    inviting.prove(staff)
    client, _ = log_in(staff.email)
    assert client.get("/admin/", follow=True).request["PATH_INFO"] == (
        "/app/account/2fa/totp/activate/"
    )
    add_factor(client)
    assert client.get("/admin/").status_code == 200


def test_in_live_others_are_not_sent_in_circles(people, settings):
    settings.MFA_REQUIRED = True
    answer = visitor(people["viewer"]).get("/admin/", follow=True)
    assert answer.request["PATH_INFO"] == "/app/NL-CPO/"


def test_the_command_makes_people_and_staff(seller):
    out = StringIO()
    told = ("new@cpo.example", "--party", "nl-cpo", "--access", "finance", "--json")
    call_command("add_user", *told, stdout=out)
    made = json.loads(out.getvalue())
    assert list(made) == ["email", "party", "access", "password"]
    assert made["party"] == "NL-CPO"
    client, _ = log_in(made["email"], made["password"])
    assert client.get("/app/NL-CPO/").status_code == 200
    call_command("add_user", "boss@hub.example", "--staff", "clerk", "--json", stdout=out)
    assert User.objects.get(email="boss@hub.example").is_staff


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--party", "NL-CPO"], "which --access"),
        (["--party", "NL-CPO", "--access", "king"], "is not an access"),
        (["--party", "NL-XXX", "--access", "owner"], "there is no party NL-XXX"),
        (["--party", "NLCPO", "--access", "owner"], "country code has 2"),
        (["--staff", "clerk", "--access", "owner"], "people of a party"),
    ],
)
def test_the_command_refuses_with_a_reason(seller, arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("add_user", "new@cpo.example", *arguments)
    assert not User.objects.filter(email="new@cpo.example").exists()
