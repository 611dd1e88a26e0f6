"""Invitations: one link, once, for one address; and how people change and go."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from parties.models import Access, Invitation, Letter, Membership, TrailEntry, User
from parties.people import inviting
from tests.portal.cast import PASSWORD, link_in, person, visitor
from tests.racing import at_once
from tests.settlement import factory

NEW = {"name": "Nora New", "password": "another long password"}


def invite(client, email="new@cpo.example", access="finance"):
    return client.post("/app/NL-CPO/people/invite/", {"email": email, "access": access})


def test_an_owner_invites_and_somebody_new_comes_in(owner):
    assert invite(owner).url == "/app/NL-CPO/people/"
    letter = Letter.objects.get()
    assert letter.to == "new@cpo.example"
    assert letter.subject == "[Open Charge Network][NL-CPO][Sandbox] Join NL-CPO Power"
    assert "owner@cpo.example invites you" in letter.text
    assert "Accept the invitation" in letter.html
    path = link_in(letter)
    newcomer = Client()
    shown = newcomer.get(path)
    assert "new@cpo.example" in shown.text
    assert "no-store" in shown["Cache-Control"]
    answer = newcomer.post(path, NEW)
    assert answer.url == "/app/NL-CPO/"
    assert newcomer.get("/app/NL-CPO/").status_code == 200
    place = Membership.objects.get(person__email="new@cpo.example")
    assert (place.access, place.person.first_name) == ("finance", "Nora New")
    again = visitor(place.person, NEW["password"])
    assert again.get("/app/NL-CPO/").status_code == 200
    assert newcomer.get("/app/NL-CPO/people/").status_code == 404
    assert newcomer.get("/app/account/2fa/totp/activate/").status_code == 200  # asks nothing again


def test_the_link_works_once(owner):
    invite(owner)
    path = link_in(Letter.objects.get())
    Client().post(path, NEW)
    for client in (Client(), owner):
        assert client.get(path).status_code == 404
        assert client.post(path, NEW).status_code == 404
    assert User.objects.filter(email="new@cpo.example").count() == 1


def test_only_a_digest_of_the_link_is_kept(owner):
    invite(owner)
    secret = link_in(Letter.objects.get()).split("/")[-2]
    invitation = Invitation.objects.get()
    assert secret.encode() not in bytes(invitation.digest)
    assert secret not in "".join(TrailEntry.objects.values_list("details", flat=True))


def test_it_expires(owner):
    invite(owner)
    path = link_in(Letter.objects.get())
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Client().get(path).status_code == 404
    assert Client().post(path, NEW).status_code == 404
    assert "Expired" in owner.get("/app/NL-CPO/people/").text


def test_it_can_be_revoked(owner):
    invite(owner)
    invitation, path = Invitation.objects.get(), link_in(Letter.objects.get())
    url = f"/app/NL-CPO/people/invitations/{invitation.pk}/revoke/"
    assert owner.post(url).url == "/app/NL-CPO/people/"
    assert Client().get(path).status_code == 404
    owner.post(url)
    assert "used or revoked already" in owner.get("/app/NL-CPO/people/").text


def test_a_second_invitation_replaces_the_first(owner):
    invite(owner)
    first = link_in(Letter.objects.get())
    invite(owner, email="NEW@cpo.example", access="viewer")
    second = link_in(Letter.objects.order_by("-pk").first())
    assert Client().get(first).status_code == 404
    Client().post(second, NEW)
    assert Membership.objects.get(person__email="new@cpo.example").access == "viewer"


def test_who_has_an_account_accepts_with_it(owner, buyer):
    known = person("known@emp.example", buyer, "owner")
    invite(owner, email="known@emp.example", access="viewer")
    path = link_in(Letter.objects.get())
    stranger = Client()
    assert f"/app/account/login/?next={path}" in stranger.get(path).text
    assert stranger.post(path, NEW).status_code == 200  # changes nothing
    assert not known.memberships.filter(party__party_id="CPO").exists()
    client = visitor(known)
    assert client.post(path).url == "/app/NL-CPO/"
    assert known.memberships.count() == 2


def test_it_is_for_one_address(owner, people):
    invite(owner)
    path = link_in(Letter.objects.get())
    other = visitor(people["viewer"])
    assert "is for new@cpo.example" in other.get(path).text
    other.post(path)
    assert Invitation.objects.get().accepted_at is None
    assert people["viewer"].memberships.get().access == "viewer"


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"email": "nobody", "access": "viewer"}, "valid email"),
        ({"email": "a@b.example", "access": "king"}, "not one of the available choices"),
        ({"email": "viewer@cpo.example", "access": "owner"}, "is a member already"),
        ({}, "required"),
    ],
)
def test_bad_invitations_are_refused_with_reasons(owner, told, problem):
    answer = owner.post("/app/NL-CPO/people/invite/", told)
    assert answer.status_code == 422
    assert problem in answer.text
    assert not Invitation.objects.exists()
    assert not Letter.objects.exists()


@pytest.mark.parametrize("password", ["short", "password123", "12345678901"])
def test_a_guessable_password_is_refused(owner, password):
    invite(owner)
    path = link_in(Letter.objects.get())
    answer = Client().post(path, NEW | {"password": password})
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert not User.objects.filter(email="new@cpo.example").exists()


def test_only_owners_invite(people):
    for access in set(Access) - {Access.OWNER}:
        client = visitor(people[access], PASSWORD)
        assert invite(client).status_code == 404
    assert not Invitation.objects.exists()


def test_who_has_not_logged_in_for_a_while_confirms_their_password_first(people):
    client = visitor(people["owner"])  # without a login by password
    answer = invite(client)
    assert answer.url.startswith("/app/account/reauthenticate/")
    assert not Invitation.objects.exists()
    told = {"next": "/app/NL-CPO/people/invite/"}
    wrong = client.post("/app/account/reauthenticate/", told | {"password": "wrong"})
    assert wrong.status_code == 200
    assert not Invitation.objects.exists()
    answer = client.post("/app/account/reauthenticate/", told | {"password": PASSWORD})
    assert answer.url == "/app/NL-CPO/people/"
    assert Invitation.objects.count() == 1


def test_an_owner_changes_what_others_may(owner, people):
    place = people["viewer"].memberships.get()
    url = f"/app/NL-CPO/people/{place.pk}/"
    assert people["viewer"].email in owner.get(url).text
    assert owner.post(url, {"access": "finance"}).url == "/app/NL-CPO/people/"
    place.refresh_from_db()
    assert place.access == "finance"
    entry = TrailEntry.objects.filter(deed="access_changed").get()
    assert (entry.who, entry.subject) == ("owner@cpo.example", "viewer@cpo.example")
    assert entry.told == {"before": "viewer", "after": "finance"}


def test_an_owner_removes_others_at_once(owner, people):
    client = visitor(people["viewer"])
    assert client.get("/app/NL-CPO/").status_code == 200
    place = people["viewer"].memberships.get()
    owner.post(f"/app/NL-CPO/people/{place.pk}/remove/")
    assert client.get("/app/NL-CPO/").status_code == 404


def test_people_of_other_parties_are_out_of_reach(owner, buyer):
    place = person("boss@emp.example", buyer, "owner").memberships.get()
    invitation, _ = inviting.invite(buyer, "x@emp.example", "viewer", by=None)
    assert owner.get(f"/app/NL-CPO/people/{place.pk}/").status_code == 404
    assert owner.post(f"/app/NL-CPO/people/{place.pk}/remove/").status_code == 404
    revoke = f"/app/NL-CPO/people/invitations/{invitation.pk}/revoke/"
    assert owner.post(revoke).status_code == 404


def test_the_last_owner_stays(owner, people):
    place = people["owner"].memberships.get()
    answer = owner.post(f"/app/NL-CPO/people/{place.pk}/", {"access": "viewer"})
    assert answer.status_code == 422
    assert "last owner" in answer.text
    owner.post(f"/app/NL-CPO/people/{place.pk}/remove/")
    assert Membership.objects.filter(pk=place.pk, access="owner").exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_leave_at_once_one_stays():
    party = factory.cpo("NL-CPO")
    places = [
        person(f"{name}@cpo.example", party, "owner").memberships.get() for name in ("a", "b")
    ]

    def leave(place):
        try:
            inviting.dismiss(place, by=place.person)
        except inviting.CannotInvite:
            return False
        return True

    assert sorted(at_once(*(lambda place=place: leave(place) for place in places))) == [False, True]
    assert Membership.objects.filter(access="owner").count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_invitation_that_is_accepted_twice_at_once_makes_one_place():
    party = factory.cpo("NL-CPO")
    known = person("known@cpo.example")
    invitation, _ = inviting.invite(party, known.email, "viewer", by=None)

    def accept():
        try:
            inviting.accept(invitation, known, None)
        except inviting.NoInvitation:
            return False
        return True

    assert sorted(at_once(accept, accept, accept)) == [False, False, True]
    assert known.memberships.count() == 1


def test_the_database_has_one_open_invitation_each(seller):
    invitation, _ = inviting.invite(seller, "new@cpo.example", "viewer", by=None)
    again = {"email": "new@cpo.example", "access": "viewer", "digest": b"x", "party": seller}
    with pytest.raises(IntegrityError), transaction.atomic():
        Invitation.objects.create(**again, expires_at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        Invitation.objects.filter(pk=invitation.pk).update(access="king")
